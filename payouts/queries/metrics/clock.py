"""The clock that metrics go by: the platform's, or of sandboxes the one that is furthest ahead."""

from datetime import UTC, datetime

from events.store import Cursor

_NOW = """
SELECT clock_timestamp() + coalesce(max(clock_offset), '0') FROM organizations WHERE sandbox AND %s
"""


def now_of(cur: Cursor, *, sandbox: bool) -> datetime:
    """Return the moment up to which something can have happened, in UTC."""
    row = cur.execute(_NOW, (sandbox,)).fetchone()
    assert row is not None
    moment: datetime = row[0]
    return moment.astimezone(UTC)
