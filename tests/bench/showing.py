"""The tables on the screen."""

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench.figures import Figure, Report, unit_of
from tests.bench.storage import Storage

console = Console(width=120)
OPEN_LOOP = "gate.open."


def show(report: Report, machine: dict[str, Any], *, later: Iterable[str] = ()) -> None:
    """Print every figure with its ratios and its spread over the rounds."""
    table = Table(title=in_words(machine))
    table.add_column("figure", no_wrap=True)
    for column in ("median", "unit", "lowest", "highest"):
        table.add_column(column, justify="right")
    table.add_column("ratio to")
    for identifier, figure in report.figures.items():
        if not identifier.startswith(OPEN_LOOP):
            table.add_row(identifier, *_cells(identifier, figure))
    for identifier in later:
        table.add_row(identifier, "not built yet")
    console.print(table)
    for spread in ("hot", "spread"):
        _show_open_loop(report, f"{OPEN_LOOP}{spread}")


def _show_open_loop(report: Report, name: str) -> None:
    """Latency against offered load as rows; the figures have more."""
    closed = report.figures.get(f"{name}.closed_lifecycles_per_s")
    if closed is None:
        return
    table = Table(title=f"{name}: lifecycles offered at shares of the {closed.value:,.0f}/s of a closed loop")
    columns = {
        "offered": "offered_per_s", "achieved": "achieved_per_s", "unfinished": "unfinished",
        "reserve p50 ms": "reserve_p50_ms", "p95": "reserve_p95_ms", "p99": "reserve_p99_ms",
        "commit p50 ms": "commit_p50_ms", "p99 ": "commit_p99_ms", "client us/call": "client_cpu_per_request_us",
    }  # fmt: skip
    for column in ("share", *columns):
        table.add_column(column, justify="right")
    shares = sorted(
        int(part)
        for identifier in report.figures
        if (part := identifier.removeprefix(f"{name}.").split(".")[0]).isdigit()
    )
    for share in dict.fromkeys(shares):
        found = (report.figures.get(f"{name}.{share}.{ending}") for ending in columns.values())
        table.add_row(f"{share} %", *("" if figure is None else _number(figure.value) for figure in found))
    console.print(table)


def in_words(machine: dict[str, Any]) -> str:
    """What the figures were measured on, in a line."""
    postgres = machine["postgres"]
    where = f"{machine['cpus']} CPUs ({machine['cpu']}), PostgreSQL {postgres['server_version']}"
    return f"{where}, fsync {postgres['fsync']}, synchronous_commit {postgres['synchronous_commit']}"


def _cells(identifier: str, figure: Figure) -> list[str]:
    ratios = ", ".join(f"{other} {value:.3f}" for other, value in figure.ratio_to().items())
    extremes = (_number(min(figure.runs)), _number(max(figure.runs)))
    return [_number(figure.value), unit_of(identifier), *extremes, ratios]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def show_storage(found: Storage) -> None:
    """Print what each table and index took."""
    table = Table(
        title=f"Bytes per lifecycle after VACUUM ({found.lifecycles} lifecycles; WAL apart {found.wal:,.0f})"
    )
    for column in ("table", "rows", "indexes", "together"):
        table.add_column(column, justify="left" if column == "table" else "right")
    for row in found.tables:
        if row.heap + row.indexes >= 1:
            parts = (row.heap, row.indexes, row.heap + row.indexes)
            table.add_row(row.table, *(f"{part:,.0f}" for part in parts))
    table.add_row("all", "", "", f"{found.total:,.0f}")
    console.print(table)
    largest = sorted(found.indexes.items(), key=lambda item: item[1], reverse=True)[:16]
    console.print("indexes: " + ", ".join(f"{name} {size:,.0f}" for name, size in largest if size >= 1))
