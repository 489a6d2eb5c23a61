"""Where a period of the business clock begins in tables whose ids and partitions go by the wall clock."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from events.store import Cursor

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_EARLY = timedelta(minutes=6)  # a fact may be dated up to five minutes ahead of its recording


class Recorded(NamedTuple):
    """From when on, and with which id at least, whatever happened at a moment or later was recorded."""

    at: datetime
    first_id: UUID


def recorded_since(cur: Cursor, organization: UUID, moment: datetime) -> Recorded:
    """Return from where on to look for what happened at a moment of the organization's clock or later: a row is not
    older than what it tells of, but for what clocks allow."""
    row = cur.execute("SELECT clock_offset FROM organizations WHERE id = %s", (organization,)).fetchone()
    offset = row[0] if row is not None else timedelta(0)
    at = max(moment - _EARLY - offset, BEGINNING)
    milliseconds = (at - BEGINNING) // timedelta(milliseconds=1)
    return Recorded(at, UUID(int=milliseconds << 80))
