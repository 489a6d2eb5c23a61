"""The sections of the benchmarks: what each prepares, and the rounds that run all of them side by side."""

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console

from tests.bench.figures import Report
from tests.bench.floor import Floor, make_floor_database
from tests.bench.inproc import GateInProcess
from tests.bench.place import Place
from tests.bench.population import Customer, make_customers, make_prices
from tests.bench.showing import show_storage
from tests.bench.storage import measure

console = Console(stderr=True)
CLIENTS = (1, 16, 64)


@contextmanager
def progress(what: str) -> Iterator[None]:
    """Say what took how long."""
    begun = time.monotonic()
    yield
    console.print(f"[dim]{what}: {time.monotonic() - begun:.1f} s")


class Measure(Protocol):
    """Something that every round measures once: its name, and the floors that it is compared with."""

    name: str
    against: tuple[str, ...]

    def run(self, seconds: float) -> dict[str, float]:
        """Measure for about that long and return values by id."""


class Bench:
    """One run: what was prepared so far, and the figures."""

    def __init__(self, place: Place, report: Report, given: argparse.Namespace) -> None:
        self.place, self.report, self.given = place, report, given
        self.main = place.clone("main")
        place.use(self.main)
        self.measures: dict[str, Measure] = {}
        self.afterwards: list[tuple[str, Callable[[], None]]] = []
        self.endings: list[Callable[[], None]] = []
        self._customers: list[Customer] = []
        self._has_floor = False

    def prepare(self, section: str) -> None:
        """Make what the section needs and add what it measures."""
        with progress(f"preparing {section}"):
            SECTIONS[section](self)

    def add(self, measure: Measure) -> None:
        """Measure this in every round, with its floors."""
        for name in measure.against:
            if name not in self.measures and name.startswith("floor."):
                _, spread, clients = name.split(".")
                self.add_floor(spread, int(clients))
        self.measures[measure.name] = measure

    def add_floor(self, spread: str, clients: int) -> None:
        """Measure that floor in every round."""
        if not self._has_floor:
            self._has_floor = True
            make_floor_database(self.place)
        floor = Floor(self.place, spread=spread, clients=clients)
        self.measures.setdefault(floor.name, floor)

    def customers(self) -> list[Customer]:
        """The customers of the main database, made when they are first asked for."""
        if not self._customers:
            with progress("making the customers"):
                make_prices()
                self._customers = make_customers(self.given.organizations)
        return self._customers

    def run(self) -> None:
        """Run the rounds, then what is measured once."""
        for number in range(self.given.rounds if self.measures else 0):
            with progress(f"round {number + 1} of {self.given.rounds}"):
                self._round(number)
        for what, work in self.afterwards:
            with progress(what):
                work()

    def _round(self, number: int) -> None:
        found: dict[str, float] = {}
        # Every other round goes the other way round, so that no measure always follows the same one.
        order = sorted(self.measures.values(), key=lambda measure: not measure.name.startswith("floor."))
        for measure in order if number % 2 == 0 else reversed(order):
            values = measure.run(self.given.seconds)
            found.update(values)
        for measure in order:
            floors = {name: found[name] for name in measure.against}
            own = {
                key: value for key, value in found.items() if key == measure.name or _is_of(key, measure.name)
            }
            self.report.add(own, against=floors)

    def close(self) -> None:
        """Stop what was started."""
        for end in self.endings:
            end()


def _is_of(identifier: str, name: str) -> bool:
    return identifier.startswith(f"{name}.")


def _floor(bench: Bench) -> None:
    for spread in ("hot", "spread"):
        for clients in CLIENTS:
            bench.add_floor(spread, clients)


def _gate(bench: Bench) -> None:
    customers = bench.customers()
    for spread, threads in (("hot", 1), ("hot", 16), ("hot", 32), ("spread", 16)):
        bench.add(GateInProcess(bench.place, customers, spread=spread, threads=threads))


def _storage(bench: Bench) -> None:
    customers = bench.customers()

    def work() -> None:
        found = measure(bench.place, bench.main, customers[:100], lifecycles=bench.given.lifecycles)
        bench.report.add({"storage.bytes_per_lifecycle": found.total})
        show_storage(found)

    bench.afterwards.append(("storage", work))


SECTIONS: dict[str, Callable[[Bench], None]] = {
    "floor": _floor,
    "gate": _gate,
    "storage": _storage,
}
