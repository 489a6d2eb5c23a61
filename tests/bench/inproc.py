"""The gate in one process, without HTTP: its public `submit`, with that many callers at once."""

import itertools
import json
import time
from collections.abc import Callable, Sequence
from uuid import UUID

from spend.rules.effects import Answer
from tests.bench.cpu import own_seconds, tree_seconds
from tests.bench.gate import Script, run_scripts
from tests.bench.lifecycle import CALLS_OF_A_RUN, Call, fresh_name
from tests.bench.place import Place
from tests.bench.population import Customer


class Callers:
    """Callers of the gate, each doing one lifecycle after the other, and what each call took."""

    def __init__(self, customers: Sequence[Customer], *, callers: int) -> None:
        self.customers, self.callers = customers, callers
        self.reserve_seconds: list[float] = []
        self.commit_seconds: list[float] = []
        self.name = fresh_name()
        self.retried = 0

    def run(self, seconds: float) -> float:
        """Call for that long and return the seconds until the last one had its answer."""
        begun = time.perf_counter()
        until = begun + seconds
        self._run(lambda _: time.perf_counter() < until)
        return time.perf_counter() - begun

    def run_exactly(self, lifecycles: int) -> None:
        """Do at least that many lifecycles, the same number by each caller."""
        at_most = -(-lifecycles // self.callers)
        self._run(lambda number: number < at_most)

    def once(self, customer: Customer) -> None:
        """One lifecycle of one caller."""
        self.retried += run_scripts([self._lifecycle(customer)])

    def _run(self, goes_on: Callable[[int], bool]) -> None:
        self.retried += run_scripts(self._caller(place, goes_on) for place in range(self.callers))

    def _caller(self, place: int, goes_on: Callable[[int], bool]) -> Script:
        number = 0
        while goes_on(number):
            yield from self._lifecycle(self.customers[(number * self.callers + place) % len(self.customers)])
            number += 1

    def _lifecycle(self, customer: Customer) -> Script:
        call = Call.next(customer, self.name)
        begun = time.perf_counter()
        reserved = granted((yield call.reserve()))
        between = time.perf_counter()
        granted((yield call.commit(reservation_of(reserved))))
        self.reserve_seconds.append(between - begun)
        self.commit_seconds.append(time.perf_counter() - between)


def granted(answer: Answer) -> Answer:
    """The answer; raises the error of one that is a refusal."""
    if answer.error is not None:
        raise answer.error
    return answer


def reservation_of(answer: Answer) -> UUID:
    """The id of what was reserved; a replayed answer has its body as it is sent."""
    body = answer.body if answer.body is not None else json.loads(answer.packed or b"{}")
    return UUID(body["id"])


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


def rates(name: str, lifecycles: int, seconds: float) -> dict[str, float]:
    """Lifecycles per second, and durable operations: a reserve and a commit count as one each, as in the floor."""
    per_second = lifecycles / seconds
    return {f"{name}.lifecycles_per_s": per_second, f"{name}.operations_per_s": per_second * 2}


def floors(spread: str, callers: int) -> tuple[str, ...]:
    """The floors beside which that many callers are shown: the nearest number of clients, 64 and 1."""
    nearest = max(clients for clients in (1, 16, 64) if clients <= callers)
    return tuple(f"floor.{spread}.{clients}" for clients in sorted({nearest, 64, 1}, reverse=True))


class GateInProcess:
    """Lifecycles per second of one process with that many callers, hot (one customer) or spread (all)."""

    def __init__(self, place: Place, customers: Sequence[Customer], *, spread: str, callers: int) -> None:
        self.place, self.callers = place, callers
        self.customers = customers[:1] if spread == "hot" else customers
        self.name = f"gate.inproc.{spread}.{callers}"
        self.against = floors(spread, callers)

    def run(self, seconds: float) -> dict[str, float]:
        Callers(self.customers, callers=self.callers).run_exactly(self.callers)  # opens connections
        callers = Callers(self.customers, callers=self.callers)
        python, server = own_seconds(), tree_seconds(self.place.postmaster)
        taken = callers.run(seconds)
        python, server = own_seconds() - python, tree_seconds(self.place.postmaster) - server
        done = len(callers.commit_seconds)
        return {
            **rates(self.name, done, taken),
            **latencies(self.name, callers.reserve_seconds, callers.commit_seconds),
            f"{self.name}.retried": callers.retried,
            f"{self.name}.python_cpu_us": python / done * 1e6,
            f"{self.name}.postgres_cpu_us": server / done * 1e6,
        }


class Denials:
    """The CPU of a refused reserve (a budget that is used up) beside that of a granted one: same callers, same path.

    Each caller is a run of its own, so that a batch's refusals are not equal ones, which would be written as one.
    """

    name = "gate.inproc.denial"
    against: tuple[str, ...] = ()

    def __init__(self, place: Place, granted: Customer, refused: Customer, *, callers: int = 32) -> None:
        self.place, self.callers = place, callers
        self.granted, self.refused = granted, refused

    def run(self, seconds: float) -> dict[str, float]:
        found: dict[str, float] = {}
        for label, customer, code in (
            ("grant", self.granted, None),
            ("denial", self.refused, "budget_exhausted"),
        ):
            for part, value in self._cost(customer, code, seconds / 2).items():
                found[f"gate.inproc.{label}.{part}_cpu_us"] = value
        together = {
            label: found[f"gate.inproc.{label}.python_cpu_us"] + found[f"gate.inproc.{label}.postgres_cpu_us"]
            for label in ("grant", "denial")
        }
        return {**found, "gate.inproc.denial_over_grant": together["denial"] / together["grant"]}

    def _cost(self, customer: Customer, code: str | None, seconds: float) -> dict[str, float]:
        python, server = own_seconds(), tree_seconds(self.place.postmaster)
        name, until, done = fresh_name(), time.perf_counter() + seconds, [0]
        run_scripts(
            self._caller(customer, f"{name}.{place}", code, until, done) for place in range(self.callers)
        )
        python, server = own_seconds() - python, tree_seconds(self.place.postmaster) - server
        return {"python": python / done[0] * 1e6, "postgres": server / done[0] * 1e6}

    def _caller(
        self, customer: Customer, name: str, code: str | None, until: float, done: list[int]
    ) -> Script:
        for number in itertools.count():
            if time.perf_counter() > until:
                return
            answer: Answer = yield Call(customer, name, number).reserve(
                run=f"{name}.{number // CALLS_OF_A_RUN}"
            )
            given = None if answer.error is None else answer.error.code
            if given != code:
                raise RuntimeError(f"expected {code or 'a grant'}, got {given}") from answer.error
            done[0] += 1
