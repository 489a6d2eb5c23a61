"""What we have of the processor's objects, as reconciliation compares it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Final
from uuid import UUID

from billing.rules.payments.payouts import Payout, payout_stream
from events.store import Cursor


@dataclass(frozen=True, slots=True)
class Ours:
    """An object that should be at the processor: its id there, whose it is, and what it is worth in units."""

    name: str
    organization: UUID
    amount: int
    currency: str | None
    state: str


_WITHIN: Final = "created_at >= %(since)s AND created_at < %(until)s"
EXPECTED: Final = {
    "customer": f"""
        SELECT customer, organization, 0, NULL, status FROM payment_customers
        WHERE customer IS NOT NULL AND status = 'active' AND {_WITHIN}
    """,
    "payment": f"""
        SELECT intent, organization, received, currency, status FROM payments WHERE intent IS NOT NULL AND {_WITHIN}
    """,
    "refund": f"SELECT id, organization, amount, currency, status FROM refunds WHERE {_WITHIN}",
    "dispute": f"SELECT id, organization, amount, currency, status FROM disputes WHERE {_WITHIN}",
    "payout": f"SELECT payout, organization, amount, currency, status FROM processor_payouts WHERE {_WITHIN}",
    "subscription": f"""
        SELECT subscription, organization, 0, NULL, status FROM mirrored_subscriptions WHERE {_WITHIN}
    """,
    "invoice": f"SELECT invoice, organization, paid, currency, status FROM mirrored_invoices WHERE {_WITHIN}",
}
"""By kind: the objects that we know to have been made in a window."""
_ONE: Final = {
    "customer": "SELECT customer, organization, 0, NULL, status FROM payment_customers WHERE customer = %s",
    "payment": "SELECT intent, organization, received, currency, status FROM payments WHERE intent = %s",
    "refund": "SELECT id, organization, amount, currency, status FROM refunds WHERE id = %s",
    "dispute": "SELECT id, organization, amount, currency, status FROM disputes WHERE id = %s",
    "payout": "SELECT payout, organization, amount, currency, status FROM processor_payouts WHERE payout = %s",
    "subscription": (
        "SELECT subscription, organization, 0, NULL, status FROM mirrored_subscriptions WHERE subscription = %s"
    ),
    "invoice": "SELECT invoice, organization, paid, currency, status FROM mirrored_invoices WHERE invoice = %s",
}  # fmt: skip
_PAYOUT: Final = tuple(field.name for field in fields(Payout))
_FIND_PAYOUT: Final = (
    "SELECT " + ", ".join("failure::text" if name == "failure" else name for name in _PAYOUT)
    + " FROM processor_payouts WHERE id = %s"
)  # fmt: skip
_OVERDUE: Final = """
SELECT id FROM outbound_commands WHERE state IN ('pending', 'sending', 'unknown') AND next_try_at < %(before)s
    AND requested_at < %(before)s AND (lease_until IS NULL OR lease_until < clock_timestamp())
ORDER BY id LIMIT %(limit)s
"""


def expected(cur: Cursor, kind: str, *, since: datetime, until: datetime) -> list[Ours]:
    """Return what we have of a kind that was made in [since, until) and should be at the processor."""
    found = cur.execute(EXPECTED[kind], {"since": since, "until": until}).fetchall()
    return [Ours(*row) for row in found]


def find_ours(cur: Cursor, kind: str, name: str) -> Ours | None:
    """Return what we have of one object."""
    row = cur.execute(_ONE[kind], (name,)).fetchone()
    return None if row is None else Ours(*row)


def find_payout(cur: Cursor, name: str) -> Payout | None:
    """Return a payout of the platform by the processor's id."""
    row = cur.execute(_FIND_PAYOUT, (payout_stream(name),)).fetchone()
    if row is None:
        return None
    values = dict(zip(_PAYOUT, row, strict=True))
    values["failure"] = None if values["failure"] is None else json.loads(values["failure"])
    return Payout(**values)


def is_organization(cur: Cursor, organization: UUID) -> bool:
    """Whether there is such an organization."""
    return cur.execute("SELECT 1 FROM organizations WHERE id = %s", (organization,)).fetchone() is not None


def overdue_commands(cur: Cursor, *, before: datetime, limit: int) -> Sequence[UUID]:
    """Return commands that should have been sent before, and that nobody has: their message was lost."""
    given = {"before": before, "limit": limit}
    return [row[0] for row in cur.execute(_OVERDUE, given).fetchall()]


def still_open(cur: Cursor, commands: Iterable[UUID]) -> set[UUID]:
    """Return which of these commands have not ended."""
    statement = (
        "SELECT id FROM outbound_commands WHERE id = ANY(%s) AND state IN ('pending', 'sending', 'unknown')"
    )
    return {row[0] for row in cur.execute(statement, (list(commands),)).fetchall()}
