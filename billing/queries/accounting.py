"""Accounting periods of sellers, and whose books have them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from billing.queries.parties import HOUSE
from billing.queries.sellers import default_legal_entity, find_legal_entity
from billing.rules.accounting import CLOSED, CLOSING, REOPENING, Period
from common.errors import NotFound
from events.store import Cursor

_COLUMNS: Final = "id, organization, legal_entity, month, status, reason, changed_at, changed_by, version"
_LIST: Final = f"""
SELECT {_COLUMNS} FROM accounting_periods WHERE (%(entity)s::uuid IS NULL OR legal_entity = %(entity)s)
    AND (%(before)s::uuid IS NULL OR (month, id) < (SELECT month, id FROM accounting_periods WHERE id = %(before)s))
ORDER BY month DESC, id DESC LIMIT %(limit)s
"""
SELLERS: Final = f"""
SELECT o.id, o.time_zone, o.clock_offset, coalesce(p.legal_entity_id,
    (SELECT e.id FROM legal_entities e WHERE e.is_default AND e.archived_at IS NULL), '{HOUSE.id}'::uuid) AS seller
FROM organizations o LEFT JOIN billing_profiles p ON p.organization = o.id WHERE NOT o.is_platform
"""
"""Who sells to each organization."""
# The month's end is worked out in SQL only to see whether it is over; what is written is worked out by the rule.
_NOT_OVER: Final = f"""
SELECT count(*) FROM ({SELLERS}) s WHERE s.seller = %s
    AND clock_timestamp() + s.clock_offset < (%s::date + interval '1 month') AT TIME ZONE s.time_zone
"""
_WAITING: Final = """
SELECT legal_entity, month, status FROM accounting_periods WHERE status IN ('closing', 'reopening')
ORDER BY month, legal_entity
"""
_LAST: Final = """
SELECT max(month) FROM accounting_periods WHERE legal_entity = %s AND status IN ('closing', 'closed', 'reopening')
"""
# Also those that came to the seller later: a closed month is closed in all of its customers' books.
_TO_CLOSE: Final = f"""
SELECT s.id FROM ({SELLERS}) s
WHERE s.seller = %(entity)s AND EXISTS (SELECT FROM accounts a WHERE a.organization = s.id)
    AND clock_timestamp() + s.clock_offset >= (%(month)s::date + interval '1 month') AT TIME ZONE s.time_zone
    AND NOT EXISTS (
    SELECT FROM closed_months c WHERE c.organization = s.id AND c.month >= %(month)s AND c.status = 'closed')
ORDER BY s.id LIMIT %(limit)s
"""
_TO_REOPEN: Final = """
SELECT organization FROM closed_months WHERE legal_entity = %(entity)s AND month = %(month)s AND status = 'closed'
ORDER BY organization LIMIT %(limit)s
"""
_LATEST: Final = """
SELECT DISTINCT ON (legal_entity) legal_entity, month FROM accounting_periods WHERE status IN ('closing', 'closed')
ORDER BY legal_entity, month DESC
"""
_OF_BOOKS: Final = """
SELECT id, organization, legal_entity, month, ends_at, status, version FROM closed_months
WHERE organization = %s AND month = %s
"""
_BEFORE: Final = """
SELECT ends_at FROM closed_months WHERE organization = %s AND month < %s AND status = 'closed'
ORDER BY month DESC LIMIT 1
"""
_BALANCES: Final = """
SELECT a.kind, sum(p.amount)::bigint FROM postings p JOIN journal_entries e ON e.id = p.entry_id
JOIN accounts a ON a.id = p.account_id
WHERE p.organization = %s AND e.effective_at < %s GROUP BY a.kind HAVING sum(p.amount) <> 0 ORDER BY a.kind
"""
_LATE: Final = f"""
SELECT count(*) FROM invoices i JOIN ({SELLERS}) s ON s.id = i.organization
WHERE s.seller = %s AND i.status IN ('draft', 'tax_pending', 'failed')
    AND i.dated_at < (%s::date + interval '1 month') AT TIME ZONE s.time_zone
"""


@dataclass(frozen=True, slots=True)
class ClosedMonth:
    """A month of one organization's books."""

    id: UUID
    organization: UUID
    legal_entity: UUID
    month: date
    ends_at: datetime
    status: str
    version: int


def seller_named(cur: Cursor, name: str | None) -> UUID:
    """Return the id of a legal entity by key or id; without a name the default one's, or the house's where none was
    set up. Raises NotFound."""
    if name is not None:
        return HOUSE.id if name == str(HOUSE.id) else find_legal_entity(cur, name).id
    default = default_legal_entity(cur)
    return HOUSE.id if default is None else default.id


def find_period(cur: Cursor, entity: UUID, month: date) -> Period | None:
    """Return a month of a seller's books, if anything ever happened to it."""
    row = cur.execute(
        f"SELECT {_COLUMNS} FROM accounting_periods WHERE legal_entity = %s AND month = %s", (entity, month)
    ).fetchone()
    return None if row is None else Period(*row)


def list_periods(cur: Cursor, *, entity: UUID | None, before: UUID | None, limit: int) -> list[Period]:
    """Return months to which something happened, the latest first."""
    given: dict[str, Any] = {"entity": entity, "before": before, "limit": limit}
    return [Period(*row) for row in cur.execute(_LIST, given).fetchall()]


def find_period_by_id(cur: Cursor, period: UUID) -> Period:
    """Return a month by its id. Raises NotFound."""
    row = cur.execute(f"SELECT {_COLUMNS} FROM accounting_periods WHERE id = %s", (period,)).fetchone()
    if row is None:
        raise NotFound("There is no such accounting period.")
    return Period(*row)


def last_closed(cur: Cursor, entity: UUID) -> date | None:
    """Return a seller's last month that is closed, or on its way."""
    row = cur.execute(_LAST, (entity,)).fetchone()
    return None if row is None else row[0]


def count_not_over(cur: Cursor, entity: UUID, month: date) -> int:
    """Return for how many of a seller's customers the month is not over, each by its own clock and zone."""
    row = cur.execute(_NOT_OVER, (entity, month)).fetchone()
    return 0 if row is None else int(row[0])


def count_unfinished(cur: Cursor, entity: UUID, month: date) -> int:
    """Return how many invoices of a seller are dated in a month or before and have no number yet."""
    row = cur.execute(_LATE, (entity, month)).fetchone()
    return 0 if row is None else int(row[0])


def waiting_periods(cur: Cursor) -> list[tuple[UUID, date, str]]:
    """Return (seller, month, status) of the months that are not in all books yet."""
    return [(entity, month, status) for entity, month, status in cur.execute(_WAITING).fetchall()]


def latest_periods(cur: Cursor) -> list[tuple[UUID, date]]:
    """Return each seller's last month that is closed, or being closed."""
    return [(entity, month) for entity, month in cur.execute(_LATEST).fetchall()]


def books_to_move(cur: Cursor, entity: UUID, month: date, status: str, *, limit: int) -> list[UUID]:
    """Return organizations whose books do not have what a month of their seller's has."""
    statement = {CLOSING: _TO_CLOSE, CLOSED: _TO_CLOSE, REOPENING: _TO_REOPEN}[status]
    rows = cur.execute(statement, {"entity": entity, "month": month, "limit": limit}).fetchall()
    return [row[0] for row in rows]


def find_closed_month(cur: Cursor, organization: UUID, month: date) -> ClosedMonth | None:
    """Return a month of an organization's books, if it ever was closed."""
    row = cur.execute(_OF_BOOKS, (organization, month)).fetchone()
    return None if row is None else ClosedMonth(*row)


def closed_before(cur: Cursor, organization: UUID, month: date) -> datetime | None:
    """Return the end of the closed month before this one."""
    row = cur.execute(_BEFORE, (organization, month)).fetchone()
    return None if row is None else row[0]


def balances_before(cur: Cursor, organization: UUID, end: datetime) -> dict[str, int]:
    """Return the balances of everything that is in effect before a moment, in units by kind of account."""
    return dict(cur.execute(_BALANCES, (organization, end)).fetchall())
