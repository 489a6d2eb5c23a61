"""When an organization's subscriptions and contracts reach their next boundary: what a billing run asks first."""

from datetime import datetime
from typing import Final
from uuid import UUID

from events.store import Cursor

_NEXT: Final = """
SELECT least(
    (SELECT min(s.next_at) FROM subscriptions s WHERE s.organization = o.id AND s.next_at IS NOT NULL),
    (SELECT min(c.next_at) FROM contracts c WHERE c.organization = o.id AND c.next_at IS NOT NULL))
FROM organizations o WHERE o.id = %s
"""
# Nothing is decided here, so the clock may be asked.
_DUE: Final = """
SELECT s.organization FROM subscriptions s JOIN organizations o ON o.id = s.organization
WHERE s.next_at <= clock_timestamp() + o.clock_offset
UNION
SELECT c.organization FROM contracts c JOIN organizations o ON o.id = c.organization
WHERE c.next_at <= clock_timestamp() + o.clock_offset ORDER BY 1
"""


def next_boundary(cur: Cursor, organization: UUID) -> datetime | None:
    """Return the earliest boundary of the organization's subscriptions and contracts, in the past after a standstill;
    None when there is none."""
    row = cur.execute(_NEXT, (organization,)).fetchone()
    found: datetime | None = row[0] if row else None
    return found


def organizations_due(cur: Cursor) -> list[UUID]:
    """Return the organizations with a boundary that is due by their own clock."""
    return [row[0] for row in cur.execute(_DUE).fetchall()]
