"""The tables on the screen."""

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench.figures import Figure, Report, unit_of
from tests.bench.storage import Storage

console = Console(width=120)


def show(report: Report, machine: dict[str, Any], *, later: Iterable[str] = ()) -> None:
    """Print every figure with its ratios and its spread over the rounds."""
    postgres = machine["postgres"]
    title = f"{machine['cpus']} CPUs ({machine['cpu']}), PostgreSQL {postgres['server_version']}"
    table = Table(
        title=f"{title}, fsync {postgres['fsync']}, synchronous_commit {postgres['synchronous_commit']}"
    )
    table.add_column("figure", no_wrap=True)
    for column in ("median", "unit", "lowest", "highest"):
        table.add_column(column, justify="right")
    table.add_column("ratio to")
    for identifier, figure in report.figures.items():
        table.add_row(identifier, *_cells(identifier, figure))
    for identifier in later:
        table.add_row(identifier, "not built yet")
    console.print(table)


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
