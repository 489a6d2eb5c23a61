"""How this process's callers reach the gate: as tasks of one event loop when there are lanes, else as threads.

A caller is a script: a generator that yields commands and is sent their answers. Both ways run the same scripts.
"""

import asyncio
import importlib.util
import threading
from collections.abc import Awaitable, Callable, Generator, Iterable, Sequence
from functools import cache
from typing import Any

from common.errors import GateUnavailable
from spend.operations.gate import submit as submit_module
from spend.operations.gate.pool import close_pool
from spend.rules.commands import Command
from spend.rules.effects import Answer

Script = Generator[Command, Answer, None]
Submit = Callable[[Sequence[Command]], Awaitable[list[Answer]]]


class Tally:
    """How many calls were repeated because the gate said that it could not be had."""

    def __init__(self) -> None:
        self.retried = 0


@cache
def _lanes() -> Any:
    """The module of the lanes, or None where the gate is called from threads."""
    name = "spend.operations.gate.lanes"
    return importlib.import_module(name) if importlib.util.find_spec(name) else None


@cache
def _loop() -> "asyncio.Runner":
    """This process's event loop, the one that its lanes belong to."""
    factory = None
    if importlib.util.find_spec("uvloop"):
        import uvloop

        factory = uvloop.new_event_loop
    return asyncio.Runner(loop_factory=factory)


def submit_all(commands: Sequence[Command]) -> list[Answer]:
    """Have the commands decided together and return their answers, in order."""
    if _lanes() is not None:
        answers: list[Answer] = _loop().run(_lanes().submit(commands))
        return answers
    return submit_from_thread(commands)


def submit_from_thread(commands: Sequence[Command]) -> list[Answer]:
    """The same from any thread, whether or not there are lanes."""
    return submit_module.submit(commands)


def run_scripts(scripts: Iterable[Script]) -> int:
    """Run all scripts at once until each has ended; returns how many calls were repeated. Raises what one raises."""
    tally = Tally()
    if _lanes() is not None:
        _loop().run(_as_tasks(scripts, tally))
    else:
        _as_threads(list(scripts), tally)
    return tally.retried


async def _as_tasks(scripts: Iterable[Script], tally: Tally) -> None:
    async with asyncio.TaskGroup() as group:
        for script in scripts:
            group.create_task(_task(script, _lanes().submit, tally))


async def _task(script: Script, submit: Submit, tally: Tally) -> None:
    command = next(script, None)
    while command is not None:
        try:
            (answer,) = await submit([command])
        except GateUnavailable:
            tally.retried += 1
            await asyncio.sleep(0)
            continue
        command = _next(script, answer)


def _as_threads(scripts: Sequence[Script], tally: Tally) -> None:
    errors: list[BaseException] = []

    def run(script: Script) -> None:
        try:
            command = next(script, None)
            while command is not None:
                try:
                    answer = submit_all([command])[0]
                except GateUnavailable:
                    tally.retried += 1
                    continue
                command = _next(script, answer)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(script,)) for script in scripts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def _next(script: Script, answer: Answer) -> Command | None:
    try:
        return script.send(answer)
    except StopIteration:
        return None


def disconnect() -> None:
    """Close the gate's connections of this process; the next call opens new ones."""
    close_lanes = getattr(_lanes(), "close_lanes", None)
    if close_lanes is not None:
        _loop().run(close_lanes())
    close: Callable[[], None] = getattr(submit_module, "close_gate", close_pool)
    close()
