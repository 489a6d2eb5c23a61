"""Projections that are sums of facts other than events, such as the hourly rollup of usage records.

The application keeps them in the transaction of the fact; a rebuild makes them again from the facts alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from events.store import ProjectedTable

ROWS: Final = "{rows}"


@dataclass(frozen=True, slots=True)
class FactProjector:
    """`sql` adds rows of `source` to `table`: one INSERT ... SELECT ... ON CONFLICT DO UPDATE of sums, with {rows}
    where the condition on the rows of the source stands (its columns unqualified). `retired_sql` fills an empty `table`
    with what rows of retired months had added up to."""

    name: str
    source: str
    table: ProjectedTable
    sql: str
    retired_sql: str


_projectors: dict[str, FactProjector] = {}


def register_fact_projector(projector: FactProjector) -> None:
    """Add a projector of facts. Raises ValueError when its SQL does not say where the condition stands."""
    if projector.sql.count(ROWS) != 1:
        raise ValueError(f"{projector.name}: the SQL names {ROWS} once")
    _projectors[projector.name] = projector


def fact_projectors() -> Iterable[FactProjector]:
    """Return all projectors of facts."""
    return _projectors.values()
