"""Requests and answers past every framework, for the process that owns the port (Granian's RSGI protocol)."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Final, Protocol
from urllib.parse import parse_qsl

from django.conf import settings
from django.http.request import split_domain_port, validate_host

from common.api.border import (
    DRAIN_BYTES,
    DRAIN_SECONDS,
    JSON_MEDIA_TYPE,
    announced_bytes,
    check_media_type,
    request_id,
)
from common.errors import (
    BadRequest,
    BodyTooLarge,
    InternalError,
    InvalidJson,
    ProblemError,
    UnknownParameter,
    problem,
)
from common.strictjson import MAX_BYTES
from common.transactions import DATABASE_ERRORS, problem_of

logger = logging.getLogger(__name__)

BODY_SECONDS: Final = 10
"""How long a body may take to arrive."""

HeaderList = list[tuple[str, str]]


class Headers(Protocol):
    """A request's headers, by lower-case name. One that is no ASCII is a key without a value."""

    def __contains__(self, name: str) -> bool: ...
    def get(self, name: str) -> str | None:
        """The first value."""

    def keys(self) -> Sequence[str]:
        """All names, each once."""

    def items(self) -> Sequence[tuple[str, str]]:
        """All values with their names."""


class Scope(Protocol):
    """What came before the body; `path` is decoded, `query_string` is not."""

    method: str
    path: str
    query_string: str
    client: str
    scheme: str

    @property
    def headers(self) -> Headers: ...


class Stream(Protocol):
    """An answer in pieces. Raises the server's own error when the caller is gone."""

    async def send_bytes(self, data: bytes) -> None:
        """Send a piece."""


class Exchange(Protocol):
    """The way back to the caller, and the body."""

    async def __call__(self) -> bytes: ...
    def __aiter__(self) -> AsyncIterator[bytes]: ...
    async def client_disconnect(self) -> None:
        """Return when the caller hangs up."""

    def response_empty(self, status: int, headers: HeaderList) -> None:
        """Answer without a body."""

    def response_bytes(self, status: int, headers: HeaderList, body: bytes) -> None:
        """Answer at once."""

    def response_stream(self, status: int, headers: HeaderList) -> Stream:
        """Begin an answer in pieces."""


class Request:
    """One request: its headers, its strict body, and its one answer."""

    __slots__ = (
        "_body_is_read",
        "_exchange",
        "_iterator",
        "headers",
        "id",
        "method",
        "path",
        "scope",
        "status",
    )

    def __init__(self, scope: Scope, exchange: Exchange) -> None:
        self.scope = scope
        self.headers = scope.headers
        self.method = scope.method
        self.path = scope.path
        self.id = request_id(self.headers.get("x-request-id"))
        self._exchange = exchange
        self._iterator: AsyncIterator[bytes] | None = None
        self._body_is_read = False
        self.status = 0  # of the answer, once it has begun

    def header(self, name: str) -> str | None:
        """A header's value, "" when it is no ASCII, None without one."""
        found = self.headers.get(name)
        return "" if found is None and name in self.headers else found

    def check_host(self) -> None:
        """Raises BadRequest for a host that is not ours."""
        if not _is_ours(self.headers.get("host") or "", tuple(settings.ALLOWED_HOSTS)):
            raise BadRequest

    def refuse_parameters(self) -> None:
        """Raises UnknownParameter for any query parameter."""
        if not self.scope.query_string:
            return
        names = sorted(name for name, _ in parse_qsl(self.scope.query_string, keep_blank_values=True))
        if names:
            raise UnknownParameter(f"This call takes no query parameters: {names[0]}.")

    async def json_bytes(self) -> bytes:
        """The bytes of a body that says it is JSON.

        Raises InvalidJson for an empty body whatever its type, UnsupportedMediaType and BodyTooLarge before the
        body is read to its end, and InvalidJson for one that breaks off or does not come.
        """
        length = self._length()
        if length == "0":
            raise InvalidJson("The body is empty.")
        check_media_type(self.header("content-type") or "", self.header("content-encoding"))
        return await self._bytes(length)

    async def raw_bytes(self) -> bytes:
        """The bytes of a body exactly as they came, whatever they are called; b"" where there is none.

        Raises BodyTooLarge before it is read to its end, and InvalidJson for one that breaks off or does not come.
        """
        length = self._length()
        return b"" if length == "0" else await self._bytes(length)

    def check_length(self) -> None:
        """Raises BodyTooLarge for a body that says so itself."""
        announced = announced_bytes(self._length())
        if announced is not None and announced > MAX_BYTES:
            raise BodyTooLarge

    def _length(self) -> str | None:
        """Where both are given the pieces count: a length that does not bound the body must not be trusted."""
        return None if self._is_chunked() else self.headers.get("content-length") or "0"

    async def _bytes(self, length: str | None) -> bytes:
        announced = announced_bytes(length)
        if announced is not None and announced > MAX_BYTES:
            raise BodyTooLarge
        try:
            return await _patiently(self._pieces() if announced is None else self._exchange())
        except (TimeoutError, RuntimeError) as error:
            raise InvalidJson("The body ended before its announced length.") from error
        finally:
            self._body_is_read = announced is not None or self._body_is_read

    async def piece(self) -> bytes | None:
        """The next piece of the body as it comes; None at its end, wherever that is."""
        if self._iterator is None:
            self._iterator = aiter(self._exchange)
        if self._body_is_read:
            return None
        try:
            return await anext(self._iterator)
        except (StopAsyncIteration, RuntimeError):  # the server's own error is a RuntimeError
            self._body_is_read = True
            return None

    async def _pieces(self) -> bytes:
        body = bytearray()
        while (piece := await self.piece()) is not None:
            body += piece
            if len(body) > MAX_BYTES:
                raise BodyTooLarge
        return bytes(body)

    def _is_chunked(self) -> bool:
        return "chunked" in (self.headers.get("transfer-encoding") or "").lower()

    async def drain(self) -> None:
        """Swallow what is still coming of a body that was refused, up to a bound and for a short time.

        A body that is announced as larger than the bound is left alone.
        """
        length = announced_bytes(self.headers.get("content-length") or "0")
        if self._body_is_read or length is None or length > DRAIN_BYTES:
            return
        if not length and not self._is_chunked():
            return
        left = DRAIN_BYTES
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                while left > 0 and (piece := await self.piece()) is not None:
                    left -= len(piece)

    def answer(self, status: int, body: bytes, *extra: tuple[str, str]) -> None:
        """Answer with JSON, unless this was answered before."""
        if not self.status:
            self.status = status
            self._exchange.response_bytes(status, [_JSON, _NOSNIFF, ("x-request-id", self.id), *extra], body)

    async def refuse(self, error: ProblemError) -> None:
        """Answer with a problem when the body is out of the way, unless an answer has begun before."""
        if not self.status:
            await self.drain()
            self.refuse_now(error)

    def refuse_now(self, error: ProblemError) -> None:
        """The same for a request whose body was read."""
        if not self.status:
            self.status, body, headers = problem(error, self.id)
            listed = [(name.lower(), value) for name, value in headers.items()]
            self._exchange.response_bytes(self.status, [*listed, _NOSNIFF, ("x-request-id", self.id)], body)


async def guarded(request: Request, work: Awaitable[None]) -> None:
    """Let the work answer; whatever it raises is answered as a problem.

    The border of the API: what is not expected is logged here and shown to nobody.
    """
    try:
        await work
    except Exception as error:
        await request.refuse(problem_for(error))


async def _patiently(work: Awaitable[bytes]) -> bytes:
    """What the work gives. Raises TimeoutError after BODY_SECONDS; cheaper than `asyncio.timeout`, per request."""
    task = asyncio.current_task()
    assert task is not None
    end = asyncio.get_running_loop().call_later(BODY_SECONDS, task.cancel, _TOO_SLOW)
    try:
        return await work
    except asyncio.CancelledError as error:
        if error.args != (_TOO_SLOW,):
            raise
        task.uncancel()
        raise TimeoutError from None
    finally:
        end.cancel()


def problem_for(error: Exception) -> ProblemError:
    """What an exception means to a caller; what is not expected is logged and becomes 500 internal_error."""
    if isinstance(error, ProblemError):
        return error
    meaning = problem_of(error) if isinstance(error, DATABASE_ERRORS) else None
    if meaning is None:
        logger.error("api.internal_error", exc_info=error)
    return meaning or InternalError()


@functools.lru_cache(maxsize=256)
def _is_ours(host: str, allowed: tuple[str, ...]) -> bool:
    domain, _ = split_domain_port(host)
    return bool(domain) and validate_host(domain, allowed)


_TOO_SLOW: Final = "the body does not come"
_JSON: Final = ("content-type", JSON_MEDIA_TYPE)
_NOSNIFF: Final = ("x-content-type-options", "nosniff")
