"""Recognition schedules, recognised months, accounting periods and closed months."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import NAMESPACE_OID, UUID, uuid5

from events.store import Cursor, Event, ProjectedTable, Projector, encode, register
from orgs.defining import DefinedTable

SCHEDULE_EVENTS: Final = frozenset(
    {"invoice.finalized", "invoice.credited", "invoice.voided", "recognition.recognised"}
)
"""Whose events may carry `schedules`: whole rows, of which the last one counts."""
SCHEDULE_COLUMNS: Final = {
    "id": "uuid",
    "organization": "uuid",
    "invoice_id": "uuid",
    "line": "integer",
    "item_id": "uuid",
    "subscription": "uuid",
    "currency": "text",
    "billed": "bigint",
    "included": "bigint",
    "changes": "jsonb",
    "amount": "bigint",
    "service_start": "timestamptz",
    "service_end": "timestamptz",
    "method": "text",
    "zone": "text",
    "opened_at": "timestamptz",
    "ended_at": "timestamptz",
    "recognised": "bigint",
    "recognised_until": "timestamptz",
    "next_at": "timestamptz",
    "status": "text",
    "version": "integer",
}
RECOGNISED_MONTHS: Final = DefinedTable(
    "recognition",
    "recognised_months",
    {"month": "date", "amount": "bigint", "booked_at": "timestamptz"},
)
ACCOUNTING_PERIODS: Final = DefinedTable(
    "accounting_period",
    "accounting_periods",
    {
        "legal_entity": "uuid",
        "month": "date",
        "status": "text",
        "reason": "text",
        "changed_at": "timestamptz",
        "changed_by": "text",
    },
)
CLOSED_MONTHS: Final = DefinedTable(
    "books",
    "closed_months",
    {
        "legal_entity": "uuid",
        "month": "date",
        "ends_at": "timestamptz",
        "status": "text",
        "balances": "jsonb",
        "closed_until": "timestamptz",
    },
)
_UPSERT: Final = (
    f"INSERT INTO recognition_schedules ({', '.join(SCHEDULE_COLUMNS)}) "
    f"SELECT * FROM unnest({', '.join(f'%s::{kind}[]' for kind in SCHEDULE_COLUMNS.values())}) "
    "ON CONFLICT (id) DO UPDATE SET "
    + ", ".join(f"{name} = EXCLUDED.{name}" for name in SCHEDULE_COLUMNS if name != "id")
)


def stream_of(stream: str, owner: UUID, month: str) -> UUID:
    """Return the id of the stream of an owner's month: there is one for each, for ever."""
    return uuid5(NAMESPACE_OID, f"{stream}:{owner}:{month}")


def project_schedules(cur: Cursor, events: Sequence[Event]) -> None:
    """This function will write each schedule as the last event that names it defines it."""
    last: dict[str, dict[str, Any]] = {}
    for event in events:
        for row in event.data.get("schedules", ()):
            last[row["id"]] = row
    if last:
        cur.execute(_UPSERT, [[_value(row, name) for row in last.values()] for name in SCHEDULE_COLUMNS])


def _value(row: dict[str, Any], name: str) -> Any:
    return encode(row[name]).decode() if name == "changes" else row[name]


def register_all() -> None:
    """This function will register the projectors of recognition and of closed months."""
    register(
        Projector(
            "billing.recognition_schedules",
            lambda event: event.type in SCHEDULE_EVENTS,
            project_schedules,
            (ProjectedTable("recognition_schedules", ("id",)),),
        )
    )
    for table in (RECOGNISED_MONTHS, ACCOUNTING_PERIODS, CLOSED_MONTHS):
        table.register("billing")
