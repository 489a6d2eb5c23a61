"""Who is measured, and how each is started: its environment, its store, its worker processes."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.cpu import own_seconds, tree_seconds
from tests.bench.gate import disconnect
from tests.bench.generator import Order, generate
from tests.bench.inproc import Callers
from tests.bench.lifecycle import fresh_name
from tests.bench.place import Place
from tests.bench.population import Customer
from tests.bench.web import Web
from tests.peers.installing import own_python, python_of
from tests.peers.stores import Database, File, Store, Valkey, kill_postgres
from tests.peers.workers import Worker, share_load

PLENTY = 10**12


@dataclass(frozen=True)
class Target:
    """A peer, or Counterfoil: its name in the tables, the version, the driver's module, and where its books are."""

    name: str
    version: str
    driver: str
    where: str
    open: Callable[["Running"], Store]
    gate: str = ""  # Counterfoil alone: "http" or "inproc"


class Running:
    """A target whose store and processes are up."""

    def __init__(
        self, target: Target, place: Place, folder: Path, customers: Sequence[Customer], *, fresh: bool
    ) -> None:
        self.target, self.place, self.folder, self.customers = target, place, folder, customers
        self.is_fresh = fresh  # else the store is that of an earlier round
        self.python = own_python() if target.gate else python_of(target.driver, folder=folder)
        self.environment = place.environment(place.name("main")) if target.gate else {}
        self._stack = ExitStack()
        self.store = target.open(self)
        self._stack.callback(self.store.close)
        self.settings = dict(self.store.settings)
        self.web: Web | None = None
        if target.gate:
            self.settings["folder"] = str(folder)
        if target.gate == "http":
            self.web = Web(place)
            self._stack.callback(self.web.close)
            self.settings["port"] = self.web.port
        self.workers: list[Worker] = []

    def start_workers(self, count: int) -> None:
        """Start that many processes; the first makes the schema."""
        while len(self.workers) < count:
            self.workers.append(
                Worker(
                    self.target.driver, self.python, self.settings, environment=self.environment,
                    log=self.folder / "log" / f"{self.target.name}.log",
                )
            )  # fmt: skip

    @property
    def worker(self) -> Worker:
        """The process that the probes speak to."""
        self.start_workers(1)
        return self.workers[0]

    def open_wallets(self, names: Sequence[str], units: int = PLENTY) -> None:
        """Make wallets; every process knows them."""
        self.worker.ask("open_wallets", names=list(names), units=units)
        for other in self.workers[1:]:
            other.ask("find_wallets", names=list(names))

    def restart_workers(self, wallets: Sequence[str]) -> None:
        """End all processes, and start one that knows these wallets."""
        self.stop_workers()
        self.worker.ask("find_wallets", names=list(wallets))

    def load(self, wallets: Sequence[str], *, clients: int, seconds: float) -> dict[str, Any]:
        """A closed loop of lifecycles; Counterfoil's through the benchmarks' own drivers."""
        if not self.target.gate:
            return share_load(
                self.workers, wallets=wallets, clients=clients, seconds=seconds, tag=fresh_name()
            )
        customers = self.customers[-1:] if len(wallets) == 1 else self.customers
        return (
            self._over_http(customers, clients, seconds)
            if self.web
            else _in_process(customers, clients, seconds)
        )

    def _over_http(self, customers: Sequence[Customer], clients: int, seconds: float) -> dict[str, Any]:
        assert self.web is not None
        secrets = [customer.secret for customer in customers]
        before = sum(map(tree_seconds, self.web.pids.values()))
        found = generate(
            Order(port=self.web.port, secrets=secrets, name=fresh_name(), seconds=seconds, clients=clients)
        )
        return {
            "lifecycles": len(found.commit), "calls": [*found.reserve, *found.commit], "refused": 0,
            "errors": {"repeated": found.retried} if found.retried else {}, "seconds": found.seconds,
            "cpu": found.cpu + sum(map(tree_seconds, self.web.pids.values())) - before,
        }  # fmt: skip

    def stop_workers(self) -> None:
        """End the processes."""
        for worker in self.workers:
            worker.close()
        self.workers = []

    def close(self) -> None:
        """End everything."""
        self.stop_workers()
        self._stack.close()


def _in_process(customers: Sequence[Customer], clients: int, seconds: float) -> dict[str, Any]:
    callers = Callers(customers, callers=clients)
    cpu = own_seconds()
    taken = callers.run(seconds)
    cpu = own_seconds() - cpu
    disconnect()
    return {
        "lifecycles": len(callers.commit_seconds),
        "calls": [*callers.reserve_seconds, *callers.commit_seconds],
        "refused": 0,
        "errors": {"repeated": callers.retried} if callers.retried else {},
        "seconds": taken,
        "cpu": cpu,
    }


class OwnDatabase(Store):
    """Counterfoil's, which the benchmarks have made."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.settings = {}

    def cpu_seconds(self) -> float:
        return tree_seconds(self.place.postmaster)

    def kill(self) -> None:
        kill_postgres(self.place)

    def restart(self) -> None:
        self.place.cluster.start_detached()


def _database(running: Running) -> Store:
    return Database(running.place, running.target.driver, fresh=running.is_fresh)


def _file(running: Running) -> Store:
    return File(running.folder / "plutus", fresh=running.is_fresh)


def _own(running: Running) -> Store:
    return OwnDatabase(running.place)


def _valkey(appendfsync: str) -> Callable[[Running], Store]:
    return lambda running: Valkey(
        running.folder / f"valkey-{appendfsync}", appendfsync, fresh=running.is_fresh
    )


TARGETS = {
    target.name: target
    for target in (
        Target("counterfoil-http", "this", "counterfoil", "PostgreSQL", _own, "http"),
        Target("counterfoil-inproc", "this", "counterfoil", "PostgreSQL", _own, "inproc"),
        Target("escrowmint-always", "0.5.0", "escrowmint", "Valkey, synced at every write", _valkey("always")),
        Target("escrowmint-everysec", "0.5.0", "escrowmint", "Valkey, synced every second", _valkey("everysec")),
        Target("hf-nostro", "0.2.0", "nostro", "PostgreSQL", _database),
        Target("django-hordak", "2.0.0", "hordak", "PostgreSQL", _database),
        Target("django-ledger", "0.8.5", "django_ledger", "PostgreSQL", _database),
        Target("plutus-agent", "1.1.0", "plutus", "SQLite, WAL, synced at every commit", _file),
    )
}  # fmt: skip


@contextmanager
def running(
    target: Target, place: Place, folder: Path, customers: Sequence[Customer], *, fresh: bool
) -> Iterator[Running]:
    """Start a target, and end it."""
    found = Running(target, place, folder, customers, fresh=fresh)
    try:
        yield found
    finally:
        found.close()
