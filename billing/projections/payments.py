"""Payments with their refunds and disputes, effects, payouts of the platform, findings and automatic top-ups."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from events.store import Cursor, Event, ProjectedTable, Projector, register
from orgs.defining import DefinedTable

PAYMENTS: Final = DefinedTable(
    "payment",
    "payments",
    {
        "purpose": "text",
        "invoice_id": "uuid",
        "cause": "text",
        "amount": "bigint",
        "currency": "text",
        "command": "uuid",
        "status": "text",
        "intent": "text",
        "charge": "text",
        "customer": "text",
        "method": "text",
        "failure": "jsonb",
        "received": "bigint",
        "settled": "bigint",
        "excess": "bigint",
        "refunded": "bigint",
        "disputed": "bigint",
        "credit_back": "bigint",
        "note_taken": "bigint",
        "invoice_back": "bigint",
        "reopened": "bigint",
        "beyond": "bigint",
        "fee": "bigint",
        "refunds": "jsonb",
        "disputes": "jsonb",
        "balances": "jsonb",
        "warnings": "jsonb",
        "applied": "jsonb",
        "created_at": "timestamptz",
        "paid_at": "timestamptz",
    },
)
REFUND_COLUMNS: Final = {
    "id": "text",
    "organization": "uuid",
    "payment_id": "uuid",
    "amount": "bigint",
    "currency": "text",
    "status": "text",
    "reason": "text",
    "failure_reason": "text",
    "created_at": "timestamptz",
}
DISPUTE_COLUMNS: Final = {
    "id": "text",
    "organization": "uuid",
    "payment_id": "uuid",
    "amount": "bigint",
    "currency": "text",
    "status": "text",
    "reason": "text",
    "withdrawn": "bigint",
    "fee": "bigint",
    "evidence_due_by": "timestamptz",
    "created_at": "timestamptz",
}
PAYOUTS: Final = DefinedTable(
    "processor_payout",
    "processor_payouts",
    {
        "payout": "text",
        "amount": "bigint",
        "currency": "text",
        "status": "text",
        "in_transit": "bigint",
        "arrived": "bigint",
        "fee": "bigint",
        "arrival": "timestamptz",
        "created_at": "timestamptz",
        "failure": "jsonb",
    },
)
FINDINGS: Final = DefinedTable(
    "finding",
    "findings",
    {
        "kind": "text",
        "subject": "text",
        "status": "text",
        "detail": "jsonb",
        "proposed": "jsonb",
        "assigned_to": "text",
        "notes": "jsonb",
        "opened_at": "timestamptz",
        "opened_by": "text",
        "resolved_at": "timestamptz",
        "resolved_by": "text",
        "resolution": "text",
    },
)
AUTO_TOP_UPS: Final = DefinedTable(
    "auto_top_up",
    "auto_top_ups",
    {
        "enabled": "boolean",
        "threshold": "bigint",
        "amount": "bigint",
        "currency": "text",
        "cool_off_seconds": "integer",
        "monthly_cap": "bigint",
        "status": "text",
        "failures": "integer",
        "stopped_reason": "text",
        "last_payment": "uuid",
        "last_at": "timestamptz",
    },
)
_EFFECTS: Final = """
INSERT INTO effects (source, effect_key, organization, occurred_at)
SELECT * FROM unnest(%s::text[], %s::text[], %s::uuid[], %s::timestamptz[])
"""
Row = dict[str, Any]


def _upsert(table: str, columns: Mapping[str, str]) -> str:
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) "
        f"SELECT * FROM unnest({', '.join(f'%s::{kind}[]' for kind in columns.values())}) "
        "ON CONFLICT (id) DO UPDATE SET "
        + ", ".join(f"{name} = EXCLUDED.{name}" for name in columns if name not in ("id", "organization"))
    )


_REFUNDS: Final = _upsert("refunds", REFUND_COLUMNS)
_DISPUTES: Final = _upsert("disputes", DISPUTE_COLUMNS)


def project_objects(cur: Cursor, events: Sequence[Event]) -> None:
    """This function will write each refund and dispute as the last event that names it defines it."""
    _write(cur, _REFUNDS, REFUND_COLUMNS, {row["id"]: row for event in events for row in _refunds(event)})
    _write(cur, _DISPUTES, DISPUTE_COLUMNS, {row["id"]: row for event in events for row in _disputes(event)})


def project_effects(cur: Cursor, events: Sequence[Event]) -> None:
    """This function will write each effect, once: a second one of its key is refused (W1)."""
    rows = [
        (source, key, event.organization, event.occurred_at)
        for event in events
        for source, key in event.data.get("effects", ())
    ]
    if rows:
        cur.execute(_EFFECTS, [list(column) for column in zip(*rows, strict=True)])


def _refunds(event: Event) -> Iterator[Row]:
    for name, row in event.data["refunds"].items():
        yield {**row, **_owner(event), "id": name}


def _disputes(event: Event) -> Iterator[Row]:
    done = frozenset(event.data["applied"])
    for name, row in event.data["disputes"].items():
        parts = [part for number, part in row["rows"].items() if f"dispute:{name}:{number}" in done]
        yield {
            **row,
            **_owner(event),
            "id": name,
            "withdrawn": sum(part["amount"] for part in parts),
            "fee": sum(part["fee"] for part in parts),
        }


def _owner(event: Event) -> Row:
    return {
        "organization": event.organization,
        "payment_id": event.stream_id,
        "currency": event.data["currency"],
    }


def _write(cur: Cursor, sql: str, columns: Mapping[str, str], rows: Mapping[str, Row]) -> None:
    if rows:
        cur.execute(sql, [[row.get(name) for row in rows.values()] for name in columns])


def register_all() -> None:
    """This function will register the projectors of payments and of what belongs to them."""
    for table in (PAYMENTS, PAYOUTS, FINDINGS, AUTO_TOP_UPS):
        table.register("billing")
    register(
        Projector(
            "billing.payment_objects",
            lambda event: event.type.startswith("payment."),
            project_objects,
            (ProjectedTable("refunds", ("id",)), ProjectedTable("disputes", ("id",))),
        )
    )
    register(
        Projector(
            "billing.effects",
            lambda event: event.type.startswith(("payment.", "processor_payout.", "mirrored_invoice.")),
            project_effects,
            (ProjectedTable("effects", ("source", "effect_key")),),
        )
    )
