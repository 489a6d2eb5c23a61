"""What is not the gate's goes to the process `app`, streamed both ways, and comes back as it is."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Final
from urllib.parse import quote

import aiohttp
from aiohttp.client_proto import ResponseHandler
from granian.rsgi import ProtocolClosed  # type: ignore[attr-defined]
from prometheus_client import Counter
from yarl import URL

from common.api.border import CHUNK_BYTES, announced_bytes
from common.api.rsgi import BODY_SECONDS, Exchange, HeaderList, Request, Scope
from common.errors import BadGateway, InvalidJson, ServiceUnavailable

logger = logging.getLogger(__name__)

CONNECT_SECONDS: Final = 2
SILENCE_SECONDS: Final = 60
"""How long app may say nothing: before its answer, and within one (a stream of events sends comments meanwhile)."""
MAX_CONNECTIONS: Final = 256
AHEAD_BYTES: Final = CHUNK_BYTES
BYTES_PER_SECOND: Final = 16_384
"""What a body must come with, after BODY_SECONDS of grace."""
CUT_OFF: Final = "The body ended before its announced length."
FORWARDED: Final = Counter("counterfoil_forwarded", "Calls forwarded to app, by status", ["status"])

# RFC 9110, 7.6.1. Content-Length stays: it is what tells a body that was cut off.
_HOP_BY_HOP: Final = frozenset(
    (
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
        "transfer-encoding", "upgrade",
    )
)  # fmt: skip
_OURS: Final = frozenset(
    ("x-request-id", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "expect")
)
_NO_BODY: Final = frozenset((204, 304))
_PATH_CHARACTERS: Final = "/:@!$&'()*+,;=~-._"


class _CutOff(Exception):
    """The caller's body ended before its announced length."""


class Forwarder:
    """One process's connections to app, at `unix:/path` or `http://host:port`."""

    def __init__(self, address: str) -> None:
        is_socket = address.startswith("unix:")
        self._base = "http://app" if is_socket else address.rstrip("/")
        self._path = address.removeprefix("unix:") if is_socket else None
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Begin, on the running loop; nothing is connected yet."""
        limits: dict[str, Any] = {"limit": MAX_CONNECTIONS, "keepalive_timeout": 15}
        connector: aiohttp.BaseConnector = (
            aiohttp.TCPConnector(**limits)
            if self._path is None
            else aiohttp.UnixConnector(self._path, **limits)
        )
        made: Callable[..., ResponseHandler] = _Connection
        connector._factory = functools.partial(made, asyncio.get_running_loop())
        self._session = aiohttp.ClientSession(
            connector=connector, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS),
            skip_auto_headers=("user-agent", "accept", "accept-encoding", "content-type"),
        )  # fmt: skip

    async def close(self) -> None:
        """Let the connections go."""
        if self._session is not None:
            await self._session.close()

    async def forward(self, request: Request, exchange: Exchange) -> None:
        """Have app answer.

        Raises ServiceUnavailable when app cannot be reached or says nothing in time, and BadGateway when it ended
        before its answer began; after that the answer ends early. A caller who hangs up ends the forwarding; what app
        has begun it finishes. A call that meets a connection which app has just closed is asked once more when its
        method is idempotent.
        """
        work = asyncio.ensure_future(self._forward(request, exchange))
        gone = asyncio.ensure_future(exchange.client_disconnect())
        try:
            await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
            else:
                work.cancel()
                await asyncio.wait((work,))
        finally:
            gone.cancel()

    async def _forward(self, request: Request, exchange: Exchange) -> None:
        assert self._session is not None
        body = _Body(request)
        await body.read_ahead()
        try:
            call = self._session.request(
                request.method, _address(self._base, request.scope), headers=_headers_to(request),
                data=body.pieces() if body.exists else None, allow_redirects=False, expect100=False,
            )  # fmt: skip
            async with call as found:
                FORWARDED.labels(str(found.status)).inc()
                await _answer(exchange, request, found, body)
        except (aiohttp.ClientConnectorError, TimeoutError) as error:
            raise self._refusal(ServiceUnavailable(retry_after=1), error) from error
        except (aiohttp.ClientError, ConnectionError) as error:
            if body.is_cut_off:
                raise InvalidJson(CUT_OFF) from error
            raise self._refusal(BadGateway(retry_after=1), error) from error

    def _refusal(self, refusal: ServiceUnavailable | BadGateway, error: BaseException) -> Exception:
        FORWARDED.labels(str(refusal.status)).inc()
        logger.warning("web.app_unavailable", extra={"reason": type(error).__name__})
        return refusal


class _Connection(ResponseHandler):
    """A connection whose answer is read to its end, also where the rest of the body could not be written.

    An app that refuses a body answers and closes, and the next piece meets a closed connection. A transport that
    cannot write gives up at once, with whatever has arrived and was not read. Here it is read, through a second
    descriptor.
    """

    _unread: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        super().connection_made(transport)
        self._unread = os.dup(transport.get_extra_info("socket").fileno())

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        """Take what has arrived before an error of whoever writes hides it."""
        if self.transport is not None and self.transport.is_closing():
            self._read_rest()
        super().set_exception(exc, *cause)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Take what has arrived, unless it was this side that closed."""
        if self.transport is not None:
            self._read_rest()
        elif self._unread is not None:
            os.close(self._unread)
        super().connection_lost(exc)

    def _read_rest(self) -> None:
        unread, self._unread = self._unread, None
        if unread is None:
            return
        try:
            with contextlib.suppress(OSError):  # there is no more, or the other side has reset the connection
                while self.exception() is None and (piece := os.read(unread, CHUNK_BYTES)):
                    self.data_received(piece)
        finally:
            os.close(unread)
        # Whoever takes the answer may be slow, and parsing had stopped for that; what is here is all there will be.
        while self._reading_paused:
            self.resume_reading()


class _Body:
    """A request's body on its way to app; when app answers early, the rest is swallowed.

    App has a thread for each call, so a slow caller must not keep one: a body is asked for first, and app only when
    the first AHEAD_BYTES are here, which is nearly always all of it. After that it has a pace to keep.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        is_chunked = "transfer-encoding" in request.headers
        self._announced = None if is_chunked else announced_bytes(request.headers.get("content-length"))
        self._reading = asyncio.Lock()
        self._waited = 0.0
        self._ahead: list[bytes] = []
        self._bytes = 0
        self._is_late = self._is_ended = False
        self.exists = is_chunked or bool(self._announced)
        self.is_cut_off = False

    async def read_ahead(self) -> None:
        """Wait for the first of it. Raises InvalidJson for a body that ends before its length, or does not come."""
        while self.exists and self._bytes < AHEAD_BYTES:
            piece = await self._next()
            if piece is None:
                break
            self._ahead.append(piece)
        if self._is_late or (
            self._announced is not None and self._is_ended and self._bytes != self._announced
        ):
            raise InvalidJson(CUT_OFF)

    async def pieces(self) -> AsyncIterator[bytes]:
        """The pieces as they come. Raises _CutOff, so that app sees a body that was cut off, too."""
        for ahead in self._ahead:
            yield ahead
        while not self._is_ended and (piece := await self._next()) is not None:
            yield piece
        if self._is_late or (self._announced is not None and self._bytes != self._announced):
            self.is_cut_off = True
            raise _CutOff

    async def _next(self) -> bytes | None:
        async with self._reading:
            piece, begun = None, asyncio.get_running_loop().time()
            try:
                async with asyncio.timeout(BODY_SECONDS + self._bytes / BYTES_PER_SECOND - self._waited):
                    piece = await self._request.piece()
            except TimeoutError:
                self._is_late = True
            self._waited += asyncio.get_running_loop().time() - begun  # for the caller alone, not for app
            if piece is None:
                self._is_ended = True
            else:
                self._bytes += len(piece)
            return piece

    async def swallow_rest(self) -> None:
        """So that a caller who is still sending gets the answer; whoever sends to app has stopped by now, or stops."""
        if self.exists and not self._is_late:
            async with self._reading:
                await self._request.drain()


async def _answer(exchange: Exchange, request: Request, found: aiohttp.ClientResponse, body: _Body) -> None:
    headers = list(_headers_back(found.raw_headers))
    if request.method == "HEAD" or found.status in _NO_BODY:
        await body.swallow_rest()
        exchange.response_empty(found.status, headers)
        return
    if found.content.at_eof() or (found.content_length or CHUNK_BYTES + 1) <= CHUNK_BYTES:
        content = await found.read()
        await body.swallow_rest()
        exchange.response_bytes(found.status, _without_length(headers), content)
        return
    request.status = found.status
    stream = exchange.response_stream(found.status, headers)
    try:
        async for piece in found.content.iter_any():
            await stream.send_bytes(piece)
    except ProtocolClosed:
        return  # the caller is gone
    finally:
        del stream  # an exception keeps this frame, and a stream that is kept is not ended


def _address(base: str, scope: Scope) -> URL:
    query = f"?{scope.query_string}" if scope.query_string else ""
    return URL(f"{base}{quote(scope.path, safe=_PATH_CHARACTERS)}{query}", encoded=True)


def _headers_to(request: Request) -> HeaderList:
    """The request's headers for app: those of this connection removed, those of the way here added."""
    known = request.headers
    items = known.items()
    named = _named(known.get("connection"))
    if "transfer-encoding" in known:
        named |= {"content-length"}  # two lengths would be two readings of where the next request begins
    headers = [
        (name, value)
        for name, value in items
        if name not in _HOP_BY_HOP and name not in _OURS and name not in named
    ]
    # What is no ASCII has a name, but no value; app must see that there was something.
    unreadable = set(known.keys()) - {name for name, _ in items} - _HOP_BY_HOP
    headers += [(name, "") for name in sorted(unreadable)]
    client = request.scope.client.rpartition(":")[0].strip("[]")
    before = known.get("x-forwarded-for")
    headers += [
        ("x-request-id", request.id),
        ("x-forwarded-for", f"{before}, {client}" if before else client),
        ("x-forwarded-proto", known.get("x-forwarded-proto") or request.scope.scheme),
        ("x-forwarded-host", known.get("x-forwarded-host") or known.get("host") or ""),
    ]
    return headers


def _headers_back(raw: Iterable[tuple[bytes, bytes]]) -> Iterable[tuple[str, str]]:
    listed = [(name.decode("latin-1").lower(), _text(value)) for name, value in raw]
    named = _named(next((value for name, value in listed if name == "connection"), None))
    for name, value in listed:
        if name not in _HOP_BY_HOP and name not in named and name not in ("server", "date"):
            yield name, value


def _text(value: bytes) -> str:
    """A header's value so that the server, which writes UTF-8, writes the same bytes where they are that."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _named(connection: str | None) -> frozenset[str]:
    """The further headers that the header Connection names as this connection's own."""
    return frozenset(part.strip().lower() for part in (connection or "").split(",") if part.strip())


def _without_length(headers: HeaderList) -> HeaderList:
    return [(name, value) for name, value in headers if name != "content-length"]
