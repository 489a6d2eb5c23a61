"""The cycle of a customer's use: calendar months in its own time zone, or months from an anchor of its own."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from billing.rules.periods import Cycle, Interval

_MONTH: Final = Interval("month")
_FIRST: Final = datetime.fromisoformat("2001-01-01T00:00:00")


def cycle_end(start: datetime, *, zone: str, anchor: datetime | None = None) -> datetime:
    """Return the first boundary that lies after a moment (UTC): the next first of a month at local midnight, or the
    next month of a local wall time."""
    return Cycle(anchor or _FIRST, _MONTH, zone).period_at(start).end
