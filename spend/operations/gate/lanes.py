"""The gate for callers on an event loop: the synchronous gate in a bounded number of threads."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from django.conf import settings

from spend.operations.gate import submit as blocking
from spend.rules.commands import Command
from spend.rules.effects import Answer


async def submit(commands: Sequence[Command]) -> list[Answer]:
    """This function will have the commands decided in one transaction and return their answers, in order.

    Raises GateUnavailable and IdempotencyInFlight.
    """
    return await asyncio.get_running_loop().run_in_executor(_threads(), blocking.submit, commands)


async def close_lanes() -> None:
    """Answer everybody who waits, and take no more calls."""
    if _threads.cache_info().currsize:
        await asyncio.to_thread(_threads().shutdown)
        _threads.cache_clear()


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(settings.GATE_POOL_SIZE, "gate")
