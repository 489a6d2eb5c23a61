"""Reading the inbox of Stripe's events."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from common.errors import NotFound
from events.store import Cursor

_COLUMNS: Final = """
SELECT id, source, account, event, type, api_version, livemode, created, via, secret, kind, object_id, state, reason,
    detail, attempts, parkings, next_at, received_at, finished_at FROM stripe_events
"""
_LIST: Final = f"""
{_COLUMNS} WHERE (%(before)s::uuid IS NULL OR id < %(before)s) AND (%(state)s::text IS NULL OR state = %(state)s)
    AND (%(type)s::text IS NULL OR type = %(type)s) AND (%(object)s::text IS NULL OR object_id = %(object)s)
    AND (%(event)s::text IS NULL OR event = %(event)s)
ORDER BY id DESC LIMIT %(limit)s
"""
_BY_STATE: Final = "SELECT source, state, count(*) FROM stripe_events WHERE state = ANY(%s) GROUP BY 1, 2"
_OLDEST: Final = """
SELECT extract(epoch FROM clock_timestamp() - min(received_at)) FROM stripe_events
WHERE next_at IS NOT NULL AND state IN ('received', 'processing')
"""
_LAST: Final = "SELECT extract(epoch FROM clock_timestamp() - max(received_at)) FROM stripe_events"
OPEN_STATES: Final = ("received", "processing", "parked", "quarantined", "dead")


@dataclass(frozen=True, slots=True)
class InboxEvent:
    """An event and what became of it; without its body."""

    id: UUID
    source: str
    account: str
    event: str
    type: str
    api_version: str | None
    livemode: bool | None
    created: datetime
    via: str
    secret: int | None
    kind: str
    object_id: str
    state: str
    reason: str | None
    detail: str | None
    attempts: int
    parkings: int
    next_at: datetime | None
    received_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class InboxHealth:
    """How many events are in which state that is not the last one, by kind of endpoint; seconds since the oldest one
    that is not done was received, and since the last one was (None: there is none)."""

    states: dict[tuple[str, str], int]
    oldest_seconds: float | None
    last_seconds: float | None


def list_inbox(
    cur: Cursor,
    *,
    limit: int,
    before: UUID | None = None,
    state: str | None = None,
    type: str | None = None,
    object: str | None = None,
    event: str | None = None,
) -> list[InboxEvent]:
    """Return events, the last received first."""
    named = {
        "before": before, "state": state, "type": type, "object": object, "event": event, "limit": limit,
    }  # fmt: skip
    return [InboxEvent(*row) for row in cur.execute(_LIST, named).fetchall()]


def find_inbox(cur: Cursor, identifier: UUID) -> InboxEvent:
    """Return one event. Raises NotFound."""
    row = cur.execute(f"{_COLUMNS} WHERE id = %s", (identifier,)).fetchone()
    if row is None:
        raise NotFound("There is no such event.")
    return InboxEvent(*row)


def inbox_health(cur: Cursor) -> InboxHealth:
    """Return the figures that operators watch."""
    states = {
        (row[0], row[1]): int(row[2]) for row in cur.execute(_BY_STATE, (list(OPEN_STATES),)).fetchall()
    }
    return InboxHealth(states, _seconds(cur, _OLDEST), _seconds(cur, _LAST))


def _seconds(cur: Cursor, statement: str) -> float | None:
    row = cur.execute(statement).fetchone()
    return None if row is None or row[0] is None else float(row[0])
