"""The connection beneath an answer: how much of what was sent has not left yet, and hanging up.

The server takes whatever is sent to a stream into its memory, however slowly the caller reads, and tells nothing of
it. The kernel does: as long as next to nothing waits in the socket, nothing waits before it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct
import termios

_OPEN_FILES = "/dev/fd"


class Peer:
    """A second handle on a caller's connection; `close` gives it back and leaves the connection as it is."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection

    def unsent(self) -> int:
        """The bytes that the caller's side has not taken yet."""
        try:
            raw = fcntl.ioctl(self._socket.fileno(), termios.TIOCOUTQ, struct.pack("i", 0))
        except OSError:
            return 0  # it is gone; whoever sends will see
        waiting: int = struct.unpack("i", raw)[0]
        return waiting

    def hang_up(self) -> None:
        """End the connection at once, whatever waits in it."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Give the handle back."""
        self._socket.close()


def find_peer(address: str) -> Peer | None:
    """The connection of this process whose other end is `host:port`; None where the system does not show it."""
    try:
        names = os.listdir(_OPEN_FILES)
    except OSError:
        return None
    for name in names:
        found = _duplicate(name)
        if found is not None:
            if _other_end(found) == address:
                return Peer(found)
            found.close()
    return None


def _duplicate(name: str) -> socket.socket | None:
    try:
        number = os.dup(int(name))
    except (OSError, ValueError):
        return None
    try:
        return socket.socket(fileno=number)
    except OSError:
        os.close(number)
        return None


def _other_end(found: socket.socket) -> str | None:
    try:
        place = found.getpeername()
    except OSError:
        return None
    if not isinstance(place, tuple):
        return None
    host = f"[{place[0]}]" if ":" in place[0] else place[0]
    return f"{host}:{place[1]}"
