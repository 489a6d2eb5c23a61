"""Which partners may be due by their schedule, and whom a batch pays."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from events.store import Cursor

_SCHEDULED: Final = """
SELECT p.organization FROM partners p JOIN organizations o ON o.id = p.organization
    LEFT JOIN payout_schedules s USING (organization)
WHERE p.schedule <> 'manual' AND p.status <> 'onboarding' AND o.status = 'active'
    AND (%(after)s::uuid IS NULL OR p.organization > %(after)s)
    AND (s.slot IS NULL OR s.slot < date_trunc(
        CASE p.schedule WHEN 'daily' THEN 'day' WHEN 'weekly' THEN 'week' ELSE 'month' END,
        (clock_timestamp() + o.clock_offset) AT TIME ZONE o.time_zone)::date)
ORDER BY p.organization LIMIT %(limit)s
"""
# One account row for each partner, however many earnings there are.
_PAYABLE: Final = """
SELECT p.organization FROM partners p JOIN organizations o ON o.id = p.organization
    JOIN accounts a ON a.organization = p.organization AND a.kind = 'partner_payable' AND a.currency = p.currency
        AND a.counterparty IS NULL
WHERE p.status <> 'onboarding' AND p.hold_reason IS NULL AND o.status = 'active' AND a.posted > a.held
    AND (%(after)s::uuid IS NULL OR p.organization > %(after)s)
    AND NOT EXISTS (SELECT FROM payouts y WHERE y.organization = p.organization AND y.batch = %(batch)s)
ORDER BY p.organization LIMIT %(limit)s
"""


def partners_scheduled(cur: Cursor, *, after: UUID | None, limit: int) -> list[UUID]:
    """Return partners whose schedule's present day was not asked for yet, by their ids."""
    return [row[0] for row in cur.execute(_SCHEDULED, {"after": after, "limit": limit}).fetchall()]


def partners_payable(cur: Cursor, *, batch: UUID, after: UUID | None, limit: int) -> list[UUID]:
    """Return partners with something to be paid out whom this batch has not paid, by their ids."""
    given = {"batch": batch, "after": after, "limit": limit}
    return [row[0] for row in cur.execute(_PAYABLE, given).fetchall()]
