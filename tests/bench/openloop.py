"""Latency against offered load: lifecycles begin at a given rate whatever the server does, so that queueing shows.

A closed loop sends the next call when the last one was answered: a server that stalls is then asked less, and the calls
that would have met the stall are never counted. Here each reserve is timed from when it was due.
"""

from collections.abc import Sequence
from pathlib import Path

from tests.bench.figures import Report
from tests.bench.generator import Order, generate
from tests.bench.inproc import percentile_ms
from tests.bench.lifecycle import fresh_name
from tests.bench.picture import Curve, draw
from tests.bench.place import Place
from tests.bench.population import Customer
from tests.bench.web import Meter, Web

PERCENTS = (10, 25, 40, 55, 70, 80, 90, 100, 120)
CONNECTIONS = 256
CLOSED_CLIENTS = 64
SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


class Sweep:
    """Latency at shares of what a closed loop of 64 clients gets in the same round; hot or spread."""

    def __init__(self, place: Place, web: Web, customers: Sequence[Customer], *, spread: str) -> None:
        self.place, self.web = place, web
        self.secrets = [customer.secret for customer in (customers[:1] if spread == "hot" else customers)]
        self.name = f"gate.open.{spread}"
        self.against: tuple[str, ...] = ()
        self._seed = 0

    def run(self, seconds: float) -> dict[str, float]:
        closed = generate(self._order(seconds, clients=CLOSED_CLIENTS))
        capacity = len(closed.commit) / closed.seconds
        found = {f"{self.name}.closed_lifecycles_per_s": capacity}
        for percent in PERCENTS:
            found |= self._at(percent, capacity * percent / 100, seconds)
        return found

    def _order(self, seconds: float, *, clients: int, rate: float = 0) -> Order:
        self._seed += 1
        return Order(
            port=self.web.port, secrets=self.secrets, name=fresh_name(), seconds=seconds, clients=clients,
            rate=rate, seed=self._seed,
        )  # fmt: skip

    def _at(self, percent: int, rate: float, seconds: float) -> dict[str, float]:
        name = f"{self.name}.{percent}"
        meter = Meter(self.place, self.web)
        found = generate(self._order(seconds, clients=CONNECTIONS, rate=rate))
        values = {
            f"{name}.offered_per_s": rate,
            f"{name}.achieved_per_s": len(found.commit) / found.seconds,
            f"{name}.unfinished": found.unfinished,
            f"{name}.client_cpu_per_request_us": meter.used(name, found)[f"{name}.client_cpu_per_request_us"],
        }
        if not found.reserve or not found.commit:
            return values
        for call, taken in (("reserve", found.reserve), ("commit", found.commit)):
            values |= {f"{name}.{call}_{p}_ms": percentile_ms(taken, share) for p, share in SHARES.items()}
        return values


def draw_latency(report: Report, path: Path, *, machine: str) -> None:
    """Draw p50, p95 and p99 of reserve against the offered load into an SVG; nothing where no sweep was made."""
    curves = [
        Curve(f"{label}, {p}", _points(report, spread, p), spread == "spread")
        for spread, label in (("hot", "one organization"), ("spread", "1,000 organizations"))
        for p in SHARES
    ]
    curves = [curve for curve in curves if len(curve.points) > 1]
    if curves:
        title = "Latency of reserve against offered load (open loop, reserve + commit, everything durable)"
        path.write_text(draw(curves, title=title, note=machine), encoding="utf-8")


def _points(report: Report, spread: str, p: str) -> list[tuple[float, float]]:
    names = [f"gate.open.{spread}.{percent}" for percent in PERCENTS]
    return [
        (report.figures[f"{name}.offered_per_s"].value, report.figures[f"{name}.reserve_{p}_ms"].value)
        for name in names
        if f"{name}.reserve_{p}_ms" in report.figures
    ]
