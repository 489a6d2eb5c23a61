"""Payments, their refunds, disputes and effects, and payouts of the platform."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from billing.rules.payments.row import Payment
from common.errors import NotFound
from events.store import Cursor

_JSON: Final = frozenset({"failure", "refunds", "disputes", "balances", "warnings", "applied"})
_NAMES: Final = tuple(field.name for field in fields(Payment))
_SELECT: Final = (
    "SELECT "
    + ", ".join(f"p.{name}::text" if name in _JSON else f"p.{name}" for name in _NAMES)
    + " FROM payments p"
)
_LIST: Final = f"""
{_SELECT} WHERE p.organization = %(organization)s AND (%(status)s::text IS NULL OR p.status = %(status)s)
    AND (%(purpose)s::text IS NULL OR p.purpose = %(purpose)s)
    AND (%(invoice)s::uuid IS NULL OR p.invoice_id = %(invoice)s)
    AND (%(before)s::uuid IS NULL OR p.id < %(before)s)
ORDER BY p.id DESC LIMIT %(limit)s
"""
_NOTES: Final = """
SELECT (SELECT coalesce(sum(credit), 0) FROM credit_notes WHERE invoice_id = %(invoice)s)
    - (SELECT coalesce(sum(note_taken), 0) FROM payments WHERE invoice_id = %(invoice)s)
"""
_CASE: Final = f"""
{
    _SELECT.replace(
        " FROM",
        ", c.customer, EXISTS (SELECT FROM findings f WHERE f.organization = p.organization"
        " AND f.kind = %(kind)s AND f.subject = %(subject)s AND f.status = 'open') FROM",
    )
}
LEFT JOIN payment_customers c ON c.organization = p.organization
WHERE p.organization = %(organization)s AND p.id = %(payment)s
"""
_DISPUTES: Final = """
SELECT id, organization, payment_id, amount, currency, status, reason, withdrawn, fee, evidence_due_by, created_at
FROM disputes WHERE organization = %(organization)s AND (%(status)s::text IS NULL OR status = %(status)s)
    AND (%(before)s::text IS NULL OR id < %(before)s) ORDER BY id DESC LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class DisputeRow:
    """A dispute, in units; `withdrawn` is what the processor took and did not bring back."""

    id: str
    organization: UUID
    payment: UUID
    amount: int
    currency: str
    status: str
    reason: str
    withdrawn: int
    fee: int
    evidence_due_by: datetime | None
    created_at: datetime


def find_payment(cur: Cursor, *, organization: UUID, payment: UUID) -> Payment:
    """Return one payment. Raises NotFound, also for another organization's."""
    row = cur.execute(
        f"{_SELECT} WHERE p.organization = %s AND p.id = %s", (organization, payment)
    ).fetchone()
    if row is None:
        raise NotFound("There is no such payment.")
    return _payment(row)


def payment_case(
    cur: Cursor, *, organization: UUID, payment: UUID, finding: str, subject: str
) -> tuple[Payment, str | None, bool]:
    """Return one payment, who its organization is at the processor, and whether a finding of this kind about this
    subject of it is open. Raises NotFound."""
    given = {"organization": organization, "payment": payment, "kind": finding, "subject": subject}
    row = cur.execute(_CASE, given).fetchone()
    if row is None:
        raise NotFound("There is no such payment.")
    return _payment(row[:-2]), row[-2], row[-1]


def organization_of_payment(cur: Cursor, payment: UUID) -> UUID:
    """Return whose payment it is; for the platform's own requests only. Raises NotFound."""
    row = cur.execute("SELECT organization FROM payments WHERE id = %s", (payment,)).fetchone()
    if row is None:
        raise NotFound("There is no such payment.")
    owner: UUID = row[0]
    return owner


def payment_named(
    cur: Cursor, *, payment: UUID | None = None, intent: str | None = None, charge: str | None = None
) -> Payment | None:
    """Return the payment of this payment intent, else of this charge, else of this id of ours: what anybody at the
    processor may write names one that is not known otherwise."""
    row = _named(cur, _SELECT, payment, intent, charge)
    return None if row is None else _payment(row)


def place_of_payment(
    cur: Cursor, *, payment: UUID | None = None, intent: str | None = None, charge: str | None = None
) -> tuple[UUID, UUID] | None:
    """Return whose the payment is that `payment_named` returns, and its id: they never change."""
    row = _named(cur, "SELECT p.organization, p.id FROM payments p", payment, intent, charge)
    return None if row is None else (row[0], row[1])


def _named(
    cur: Cursor, select: str, payment: UUID | None, intent: str | None, charge: str | None
) -> tuple[Any, ...] | None:
    for column, value in (("intent", intent), ("charge", charge), ("id", payment)):
        if value is not None:
            row: tuple[Any, ...] | None = cur.execute(f"{select} WHERE p.{column} = %s", (value,)).fetchone()
            if row is not None:
                return row
    return None


def list_payments(
    cur: Cursor,
    *,
    organization: UUID,
    status: str | None = None,
    purpose: str | None = None,
    invoice: UUID | None = None,
    before: UUID | None = None,
    limit: int,
) -> list[Payment]:
    """Return an organization's payments, newest first."""
    given = {
        "organization": organization,
        "status": status,
        "purpose": purpose,
        "invoice": invoice,
        "before": before,
        "limit": limit,
    }
    return [_payment(row) for row in cur.execute(_LIST, given).fetchall()]


def list_disputes(
    cur: Cursor, *, organization: UUID, status: str | None, before: str | None, limit: int
) -> list[DisputeRow]:
    """Return an organization's disputes."""
    given = {"organization": organization, "status": status, "before": before, "limit": limit}
    return [DisputeRow(*row) for row in cur.execute(_DISPUTES, given).fetchall()]


def has_effect(cur: Cursor, source: str) -> bool:
    """Whether what an object of the processor brought is in the books of a payment."""
    statement = "SELECT EXISTS (SELECT FROM effects WHERE source = %s AND effect_key = source)"
    return cur.execute(statement, (source,)).fetchone() == (True,)


def note_credit_left(cur: Cursor, invoice: UUID) -> int:
    """Return the credit (units) that an invoice's credit notes gave and that no money that went back has taken."""
    row = cur.execute(_NOTES, {"invoice": invoice}).fetchone()
    assert row is not None
    return max(0, int(row[0]))


def _payment(row: tuple[Any, ...]) -> Payment:
    values = dict(zip(_NAMES, row, strict=True))
    for name in _JSON:
        values[name] = None if values[name] is None else json.loads(values[name])
    values["applied"] = tuple(values["applied"])
    return Payment(**values)
