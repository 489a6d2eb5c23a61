"""The clock that metrics go by: the platform's, or of sandboxes the one that is furthest ahead."""

from datetime import UTC, datetime
from uuid import UUID

from events.store import Cursor

_NOW = """
SELECT clock_timestamp() + coalesce(max(clock_offset), '0') FROM organizations
WHERE sandbox AND %(sandbox)s AND (%(organization)s::uuid IS NULL OR id = %(organization)s)
"""


def now_of(cur: Cursor, *, sandbox: bool, organization: UUID | None = None) -> datetime:
    """Return the moment up to which something can have happened, in UTC: to one organization, to all sandboxes, or to
    all others."""
    row = cur.execute(_NOW, {"sandbox": sandbox, "organization": organization}).fetchone()
    assert row is not None
    moment: datetime = row[0]
    return moment.astimezone(UTC)
