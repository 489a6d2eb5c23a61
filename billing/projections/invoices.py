"""Invoices, their lines, payments, credit notes and numbers, and where each customer's billing stands."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import NAMESPACE_OID, UUID, uuid5

from billing.rules.cycles import cycle_end
from events.store import Cursor, Event, ProjectedTable, Projector, register
from orgs.defining import DefinedTable, as_json

INVOICES: Final = DefinedTable(
    "invoice",
    "invoices",
    {
        "status": "text",
        "cause": "text",
        "currency": "text",
        "legal_entity": "uuid",
        "series": "text",
        "year": "integer",
        "counter": "bigint",
        "number": "text",
        "seller": "jsonb",
        "customer": "jsonb",
        "purchase_order": "text",
        "dated_at": "timestamptz",
        "period_start": "timestamptz",
        "period_end": "timestamptz",
        "net_days": "integer",
        "finalize_at": "timestamptz",
        "due_at": "timestamptz",
        "subtotal": "bigint",
        "discount": "bigint",
        "net": "bigint",
        "tax": "bigint",
        "total": "bigint",
        "discounts": "jsonb",
        "taxes": "jsonb",
        "usage": "jsonb",
        "paid": "bigint",
        "credited": "bigint",
        "written_off": "bigint",
        "entry": "uuid",
        "created_at": "timestamptz",
        "finalized_at": "timestamptz",
        "sent_at": "timestamptz",
        "paid_at": "timestamptz",
        "voided_at": "timestamptz",
        "uncollectible_at": "timestamptz",
        "error": "text",
        "progressive": "jsonb",
    },
)
CREDIT_NOTES: Final = DefinedTable(
    "credit_note",
    "credit_notes",
    {
        "invoice_id": "uuid",
        "currency": "text",
        "legal_entity": "uuid",
        "series": "text",
        "year": "integer",
        "counter": "bigint",
        "number": "text",
        "reason": "text",
        "dated_at": "timestamptz",
        "net": "bigint",
        "tax": "bigint",
        "total": "bigint",
        "receivable": "bigint",
        "credit": "bigint",
        "taxes": "jsonb",
        "lines": "jsonb",
        "entry": "uuid",
    },
)
LINE_COLUMNS: Final = {
    "invoice_id": "uuid",
    "n": "integer",
    "organization": "uuid",
    "kind": "text",
    "description": "text",
    "quantity": "text",
    "charge": "bigint",
    "funded": "jsonb",
    "amount": "bigint",
    "remainder": "bigint",
    "discount": "bigint",
    "net": "bigint",
    "tax": "bigint",
    "tax_code": "text",
    "treatment": "jsonb",
    "account": "text",
    "service_start": "timestamptz",
    "service_end": "timestamptz",
    "item_id": "uuid",
    "subscription": "uuid",
    "contract": "uuid",
    "charge_key": "text",
    "plan_version": "uuid",
    "detail": "jsonb",
}
PAYMENT_COLUMNS: Final = {
    "id": "uuid",
    "organization": "uuid",
    "invoice_id": "uuid",
    "amount": "bigint",
    "applied": "bigint",
    "method": "text",
    "reference": "text",
    "paid_at": "timestamptz",
    "entry": "uuid",
}
CUSTOMER_COLUMNS: Final = {
    "organization": "uuid",
    "next_at": "timestamptz",
    "cycle_start": "timestamptz",
    "cut": "jsonb",
    "open_ranges": "jsonb",
    "threshold": "bigint",
    "progressive": "jsonb",
    "version": "integer",
}


def _insert(table: str, columns: Mapping[str, str]) -> str:
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) "
        f"SELECT * FROM unnest({', '.join(f'%s::{kind}[]' for kind in columns.values())})"
    )


def _upsert(table: str, columns: Mapping[str, str], key: Sequence[str]) -> str:
    set_to = ", ".join(f"{name} = EXCLUDED.{name}" for name in columns if name not in key)
    return f"{_insert(table, columns)} ON CONFLICT ({', '.join(key)}) DO UPDATE SET {set_to}"


_LINES: Final = _upsert("invoice_lines", LINE_COLUMNS, ("invoice_id", "n"))
_PAYMENTS: Final = _insert("invoice_payments", PAYMENT_COLUMNS)
_CUSTOMERS: Final = _upsert("billing_customers", CUSTOMER_COLUMNS, ("organization",))
_NUMBERS: Final = """
INSERT INTO invoice_numbers AS n (legal_entity, series, year, last)
SELECT * FROM unnest(%s::uuid[], %s::text[], %s::integer[], %s::bigint[])
ON CONFLICT (legal_entity, series, year) DO UPDATE SET last = greatest(n.last, EXCLUDED.last)
"""


def billing_stream(organization: UUID | str) -> UUID:
    """Return the id of the stream that tells where a customer's billing stands: there is one for each, for ever."""
    return uuid5(NAMESPACE_OID, f"billing:{organization}")


def project_invoices(cur: Cursor, events: Sequence[Event]) -> None:
    """This function will write lines and payments, then the invoices: a finalised invoice takes no line any more."""
    lines = {(str(event.stream_id), line["n"]): (event, line) for event, line in _parts(events, "lines")}
    _write(cur, _LINES, LINE_COLUMNS, [_line(event, line) for event, line in lines.values()])
    payments = [_payment(event, payment) for event, payment in _parts(events, "payments")]
    _write(cur, _PAYMENTS, PAYMENT_COLUMNS, payments)
    INVOICES.project(cur, events)


def project_numbers(cur: Cursor, events: Sequence[Event]) -> None:
    """This function will raise each series' last number to the highest that was given out."""
    last: dict[tuple[str, str, int], int] = {}
    for event in events:
        data = event.data
        key = data["legal_entity"], data["series"], data["year"]
        last[key] = max(last.get(key, 0), data["counter"])
    rows = sorted((*key, counter) for key, counter in last.items())
    cur.execute(_NUMBERS, [list(column) for column in zip(*rows, strict=True)])


def project_customers(cur: Cursor, events: Sequence[Event]) -> None:
    """This function will write where a customer's billing stands, from the beginning of the customer on."""
    rows = {str(event.organization): _customer(event) for event in events}
    _write(cur, _CUSTOMERS, CUSTOMER_COLUMNS, list(rows.values()))


def _customer(event: Event) -> dict[str, Any]:
    data = event.data
    if event.stream_type == "billing_cycle":
        return {**data, "organization": event.organization, "version": event.version}
    start = datetime.fromisoformat(data["created_at"])
    return {
        "organization": event.organization,
        "next_at": cycle_end(start, zone=data["time_zone"]),
        "cycle_start": start,
        "cut": None,
        "open_ranges": [],
        "threshold": None,
        "progressive": None,
        "version": 0,
    }


def _line(event: Event, line: Mapping[str, Any]) -> dict[str, Any]:
    return {**line, "invoice_id": event.stream_id, "organization": event.organization}


def _payment(event: Event, payment: Mapping[str, Any]) -> dict[str, Any]:
    return {**payment, "invoice_id": event.stream_id, "organization": event.organization}


def _parts(events: Iterable[Event], name: str) -> list[tuple[Event, dict[str, Any]]]:
    return [(event, part) for event in events for part in event.data.get(name, ())]


def _write(cur: Cursor, sql: str, columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        cur.execute(sql, [_column(rows, name, kind) for name, kind in columns.items()])


def _column(rows: Sequence[Mapping[str, Any]], name: str, kind: str) -> list[Any]:
    values = [row.get(name) for row in rows]
    return [as_json(value) for value in values] if kind == "jsonb" else values


def register_all() -> None:
    """This function will register the projectors of invoices and of where billing stands."""
    register(
        Projector(
            "billing.customers",
            lambda event: event.type == "organization.created" or event.stream_type == "billing_cycle",
            _customers_only,
            (ProjectedTable("billing_customers", ("organization",)),),
        )
    )
    register(
        Projector(
            "billing.invoices",
            lambda event: event.type.startswith("invoice."),
            project_invoices,
            (
                ProjectedTable("invoice_lines", ("invoice_id", "n")),
                ProjectedTable("invoice_payments", ("id",)),
                ProjectedTable("invoices", ("id",)),
            ),
        )
    )
    CREDIT_NOTES.register("billing")
    register(
        Projector(
            "billing.numbers",
            lambda event: event.type in ("invoice.finalized", "credit_note.issued"),
            project_numbers,
            (ProjectedTable("invoice_numbers", ("legal_entity", "series", "year")),),
        )
    )


def _customers_only(cur: Cursor, events: Sequence[Event]) -> None:
    """The platform's own organization owes itself nothing."""
    project_customers(cur, [event for event in events if not event.data.get("is_platform")])
