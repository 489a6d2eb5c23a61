"""A reader of server-sent events, over a socket of its own."""

import http.client
import json
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

Wanted = Callable[["Told"], bool]


@dataclass(frozen=True)
class Told:
    """One event of a stream."""

    name: str
    data: Any
    id: int


class Listening:
    """An open stream; `status` and `headers` are those of the answer, `problem` its body when it was refused."""

    def __init__(self, url: str, secret: str, *, path: str = "/v1/stream", since: int | None = None) -> None:
        place = urlsplit(url)
        self._connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=10)
        headers = {"Authorization": f"Bearer {secret}", "Accept": "text/event-stream"}
        if since is not None:
            headers["Last-Event-ID"] = str(since)
        self.seen: list[Told] = []
        self.comments = 0
        try:
            self._connection.request("GET", path, headers=headers)
            self._answer = self._connection.getresponse()
            self.status = self._answer.status
            self.headers = dict(self._answer.getheaders())
            self.problem = json.loads(self._answer.read()) if self.status != 200 else None
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> "Listening":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._answer.close()
        self._connection.close()

    def next(self) -> Told | None:
        """The next event; None at the end of the stream. Raises TimeoutError."""
        fields: dict[str, str] = {}
        while line := self._answer.readline():
            text = line.decode().rstrip("\n")
            if not text and "event" in fields:
                found = Told(fields["event"], json.loads(fields["data"]), int(fields["id"]))
                self.seen.append(found)
                return found
            if not text:
                fields = {}
            elif text.startswith(":"):
                self.comments += 1
            else:
                name, _, value = text.partition(": ")
                fields[name] = value
        return None

    def until(self, name: str, wanted: Wanted = lambda _: True, *, seconds: float = 10) -> Told:
        """The next event of a name that is wanted; fails after so many seconds."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = self.next()
            assert found is not None, f"the stream ended: {self.seen[-1:]}"
            if found.name == name and wanted(found):
                return found
        raise AssertionError(f"no {name} came in {seconds} s: {[told.name for told in self.seen]}")


def deaf(url: str, secret: str) -> socket.socket:
    """A caller whose stream has begun, and who reads nothing more of it."""
    place = urlsplit(url)
    connection = socket.socket()
    try:
        connection.settimeout(10)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.connect((place.hostname or "", place.port or 80))
        ask = f"GET /v1/stream HTTP/1.1\r\nHost: {place.netloc}\r\nAuthorization: Bearer {secret}\r\n\r\n"
        connection.sendall(ask.encode())
        begun = connection.recv(12)
        assert begun == b"HTTP/1.1 200", begun
    except BaseException:
        connection.close()
        raise
    return connection
