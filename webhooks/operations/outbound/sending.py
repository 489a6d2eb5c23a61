"""One HTTP request to a stranger's server, from which nothing inside can be reached (B128).

A name is resolved once, every address that it has is judged, and the connection goes to the judged address itself, with
the name in the Host header and in TLS. A name that resolves differently the second time is not asked a second time.
Redirects are answers like any other. No proxy is asked, and a deadline ends what drips.
"""

from __future__ import annotations

import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any, Final

import httpcore

from webhooks.rules.outbound.addresses import InvalidUrl, Target, parse_target, require_public
from webhooks.rules.outbound.ladder import Answer

CONNECT_SECONDS: Final = 3.0
TOTAL_SECONDS: Final = 15.0
SAVE_SECONDS: Final = 2.0
MAX_ANSWER_BYTES: Final = 65_536
"""Of an answer nothing is kept; beyond this it is not even read."""

_AGENT: Final = "Counterfoil-Webhooks/1"

Resolver = Callable[[str, int], Sequence[str]]


def system_resolver(host: str, port: int) -> list[str]:
    """Return the IP addresses of a name. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


def post(
    url: str,
    body: bytes,
    headers: dict[str, str],
    *,
    loopback: bool = False,
    resolver: Resolver = system_resolver,
    total_seconds: float = TOTAL_SECONDS,
) -> Answer:
    """This function will POST a body and return what came of it; whatever goes wrong is an answer without a status.

    `loopback`: the setting for development. At most 3 s until it is connected and `total_seconds` in all.
    """
    began = time.monotonic()
    deadline = began + total_seconds
    try:
        target = parse_target(url, loopback=loopback)
        answer = _ask(target, body, headers, _Backend(resolver, deadline, target.is_loopback), deadline)
    except InvalidUrl:
        answer = Answer(None, "address_not_allowed")
    except (httpcore.ConnectTimeout, httpcore.ReadTimeout, httpcore.WriteTimeout, httpcore.PoolTimeout):
        answer = Answer(None, "timeout")
    except (httpcore.ConnectError, OSError) as error:
        answer = Answer(None, "tls_failed" if _is_tls(error) else "not_connected")
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol):
        answer = Answer(None, "connection_broken")
    spent = int((time.monotonic() - began) * 1_000)
    return Answer(answer.status, answer.error, answer.retry_after, spent)


def check_url(
    url: str, *, loopback: bool = False, pointer: str | None = None, resolver: Resolver = system_resolver
) -> None:
    """This function will refuse a URL whose name leads to an address that is not public (B128).

    A name that nobody knows now passes: it is judged again at each connection. Not for use in a transaction. Raises
    InvalidUrl.
    """
    target = parse_target(url, loopback=loopback, pointer=pointer)
    try:
        addresses = resolve(target.host, target.port, resolver, seconds=SAVE_SECONDS)
    except (OSError, httpcore.ConnectTimeout):
        return
    try:
        require_public(addresses, loopback=target.is_loopback)
    except InvalidUrl as error:
        raise InvalidUrl(error.detail, pointer=pointer) from None


def resolve(host: str, port: int, resolver: Resolver, *, seconds: float) -> Sequence[str]:
    """Return a name's addresses within some seconds; the system's own resolver knows no deadline. Raises OSError and
    httpcore.ConnectTimeout."""
    found: queue.SimpleQueue[Sequence[str] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found.put(resolver(host, port))
        except OSError as error:
            found.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        result = found.get(timeout=max(seconds, 0))
    except queue.Empty:
        raise httpcore.ConnectTimeout("the name was not resolved in time") from None
    if isinstance(result, OSError):
        raise result
    return result


def _ask(target: Target, body: bytes, headers: dict[str, str], backend: _Backend, deadline: float) -> Answer:
    own = {"host": target.netloc, "content-type": "application/json", "user-agent": _AGENT}
    # httpcore takes the host for TLS and Host from the URL; where it connects to is the backend's matter.
    url = httpcore.URL(
        scheme=target.scheme.encode(),
        host=target.host.encode(),
        port=target.port,
        target=target.path.encode(),
    )
    timeouts = {name: max(deadline - time.monotonic(), 0.001) for name in ("read", "write", "pool")}
    extensions = {"timeout": {**timeouts, "connect": CONNECT_SECONDS}}
    with (
        httpcore.ConnectionPool(
            ssl_context=_tls(), max_connections=1, max_keepalive_connections=0, network_backend=backend
        ) as pool,
        pool.stream(
            "POST", url, headers=list({**own, **headers}.items()), content=body, extensions=extensions
        ) as response,
    ):
        _read_a_little(response.iter_stream())
        return Answer(response.status, None, _pause(response.headers))


def _read_a_little(parts: Iterable[bytes]) -> None:
    """A receiver that is read to the end of a small answer sees no broken connection."""
    read = 0
    for part in parts:
        read += len(part)
        if read > MAX_ANSWER_BYTES:
            return


def _pause(headers: Sequence[tuple[bytes, bytes]]) -> timedelta | None:
    """What Retry-After asks for: seconds, or a date."""
    text = next((value for name, value in headers if name.lower() == b"retry-after"), b"").decode("latin-1")
    if text.isascii() and text.isdecimal():
        return timedelta(seconds=min(int(text[:9]), 10**8))
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return max(at - datetime.now(UTC), timedelta())


def _is_tls(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


class _Backend(httpcore.NetworkBackend):
    """Connects to the judged address only, and lets nothing outlast the deadline."""

    def __init__(self, resolver: Resolver, deadline: float, is_loopback: bool) -> None:
        self._resolver, self._deadline, self._is_loopback = resolver, deadline, is_loopback
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Resolve, judge, connect, within the connection's time. Raises InvalidUrl."""
        until = min(time.monotonic() + CONNECT_SECONDS, self._deadline)
        name = host.strip("[]")
        addresses = resolve(name, port, self._resolver, seconds=until - time.monotonic())
        address = require_public(addresses, loopback=self._is_loopback)
        left = max(until - time.monotonic(), 0.001)
        return _Stream(self._inner.connect_tcp(address, port, timeout=left), self._deadline, until)

    def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore.NetworkStream:
        """No socket of this machine is anybody's receiver."""
        raise InvalidUrl

    def sleep(self, seconds: float) -> None:
        """Connections are not tried twice."""
        raise AssertionError("nothing is tried twice here")


class _Stream(httpcore.NetworkStream):
    """A connection whose every wait ends at the deadline."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: float, connected_until: float) -> None:
        self._inner, self._deadline, self._connected_until = inner, deadline, connected_until

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Raises httpcore.ReadTimeout when the time is up, however much came."""
        return self._inner.read(max_bytes, timeout=self._left(self._deadline, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Raises httpcore.WriteTimeout when the time is up."""
        self._inner.write(buffer, timeout=self._left(self._deadline, httpcore.WriteTimeout))

    def close(self) -> None:
        """Close it."""
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """The handshake belongs to connecting."""
        left = self._left(self._connected_until, httpcore.ConnectTimeout)
        inner = self._inner.start_tls(ssl_context, server_hostname, timeout=left)
        return _Stream(inner, self._deadline, self._connected_until)

    def get_extra_info(self, info: str) -> Any:
        """What the connection is asked about."""
        return self._inner.get_extra_info(info)

    @staticmethod
    def _left(until: float, late: type[Exception]) -> float:
        left = until - time.monotonic()
        if left <= 0:
            raise late("the time is up")
        return left
