"""A place that takes webhooks, and checks them with the real SDK."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import stripe


@dataclass
class Sink:
    """What has arrived: body and header of each delivery. `statuses` are given to the next ones before 200."""

    url: str = ""
    got: list[tuple[bytes, str]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for body, _ in self.got]

    def types(self) -> list[str]:
        return [event["type"] for event in self.events()]

    def verdicts(self, secret: str) -> list[str]:
        """What the SDK says of each delivery: ok, or the class of its refusal."""
        found = []
        for body, header in self.got:
            try:
                stripe.Webhook.construct_event(body, header, secret)  # type: ignore[no-untyped-call]
                found.append("ok")
            except stripe.SignatureVerificationError as error:
                found.append(type(error).__name__)
        return found


@pytest.fixture
def sink() -> Iterator[Sink]:
    """A real HTTP server of this test."""
    taken = Sink()

    class Taker(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            taken.got.append((body, self.headers["Stripe-Signature"]))
            self.send_response(taken.statuses.pop(0) if taken.statuses else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Taker)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    taken.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    yield taken
    server.shutdown()
    server.server_close()
    thread.join()
