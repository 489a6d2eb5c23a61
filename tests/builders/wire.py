"""PostgreSQL's wire with a cut at the N-th statement: before it arrives, or before its answer does.

Nothing of the client is replaced: it speaks through a socket to the real server and sees a lost connection.
"""

import asyncio
import contextlib
import os
import socket
import struct
import tempfile
import threading
from pathlib import Path
from typing import Any, Final

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from spend.operations.gate.apply import Gate
from spend.operations.gate.lanes import read_aside
from spend.operations.gate.wire import Wire
from spend.rules.effects import Answer

STATEMENTS: Final = frozenset((b"E", b"Q"))  # Execute of the extended protocol, a simple query
SYNC: Final = b"S" + struct.pack("!I", 4)
BEFORE, AFTER = "before", "after"


class Proxy:
    """Stands between client and server. `statements` counts what passed; the connection ends at `cut_at`, None: no."""

    def __init__(self, url: str, *, cut_at: int | None = None, how: str = BEFORE) -> None:
        self.statements = 0
        self.cut_at, self.how = cut_at, how
        self._is_cut = False
        place = conninfo_to_dict(url)
        self._target = str(Path(str(place["host"])) / f".s.PGSQL.{place.get('port', 5432)}")
        self._folder = tempfile.mkdtemp(prefix="wire-")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(f"{self._folder}/.s.PGSQL.5432")
        self._listener.listen(1)
        self.url = make_conninfo(url, host=self._folder, port=5432)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take everything away."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(timeout=5)
        Path(self._folder, ".s.PGSQL.5432").unlink(missing_ok=True)
        os.rmdir(self._folder)

    def _serve(self) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError:
            return
        server = socket.socket(socket.AF_UNIX)
        server.connect(self._target)
        back = threading.Thread(target=self._pour, args=(server, client), daemon=True)
        try:
            _forward_startup(client, server)
            back.start()
            self._forward(client, server)
        except (OSError, EOFError):
            pass
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_WR)  # it still does what it was told, then it ends
        back.join(timeout=10)
        server.close()
        client.close()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        while True:
            kind, message = _message(client)
            if kind in STATEMENTS:
                self.statements += 1
                if self.statements == self.cut_at:
                    self._is_cut = True
                    if self.how == AFTER:
                        server.sendall(message + SYNC)
                    return
            server.sendall(message)

    def _pour(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while part := server.recv(65_536):
                if not self._is_cut:
                    client.sendall(part)


def decided_through_wire(
    command: Any, url: str, *, cut_at: int | None = None, how: str = BEFORE
) -> tuple[Answer, int]:
    """What a gate of its own answers to a command over a connection that may be cut, and the statements that it took.

    Raises GateUnavailable when the connection was lost.
    """
    proxy = Proxy(url, cut_at=None)
    try:
        return asyncio.run(_decided(command, proxy, cut_at=cut_at, how=how))
    finally:
        proxy.close()


async def _decided(command: Any, proxy: Proxy, *, cut_at: int | None, how: str) -> tuple[Answer, int]:
    wire = await Wire.connect(proxy.url, lock_timeout_ms=2_000)
    proxy.statements, proxy.cut_at, proxy.how = 0, cut_at, how
    try:
        (answer,) = await Gate(read_aside).apply(wire, [command])
        return answer, proxy.statements
    finally:
        wire.close()


def _exactly(end: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        part = end.recv(size - len(found))
        if not part:
            raise EOFError
        found += part
    return found


def _message(end: socket.socket) -> tuple[bytes, bytes]:
    head = _exactly(end, 5)
    return head[:1], head + _exactly(end, struct.unpack("!I", head[1:])[0] - 4)


def _forward_startup(client: socket.socket, server: socket.socket) -> None:
    size = _exactly(client, 4)
    server.sendall(size + _exactly(client, struct.unpack("!I", size)[0] - 4))
