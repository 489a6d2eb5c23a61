"""A month of the books: trial balance and roll-forwards, of one organization or of all that a seller sells to.

A month begins and ends where each customer's books are: in its time zone, or, once it is closed, when it was closed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Final
from uuid import UUID

from billing.queries.accounting import SELLERS
from billing.rules.months import previous_month
from billing.rules.rollforward import MOVEMENTS, RollForward, roll_forward, summed
from events.store import Cursor

ACCOUNTS: Final = tuple(MOVEMENTS)
_BOOKS: Final = f"""
books AS (
    SELECT s.id, coalesce(b.ends_at, %(month)s::timestamp AT TIME ZONE s.time_zone) AS starts_at,
        coalesce(c.ends_at, (%(month)s::date + interval '1 month') AT TIME ZONE s.time_zone) AS ends_at
    FROM ({SELLERS}) s
        LEFT JOIN closed_months b ON b.organization = s.id AND b.month = %(before)s AND b.status = 'closed'
        LEFT JOIN closed_months c ON c.organization = s.id AND c.month = %(month)s AND c.status = 'closed'
    WHERE (%(organization)s::uuid IS NULL OR s.id = %(organization)s)
        AND (%(entity)s::uuid IS NULL OR s.seller = %(entity)s)
)
"""
_TRIAL: Final = f"""
WITH {_BOOKS}
SELECT a.kind, p.currency, coalesce(sum(p.amount) FILTER (WHERE e.effective_at < b.starts_at), 0)::text,
    coalesce(sum(p.amount) FILTER (WHERE e.effective_at >= b.starts_at AND p.amount < 0), 0)::text,
    coalesce(sum(p.amount) FILTER (WHERE e.effective_at >= b.starts_at AND p.amount > 0), 0)::text,
    coalesce(sum(p.amount), 0)::text
FROM books b JOIN journal_entries e ON e.organization = b.id AND e.effective_at < b.ends_at
    JOIN postings p ON p.entry_id = e.id JOIN accounts a ON a.id = p.account_id
GROUP BY a.kind, p.currency ORDER BY p.currency, a.kind
"""
_ROLLED: Final = f"""
WITH {_BOOKS}
SELECT b.id, p.currency, a.kind, e.kind, coalesce(sum(p.amount) FILTER (WHERE e.effective_at < b.starts_at), 0)::text,
    coalesce(sum(p.amount) FILTER (WHERE e.effective_at >= b.starts_at), 0)::text, sum(p.amount)::text
FROM books b JOIN accounts a ON a.organization = b.id AND a.kind = ANY(%(kinds)s)
    JOIN postings p ON p.account_id = a.id JOIN journal_entries e ON e.id = p.entry_id AND e.effective_at < b.ends_at
GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
"""

_OPEN: Final = f"""
WITH {_BOOKS}
SELECT count(*) FROM books b JOIN accounts a ON a.organization = b.id AND a.kind = 'revenue' AND NOT EXISTS (
    SELECT FROM closed_books c WHERE c.organization = b.id AND c.closed_until >= b.ends_at)
"""


@dataclass(frozen=True, slots=True)
class MonthOf:
    """Which books: one organization's (None: all), of one seller's customers (None: of all)."""

    month: date
    organization: UUID | None = None
    entity: UUID | None = None

    def given(self) -> dict[str, Any]:
        """The parameters of the statements."""
        return {
            "month": self.month,
            "before": previous_month(self.month),
            "organization": self.organization,
            "entity": self.entity,
            "kinds": list(ACCOUNTS),
        }


@dataclass(frozen=True, slots=True)
class TrialMonth:
    """An account kind's month in units: opening + debits (below zero) + credits = closing."""

    kind: str
    currency: str
    opening: int
    debits: int
    credits: int
    closing: int


@dataclass(frozen=True, slots=True)
class BooksMonth:
    """The roll-forwards of one organization's books, by kind of account."""

    organization: UUID
    currency: str
    accounts: dict[str, RollForward]


def trial_months(cur: Cursor, wanted: MonthOf) -> list[TrialMonth]:
    """Return the trial balance of a month by kind and currency; opening and closing sum to zero per currency (L1)."""
    rows = cur.execute(_TRIAL, wanted.given()).fetchall()
    return [TrialMonth(kind, currency, *map(int, figures)) for kind, currency, *figures in rows]


def books_months(cur: Cursor, wanted: MonthOf) -> list[BooksMonth]:
    """Return how deferred revenue, the unbilled line and credit came from opening to closing, for each organization
    whose books have something there."""
    found: dict[tuple[UUID, str], dict[str, list[tuple[str, int, int, int]]]] = {}
    for owner, currency, account, kind, *figures in cur.execute(_ROLLED, wanted.given()).fetchall():
        before, inside, until = map(int, figures)
        books = found.setdefault((owner, currency), {name: [] for name in ACCOUNTS})
        books[account].append((kind, before, inside, until))
    return [
        BooksMonth(owner, currency, {name: roll_forward(name, rows) for name, rows in books.items()})
        for (owner, currency), books in found.items()
    ]


def totals(months: list[BooksMonth]) -> dict[str, dict[str, RollForward]]:
    """Return the books of all organizations together, by currency and kind of account."""
    currencies = sorted({month.currency for month in months})
    return {
        currency: {
            name: summed(name, (one.accounts[name] for one in months if one.currency == currency))
            for name in ACCOUNTS
        }
        for currency in currencies
    }


def count_open(cur: Cursor, wanted: MonthOf) -> int:
    """Return in how many of these books the month is open."""
    row = cur.execute(_OPEN, wanted.given()).fetchone()
    return 0 if row is None else int(row[0])
