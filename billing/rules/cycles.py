"""The cycle of a customer's use: calendar months in its own time zone."""

from __future__ import annotations

from datetime import datetime

from common.localtime import boundary_instant, local_time


def cycle_end(start: datetime, *, zone: str) -> datetime:
    """Return the first midnight of a month, in the zone, that lies after a moment (UTC).

    One in a gap of the clock moves to the first instant after it, one that exists twice is the earlier (house rule 20).
    """
    local = local_time(start, zone=zone)
    year, month = (local.year + 1, 1) if local.month == 12 else (local.year, local.month + 1)
    midnight = local.replace(year=year, month=month, day=1, hour=0, minute=0, second=0, microsecond=0)
    return boundary_instant(midnight, zone=zone)
