"""The process that owns the port: it answers the gate's calls, streams and Stripe's deliveries itself; everything else
goes to `app`."""

import asyncio
import gc
import os
import signal

import psycopg
from django.conf import settings

from common.api.limiter import Limiter
from common.api.rsgi import Exchange, Request, Scope, guarded
from common.api.sse import SLOW_SECONDS
from config.forwarding import Forwarder
from orgs.api.keyring import Keyring
from spend.api.admitted import Admitted
from spend.api.gate import GateEntry, find_endpoint
from spend.api.stream import PATH as STREAM
from spend.api.stream import StreamEntry
from spend.operations.gate.lanes import close_lanes, submit
from webhooks.api.doors import Doors, find_door


class Web:
    """The RSGI application of one process; whoever does not read a stream is hung up on after `slow_seconds`."""

    def __init__(self, *, slow_seconds: float = SLOW_SECONDS) -> None:
        self._keyring: Keyring[Admitted] = Keyring(
            settings.GATE_DATABASE_URL, settings.GATE_CONNECTION_OPTIONS, admit=Admitted
        )
        self._gate = GateEntry(
            keyring=self._keyring,
            limiter=Limiter(settings.API_KEY_CALLS_PER_SECOND),
            submit=submit,
            deadline_seconds=settings.GATE_DEADLINE_SECONDS,
        )
        self._streams = StreamEntry(
            settings.GATE_DATABASE_URL, settings.GATE_CONNECTION_OPTIONS, slow_seconds=slow_seconds
        )
        self._doors = Doors(settings.GATE_DATABASE_URL, settings.GATE_CONNECTION_OPTIONS)
        self._forwarder = Forwarder(settings.APP_ADDRESS)
        self._ending: asyncio.Task[None] | None = None

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.run_until_complete(self.open())
        # The server waits for its connections before it says that it ends, and streams would not: so they are ended
        # first. Then it is told by the other signal that it obeys.
        loop.add_signal_handler(signal.SIGTERM, self._end_streams_first)
        # What was loaded stays for ever: without this each full collection walks over all of it while calls wait.
        gc.collect()
        gc.freeze()

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.run_until_complete(self.close())

    async def open(self) -> None:
        """Begin, on the running loop."""
        await self._keyring.open()
        await self._doors.open()
        await self._forwarder.open()

    async def close(self) -> None:
        """Answer what is under way, then let every connection go."""
        await self._streams.close()
        await self._gate.close()
        await self._doors.close()
        await close_lanes()
        await self._keyring.close()
        await self._forwarder.close()

    async def __rsgi__(self, scope: Scope, exchange: Exchange) -> None:
        request = Request(scope, exchange)
        found = find_endpoint(request.method, request.path)
        if found is not None:
            await self._gate.answer(request, *found)
        elif (source := find_door(request.path)) is not None:
            await self._doors.answer(request, source)
        elif request.path == STREAM:
            await self._streams.answer(request, exchange)
        elif request.path == "/livez":
            request.answer(200, b'{"status": "ok"}')
        else:
            await guarded(request, self._forward(request, exchange))

    def _end_streams_first(self) -> None:
        if self._ending is None:
            self._ending = asyncio.ensure_future(self._streams.close())
            self._ending.add_done_callback(lambda _: os.kill(os.getpid(), signal.SIGINT))

    async def _forward(self, request: Request, exchange: Exchange) -> None:
        if request.path == "/readyz":
            try:
                await self._keyring.ping()
            except psycopg.Error:
                request.answer(503, b'{"status": "unavailable", "problem": "database"}')
                return
        await self._forwarder.forward(request, exchange)
