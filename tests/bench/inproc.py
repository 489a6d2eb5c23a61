"""The gate in one process: its public `submit`, one transaction per command, callers as threads."""

import threading
import time
from collections.abc import Sequence
from uuid import UUID

from common.errors import GateUnavailable
from spend.operations.gate.submit import submit
from spend.rules.commands import Command
from spend.rules.effects import Answer
from tests.bench.cpu import own_seconds, tree_seconds
from tests.bench.lifecycle import Call, fresh_name
from tests.bench.place import Place
from tests.bench.population import Customer


class Callers:
    """Threads that call the gate until the time is over, and what each call took."""

    def __init__(self, customers: Sequence[Customer], *, threads: int) -> None:
        self.customers, self.threads = customers, threads
        self.reserve_seconds: list[float] = []
        self.commit_seconds: list[float] = []
        self.name = fresh_name()
        self.retried = 0
        self._errors: list[BaseException] = []
        self._until = 0.0
        self._at_most: float = float("inf")

    def run(self, seconds: float) -> float:
        """Call for that long and return the seconds until the last one had its answer."""
        begun = time.perf_counter()
        self._until = begun + seconds
        self._run_threads()
        return time.perf_counter() - begun

    def run_exactly(self, lifecycles: int) -> None:
        """Do at least that many lifecycles, the same number in each thread."""
        self._until = float("inf")
        self._at_most = -(-lifecycles // self.threads)
        self._run_threads()

    def _run_threads(self) -> None:
        callers = [threading.Thread(target=self._call, args=(place,)) for place in range(self.threads)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        if self._errors:
            raise self._errors[0]

    def _call(self, place: int) -> None:
        number = 0
        try:
            while number < self._at_most and time.perf_counter() < self._until:
                self.once(self.customers[(number * self.threads + place) % len(self.customers)])
                number += 1
        except BaseException as error:
            self._errors.append(error)

    def once(self, customer: Customer) -> None:
        """One lifecycle."""
        call = Call.next(customer, self.name)
        begun = time.perf_counter()
        reserved = self.accepted(call.reserve())
        between = time.perf_counter()
        self.accepted(call.commit(UUID(reserved.body["id"])))
        self.reserve_seconds.append(between - begun)
        self.commit_seconds.append(time.perf_counter() - between)

    def accepted(self, command: Command) -> Answer:
        """Submit a command until it is accepted: what is retryable is tried again with its key, as clients do."""
        while True:
            try:
                answer = submit([command])[0]
            except GateUnavailable:
                self.retried += 1
                continue
            if answer.error is not None:
                raise answer.error
            return answer


def percentile_ms(seconds: Sequence[float], share: float) -> float:
    """The value below which that share lies, in milliseconds."""
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1_000


def latencies(name: str, reserve: Sequence[float], commit: Sequence[float]) -> dict[str, float]:
    """p50, p95 and p99 of both calls, and of all calls together as `p99_ms`."""
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    found = {
        f"{name}.{call}_{label}_ms": percentile_ms(values, share)
        for call, values in (("reserve", reserve), ("commit", commit))
        for label, share in shares.items()
    }
    return {**found, f"{name}.p99_ms": percentile_ms([*reserve, *commit], 0.99)}


class GateInProcess:
    """Lifecycles per second of one process with that many threads, hot (one customer) or spread (all)."""

    def __init__(self, place: Place, customers: Sequence[Customer], *, spread: str, threads: int) -> None:
        self.place, self.threads = place, threads
        self.customers = customers[:1] if spread == "hot" else customers
        self.name = f"gate.inproc.{spread}.{threads}"
        self.against = tuple(
            dict.fromkeys((f"floor.{spread}.{16 if threads > 1 else 1}", f"floor.{spread}.1"))
        )

    def run(self, seconds: float) -> dict[str, float]:
        Callers(self.customers, threads=self.threads).run_exactly(self.threads * 3)  # opens connections
        callers = Callers(self.customers, threads=self.threads)
        python, server = own_seconds(), tree_seconds(self.place.postmaster)
        taken = callers.run(seconds)
        python, server = own_seconds() - python, tree_seconds(self.place.postmaster) - server
        done = len(callers.commit_seconds)
        return {
            f"{self.name}.lifecycles_per_s": done / taken,
            **latencies(self.name, callers.reserve_seconds, callers.commit_seconds),
            f"{self.name}.retried": callers.retried,
            f"{self.name}.python_cpu_us": python / done * 1e6,
            f"{self.name}.postgres_cpu_us": server / done * 1e6,
        }
