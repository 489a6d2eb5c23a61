"""The sections of the benchmarks: what each prepares, and the rounds that run all of them side by side."""

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console

from tests.bench.attribution import AttributionQuery
from tests.bench.books import Posting, UsageInProcess, UsageOverHttp
from tests.bench.customers import Crowd
from tests.bench.dunning import daily_run
from tests.bench.figures import Report
from tests.bench.filling import lifecycles_in_batches
from tests.bench.floor import Floor, make_floor_database
from tests.bench.gate import disconnect
from tests.bench.growth import grow, nobody_connected
from tests.bench.inproc import Callers, Denials, GateInProcess
from tests.bench.invoices import rate_of_invoices, seconds_of_a_large_customer
from tests.bench.isolation import Isolation
from tests.bench.metering import EventsInProcess, EventsOverHttp, MeterQuery, make_meters
from tests.bench.openloop import Sweep
from tests.bench.payouts import Payouts
from tests.bench.place import Place
from tests.bench.population import Customer, make_customers, make_prices, make_small_customer
from tests.bench.proofs import rebuild_events_per_second, verify_entries_per_second
from tests.bench.reconciling import entries_per_second
from tests.bench.showing import show_storage
from tests.bench.storage import measure as measure_storage
from tests.bench.web import BatchOverHttp, GateOverHttp, Web
from tests.bench.webhooks import Accepting, Processing
from tests.builders.books import open_books

console = Console(stderr=True)
CLIENTS = (1, 16, 64)
HTTP_CLIENTS = (1, 16, 64, 256)


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
        self._web: Web | None = None

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

    def customer(self, place: int) -> Customer:
        """The customer at that place, going round where there are few."""
        customers = self.customers()
        return customers[place % len(customers)]

    def web(self) -> Web:
        """The web server on the main database, started when it is first asked for."""
        if self._web is None:
            self._web = Web(self.place)
            self.endings.append(self._web.close)
        return self._web

    def run(self) -> None:
        """Run the rounds, then what is measured once."""
        for number in range(self.given.rounds if self.measures else 0):
            with progress(f"round {number + 1} of {self.given.rounds}"):
                self._round(number)
        for what, work in self.afterwards:
            with progress(what):
                work()

    def _round(self, number: int) -> None:
        # Every other round goes the other way round, so that no measure always follows the same one.
        order = sorted(self.measures.values(), key=lambda measure: not measure.name.startswith("floor."))
        found = {
            measure.name: measure.run(self.given.seconds)
            for measure in (order if number % 2 == 0 else reversed(order))
        }
        for measure in order:
            floors = {name: found[name][name] for name in measure.against}
            self.report.add(found[measure.name], against=floors)
        self.report.add(dict(_spread_over_hot(found)))

    def close(self) -> None:
        """Stop what was started."""
        disconnect()
        for end in self.endings:
            end()


def _spread_over_hot(found: dict[str, dict[str, float]]) -> Iterator[tuple[str, float]]:
    """Lifecycles of many organizations over those of one, inside the round."""
    for clients in HTTP_CLIENTS:
        hot, spread = (f"gate.http.{which}.{clients}" for which in ("hot", "spread"))
        if hot in found and spread in found:
            rate = ".lifecycles_per_s"
            yield (
                f"gate.http.spread_over_hot.{clients}",
                found[spread][spread + rate] / found[hot][hot + rate],
            )


def _floor(bench: Bench) -> None:
    for spread in ("hot", "spread"):
        for clients in CLIENTS:
            bench.add_floor(spread, clients)


def _gate(bench: Bench) -> None:
    customers = bench.customers()
    for spread, callers in (("hot", 1), ("hot", 16), ("hot", 32), ("hot", 256), ("spread", 16)):
        bench.add(GateInProcess(bench.place, customers, spread=spread, callers=callers))
    used_up = make_small_customer()
    Callers([used_up], callers=1).run_exactly(1)
    bench.add(Denials(bench.place, bench.customer(-4), used_up))


def _storage(bench: Bench) -> None:
    """At once, on tables that are still empty: later ones hold free space that new rows would be put into."""
    customers = bench.customers()[:100]
    found = measure_storage(bench.place, bench.main, customers, lifecycles=bench.given.lifecycles)
    bench.report.add({"storage.bytes_per_lifecycle": found.total})
    show_storage(found)


def _http(bench: Bench) -> None:
    customers, web = bench.customers(), bench.web()
    for spread in ("hot", "spread"):
        for clients in HTTP_CLIENTS:
            bench.add(GateOverHttp(bench.place, web, customers, spread=spread, clients=clients))
    bench.add(BatchOverHttp(web, bench.customer(-1)))


def _open(bench: Bench) -> None:
    customers, web = bench.customers(), bench.web()
    for spread in ("hot", "spread"):
        bench.add(Sweep(bench.place, web, customers, spread=spread))


def _isolation(bench: Bench) -> None:
    customers, web = bench.customers(), bench.web()
    bench.add(Isolation(bench.place, web, customers, seconds=bench.given.block_seconds))


def _ledger(bench: Bench) -> None:
    bench.add(Posting(bench.customer(-2)))


def _usage(bench: Bench) -> None:
    bench.add(UsageInProcess(bench.customer(-3)))
    bench.add(UsageOverHttp(bench.web(), bench.customer(-3)))


def _growth(bench: Bench) -> None:
    largest = bench.given.largest or (7 if bench.given.full else 6)
    growth = grow(bench.place, bench.main, bench.customer(0), largest=largest)
    bench.endings.append(growth.close)
    bench.add(growth)


def _attribution(bench: Bench) -> None:
    customer = bench.customer(0)
    lifecycles_in_batches(customer, count=1_000)
    with nobody_connected():
        name = bench.place.clone("attribution", template="main")
    bench.add(AttributionQuery(bench.place, name, customer, records=bench.given.records))


def _events(bench: Bench) -> None:
    bench.add(EventsInProcess(bench.customer(-5)))
    bench.add(EventsOverHttp(bench.web(), bench.customer(-5)))


def _meters(bench: Bench) -> None:
    customer, meters = bench.customer(1), make_meters()
    with nobody_connected():
        name = bench.place.clone("metering", template="main")
    bench.add(MeterQuery(bench.place, name, customer, meters, bench.given.records))


def _proofs(bench: Bench) -> None:
    def work() -> None:
        for customer in bench.customers()[:20]:
            lifecycles_in_batches(customer, count=max(1, bench.given.lifecycles // 20))
        for _ in range(min(3, bench.given.rounds)):
            bench.report.add({"verify.entries_per_s": verify_entries_per_second()})
            bench.report.add({"rebuild.events_per_s": rebuild_events_per_second()})

    bench.afterwards.append(("proofs", work))


def _invoices(bench: Bench) -> None:
    def work() -> None:
        for _ in range(min(3, bench.given.rounds)):
            rate = rate_of_invoices(200, bench.place.postmaster)
            bench.report.add({"invoices.per_s": rate.per_second, "invoices.cpu_us": rate.cpu_us})
        seconds, used = seconds_of_a_large_customer(bench.given.records, bench.place.postmaster)
        name = f"invoices.large.1e{len(str(bench.given.records)) - 1}"
        bench.report.add({f"{name}_s": seconds, f"{name}_cpu_s": used})

    bench.afterwards.append(("invoices", work))


def _dunning(bench: Bench) -> None:
    def work() -> None:
        customers = bench.given.dunned or (100_000 if bench.given.full else 10_000)
        few = max(customers // 10, 100)
        of_few, found = (daily_run(count, bench.place.postmaster) for count in (few, customers))
        name = f"dunning.{customers}"
        bench.report.add(
            {
                f"{name}.opening_s": found.opening_s,
                f"{name}.daily_s": found.escalating_s,
                f"{name}.idle_s": found.idle_s,
                f"{name}.cpu_us": found.cpu_us,
                f"{name}.python_us": found.python_us,
                f"dunning.{few}.cpu_us": of_few.cpu_us,
                f"{name}.cpu_ratio": found.cpu_us / of_few.cpu_us,
            }
        )

    bench.afterwards.append(("dunning", work))


def _payouts(bench: Bench) -> None:
    many = bench.given.earnings or (1_000_000 if bench.given.full else 100_000)
    few = max(many // 100, 100)
    partners = max(few // 10, 10)
    payouts = Payouts(bench.place, partners=partners, few=few, many=many)
    bench.endings.append(payouts.close)
    bench.add(payouts)
    bench.afterwards.append(("payouts", lambda: bench.report.add(payouts.pay())))


def _crowd(bench: Bench) -> None:
    def work() -> None:
        with bench.place.superuser(bench.main) as superuser:
            crowd = Crowd(superuser, bench.place.postmaster)
            first: dict[str, float] = {}
            for power in range(3, 6 if bench.given.full else 5):
                crowd.grow(10**power)
                for _ in range(min(3, bench.given.rounds)):
                    cost = crowd.cost()
                    found = {"invoices.among": cost.invoice_us, "invoices.handed_out_among": cost.claim_us}
                    for name, value in found.items():
                        first.setdefault(name, value)
                        bench.report.add({f"{name}.1e{power}_cpu_us": value})
                        if power > 3:
                            bench.report.add({f"{name}.1e{power}_over_1e3": value / first[name]})

    bench.afterwards.append(("invoices among many customers", work))


def _webhooks(bench: Bench) -> None:
    bench.add(Accepting(bench.place, bench.web()))

    def work() -> None:
        processing = Processing(bench.place, open_books)
        bench.endings.append(processing.close)
        for _ in range(min(3, bench.given.rounds)):
            bench.report.add(processing.run(300))
            bench.report.add({"reconcile.entries_per_s": entries_per_second()})

    bench.afterwards.append(("webhooks", work))


# In the order in which they prepare: databases are copied before a web server holds connections to the first.
SECTIONS: dict[str, Callable[[Bench], None]] = {
    "storage": _storage,
    "growth": _growth,
    "payouts": _payouts,
    "attribution": _attribution,
    "meters": _meters,
    "floor": _floor,
    "gate": _gate,
    "http": _http,
    "open": _open,
    "isolation": _isolation,
    "ledger": _ledger,
    "usage": _usage,
    "events": _events,
    "proofs": _proofs,
    "invoices": _invoices,
    "dunning": _dunning,
    "crowd": _crowd,
    "webhooks": _webhooks,
}
LATER: tuple[str, ...] = ()
