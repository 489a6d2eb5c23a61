"""Whether a call gets dearer with history: the same calls beside 10^4, 10^5 and 10^6 postings and events of a customer.

Each size is a database of its own with a process of its own; the rounds go from one to the next call by call.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

import psycopg

from sandbox.places import CHECKOUT
from tests.bench.filling import lifecycles_in_batches, multiply
from tests.bench.gate import disconnect
from tests.bench.place import Place
from tests.bench.population import Customer

ROWS_OF_A_LIFECYCLE = 2  # events; its postings are more
SMALLEST = 4  # as a power of ten


class Grown:
    """A process that calls the gate and reads the balance in one of the databases."""

    def __init__(self, place: Place, name: str, customer: Customer) -> None:
        command = [sys.executable, "-m", "tests.bench.growing", str(customer.id), customer.caller.actor]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT,
            env={**os.environ, **place.environment(name)},
        )  # fmt: skip

    def ask(self, calls: int) -> dict[str, list[float]]:
        """Do that many calls and return what each took, in seconds."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{calls}\n")
        self.process.stdin.flush()
        answer: dict[str, list[float]] = json.loads(self.process.stdout.readline())
        return answer

    def close(self) -> None:
        """End the process: it ends with its input."""
        self.process.communicate(timeout=30)


class Growth:
    """Medians of reserve, commit and balance read at each size, and their ratios to the smallest."""

    name = "growth"
    against: tuple[str, ...] = ()

    def __init__(self, grown: dict[int, Grown]) -> None:
        self.grown = grown

    def run(self, seconds: float) -> dict[str, float]:
        taken: dict[int, dict[str, list[float]]] = {power: {} for power in self.grown}
        for _ in range(max(1, round(seconds * 5))):
            for power, grown in self.grown.items():
                for what, values in grown.ask(5).items():
                    taken[power].setdefault(what, []).extend(values)
        return dict(_figures({power: _medians(found) for power, found in taken.items()}))

    def close(self) -> None:
        """End the processes."""
        for grown in self.grown.values():
            grown.close()


def _medians(found: dict[str, list[float]]) -> dict[str, float]:
    return {what: median(values) for what, values in found.items()}


def _figures(medians: dict[int, dict[str, float]]) -> Iterator[tuple[str, float]]:
    for power, found in medians.items():
        for what, seconds in found.items():
            yield f"growth.{what}.1e{power}_ms", seconds * 1_000
            if power > SMALLEST:
                yield f"growth.{what}.1e{power}_over_1e{SMALLEST}", seconds / medians[SMALLEST][what]


def grow(place: Place, main: str, customer: Customer, *, largest: int) -> Growth:
    """Make the databases, from 10^4 postings and events of this customer to 10^largest, and start their processes.

    The first come from the gate itself; more are copies of them, with everything that the gate wrote.
    """
    lifecycles_in_batches(customer, count=10**SMALLEST // ROWS_OF_A_LIFECYCLE)
    grown = {}
    for power in range(SMALLEST, largest + 1):
        name = _database(place, f"growth{power}")
        with place.superuser(name) as connection:
            multiply(connection, customer, copies=10 ** (power - SMALLEST) - 1)
            _assert_grown(connection, customer, 10**power)
        grown[power] = Grown(place, name, customer)
    return Growth(grown)


def _assert_grown(connection: "psycopg.Connection[Any]", customer: Customer, rows: int) -> None:
    for table, having in (
        ("events", "organization = %s"),
        ("postings", "account_id IN (SELECT id FROM accounts WHERE organization = %s)"),
    ):
        found = connection.execute(
            f"SELECT count(*) FROM {table} WHERE {having}".encode(), (customer.id,)
        ).fetchone()
        if found is None or found[0] < rows:
            raise RuntimeError(f"{table} has {found} rows of the customer, not {rows:,}")


def _database(place: Place, purpose: str) -> str:
    """A copy of the main database, which nobody may be connected to meanwhile."""
    with nobody_connected():
        return place.clone(purpose, template="main")


@contextmanager
def nobody_connected() -> Iterator[None]:
    """Close this process's connections, so that the database can be copied."""
    from django.db import connections

    for connection in connections.all(initialized_only=True):
        connection.close()
        if connection.settings_dict["OPTIONS"].get("pool"):
            close: Any = getattr(connection, "close_pool")  # noqa: B009 - the types do not know it
            close()
    disconnect()
    yield
