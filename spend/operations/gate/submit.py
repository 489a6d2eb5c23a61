"""The gate for those who have no event loop: threads of the web application, workers and commands.

One loop in a thread of its own has the process's lanes; callers wait for their answers.
"""

import asyncio
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

import uvloop

from spend.operations.gate import lanes
from spend.operations.gate.apply import Commands
from spend.operations.gate.pool import close_pool
from spend.rules.effects import Answer

_T = TypeVar("_T")


class _LoopThread:
    """An event loop that runs in a thread of its own until the process ends."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.loop = uvloop.new_event_loop()
        threading.Thread(target=self.loop.run_forever, name="gate", daemon=True).start()

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run it there and wait for what it returns."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()


_guard = threading.Lock()
_thread: _LoopThread | None = None


def submit(commands: Commands) -> list[Answer]:
    """This function will have the commands decided and return their answers, in order.

    Raises GateUnavailable when the database cannot be asked.
    """
    return _loop_thread().run(lanes.submit(commands))


def close_gate() -> None:
    """Close the lanes of this process's thread and their connections; the next use opens new ones."""
    if _thread is not None and _thread.process == os.getpid():
        _thread.run(lanes.close_lanes())
    close_pool()


def _loop_thread() -> _LoopThread:
    """The process's thread, made at first use (a fork gets its own)."""
    global _thread
    with _guard:
        if _thread is None or _thread.process != os.getpid():
            _thread = _LoopThread()
        return _thread
