"""Items that wait for an invoice."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from billing.rules.invoices import treatment_of
from billing.rules.tax import TaxPending, Treatment
from common.errors import NotFound
from events.store import Cursor

_COLUMNS: Final = """
id, kind, description, currency, amount, quantity, subscription, contract, charge_key, plan_version, service_start,
service_end, due_at, discountable, tax_code, steps::text, credits, included, recognition, source, created_at,
invoice_id, line
"""
# What is credited is billed first: an item that a void invoice gave back comes with the credit that takes it back.
_OPEN: Final = f"""
SELECT {_COLUMNS} FROM invoice_items i WHERE organization = %(organization)s AND invoice_id IS NULL
    AND (due_at <= %(until)s OR EXISTS (SELECT FROM invoice_items c WHERE c.organization = i.organization
        AND c.credits = i.id AND c.invoice_id IS NULL AND c.due_at <= %(until)s))
ORDER BY due_at, id
"""
_INVOICED: Final = """
SELECT DISTINCT ON (l.item_id) l.item_id, l.amount, l.discount
FROM invoice_lines l JOIN invoices v ON v.id = l.invoice_id
WHERE l.item_id = ANY(%s::uuid[]) AND v.status <> 'void' ORDER BY l.item_id, l.invoice_id DESC
"""
_TREATMENTS: Final = """
SELECT DISTINCT ON (l.item_id) l.item_id, l.treatment::text
FROM invoice_lines l JOIN invoices v ON v.id = l.invoice_id
WHERE l.item_id = ANY(%(items)s::uuid[]) AND v.status <> 'void' AND l.invoice_id IS DISTINCT FROM %(but)s::uuid
ORDER BY l.item_id, l.invoice_id DESC
"""
_OF_INVOICE: Final = f"SELECT {_COLUMNS} FROM invoice_items WHERE invoice_id = %s ORDER BY line"
_LIST: Final = f"""
SELECT {_COLUMNS} FROM invoice_items WHERE organization = %(organization)s
    AND (%(open)s::boolean IS NULL OR (invoice_id IS NULL) = %(open)s) AND (%(before)s::uuid IS NULL OR id < %(before)s)
ORDER BY id DESC LIMIT %(limit)s
"""
_NOTED: Final = """
SELECT l.item_id, sum((p->>'net')::bigint) FROM invoice_lines l JOIN credit_notes n ON n.invoice_id = l.invoice_id,
    jsonb_array_elements(n.lines) p
WHERE l.item_id = ANY(%s::uuid[]) AND (p->>'line')::integer = l.n GROUP BY 1
"""
_STANDING: Final = """
SELECT i.id, i.amount, (SELECT COALESCE(-sum(c.amount), 0)::bigint FROM invoice_items c
        WHERE c.organization = i.organization AND c.credits = i.id),
    CASE WHEN i.invoice_id IS NULL THEN i.due_at END
FROM invoice_items i WHERE i.id = ANY(%s::uuid[])
"""
_CREDITED: Final = """
SELECT l.n, sum(-c.amount) FROM invoice_lines l JOIN invoice_items c ON c.credits = l.item_id
WHERE l.invoice_id = %s AND c.invoice_id IS DISTINCT FROM l.invoice_id GROUP BY 1
"""


@dataclass(frozen=True, slots=True)
class Item:
    """An item's row; money in units at its currency's precision, `steps` JSON."""

    id: UUID
    kind: str
    description: str
    currency: str
    amount: int
    quantity: str | None
    subscription: UUID | None
    contract: UUID | None
    charge_key: str | None
    plan_version: UUID | None
    service_start: datetime | None
    service_end: datetime | None
    due_at: datetime
    discountable: bool
    tax_code: str
    steps: str
    credits: UUID | None
    included: int
    recognition: str
    source: str
    created_at: datetime
    invoice_id: UUID | None
    line: int | None


class StandingItem(NamedTuple):
    """An item's `amount` and what later items `credited` of it, in units; `due_at`: None once an invoice has it."""

    item: UUID
    amount: int
    credited: int
    due_at: datetime | None


def standing_items(cur: Cursor, items: list[UUID]) -> list[StandingItem]:
    """Return how these items stand."""
    rows = cur.execute(_STANDING, (items,)).fetchall() if items else ()
    return [StandingItem._make(row) for row in rows]


def open_items(cur: Cursor, organization: UUID, until: datetime) -> list[Item]:
    """Return the items that no invoice has and that are due by then, or are taken back by one that is, in the order in
    which they fell due."""
    values = {"organization": organization, "until": until}
    return [Item(*row) for row in cur.execute(_OPEN, values).fetchall()]


def items_of(cur: Cursor, invoice: UUID) -> list[Item]:
    """Return the items that an invoice took."""
    return [Item(*row) for row in cur.execute(_OF_INVOICE, (invoice,)).fetchall()]


def list_items(
    cur: Cursor, *, organization: UUID, is_open: bool | None, before: UUID | None, limit: int
) -> list[Item]:
    """Return an organization's items, newest first: all, those without an invoice, or those with one."""
    given: dict[str, Any] = {"organization": organization, "open": is_open, "before": before, "limit": limit}
    return [Item(*row) for row in cur.execute(_LIST, given).fetchall()]


def find_item(cur: Cursor, *, organization: UUID, item: UUID) -> Item:
    """Return one item. Raises NotFound, also for another organization's."""
    row = cur.execute(
        f"SELECT {_COLUMNS} FROM invoice_items WHERE organization = %s AND id = %s", (organization, item)
    ).fetchone()
    if row is None:
        raise NotFound("There is no such invoice item.")
    return Item(*row)


def organization_of_item(cur: Cursor, item: UUID) -> UUID:
    """Return whose item it is; for the platform's own requests only. Raises NotFound."""
    row = cur.execute("SELECT organization FROM invoice_items WHERE id = %s", (item,)).fetchone()
    if row is None:
        raise NotFound("There is no such invoice item.")
    owner: UUID = row[0]
    return owner


def noted_of_items(cur: Cursor, items: list[UUID]) -> dict[UUID, int]:
    """Return what credit notes took back of items, net in units, where they took anything."""
    rows = cur.execute(_NOTED, (items,)).fetchall() if items else ()
    return {item: int(net) for item, net in rows}


def invoiced_of_items(cur: Cursor, items: list[UUID]) -> dict[UUID, tuple[int, int]]:
    """Return what stands on living invoices of items: the amount, and what coupons took off it. Units."""
    rows = cur.execute(_INVOICED, (items,)).fetchall() if items else ()
    return {item: (amount, discount) for item, amount, discount in rows}


def treatments_of_items(
    cur: Cursor, items: Sequence[UUID], *, but: UUID | None = None
) -> dict[UUID, Treatment | TaxPending]:
    """Return how items are taxed on the living invoices that have them, `but` one; what none has is left out."""
    rows = cur.execute(_TREATMENTS, {"items": list(items), "but": but}).fetchall() if items else ()
    return {
        item: TaxPending("") if taxed is None else treatment_of(json.loads(taxed)) for item, taxed in rows
    }


def credited_by_items(cur: Cursor, invoice: UUID) -> dict[int, int]:
    """Return what later items, on other invoices or on none yet, take back of an invoice's lines: net units by the
    line's number."""
    return {number: int(net) for number, net in cur.execute(_CREDITED, (invoice,)).fetchall()}
