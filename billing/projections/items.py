"""Items of any billing event to rows of `invoice_items`, and which invoice has them."""

from collections.abc import Sequence
from typing import Any, Final

from events.store import Cursor, Event, ProjectedTable, Projector, encode, register

STREAMS: Final = frozenset({"contract", "invoice", "invoice_item", "subscription"})
"""Whose events may carry `items`; only an invoice's carry `taken` and `given_back`. The gate's are not asked."""

COLUMNS: Final = {
    "id": "uuid",
    "organization": "uuid",
    "kind": "text",
    "description": "text",
    "currency": "text",
    "amount": "bigint",
    "quantity": "text",
    "subscription": "uuid",
    "contract": "uuid",
    "charge_key": "text",
    "plan_version": "uuid",
    "service_start": "timestamptz",
    "service_end": "timestamptz",
    "due_at": "timestamptz",
    "discountable": "boolean",
    "tax_code": "text",
    "steps": "jsonb",
    "credits": "uuid",
    "included": "bigint",
    "recognition": "text",
    "source": "text",
    "created_at": "timestamptz",
    "invoice_id": "uuid",
    "line": "integer",
}

_INSERT: Final = (
    f"INSERT INTO invoice_items ({', '.join(COLUMNS)}) "
    f"SELECT * FROM unnest({', '.join(f'%s::{kind}[]' for kind in COLUMNS.values())})"
)
_TAKE: Final = """
UPDATE invoice_items i SET invoice_id = e.invoice, line = e.line, due_at = COALESCE(e.due, i.due_at)
FROM unnest(%s::uuid[], %s::uuid[], %s::integer[], %s::timestamptz[]) AS e(id, invoice, line, due) WHERE i.id = e.id
"""
_NOWHERE: Final = (None, None, None)
Taken = dict[str, tuple[Any, int | None, str | None]]


def project(cur: Cursor, events: Sequence[Event]) -> None:
    """This function will insert the items that events carry and note which invoice took them or gave them back."""
    made: dict[str, tuple[Event, dict[str, Any]]] = {}
    taken: Taken = {}
    for event in events:
        for item in event.data.get("items", ()):
            made[item["item"]] = event, item
        for name, line in event.data.get("taken", ()):
            taken[name] = event.stream_id, line, taken.get(name, _NOWHERE)[2]
        for name, due in event.data.get("given_back", ()):
            taken[name] = None, None, due
    rows = [_row(event, item, *taken.pop(name, _NOWHERE)) for name, (event, item) in made.items()]
    if rows:
        cur.execute(_INSERT, [list(column) for column in zip(*rows, strict=True)])
    if taken:
        moved = sorted((name, *where) for name, where in taken.items())
        cur.execute(_TAKE, [list(column) for column in zip(*moved, strict=True)])


def _row(event: Event, item: dict[str, Any], invoice: Any, line: int | None, due: str | None) -> list[Any]:
    known = {
        "id": item["item"],
        "organization": event.organization,
        "due_at": due or item["due_at"],
        "steps": encode(item["steps"]).decode(),
        "source": f"{event.stream_type}:{event.stream_id}",
        "created_at": event.occurred_at,
        "invoice_id": invoice,
        "line": line,
    }
    return [known[name] if name in known else item[name] for name in COLUMNS]


PROJECTOR: Final = Projector(
    name="billing.items",
    wants=lambda event: event.stream_type in STREAMS,
    project=project,
    tables=(ProjectedTable("invoice_items", ("id",)),),
)


def register_all() -> None:
    """This function will register the projector of invoice items."""
    register(PROJECTOR)
