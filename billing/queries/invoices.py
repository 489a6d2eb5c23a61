"""Invoices with their lines, payments and credit notes."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from billing.projections.invoices import LINE_COLUMNS
from billing.rules.invoices import Invoice
from billing.rules.usagelines import SOURCES
from common.errors import NotFound
from events.store import Cursor

_decode: Final = msgspec.json.Decoder().decode
_JSON: Final = frozenset({"seller", "customer", "discounts", "taxes", "usage", "progressive"})
_NAMES: Final = tuple(field.name for field in fields(Invoice))
_COLUMNS: Final = ", ".join(f"{name}::text" if name in _JSON else name for name in _NAMES)
_FIND: Final = f"SELECT {_COLUMNS} FROM invoices WHERE organization = %s AND id = %s"
_LIST: Final = f"""
SELECT {_COLUMNS} FROM invoices WHERE organization = %(organization)s
    AND (%(status)s::text IS NULL OR status = %(status)s) AND (%(before)s::uuid IS NULL OR id < %(before)s)
    AND (%(number)s::text IS NULL OR number = %(number)s)
ORDER BY id DESC LIMIT %(limit)s
"""
_UNPAID: Final = f"""
SELECT {_COLUMNS} FROM invoices WHERE organization = %s AND status IN ('open', 'uncollectible') ORDER BY due_at, id
"""
_WAITING: Final = f"""
SELECT {_COLUMNS} FROM invoices WHERE organization = %(organization)s
    AND (status = 'tax_pending' OR status = 'failed' AND (error = %(error)s OR starts_with(error, %(prefix)s)))
ORDER BY id
"""
_LINE_NAMES: Final = tuple(LINE_COLUMNS)
LINE_SELECT: Final = ", ".join(
    f"l.{name}::text" if kind == "jsonb" else f"l.{name}" for name, kind in LINE_COLUMNS.items()
)
_LINES: Final = f"""
SELECT {LINE_SELECT} FROM invoice_lines l WHERE l.invoice_id = %(invoice)s
    AND (%(n)s::integer IS NULL OR l.n = %(n)s) AND l.n > %(after)s ORDER BY l.n LIMIT %(limit)s
"""
_PAYMENTS: Final = """
SELECT id, amount, applied, method, reference, paid_at, entry FROM invoice_payments WHERE invoice_id = %s ORDER BY id
"""
_SAME_PAYMENT: Final = """
SELECT EXISTS (SELECT FROM invoice_payments WHERE organization = %s AND method = %s AND reference = %s)
"""
_NOTES: Final = """
SELECT id, organization, invoice_id, currency, number, reason, dated_at, net, tax, total, receivable, credit,
    taxes::text, lines::text, entry FROM credit_notes
"""


@dataclass(frozen=True, slots=True)
class LineRow:
    """A line of an invoice, as its table has it; money in units."""

    invoice_id: UUID
    n: int
    organization: UUID
    kind: str
    description: str
    quantity: str | None
    charge: int
    funded: dict[str, int]
    amount: int
    remainder: int
    discount: int
    net: int
    tax: int
    tax_code: str
    treatment: dict[str, Any] | None
    account: str
    service_start: datetime | None
    service_end: datetime | None
    item_id: UUID | None
    subscription: UUID | None
    contract: UUID | None
    charge_key: str | None
    plan_version: UUID | None
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Payment:
    """What was paid on an invoice, in units; `applied` of it settled the invoice, the rest became credit."""

    id: UUID
    amount: int
    applied: int
    method: str
    reference: str
    paid_at: datetime
    entry: UUID


@dataclass(frozen=True, slots=True)
class CreditNote:
    """What an invoice was corrected by, in units."""

    id: UUID
    organization: UUID
    invoice_id: UUID
    currency: str
    number: str
    reason: str
    dated_at: datetime
    net: int
    tax: int
    total: int
    receivable: int
    credit: int
    taxes: list[dict[str, Any]]
    lines: list[dict[str, Any]]
    entry: UUID


def find_invoice(cur: Cursor, *, organization: UUID, invoice: UUID) -> Invoice:
    """Return one invoice. Raises NotFound, also for another organization's."""
    row = cur.execute(_FIND, (organization, invoice)).fetchone()
    if row is None:
        raise NotFound("There is no such invoice.")
    return _invoice(row)


def unpaid_invoices(cur: Cursor, *, organization: UUID) -> list[Invoice]:
    """Return the invoices that a customer has to pay, also those that were written off, the longest due first."""
    return [_invoice(row) for row in cur.execute(_UNPAID, (organization,)).fetchall()]


def organization_of_invoice(cur: Cursor, invoice: UUID) -> UUID:
    """Return whose invoice it is; for the platform's own requests only. Raises NotFound."""
    row = cur.execute("SELECT organization FROM invoices WHERE id = %s", (invoice,)).fetchone()
    if row is None:
        raise NotFound("There is no such invoice.")
    owner: UUID = row[0]
    return owner


def list_invoices(
    cur: Cursor,
    *,
    organization: UUID,
    status: str | None,
    number: str | None,
    before: UUID | None,
    limit: int,
) -> list[Invoice]:
    """Return an organization's invoices, newest first."""
    given = {
        "organization": organization,
        "status": status,
        "number": number,
        "before": before,
        "limit": limit,
    }
    return [_invoice(row) for row in cur.execute(_LIST, given).fetchall()]


def invoices_waiting_for_tax(cur: Cursor, organization: UUID, *, error: str, prefix: str) -> list[Invoice]:
    """Return an organization's invoices that wait for their tax, also those that failed for it: with this error, or
    one that begins so."""
    given = {"organization": organization, "error": error, "prefix": prefix}
    return [_invoice(row) for row in cur.execute(_WAITING, given).fetchall()]


def lines_of(cur: Cursor, invoice: UUID, *, after: int = 0, limit: int | None = None) -> list[LineRow]:
    """Return the lines of an invoice in their order, from the one after `after` on: all of them, or up to `limit`."""
    given = {"invoice": invoice, "n": None, "after": after, "limit": limit}
    return [read_line(row) for row in cur.execute(_LINES, given).fetchall()]


def find_line(cur: Cursor, invoice: UUID, number: int) -> LineRow:
    """Return one line. Raises NotFound."""
    row = cur.execute(_LINES, {"invoice": invoice, "n": number, "after": 0, "limit": 1}).fetchone()
    if row is None:
        raise NotFound("The invoice has no such line.")
    return read_line(row)


def payments_of(cur: Cursor, invoice: UUID) -> list[Payment]:
    """Return what was paid on an invoice, oldest first."""
    return [Payment(*row) for row in cur.execute(_PAYMENTS, (invoice,)).fetchall()]


def is_known_payment(cur: Cursor, *, organization: UUID, method: str, reference: str) -> bool:
    """Return whether a payment with this method and reference was recorded before."""
    return cur.execute(_SAME_PAYMENT, (organization, method, reference)).fetchone() == (True,)


def notes_of(cur: Cursor, invoice: UUID) -> list[CreditNote]:
    """Return the credit notes of an invoice, oldest first."""
    return [_note(row) for row in cur.execute(f"{_NOTES} WHERE invoice_id = %s ORDER BY id", (invoice,))]


def find_note(cur: Cursor, *, organization: UUID, note: UUID) -> CreditNote:
    """Return one credit note. Raises NotFound, also for another organization's."""
    row = cur.execute(f"{_NOTES} WHERE organization = %s AND id = %s", (organization, note)).fetchone()
    if row is None:
        raise NotFound("There is no such credit note.")
    return _note(row)


def organization_of_note(cur: Cursor, note: UUID) -> UUID:
    """Return whose credit note it is; for the platform's own requests only. Raises NotFound."""
    row = cur.execute("SELECT organization FROM credit_notes WHERE id = %s", (note,)).fetchone()
    if row is None:
        raise NotFound("There is no such credit note.")
    owner: UUID = row[0]
    return owner


def list_notes(
    cur: Cursor, *, organization: UUID, invoice: UUID | None, before: UUID | None, limit: int
) -> list[CreditNote]:
    """Return an organization's credit notes, newest first."""
    where = (
        " WHERE organization = %(organization)s AND (%(invoice)s::uuid IS NULL OR invoice_id = %(invoice)s)"
        " AND (%(before)s::uuid IS NULL OR id < %(before)s) ORDER BY id DESC LIMIT %(limit)s"
    )
    given = {"organization": organization, "invoice": invoice, "before": before, "limit": limit}
    return [_note(row) for row in cur.execute(_NOTES + where, given)]


def _invoice(row: tuple[Any, ...]) -> Invoice:
    values = dict(zip(_NAMES, row, strict=True))
    for name in _JSON:
        values[name] = None if values[name] is None else _decode(values[name])
    return Invoice(**values)


def read_line(row: tuple[Any, ...]) -> LineRow:
    """Return the line of a row that was selected as LINE_SELECT."""
    values = dict(zip(_LINE_NAMES, row, strict=True))
    for name in ("funded", "treatment", "detail"):
        values[name] = None if values[name] is None else _decode(values[name])
    funded = values["funded"]  # jsonb has its own order of keys; the document shows that of the waterfall
    values["funded"] = {source: funded[source] for source in SOURCES if source in funded}
    return LineRow(**values)


def _note(row: tuple[Any, ...]) -> CreditNote:
    return CreditNote(*(*row[:-3], _decode(row[-3]), _decode(row[-2]), row[-1]))
