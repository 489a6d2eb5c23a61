"""The gate's entry without a server: requests and answers as Granian would hand them over, on a loop of their own."""

import asyncio
import atexit
import json
import threading
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.test import Client
from django.utils.datastructures import CaseInsensitiveMapping

HOST = "testserver"


class Headers:
    """A request's headers; like the server's, one that is no ASCII has a name and no value."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = {name.lower(): value for name, value in given.items()}

    def __contains__(self, name: str) -> bool:
        return name in self._given

    def get(self, name: str) -> str | None:
        found = self._given.get(name)
        return found if found is not None and found.isascii() else None

    def keys(self) -> Sequence[str]:
        return list(self._given)

    def items(self) -> Sequence[tuple[str, str]]:
        return [(name, value) for name, value in self._given.items() if value.isascii()]


class Scope:
    """What came before the body."""

    client, scheme = "127.0.0.1:1", "http"

    def __init__(self, method: str, target: str, headers: Headers) -> None:
        place = urlsplit(target)
        self.method = method
        self.path = unquote(place.path)
        self.query_string = place.query
        self.headers = headers


class Answered:
    """An answer, with what the framework's test client has of one."""

    def __init__(self, status: int, headers: Sequence[tuple[str, str]], content: bytes) -> None:
        self.status_code = status
        self.headers = CaseInsensitiveMapping(dict(headers))
        self.content = content

    def json(self) -> Any:
        """The body's JSON value."""
        return json.loads(self.content)


class Exchange:
    """The body, and the way back."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.answered: Answered | None = None
        self.answered_at = 0.0

    async def __call__(self) -> bytes:
        return self.body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self.body), 65_536):
            yield self.body[start : start + 65_536]

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        assert self.answered is None, "one request was answered twice"
        self.answered = Answered(status, headers, body)
        self.answered_at = time.monotonic()


class Entry:
    """`config.web.Web` on a thread with an event loop; calls come from any other thread."""

    def __init__(self) -> None:
        from config.web import Web

        self.url = settings.GATE_DATABASE_URL
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="web", daemon=True)
        self._thread.start()
        self.web = Web()
        self._run(self.web.open())

    def call(self, scope: Scope, body: bytes) -> Answered:
        """One call and its answer."""
        exchange = Exchange(body)
        self._run(self.web.__rsgi__(scope, exchange))  # type: ignore[arg-type]
        assert exchange.answered is not None
        return exchange.answered

    def close(self) -> None:
        """Let everything go."""
        self._run(self.web.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=60)


_entry: Entry | None = None
_guard = threading.Lock()


def entry() -> Entry:
    """This process's entry; a new one when the database is another."""
    global _entry
    with _guard:
        if _entry is not None and _entry.url != settings.GATE_DATABASE_URL:
            _entry.close()
            _entry = None
        if _entry is None:
            _entry = Entry()
        return _entry


def close_entry() -> None:
    """Let it go; the next use makes a new one."""
    global _entry
    with _guard:
        if _entry is not None:
            _entry.close()
            _entry = None


class Http(Client):
    """The framework's test client for what Django answers; the gate's calls and Stripe's deliveries go to `web`."""

    def generic(
        self, method: str, path: str, data: Any = "", content_type: str = "application/octet-stream", *args: Any,
        headers: Mapping[str, str] | None = None, **extra: Any,
    ) -> Any:  # fmt: skip
        from spend.api.gate import find_endpoint
        from webhooks.api.doors import find_door

        place = unquote(urlsplit(path).path)
        if find_endpoint(method, place) is None and find_door(place) is None:
            return super().generic(method, path, data, content_type, *args, headers=headers, **extra)
        body = data.encode() if isinstance(data, str) else bytes(data)
        announced = {"content-type": content_type, "content-length": str(len(body))} if body else {}
        given = Headers({"host": HOST, **announced, **(headers or {})})
        return entry().call(Scope(method, path, given), body)


atexit.register(close_entry)
