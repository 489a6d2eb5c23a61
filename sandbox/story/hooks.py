"""A receiver of webhooks as a customer writes one: it verifies, remembers ids, and answers at once."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError


class Receiver:
    """Listens on this machine. `told` are the messages whose signature is right, each once; `refused` counts others."""

    def __init__(self) -> None:
        self.told: dict[str, dict[str, Any]] = {}
        self.refused = 0
        self.secret: str | None = None
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.receiver = self
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._server.server_port}/hooks"

    def types(self) -> list[str]:
        """The types of what it was told, in the order in which it was."""
        return [message["type"] for message in list(self.told.values())]

    def take(self, body: bytes, headers: dict[str, str]) -> int:
        """Verify a message and keep it; the status to answer with."""
        try:
            Webhook(self.secret or "").verify(body, headers)
        except (WebhookVerificationError, ValueError):
            self.refused += 1
            return 400
        self.told.setdefault(headers["webhook-id"], json.loads(body))
        return 204

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    receiver: Receiver


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        names = {name.lower(): value for name, value in self.headers.items()}
        self.send_response(self.server.receiver.take(body, names))
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the story prints."""
