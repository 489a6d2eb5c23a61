"""Throughput and latency of a target at 1, 16 and 64 clients on one wallet and on a thousand, with floors around."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import mean, median
from typing import Any

from tests.bench.floor import Floor
from tests.bench.inproc import percentile_ms
from tests.bench.place import Place
from tests.peers.targets import Running
from tests.peers.workers import PROCESSES


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How large everything is."""

    seconds: float
    floor_seconds: float
    rounds: int
    clients: Sequence[int]
    many_wallets: int
    room: int  # calls that fit into the wallet of the admission probe
    work_seconds: float
    rows: int
    fill_seconds: float
    kill_after: float


@dataclass
class Block:
    """One number of clients on one number of wallets, round by round."""

    clients: int
    wallets: int
    runs: list[dict[str, float]] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> dict[str, Any]:
        """Medians of the rounds, and the rounds themselves."""
        names = list(self.runs[0]) if self.runs else []
        values = {name: round(median(run[name] for run in self.runs), 4) for name in names}
        return {
            "clients": self.clients, "wallets": self.wallets, **values, "errors": dict(self.errors),
            "runs": self.runs,
        }  # fmt: skip


def blocks(sizes: Sizes) -> Iterator[Block]:
    """All combinations."""
    for wallets in (1, sizes.many_wallets):
        for clients in sizes.clients:
            yield Block(clients, wallets)


def measure(target: Running, place: Place, sizes: Sizes, found: Sequence[Block]) -> None:
    """Run every block once and add what came of it."""
    many = [f"load-{number}" for number in range(sizes.many_wallets)]
    # A wallet that all clients share is new in each block: where cost grows with history, none has another's.
    alone = {block.clients: f"hot-{len(block.runs)}-{block.clients}" for block in found}
    if not target.target.gate:
        _open(target, many, list(alone.values()))
    for block in found:
        wallets = [alone[block.clients]] if block.wallets == 1 else many
        spread = "hot" if block.wallets == 1 else "spread"
        floor = Floor(place, spread=spread, clients=block.clients)
        before = floor.run(sizes.floor_seconds)[floor.name]
        store = target.store.cpu_seconds()
        load = target.load(wallets, clients=block.clients, seconds=sizes.seconds)
        store = target.store.cpu_seconds() - store
        after = floor.run(sizes.floor_seconds)[floor.name]
        block.errors.update(load["errors"])
        block.runs.append(_run(load, store, before, after))


def _open(target: Running, many: list[str], alone: list[str]) -> None:
    target.start_workers(PROCESSES)
    if target.is_fresh:
        target.worker.ask("install")
        target.open_wallets(many)
    else:
        for worker in target.workers:
            worker.ask("find_wallets", names=many)
    target.open_wallets(alone)


def _run(load: dict[str, Any], store: float, before: float, after: float) -> dict[str, float]:
    done = max(1, load["lifecycles"])
    per_second = load["lifecycles"] / load["seconds"]
    calls = load["calls"] or [0.0]
    return {
        "lifecycles_per_s": round(per_second, 2),
        "call_p50_ms": round(percentile_ms(calls, 0.5), 3),
        "call_p99_ms": round(percentile_ms(calls, 0.99), 3),
        "floor_before": round(before, 1),
        "floor_after": round(after, 1),
        "over_floor": round(per_second / mean((before, after)), 5),
        "client_cpu_us": round(load["cpu"] / done * 1e6, 1),
        "store_cpu_us": round(store / done * 1e6, 1),
        "refused": float(load["refused"]),
    }
