"""Rows that are the last word of their stream: every event carries the row's whole new definition.

So a projection needs no reading of what stood there, and one event, a batch and a rebuild's chunk are one statement.
The apps above name their tables with it; what the gate keeps in its cache raises the organization's config_epoch.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from events.store import Cursor, Event, ProjectedTable, Projector, encode, register
from orgs.projections import raise_config_epoch


@dataclass(frozen=True, slots=True)
class DefinedTable:
    """Where a stream type's events go: the columns besides id, organization and version, and their types."""

    stream_type: str
    name: str
    columns: Mapping[str, str]
    is_cached: bool = False

    def register(self, app: str) -> None:
        """This function will register the projector of this table under its app's name."""
        prefix = f"{self.stream_type}."
        register(
            Projector(
                name=f"{app}.{self.name}",
                wants=lambda event: event.type.startswith(prefix),
                project=self.project,
                tables=(ProjectedTable(self.name, ("id",)),),
            )
        )

    def project(self, cur: Cursor, events: Sequence[Event]) -> None:
        """Write the last definition of each stream; of one stream only the last event counts."""
        rows = list({event.stream_id: event for event in events}.values())
        columns: list[list[Any]] = [
            [event.stream_id for event in rows],
            [event.organization for event in rows],
            [event.version for event in rows],
        ]
        for name, kind in self.columns.items():
            values = [event.data.get(name) for event in rows]
            columns.append([as_json(value) for value in values] if kind == "jsonb" else values)
        cur.execute(_upsert(self.name, tuple(self.columns.items())), columns)
        if self.is_cached:
            raise_config_epoch(cur, Counter(event.organization for event in events))


@cache
def _upsert(table: str, columns: tuple[tuple[str, str], ...]) -> str:
    kinds = {"id": "uuid", "organization": "uuid", "version": "integer", **dict(columns)}
    return (
        f"INSERT INTO {table} ({', '.join(kinds)}) "
        f"SELECT * FROM unnest({', '.join(f'%s::{kind}[]' for kind in kinds.values())}) "
        f"ON CONFLICT (id) DO UPDATE SET version = EXCLUDED.version, "
        + ", ".join(f"{name} = EXCLUDED.{name}" for name, _ in columns)
    )


def as_json(value: Any) -> str | None:
    """The text of a column of JSON."""
    return None if value is None else encode(value).decode()
