"""Events of subscriptions to rows: the last definition of each, and the metered periods that ended."""

from collections.abc import Sequence
from typing import Any, Final

from billing.rules.subscriptions.decision import STREAM
from events.store import Cursor, Event, ProjectedTable, Projector, register
from orgs.defining import DefinedTable, as_json

TABLE: Final = DefinedTable(
    STREAM,
    "subscriptions",
    {
        "status": "text",
        "currency": "text",
        "funding": "text",
        "plan": "uuid",
        "plan_version": "uuid",
        "quantities": "jsonb",
        "add_ons": "jsonb",
        "zone": "text",
        "starts_at": "timestamptz",
        "interval_unit": "text",
        "interval_count": "integer",
        "anchor": "timestamp",
        "anchor_day": "integer",
        "cycle_start": "timestamptz",
        "trial_days": "integer",
        "trial_end": "timestamptz",
        "period_start": "timestamptz",
        "period_end": "timestamptz",
        "agreed": "jsonb",
        "fees": "jsonb",
        "allowances": "jsonb",
        "metered_since": "jsonb",
        "set_up": "jsonb",
        "coupons": "jsonb",
        "pending": "jsonb",
        "ending": "jsonb",
        "ends_at": "timestamptz",
        "paused_at": "timestamptz",
        "resumes_at": "timestamptz",
        "blocks": "jsonb",
        "ended_at": "timestamptz",
        "change_at": "timestamptz",
        "cancel_at": "timestamptz",
        "next_at": "timestamptz",
        "created_at": "timestamptz",
    },
)
COLUMNS: Final = {
    "id": "uuid",
    "organization": "uuid",
    "subscription": "uuid",
    "charge_key": "text",
    "meter": "text",
    "plan_version": "uuid",
    "start_at": "timestamptz",
    "end_at": "timestamptz",
    "created_at": "timestamptz",
    "window_start": "timestamptz",
    "window_end": "timestamptz",
    "interval": "text",
    "share": "text",
    "ahead": "text",
    "agreed": "jsonb",
    "invoice_id": "uuid",
    "line": "integer",
}
_INSERT: Final = (
    f"INSERT INTO metered_periods ({', '.join(COLUMNS)}) "
    f"SELECT * FROM unnest({', '.join(f'%s::{kind}[]' for kind in COLUMNS.values())})"
)
_TAKE: Final = """
UPDATE metered_periods p SET invoice_id = e.invoice, line = e.line
FROM unnest(%s::uuid[], %s::uuid[], %s::integer[]) AS e(id, invoice, line) WHERE p.id = e.id
"""


def _states_a_row(event: Event) -> bool:
    return event.stream_type == STREAM and "next_at" in event.data


def _is_about_metered(event: Event) -> bool:
    return event.stream_type in (STREAM, "invoice")


def project_rows(cur: Cursor, events: Sequence[Event]) -> None:
    """This function will write the last definition of each subscription; other events of the stream carry none."""
    rows = [event for event in events if _states_a_row(event)]
    if rows:
        TABLE.project(cur, rows)


def project_metered(cur: Cursor, events: Sequence[Event]) -> None:
    """This function will insert the metered periods that ended, and note which invoice took them (`metered_taken`:
    [period, line]) or gave them back (`metered_given_back`)."""
    made: dict[str, tuple[Event, dict[str, Any]]] = {}
    taken: dict[str, tuple[Any, int | None]] = {}
    for event in events:
        for one in event.data.get("metered", ()) if event.stream_type == STREAM else ():
            made[one["id"]] = event, one
        for name, line in event.data.get("metered_taken", ()):
            taken[name] = event.stream_id, line
        for name in event.data.get("metered_given_back", ()):
            taken[name] = None, None
    rows = [_metered(event, one, *taken.pop(name, (None, None))) for name, (event, one) in made.items()]
    if rows:
        cur.execute(_INSERT, [list(column) for column in zip(*rows, strict=True)])
    if taken:
        moved = sorted((name, invoice, line) for name, (invoice, line) in taken.items())
        cur.execute(_TAKE, [list(column) for column in zip(*moved, strict=True)])


def _metered(event: Event, one: dict[str, Any], invoice: Any, line: int | None) -> list[Any]:
    """Of an event that names no window, the period is its own."""
    window = one.get("window", [one["start"], one["end"]])
    return [
        one["id"], event.organization, one["subscription"], one["charge"], one["meter"], one["plan_version"],
        one["start"], one["end"], event.occurred_at, *window, one.get("interval", ""), one.get("share", "1"),
        one.get("ahead", "0"), as_json(one.get("agreed")), invoice, line,
    ]  # fmt: skip


def register_all() -> None:
    """This function will register the projectors of subscriptions and metered periods."""
    register(
        Projector(
            name="billing.subscriptions",
            wants=lambda event: event.stream_type == STREAM,
            project=project_rows,
            tables=(ProjectedTable("subscriptions", ("id",)),),
        )
    )
    register(
        Projector(
            name="billing.metered_periods",
            wants=_is_about_metered,
            project=project_metered,
            tables=(ProjectedTable("metered_periods", ("id",)),),
        )
    )
