"""Which days are to be reconciled, and between which moments. Pure.

A period is a day of UTC, so that no change of summer time repeats or omits one. Its run begins some hours after its
end, when what was in flight has arrived.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Final

OVERLAP: Final = timedelta(days=3)
"""So far back objects are compared again: what came late is found by the next nights."""
NIGHTLY_AT: Final = timedelta(hours=2)
MOST_MISSED: Final = 7
"""Of a longer pause only the last days are run: each looks back, and the newest compares all that is open."""


def last_period(now: datetime) -> date:
    """Return the newest day whose run is due."""
    return (now.astimezone(UTC) - NIGHTLY_AT).date() - timedelta(days=1)


def periods_due(now: datetime, *, newest: date | None) -> list[date]:
    """Return the days that are due and were not run, oldest first; `newest`: the newest that was. A clock that was set
    back makes none due again."""
    last = last_period(now)
    if newest is None:
        return [last]
    first = max(newest + timedelta(days=1), last - timedelta(days=MOST_MISSED - 1))
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def bounds(period: date, *, now: datetime, grace: timedelta) -> tuple[datetime, datetime]:
    """Return from when and until when objects of a period's run are compared: from some days before it, until it ends,
    and nothing younger than the grace, for that is in flight."""
    start = datetime.combine(period, time(), UTC)
    return start - OVERLAP, min(start + timedelta(days=1), now - grace)
