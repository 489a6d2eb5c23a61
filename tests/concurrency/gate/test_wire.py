"""One connection of the gate while its server does not do what is usual: no call may wait for it for ever."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
import uvloop
from django.conf import settings

from events.questions import Question, Rows
from spend.operations.gate import wire as wires
from spend.operations.gate.wire import Wire

LOOPS = (asyncio.new_event_loop, uvloop.new_event_loop)


@contextmanager
def stopped(process: int) -> Iterator[None]:
    """A server process that neither reads nor answers."""
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


async def server_process(wire: Wire) -> int:
    rows: Rows = []
    await wire.ask([Question(b"SELECT pg_backend_pid()", (), rows.extend)])
    found: int = rows[0][0]
    return found


@pytest.mark.parametrize("loop", LOOPS)
def test_more_than_a_stopped_server_takes_is_given_up_in_time(
    loop: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wires, "PATIENCE_SECONDS", 0.5)

    async def story() -> None:
        wire = await Wire.connect(settings.GATE_DATABASE_URL, lock_timeout_ms=50)
        with stopped(await server_process(wire)):
            began = time.monotonic()
            large = Question(b"SELECT length($1::text)", ("x" * 20_000_000,))
            with pytest.raises(psycopg.OperationalError):
                async with asyncio.timeout(5):
                    await wire.ask([large])
            assert time.monotonic() - began < 3
        assert not wire.is_open

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(story())
