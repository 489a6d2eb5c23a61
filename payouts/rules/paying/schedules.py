"""When a partner's schedule asks for a payout: days of its own time zone. Pure."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo


def slot_of(schedule: str, now: datetime, *, zone: str) -> date | None:
    """Return the day whose payout is due at a moment: today, this week's Monday or the first of the month, in the
    partner's time zone. None: nothing is asked for by itself."""
    today = now.astimezone(ZoneInfo(zone)).date()
    if schedule == "daily":
        return today
    if schedule == "weekly":
        return today - timedelta(days=today.weekday())
    return today.replace(day=1) if schedule == "monthly" else None
