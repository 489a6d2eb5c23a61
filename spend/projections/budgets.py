"""Events of budgets to rows. Every event carries the budget's whole definition; each raises config_epoch by one."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from events.store import Cursor, Event, ProjectedTable, Projector, encode, register
from orgs.projections import raise_config_epoch

TYPES: Final = frozenset(f"budget.{verb}" for verb in ("created", "changed", "archived"))
COLUMNS: Final = {
    "scope": "text",
    "target_id": "uuid",
    "target_label": "text",
    "window_kind": "text",
    "rolling_seconds": "integer",
    "unit": "text",
    "measure": "text",
    "amount_limit": "bigint",
    "overdraft": "bigint",
    "mode": "text",
    "time_zone": "text",
    "thresholds": "jsonb",
    "arming": "integer",
    "created_at": "timestamptz",
    "archived_at": "timestamptz",
}
_ALL: Final = {"id": "uuid", "organization": "uuid", "version": "integer", **COLUMNS}
_UPSERT: Final = (
    f"INSERT INTO budgets ({', '.join(_ALL)}) "
    f"SELECT * FROM unnest({', '.join(f'%s::{kind}[]' for kind in _ALL.values())}) "
    f"ON CONFLICT (id) DO UPDATE SET version = EXCLUDED.version, "
    + ", ".join(f"{name} = EXCLUDED.{name}" for name in COLUMNS)
)


def project(cur: Cursor, events: Sequence[Event]) -> None:
    """This function will write each budget as its last event defines it, and make the gate's caches stale."""
    rows = list({event.stream_id: event for event in events}.values())
    columns: list[list[Any]] = [
        [event.stream_id for event in rows],
        [event.organization for event in rows],
        [event.version for event in rows],
    ]
    columns += [[_value(name, event.data.get(name)) for event in rows] for name in COLUMNS]
    cur.execute(_UPSERT, columns)
    raise_config_epoch(cur, Counter(event.organization for event in events))


def _value(name: str, value: Any) -> Any:
    if name == "arming":
        return value or 1  # of before there was one
    return encode(value).decode() if name == "thresholds" else value


def register_all() -> None:
    """This function will register the projector of budgets."""
    register(
        Projector(
            name="spend.budgets",
            wants=lambda event: event.type in TYPES,
            project=project,
            tables=(ProjectedTable("budgets", ("id",)),),
        )
    )
