"""The event log of an organization, as its auditors read it."""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from events.reading import COLUMNS, StoredEvent, stored_events
from events.store import Cursor


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which events: of a type, of a stream type or one stream, with numbers after `since`; of `hidden` stream types
    none, whatever is asked for."""

    type: str | None = None
    stream_type: str | None = None
    stream_id: UUID | None = None
    since: int = 0
    hidden: tuple[str, ...] = ()


_LOG: Final = f"""
SELECT {COLUMNS} FROM events
WHERE organization = %(organization)s AND seq > %(since)s AND (%(type)s::text IS NULL OR type = %(type)s)
    AND (%(stream_type)s::text IS NULL OR stream_type = %(stream_type)s)
    AND (%(stream_id)s::uuid IS NULL OR stream_id = %(stream_id)s) AND NOT stream_type = ANY(%(hidden)s)
ORDER BY seq LIMIT %(limit)s
"""


def event_log(
    cur: Cursor, *, organization: UUID, wanted: LogFilter, after: int | None, limit: int
) -> list[StoredEvent]:
    """Return the organization's events in the order of their numbers, at most `limit`, after a number."""
    given: dict[str, Any] = {
        "organization": organization,
        "since": max(wanted.since, after or 0),
        "type": wanted.type,
        "stream_type": wanted.stream_type,
        "stream_id": wanted.stream_id,
        "hidden": list(wanted.hidden),
        "limit": limit,
    }
    return list(stored_events(cur.execute(_LOG, given).fetchall()))


def last_number(cur: Cursor, *, organization: UUID) -> int:
    """Return the number of the organization's last event, 0 without any."""
    row = cur.execute("SELECT max(seq) FROM events WHERE organization = %s", (organization,)).fetchone()
    return (row and row[0]) or 0
