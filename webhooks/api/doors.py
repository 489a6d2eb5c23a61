"""POST /webhooks/stripe/ and /webhooks/stripe/connect/: where Stripe delivers its events, answered by `web`.

The body is taken once, as the bytes that were signed, before any parser could touch it. Nothing is applied here, so
that the answer is quick; what a delivery leads to is worked out in the background.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, Final

from prometheus_client import Counter

from common.api.rsgi import Request, guarded
from common.errors import MethodNotAllowed, ProblemError, ServiceUnavailable
from webhooks.operations.inbound.intake import Intake
from webhooks.operations.inbound.receiving import check_announced, read_delivery
from webhooks.rules.inbound.judging import CONNECT, PLATFORM

RECEIVED: Final = Counter(
    "counterfoil_stripe_deliveries", "Deliveries of Stripe that were accepted", ["source", "outcome"]
)
REJECTED: Final = Counter(
    "counterfoil_stripe_deliveries_rejected", "Deliveries that were refused, by reason", ["source", "reason"]
)
_SOURCES: Final = {"/webhooks/stripe": PLATFORM, "/webhooks/stripe/connect": CONNECT}
MOST_READING: Final = 64
"""Bodies that are on their way and not verified yet: they hold memory, up to 1 MB each, of the process that answers the
gate. The processor sends anew what finds no place."""
LONG_BYTES: Final = 32_768
"""A longer body is verified on a thread: anybody may post one, and the gate's calls would wait for its hash."""


def find_door(path: str) -> str | None:
    """The kind of endpoint at an address, with or without a slash at its end; None when others answer."""
    return _SOURCES.get(path.removesuffix("/")) if path.startswith("/webhooks/") else None


class Doors:
    """Answers the deliveries of one process."""

    def __init__(self, url: str, options: dict[str, Any]) -> None:
        self._intake = Intake(url, options)
        self._running = 0
        self._reading = 0

    async def open(self) -> None:
        """Begin, on the running loop."""
        await self._intake.open()

    async def close(self) -> None:
        """Wait for what is under way."""
        while self._running:
            await asyncio.sleep(0.01)
        await self._intake.close()

    async def answer(self, request: Request, source: str) -> None:
        """Answer one delivery."""
        self._running += 1
        try:
            await guarded(request, self._answer(request, source))
        finally:
            self._running -= 1

    async def _answer(self, request: Request, source: str) -> None:
        request.check_host()
        if request.method != "POST":
            raise MethodNotAllowed(headers={"Allow": "POST"})
        try:
            is_new = await self._take(request, source)
        except ProblemError as error:
            REJECTED.labels(source, error.code).inc()
            raise
        RECEIVED.labels(source, "new" if is_new else "known").inc()
        request.answer(200, b'{"received": true}')

    async def _take(self, request: Request, source: str) -> bool:
        header = request.header("stripe-signature")
        request.check_length()
        now = await self._intake.now()
        check_announced(header=header, source=source, now=now)
        if self._reading >= MOST_READING:
            raise ServiceUnavailable(retry_after=1)
        self._reading += 1
        try:
            body = await request.raw_bytes()
            read = partial(read_delivery, body=body, header=header, source=source, now=now)
            arrived = read() if len(body) <= LONG_BYTES else await asyncio.to_thread(read)
        finally:
            self._reading -= 1
        return await self._intake.store(arrived)
