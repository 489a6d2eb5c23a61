"""Partners' statements, and what they are drawn up from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec
import typst

from billing.rules.profiles import Contact
from common.errors import NotFound
from events.store import Cursor
from payouts.rules.statements import Moved, Paid, Statement, printed

TEMPLATE: Final = Path(__file__).resolve().parents[1] / "templates" / "payouts" / "statement.typ"
_ROW: Final = """SELECT id, organization, month, number, counter, currency, opening, earned, clawed_back, paid_out,
    closing, document::text, made_at, version FROM partner_statements"""
_EARNED: Final = """
SELECT l.key, b.organization, sum(b.calls)::bigint, sum(b.gross)::bigint, sum(b.share)::bigint
FROM earning_buckets b JOIN listings l ON l.id = b.listing_id
WHERE b.partner = %s AND b.day < %s GROUP BY 1, 2 ORDER BY 1, 2
"""
_CUSTOMERS: Final = "SELECT organization FROM earning_pairs WHERE partner = %s"
_LOST: Final = "SELECT organization, lost FROM earning_pairs WHERE partner = %s AND lost > 0 ORDER BY 1"
_PAYOUTS: Final = """
SELECT substr(e.source, 8), e.effective_at, -o.amount, e.kind FROM postings o
JOIN journal_entries e ON e.id = o.entry_id JOIN accounts a ON a.id = o.account_id
WHERE a.organization = %s AND a.kind = 'partner_payable' AND e.kind IN ('payout_requested', 'payout_returned')
    AND e.effective_at >= %s AND e.effective_at < %s ORDER BY e.effective_at, e.id
"""
_ADDRESSEE: Final = "SELECT name, address::text FROM partner_statement_addressees WHERE statement = %s"
_BALANCE: Final = """
SELECT coalesce(sum(o.amount), 0)::bigint FROM postings o JOIN journal_entries e ON e.id = o.entry_id
JOIN accounts a ON a.id = o.account_id
WHERE a.organization = %s AND a.kind = %s AND e.effective_at < %s
"""
# The entry of a move names no customer, its event does.
_MOVED: Final = """
SELECT data->>'customer',
    coalesce(sum((data->>'amount')::bigint) FILTER (WHERE (data->>'amount')::bigint > 0), 0)::bigint,
    coalesce(-sum((data->>'amount')::bigint) FILTER (WHERE (data->>'amount')::bigint < 0), 0)::bigint
FROM events WHERE organization = %s AND type = 'earning.received' AND occurred_at >= %s AND occurred_at < %s
GROUP BY 1 ORDER BY 1
"""
# Some hours after the month's end, so that what was called in it has been told.
_DUE: Final = """
SELECT p.organization FROM partners p JOIN organizations o ON o.id = p.organization
LEFT JOIN LATERAL (SELECT max(month) AS month FROM partner_statements s WHERE s.organization = p.organization) s ON true
WHERE (%(after)s::uuid IS NULL OR p.organization > %(after)s)
    AND coalesce(s.month + interval '1 month', date_trunc('month', p.created_at AT TIME ZONE 'UTC'))
        + interval '1 month 6 hours' <= (clock_timestamp() + o.clock_offset) AT TIME ZONE 'UTC'
ORDER BY p.organization LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class YearFigures:
    """What annual tax data sets are made of: a partner's year, from its statements, in units. Which of it is reportable
    where is not decided here."""

    year: int
    currency: str
    statements: int
    earned: int
    clawed_back: int
    paid_out: int


def find_statement(cur: Cursor, organization: UUID, month: date) -> Statement:
    """Return a partner's statement of a month. Raises NotFound."""
    row = cur.execute(f"{_ROW} WHERE organization = %s AND month = %s", (organization, month)).fetchone()
    if row is None:
        raise NotFound("There is no statement of this month.")
    return _statement(row)


def statements_of(
    cur: Cursor, organization: UUID, *, before: date | None = None, limit: int | None = None
) -> list[Statement]:
    """Return a partner's statements, the latest first."""
    cur.execute(
        f"{_ROW} WHERE organization = %s AND (%s::date IS NULL OR month < %s) ORDER BY month DESC LIMIT %s",
        (organization, before, before, limit),
    )
    return [_statement(row) for row in cur.fetchall()]


def year_of(cur: Cursor, organization: UUID, year: int) -> YearFigures | None:
    """Return a partner's year; None without a statement of it."""
    found = [one for one in statements_of(cur, organization) if one.month.year == year]
    if not found:
        return None
    sums = (sum(getattr(one, name) for one in found) for name in ("earned", "clawed_back", "paid_out"))
    return YearFigures(year, found[0].currency, len(found), *sums)


def customers_of(cur: Cursor, organization: UUID) -> list[UUID]:
    """Return whom a partner ever earned something of."""
    return [row[0] for row in cur.execute(_CUSTOMERS, (organization,)).fetchall()]


def earned_until(cur: Cursor, organization: UUID, end: date) -> list[tuple[str, UUID, int, int, int]]:
    """Return what a partner earned before a day: listing, customer, calls, gross, share."""
    return [tuple(row) for row in cur.execute(_EARNED, (organization, end)).fetchall()]


def lost_of(cur: Cursor, organization: UUID) -> list[tuple[UUID, int]]:
    """Return what a partner lost again by now, by customer."""
    return [(row[0], row[1]) for row in cur.execute(_LOST, (organization,)).fetchall()]


def paid_between(cur: Cursor, organization: UUID, start: datetime, end: datetime) -> list[Paid]:
    """Return what payouts took and brought back in [start, end)."""
    cur.execute(_PAYOUTS, (organization, start, end))
    return [
        Paid(name, at.astimezone(UTC).date().isoformat(), amount, kind)
        for name, at, amount, kind in cur.fetchall()
    ]


def moved_between(cur: Cursor, organization: UUID, start: datetime, end: datetime) -> list[Moved]:
    """Return what came past the holdback and what was taken back of it in [start, end), by what its event called the
    customer."""
    return [Moved(*row) for row in cur.execute(_MOVED, (organization, start, end)).fetchall()]


def balance_at(cur: Cursor, organization: UUID, kind: str, end: datetime) -> int:
    """Return what was in a partner's account of a kind (partner_payable, payout_in_transit) at a moment."""
    row = cur.execute(_BALANCE, (organization, kind, end)).fetchone()
    return 0 if row is None else int(row[0])


def partners_to_state(cur: Cursor, *, after: UUID | None, limit: int) -> list[UUID]:
    """Return partners with a month that is over and not stated."""
    return [row[0] for row in cur.execute(_DUE, {"after": after, "limit": limit}).fetchall()]


def addressee_of(cur: Cursor, statement: UUID) -> Contact | None:
    """Return who a statement is made out to; None when that was erased, or was not kept yet."""
    row = cur.execute(_ADDRESSEE, (statement,)).fetchone()
    return None if row is None else Contact(row[0], "", json.loads(row[1]))


def statement_pdf(statement: Statement, addressee: Contact | None) -> bytes:
    """Return a statement as PDF; the same statement gives the same bytes, until its addressee is erased."""
    content: bytes = typst.compile(
        str(TEMPLATE),
        root=str(TEMPLATE.parent),
        ignore_system_fonts=True,
        sys_inputs=inputs_of(statement, addressee),
        timestamp=int(statement.made_at.timestamp()),
    )
    return content


def inputs_of(statement: Statement, addressee: Contact | None) -> dict[str, str]:
    """Return what the template is given: the document, with the partner's name and address."""
    named = printed(statement.document, addressee or Contact())
    return {"statement": msgspec.json.encode(named).decode()}


def _statement(row: Sequence[Any]) -> Statement:
    values: Any = (*row[:11], json.loads(row[11]), *row[12:])
    return Statement(*values)
