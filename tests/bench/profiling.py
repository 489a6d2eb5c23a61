"""Where a lifecycle's time goes: CPU of Python and PostgreSQL, the functions and the statements that take it."""

import cProfile
import pstats
from collections.abc import Sequence

from tests.bench.cpu import own_seconds, tree_seconds
from tests.bench.inproc import Callers
from tests.bench.place import Place
from tests.bench.population import Customer


def profile(place: Place, customers: Sequence[Customer], *, lifecycles: int) -> None:
    """Print CPU per lifecycle with one caller, sixteen and sixty-four, then the most expensive functions of one."""
    for count in (1, 16, 64):
        _cpu(place, customers, count=count, lifecycles=lifecycles)
    callers = Callers(customers, callers=1)
    profiler = cProfile.Profile()
    profiler.enable()
    for number in range(lifecycles):
        callers.once(customers[number % len(customers)])
    profiler.disable()
    print(f"\nProfile of {lifecycles} lifecycles of one caller (the profiler itself slows Python down):")
    for order, lines in (("cumulative", 45), ("tottime", 30)):
        pstats.Stats(profiler).sort_stats(order).print_stats(lines)


def _cpu(place: Place, customers: Sequence[Customer], *, count: int, lifecycles: int) -> None:
    callers = Callers(customers, callers=count)
    python, server = own_seconds(), tree_seconds(place.postmaster)
    callers.run_exactly(lifecycles)
    done = len(callers.commit_seconds)
    used = {"python": own_seconds() - python, "postgres": tree_seconds(place.postmaster) - server}
    parts = ", ".join(f"{name} {seconds / done * 1e6:,.0f} us" for name, seconds in used.items())
    print(f"{count:>2} callers, {done} lifecycles: CPU per lifecycle {parts}")
