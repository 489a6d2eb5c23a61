"""The tables of docs/benchmarks.md from the figures of a run: `latest.md`, to be put there by hand."""

from collections.abc import Iterator, Mapping
from typing import Any

Figures = Mapping[str, Mapping[str, Any]]
CLIENTS = (1, 16, 64)
# What issue 3 asks for; each is looked up in the figures, and in the ratio where one is named.
GOALS: tuple[tuple[str, str, float, str], ...] = (
    ("gate.http.hot.64.lifecycles_per_s", "", 4_000, "at least"),
    ("gate.http.hot.64.operations_per_s", "floor.hot.64", 3, "at least"),
    ("gate.http.hot.64.reserve_p99_ms", "", 40, "at most"),
    ("gate.http.hot.16.reserve_p50_ms", "", 4, "at most"),
    ("gate.http.hot.16.reserve_p99_ms", "", 12, "at most"),
    ("gate.http.hot.1.reserve_p50_ms", "", 1.5, "at most"),
    ("gate.http.hot.1.reserve_p99_ms", "", 5, "at most"),
    ("gate.http.spread_over_hot.64", "", 0.85, "at least"),
    ("gate.inproc.hot.1.lifecycles_per_s", "floor.hot.1", 0.12, "at least"),
    ("gate.inproc.hot.32.lifecycles_per_s", "floor.hot.1", 1.0, "at least"),
    ("gate.inproc.hot.32.reserve_p99_ms", "", 6, "at most"),
    ("gate.inproc.hot.256.lifecycles_per_s", "floor.hot.1", 1.3, "at least"),
    ("gate.http.batch.reservations_per_s", "", 12_000, "at least"),
    ("gate.inproc.hot.256.postgres_cpu_us", "", 150, "at most"),
    ("gate.inproc.denial_over_grant", "", 1.0, "at most"),
    ("growth.lifecycle.1e6_over_1e4", "", 1.2, "at most"),
    ("growth.balance.1e6_over_1e4", "", 1.2, "at most"),
    ("invoices.per_s", "", 60, "at least"),
    ("invoices.large.1e6_s", "", 10, "at most"),
    ("invoices.among.1e5_over_1e3", "", 1.2, "at most"),
    ("events.http.records_per_s", "", 5_000, "at least"),
    ("webhooks.accepted_per_s", "", 400, "at least"),
    ("webhooks.accept_p99_ms", "", 100, "at most"),
    ("webhooks.processed_per_s", "", 150, "at least"),
    ("dunning.10000.daily_s", "", 120, "at most"),
    ("dunning.100000.cpu_ratio", "", 1.2, "at most"),
    ("payouts.batch.1000000_whole_s", "", 300, "at most"),
    ("payouts.withdrawable.many_over_few", "", 1.2, "at most"),
    ("payouts.batch.many_over_few", "", 1.2, "at most"),
    ("isolation.ratio", "", 2, "at most"),
    ("rebuild.events_per_s", "", 20_000, "at least"),
    ("storage.bytes_per_lifecycle", "", 6_000, "at most"),
)


def in_markdown(figures: Figures) -> str:
    """All tables for which there are figures."""
    parts = [_floors(figures), _gate(figures), _goals(figures), _open(figures), _rest(figures)]
    return "\n".join("\n".join(lines) + "\n" for part in parts if len(lines := list(part)) > 2)


def _floors(figures: Figures) -> Iterator[str]:
    yield f"| floor, transactions/s | {' | '.join(f'{clients} clients' for clients in CLIENTS)} |"
    yield "|---|---|---|---|"
    for spread in ("hot", "spread"):
        values = [_value(figures, f"floor.{spread}.{clients}") for clients in CLIENTS]
        if any(values):
            yield f"| {spread} | {' | '.join(values)} |"


def _gate(figures: Figures) -> Iterator[str]:
    yield (
        "| gate | lifecycles/s | operations over the floor | reserve p50 / p95 / p99 ms | commit p50 / p95 / p99 ms"
        " | repeated | CPU us of a lifecycle |"
    )
    yield "|---|---|---|---|---|---|---|"
    ending = ".lifecycles_per_s"
    for name in (identifier.removesuffix(ending) for identifier in figures if identifier.endswith(ending)):
        if f"{name}.retried" in figures:
            calls = [_latencies(figures, name, call) for call in ("reserve", "commit")]
            cells = [_value(figures, name + ending), _over_floor(figures, name), *calls]
            yield f"| `{name}` | {' | '.join(cells)} | {_value(figures, f'{name}.retried')} | {_cpu(figures, name)} |"


def _latencies(figures: Figures, name: str, call: str) -> str:
    return " / ".join(_value(figures, f"{name}.{call}_{share}_ms") for share in ("p50", "p95", "p99"))


def _over_floor(figures: Figures, name: str) -> str:
    ratios: Mapping[str, float] = figures.get(f"{name}.operations_per_s", {}).get("ratio_to", {})
    return ", ".join(f"{ratio:.2f} ({floor.removeprefix('floor.')})" for floor, ratio in ratios.items())


def _cpu(figures: Figures, name: str) -> str:
    parts = ("web", "app", "python", "postgres", "client")
    found = ((part, _value(figures, f"{name}.{part}_cpu_us")) for part in parts)
    return ", ".join(f"{part} {value}" for part, value in found if value)


def _goals(figures: Figures) -> Iterator[str]:
    yield "| goal | measured | wanted | |"
    yield "|---|---|---|---|"
    for identifier, floor, wanted, which in GOALS:
        entry = figures.get(identifier, {})
        value: float | None = entry.get("ratio_to", {}).get(floor) if floor else entry.get("value")
        if value is not None:
            met = value >= wanted if which == "at least" else value <= wanted
            name = f"`{identifier}`" + (f" / `{floor}`" if floor else "")
            yield f"| {name} | {number(value)} | {which} {number(wanted)} | {'met' if met else '**not met**'} |"


def _open(figures: Figures) -> Iterator[str]:
    yield "| open loop, lifecycles/s | offered | achieved | reserve p50 / p95 / p99 ms | commit p50 / p95 / p99 ms |"
    yield "|---|---|---|---|---|"
    for identifier in figures:
        if identifier.startswith("gate.open.") and identifier.endswith(".offered_per_s"):
            name = identifier.removesuffix(".offered_per_s")
            calls = [_latencies(figures, name, call) for call in ("reserve", "commit")]
            rates = [_value(figures, f"{name}.{which}_per_s") for which in ("offered", "achieved")]
            yield f"| `{name}` | {' | '.join([*rates, *calls])} |"


def _rest(figures: Figures) -> Iterator[str]:
    yield "| figure | median | lowest to highest |"
    yield "|---|---|---|"
    shown = (
        "floor.",
        "gate.http.hot",
        "gate.http.spread.",
        "gate.inproc.hot",
        "gate.inproc.spread",
        "gate.open.",
    )
    for identifier, entry in figures.items():
        if not identifier.startswith(shown):
            low, high = min(entry["runs"]), max(entry["runs"])
            yield f"| `{identifier}` | {number(entry['value'])} | {number(low)} to {number(high)} |"


def _value(figures: Figures, identifier: str) -> str:
    return number(figures[identifier]["value"]) if identifier in figures else ""


def number(value: float) -> str:
    """As a table shows it."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
