"""Events of the price book to rows. Every event carries its object's whole definition, so the last one of a
row wins.

Each event raises its organization's config_epoch by one: that of the platform for the book, exchange rates
and the default markup, that of the customer for its own prices. The gate watches both.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from events.store import Cursor, Event, ProjectedTable, Projector, encode, register
from orgs.projections import raise_config_epoch


@dataclass(frozen=True, slots=True)
class _Table:
    """Where the events of a stream type go: its columns besides id and version, with their types."""

    stream_type: str
    name: str
    verbs: tuple[str, ...]
    columns: Mapping[str, str]
    seen_by_gate: bool = True


_VALID: Final = {"valid_from": "timestamptz", "valid_to": "timestamptz"}

_TABLES: Final = (
    _Table(
        "price_provider", "price_providers", ("listed", "changed"), {"name": "text", "fallback": "text[]"}
    ),
    _Table(
        "price_model",
        "price_models",
        ("listed", "changed"),
        {
            "provider": "text",
            "model": "text",
            "position": "integer",
            "match": "jsonb",
            "context_window": "bigint",
            "max_output_tokens": "bigint",
            "deprecated": "boolean",
            "source": "text",
            "source_version": "text",
            "source_digest": "text",
        },
    ),
    _Table(
        "price",
        "price_versions",
        ("published", "ended"),
        {
            "organization": "uuid",
            "kind": "text",
            "provider": "text",
            "model": "text",
            "currency": "text",
            "components": "jsonb",
            "variants": "jsonb",
            "daily_from": "integer",
            "daily_to": "integer",
            **_VALID,
            "source": "text",
            "source_version": "text",
            "approved_by": "text",
            "published_at": "timestamptz",
        },
    ),
    _Table(
        "price_change",
        "price_changes",
        ("proposed", "approved", "rejected", "superseded"),
        {
            "provider": "text",
            "model": "text",
            "status": "text",
            "current": "jsonb",
            "proposal": "jsonb",
            "source": "text",
            "source_version": "text",
            "source_digest": "text",
            "proposed_at": "timestamptz",
            "decided_at": "timestamptz",
            "decided_by": "text",
            "reason": "text",
        },
        seen_by_gate=False,
    ),
    _Table(
        "tool_price",
        "tool_prices",
        ("published", "ended"),
        {
            "organization": "uuid",
            "pattern": "text",
            "unit": "text",
            "amount": "bigint",
            "per": "integer",
            "currency": "text",
            **_VALID,
            "source": "text",
            "published_at": "timestamptz",
        },
    ),
    _Table(
        "fx_rate",
        "fx_rates",
        ("entered", "ended"),
        {
            "base": "text",
            "quote": "text",
            "rate": "bigint",
            "markup_ppm": "bigint",
            **_VALID,
            "source": "text",
            "published_at": "timestamptz",
        },
    ),
    _Table(
        "markup",
        "markups",
        ("set", "ended"),
        {"organization": "uuid", "ppm": "bigint", **_VALID, "reason": "text", "published_at": "timestamptz"},
    ),
)


def register_all() -> None:
    """This function will register the projectors of the price book."""
    for table in _TABLES:
        register(_projector(table))


def _projector(table: _Table) -> Projector:
    types = frozenset(f"{table.stream_type}.{verb}" for verb in table.verbs)
    return Projector(
        name=f"spend.{table.name}",
        wants=lambda event: event.type in types,
        project=_projection(table),
        tables=(ProjectedTable(table.name, ("id",)),),
    )


def _projection(table: _Table) -> Callable[[Cursor, Sequence[Event]], None]:
    statement = _statement(table)

    def project(cur: Cursor, events: Sequence[Event]) -> None:
        rows = list({event.stream_id: event for event in events}.values())
        columns: list[list[Any]] = [[event.stream_id for event in rows], [event.version for event in rows]]
        for name, kind in table.columns.items():
            columns.append([_value(kind, _field(event, name)) for event in rows])
        cur.execute(statement, columns)
        if table.seen_by_gate:
            raise_config_epoch(cur, Counter(event.organization for event in events))

    return project


def _statement(table: _Table) -> str:
    columns = {"id": "uuid", "version": "integer", **table.columns}
    # An array of arrays has one shape in SQL, so array columns travel as text and are cast row by row.
    sent = ", ".join("%s::text[]" if kind.endswith("[]") else f"%s::{kind}[]" for kind in columns.values())
    taken = ", ".join(f"{name}::{kind}" if kind.endswith("[]") else name for name, kind in columns.items())
    changed = ", ".join(f"{name} = EXCLUDED.{name}" for name in columns if name not in ("id", "organization"))
    names = ", ".join(columns)
    return (
        f"INSERT INTO {table.name} ({names}) SELECT {taken} FROM unnest({sent}) AS e({names}) "
        f"ON CONFLICT (id) DO UPDATE SET {changed}"
    )


def _field(event: Event, name: str) -> Any:
    return event.organization if name == "organization" else event.data.get(name)


def _value(kind: str, value: Any) -> Any:
    if value is None:
        return None
    if kind == "jsonb":
        return encode(value).decode()
    if kind.endswith("[]"):
        return "{" + ",".join(value) + "}"  # names of providers hold nothing that an array literal must quote
    return value
