"""Denials, told in sums: never one message for each call.

The first denial of an agent with a code in a quarter of an hour is told, and when the quarter is over, how many there
were, if there were more. What is counted are the gate's decisions, by the time of their recording, so that a count
made anew is the same; a quarter is closed 30 s after its end, when its last decisions are visible.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from common.clock import wall_now
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.rules.facts import time_text
from webhooks.operations.outbound.telling import Message, tell
from webhooks.queries.outbound.endpoints import interested
from webhooks.rules.outbound.types import DENIED

WINDOW: Final = timedelta(minutes=15)
GRACE: Final = timedelta(seconds=30)
LONGEST_STANDSTILL: Final = timedelta(hours=24)
"""Denials that nobody looked at for longer are told no more."""
_CLOCKS_DIFFER: Final = timedelta(hours=1)
"""An id is made by the process that decides, before the row is recorded: how much its time may be off."""
_NOBODY: Final = UUID(int=0)
_COUNT: Final = """
SELECT organization, coalesce(agent_id, %(nobody)s), code,
    date_bin(%(window)s, recorded_at, timestamptz '2000-01-01 00:00:00+00'), sum(count)::bigint
FROM decisions
WHERE answer = 'deny' AND NOT dry AND code IS NOT NULL AND organization = ANY(%(organizations)s::uuid[])
    AND id >= %(oldest)s AND recorded_at >= date_bin(%(window)s, %(since)s, timestamptz '2000-01-01 00:00:00+00')
GROUP BY 1, 2, 3, 4 ORDER BY 4, 1, 2, 3
"""
_LAST_LOOK: Final = "SELECT finished_at FROM due_jobs WHERE name = 'webhooks.tell_denials'"
_FIRST: Final = """
INSERT INTO webhook_denials (organization, agent, code, window_start, told) VALUES (%s, %s, %s, %s, 1)
ON CONFLICT DO NOTHING
"""
_LAST: Final = """
UPDATE webhook_denials SET told = %s, summarised = true
WHERE organization = %s AND agent = %s AND code = %s AND window_start = %s AND NOT summarised
"""


def tell_denials() -> int:
    """This function will tell of denials that are new, and of the quarters that are over; returns how many messages
    that were. Running it twice, or twice at once, tells nothing twice."""
    return run_in_transaction(_tell_denials)


def _tell_denials(cur: Cursor) -> int:
    organizations = interested(cur, DENIED)
    if not organizations:
        return 0
    now = wall_now(cur)
    since = _since(cur, now)
    given = {
        "nobody": _NOBODY,
        "window": WINDOW,
        "grace": GRACE,
        "since": since,
        "oldest": _first_id(since - WINDOW - _CLOCKS_DIFFER),
        "organizations": organizations,
    }
    messages = []
    for row in cur.execute(_COUNT, given).fetchall():
        messages += _messages(cur, row, now)
    return len(tell(cur, messages))


def _since(cur: Cursor, now: datetime) -> datetime:
    """From when on it is counted: the quarters that may be open, and those since the last look, of a day at most."""
    row = cur.execute(_LAST_LOOK).fetchone()
    last = now if row is None or row[0] is None else row[0]
    return max(min(last, now) - 2 * WINDOW - GRACE, now - LONGEST_STANDSTILL)


def _first_id(at: datetime) -> UUID:
    """The lowest id of a moment, by which the index of an organization's decisions is entered near its end."""
    return UUID(int=int(at.timestamp() * 1_000) << 80)


def _messages(cur: Cursor, row: Sequence[Any], now: datetime) -> list[Message]:
    organization, agent, code, start, count = row
    place = (organization, agent, code, start)
    found = []
    if cur.execute(_FIRST, place).rowcount:
        found.append(_message(place, "first", 1, now))
    if now >= start + WINDOW + GRACE and cur.execute(_LAST, (count, *place)).rowcount and count > 1:
        found.append(_message(place, "summary", count, now))
    return found


def _message(place: tuple[UUID, UUID, str, datetime], phase: str, count: int, now: datetime) -> Message:
    organization, agent, code, start = place
    data = {
        "agent": None if agent == _NOBODY else str(agent),
        "code": code,
        "phase": phase,
        "denials": count,
        "window_start": time_text(start),
        "window_end": time_text(start + WINDOW),
    }
    source = f"denied:{phase}:{agent}:{code}:{time_text(start)}"
    return Message(organization, source, DENIED, data, now)
