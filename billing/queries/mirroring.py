"""Reading what is mirrored from the processor."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

import msgspec

from billing.rules.mirroring.rows import CreditPrice, MirroredInvoice, MirroredSubscription
from common.errors import NotFound
from events.store import Cursor

_SUBSCRIPTION: Final = """
SELECT organization, subscription, customer, status, items::text, period_start, period_end, cancel_at, ended_at,
    created_at, version FROM mirrored_subscriptions
"""
_INVOICE: Final = """
SELECT organization, invoice, subscription, customer, number, status, currency, total, paid, remaining, failed, due_at,
    paid_at, created_at, grant_id, credit, attempts, version FROM mirrored_invoices
"""
_PRICE: Final = """
SELECT price, name, credit, currency, lifetime_days, created_at, archived_at, version FROM credit_prices
"""
_OF: Final = """
 WHERE organization = %s AND (%s::text IS NULL OR {name} < %s) ORDER BY {name} DESC LIMIT %s
"""
_items = msgspec.json.Decoder(tuple[tuple[str, int], ...]).decode


def linked_customer(cur: Cursor, customer: str) -> tuple[UUID, int] | None:
    """Return which organization a customer at the processor was said to be, and the version of that."""
    row = cur.execute(
        "SELECT organization, version FROM mirrored_customers WHERE customer = %s", (customer,)
    ).fetchone()
    return None if row is None else (row[0], row[1])


def linked_customers(cur: Cursor, *, after: str | None, limit: int) -> list[tuple[Any, ...]]:
    """Return (customer, organization, when it was linked), by customer."""
    statement = (
        "SELECT customer, organization, linked_at FROM mirrored_customers"
        " WHERE (%s::text IS NULL OR customer > %s) ORDER BY customer LIMIT %s"
    )
    return cur.execute(statement, (after, after, limit)).fetchall()


def is_mirrored(cur: Cursor, customer: str) -> bool:
    """Whether something of this customer is mirrored."""
    row = cur.execute(
        "SELECT EXISTS (SELECT 1 FROM mirrored_subscriptions WHERE customer = %(it)s)"
        " OR EXISTS (SELECT 1 FROM mirrored_invoices WHERE customer = %(it)s)",
        {"it": customer},
    ).fetchone()
    return row == (True,)


def find_subscription(cur: Cursor, name: str) -> MirroredSubscription | None:
    """Return a mirrored subscription by its id at the processor."""
    row = cur.execute(_SUBSCRIPTION + " WHERE subscription = %s", (name,)).fetchone()
    return None if row is None else _subscription(row)


def list_subscriptions(
    cur: Cursor, *, organization: UUID, before: str | None, limit: int
) -> list[MirroredSubscription]:
    """Return an organization's mirrored subscriptions."""
    statement = _SUBSCRIPTION + _OF.format(name="subscription")
    return [
        _subscription(row) for row in cur.execute(statement, (organization, before, before, limit)).fetchall()
    ]


def find_invoice(cur: Cursor, name: str) -> MirroredInvoice | None:
    """Return a mirrored invoice by its id at the processor."""
    row = cur.execute(_INVOICE + " WHERE invoice = %s", (name,)).fetchone()
    return None if row is None else MirroredInvoice(*row)


def list_invoices(
    cur: Cursor, *, organization: UUID, before: str | None, limit: int
) -> list[MirroredInvoice]:
    """Return an organization's mirrored invoices."""
    statement = _INVOICE + _OF.format(name="invoice")
    return [
        MirroredInvoice(*row)
        for row in cur.execute(statement, (organization, before, before, limit)).fetchall()
    ]


def live_prices(cur: Cursor, names: Iterable[str]) -> dict[str, CreditPrice]:
    """Return those of the prices that give credit."""
    rows = cur.execute(
        _PRICE + " WHERE price = ANY(%s) AND archived_at IS NULL", (sorted(set(names)),)
    ).fetchall()
    return {row[0]: CreditPrice(*row) for row in rows}


def find_price(cur: Cursor, name: str) -> CreditPrice:
    """Return a price that gives or gave credit. Raises NotFound."""
    row = cur.execute(_PRICE + " WHERE price = %s", (name,)).fetchone()
    if row is None:
        raise NotFound("There is no such price.")
    return CreditPrice(*row)


def list_prices(cur: Cursor, *, after: str | None, limit: int) -> list[CreditPrice]:
    """Return the prices that give or gave credit, by their ids."""
    statement = _PRICE + " WHERE (%s::text IS NULL OR price > %s) ORDER BY price LIMIT %s"
    return [CreditPrice(*row) for row in cur.execute(statement, (after, after, limit)).fetchall()]


def _subscription(row: Any) -> MirroredSubscription:
    organization, subscription, customer, status, items, *rest = row
    return MirroredSubscription(organization, subscription, customer, status, _items(items), *rest)
