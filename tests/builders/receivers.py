"""A receiver of webhooks: a real HTTP server that keeps what it got and answers as it is told."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

from standardwebhooks import Webhook

Respond = Callable[["Received"], tuple[int, dict[str, str]]]


@dataclass(frozen=True)
class Received:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def message(self) -> str:
        """The id by which a receiver knows what it had before."""
        return self.headers["webhook-id"]

    @property
    def told(self) -> dict[str, Any]:
        """What it says."""
        found: dict[str, Any] = json.loads(self.body)
        return found

    def verify(self, secret: str) -> Any:
        """What it says, if its signature is right. Raises WebhookVerificationError."""
        return Webhook(secret).verify(self.body, self.headers)


@dataclass
class Receiver:
    """Where it listens, what it got, and how it answers (204 unless told otherwise)."""

    url: str
    got: list[Received] = field(default_factory=list)
    respond: Respond = lambda _: (204, {})
    most_at_once: int = 0
    at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def types(self) -> list[str]:
        """The types of what it got, in order."""
        return [each.told["type"] for each in self.got]

    def answers(self, status: int, **headers: str) -> None:
        """Answer everything so from now on; `retry_after` is Retry-After."""
        shown = {name.replace("_", "-"): value for name, value in headers.items()}
        self.respond = lambda _: (status, shown)

    def sleeps(self, seconds: float) -> None:
        """Answer only after a while."""

        def slowly(_: Received) -> tuple[int, dict[str, str]]:
            time.sleep(seconds)
            return 204, {}

        self.respond = slowly


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    receiver: Receiver


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        receiver = cast(_Server, self.server).receiver
        with receiver.lock:
            receiver.at_once += 1
            receiver.most_at_once = max(receiver.most_at_once, receiver.at_once)
        try:
            body = self.rfile.read(int(self.headers["content-length"]))
            one = Received(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            receiver.got.append(one)
            status, headers = receiver.respond(one)
        finally:
            with receiver.lock:
                receiver.at_once -= 1
        self.send_response(status)
        for name, value in {"content-length": "0", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def do_GET(self) -> None:
        cast(_Server, self.server).receiver.got.append(Received(self.path, {}, b""))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a free port of 127.0.0.1 until the block ends."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.receiver = Receiver(f"http://127.0.0.1:{server.server_address[1]}/hooks")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.receiver
    finally:
        server.shutdown()
        server.server_close()
