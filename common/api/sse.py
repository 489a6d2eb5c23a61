"""Server-sent events to one caller: bounded, with a heartbeat, ended when the caller does not keep up."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Any, Final

import msgspec

from common.api.peers import Peer, find_peer
from common.api.rsgi import Exchange, HeaderList, Request, Stream
from common.errors import ProblemError, problem

MEDIA_TYPE: Final = "text/event-stream"
HEARTBEAT_SECONDS: Final = 15.0
HEARTBEAT: Final = b": still here\n\n"
RETRY: Final = b"retry: 2000\n\n"
"""How many milliseconds a client waits before it connects again."""
MOST_PIECES: Final = 64
"""So many may wait for one caller; with the next one it is dropped."""
MOST_UNSENT_BYTES: Final = 65_536
SLOW_SECONDS: Final = 10.0
"""So long a caller may leave more than that unread."""
MOST_UNWATCHED_BYTES: Final = 1_048_576
"""What a caller gets whose connection cannot be watched; then the stream ends, and it connects again."""
LEAVE_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 0.05
_encode = msgspec.json.Encoder().encode


class TooManyStreams(ProblemError):
    """As many streams as may be are open, of this key or of all; close one, or wait as long as Retry-After says."""

    code = "too_many_streams"
    status = 429
    retryable = True


def frame(event: str, data: Any, position: int) -> bytes:
    """An event with its JSON data; `position` is what the client gives back as Last-Event-ID."""
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (position, event.encode(), _encode(data))


class Outbox:
    """What one caller is still to be sent. It takes no more than MOST_PIECES, and then ends."""

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()
        self._changed = asyncio.Event()
        self._is_ended = False

    def put(self, piece: bytes) -> None:
        """Add a piece; a caller for whom too many wait is dropped."""
        if self._is_ended or not piece:
            return
        self._pieces.append(piece)
        if len(self._pieces) > MOST_PIECES:
            self._pieces.clear()
            self._is_ended = True
        self._changed.set()

    def end(self, error: ProblemError, request_id: str, position: int) -> None:
        """Say why, and end."""
        if not self._is_ended:
            body = msgspec.json.decode(problem(error, request_id)[1])
            self._pieces.append(frame("end", body, position))
            self._is_ended = True
            self._changed.set()

    async def next(self) -> bytes | None:
        """Everything that waits, as one piece; None at the end."""
        while not self._pieces:
            if self._is_ended:
                return None
            self._changed.clear()
            await self._changed.wait()
        piece = b"".join(self._pieces)
        self._pieces.clear()
        return piece


async def deliver(
    request: Request, exchange: Exchange, outbox: Outbox, *, slow_seconds: float = SLOW_SECONDS
) -> None:
    """Send what comes into the outbox until it ends or the caller is gone; returns when the connection is no more.

    A caller who leaves more than MOST_UNSENT_BYTES unread for `slow_seconds` is hung up on.

    The connection is not used again: so a caller who does not read what it was sent last cannot begin anew beside it
    without being counted.
    """
    peer = find_peer(request.scope.client)
    gone = asyncio.ensure_future(exchange.client_disconnect())
    work = asyncio.ensure_future(_send_all(request, exchange, outbox, Pace(peer, slow_seconds=slow_seconds)))
    try:
        await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            work.cancel()
        await asyncio.wait((work,))
        if not work.cancelled():
            work.result()
        if not gone.done():
            await asyncio.wait((gone,), timeout=LEAVE_SECONDS)
        if not gone.done() and peer is not None:
            peer.hang_up()
    finally:
        gone.cancel()
        if peer is not None:
            peer.close()


async def _send_all(request: Request, exchange: Exchange, outbox: Outbox, pace: Pace) -> None:
    request.status = 200
    stream = exchange.response_stream(200, _headers(request))
    try:
        await _send(stream, outbox, pace)
    finally:
        del stream  # a stream that is kept is not ended


async def _send(stream: Stream, outbox: Outbox, pace: Pace) -> None:
    piece: bytes | None = RETRY
    while piece is not None and await pace.allows(len(piece)):
        try:
            await stream.send_bytes(piece)
        except RuntimeError:
            return  # the server's own error is one: the caller is gone
        try:
            async with asyncio.timeout(HEARTBEAT_SECONDS):
                piece = await outbox.next()
        except TimeoutError:
            piece = HEARTBEAT


class Pace:
    """Whether a caller reads what it is sent."""

    def __init__(self, peer: Peer | None, *, slow_seconds: float = SLOW_SECONDS) -> None:
        self._peer = peer
        self._slow_seconds = slow_seconds
        self._sent = 0

    async def allows(self, size: int) -> bool:
        """Wait until the caller has taken nearly everything; False when it does not, and is hung up on."""
        self._sent += size
        if self._peer is None:
            return self._sent <= MOST_UNWATCHED_BYTES
        until = time.monotonic() + self._slow_seconds
        while self._peer.unsent() > MOST_UNSENT_BYTES:
            if time.monotonic() > until:
                self._peer.hang_up()
                return False
            await asyncio.sleep(_LOOK_SECONDS)
        return True


def _headers(request: Request) -> HeaderList:
    return [
        ("content-type", MEDIA_TYPE),
        ("cache-control", "no-store"),
        ("x-accel-buffering", "no"),  # a proxy that gathers pieces would hold them back
        ("connection", "close"),
        ("x-content-type-options", "nosniff"),
        ("x-request-id", request.id),
    ]
