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

    @property
    def ended(self) -> int:
        """How many calls have ended."""
        return len(self.done) + len(self.refused)

    @property
    def charged(self) -> int:
        """What its calls were charged, in units."""
        return sum(done.charged for done in self.done)


def play_burst(
    *, caller: Caller, work: Callable[[int], Work], calls: int, report: Callable[[Burst], None], every: int
) -> Burst:
    """Make many calls, eight at a time, and report now and then. Raises what a call raised."""
    burst = Burst()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for result in pool.map(lambda step: caller.make(work(step), step=step), range(calls)):
            burst.add(result)
            if burst.ended % every == 0 or burst.ended == calls:
                report(burst)
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
