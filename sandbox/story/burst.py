"""Many calls at once: the loop of the runaway agent, and the others that go on beside it."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from sandbox.story.calls import Caller, Done, Refused, Work
from sandbox.story.cast import Agent

AT_ONCE = 8
BETWEEN_SECONDS = 0.15
Report = Callable[[int, int, int], None]  # calls that ended, granted, refused


@dataclass(slots=True)
class Burst:
    """How a burst ended: its calls in the order in which they were asked for."""

    done: list[Done] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)

    def add(self, result: Done | Refused) -> None:
        """Note how a call ended."""
        if isinstance(result, Done):
            self.done.append(result)
        else:
            self.refused.append(result)


def play_burst(*, caller: Caller, work: Work, calls: int, report: Report, every: int) -> Burst:
    """Make the same call many times, eight at a time, and report now and then. Raises what a call raised."""
    burst = Burst()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for ended, result in enumerate(pool.map(lambda step: caller.make(work, step=step), range(calls)), 1):
            burst.add(result)
            if ended % every == 0 or ended == calls:
                report(ended, len(burst.done), len(burst.refused))
    return burst


@contextmanager
def at_work_beside(*, caller: Caller, agents: dict[str, Agent], calls: int) -> Iterator[None]:
    """Have other agents (by run) do their ordinary work, each in a thread of its own, during the block and on until
    each has made its calls."""

    def work(run: str, agent: Agent) -> None:
        for step in range(calls):
            caller.make(Work(agent, run, call=agent.call(step)), step=step)
            time.sleep(BETWEEN_SECONDS)

    with ThreadPoolExecutor(len(agents)) as pool:
        working = [pool.submit(work, run, agent) for run, agent in agents.items()]
        yield
        for future in working:
            future.result()
