"""The process that owns the port: it answers the gate's calls itself and forwards everything else to `app`."""

import asyncio
import gc

import psycopg
from django.conf import settings

from common.api.limiter import Limiter
from common.api.rsgi import Exchange, Request, Scope, guarded
from config.forwarding import Forwarder
from orgs.api.keyring import Keyring
from spend.api.admitted import Admitted
from spend.api.gate import GateEntry, find_endpoint
from spend.operations.gate.lanes import close_lanes, submit


class Web:
    """The RSGI application of one process."""

    def __init__(self) -> None:
        self._keyring: Keyring[Admitted] = Keyring(
            settings.GATE_DATABASE_URL, settings.GATE_CONNECTION_OPTIONS, admit=Admitted
        )
        self._gate = GateEntry(
            keyring=self._keyring,
            limiter=Limiter(settings.API_KEY_CALLS_PER_SECOND),
            submit=submit,
            deadline_seconds=settings.GATE_DEADLINE_SECONDS,
        )
        self._forwarder = Forwarder(settings.APP_ADDRESS)

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.run_until_complete(self.open())
        # What was loaded stays for ever: without this each full collection walks over all of it while calls wait.
        gc.collect()
        gc.freeze()

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.run_until_complete(self.close())

    async def open(self) -> None:
        """Begin, on the running loop."""
        await self._keyring.open()
        await self._forwarder.open()

    async def close(self) -> None:
        """Answer what is under way, then let every connection go."""
        await self._gate.close()
        await close_lanes()
        await self._keyring.close()
        await self._forwarder.close()

    async def __rsgi__(self, scope: Scope, exchange: Exchange) -> None:
        request = Request(scope, exchange)
        found = find_endpoint(request.method, request.path)
        if found is not None:
            await self._gate.answer(request, *found)
        elif request.path == "/livez":
            request.answer(200, b'{"status": "ok"}')
        else:
            await guarded(request, self._forward(request, exchange))

    async def _forward(self, request: Request, exchange: Exchange) -> None:
        if request.path == "/readyz":
            try:
                await self._keyring.ping()
            except psycopg.Error:
                request.answer(503, b'{"status": "unavailable", "problem": "database"}')
                return
        await self._forwarder.forward(request, exchange)
