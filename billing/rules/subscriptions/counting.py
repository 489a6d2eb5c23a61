"""Over what time a meter's count goes on: free units, tiers, minimum and maximum are those of a whole period, once.

A period of a metered charge may be split: by a change of plan, an add-on, an end and a new start. Its parts stay in one
window, the period as it was to be when it began. Who subscribes anew before a window has ended goes on in it; what
follows its end counts in a window of its own, as the part of a period that it is. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Final

from billing.rules.periods import Interval, Period
from billing.rules.plans import PlanCharge

_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Window:
    """[start, end) over which the count of a meter goes on, in periods of an interval such as "month:1"."""

    meter: str
    interval: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a metered charge's time inside one window."""

    window: Window
    start: datetime
    end: datetime
    share: Fraction
    rest: Fraction
    """What part of a whole period there is between its end and the window's."""


def parts_of(
    meter: str, period: Period, since: datetime, at: datetime, windows: Iterable[Window]
) -> list[Part]:
    """Return [since, at) of a period of a plan by the windows in which it is counted. `windows`: those of the
    organization's earlier parts."""
    interval = interval_text(period.interval)
    running = running_in(meter, period, since, windows)
    found = []
    if running:
        window = max(running, key=lambda one: one.end)
        found.append(_part(window, period, since, min(at, window.end)))
        since = window.end
    if since < at:
        start = since if running else period.start
        found.append(_part(Window(meter, interval, start, period.end), period, since, at))
    return found


def running_in(meter: str, period: Period, since: datetime, windows: Iterable[Window]) -> list[Window]:
    """Return the windows in which a part of a period that begins at `since` goes on. One that outlasts the period, or
    is of another interval, holds for nothing here."""
    interval = interval_text(period.interval)
    return [
        one
        for one in windows
        if (one.meter, one.interval) == (meter, interval) and one.start <= since < one.end <= period.end
    ]


def interval_text(interval: Interval) -> str:
    """Return an interval as a window names it."""
    return f"{interval.unit}:{interval.count}"


def is_same_price(one: PlanCharge, other: PlanCharge, currency: str) -> bool:
    """Whether two charges price the same meter alike, so that what both count is one count."""
    prices = one.prices.get(currency), other.prices.get(currency)
    return (one.meter, one.group_by) == (other.meter, other.group_by) and prices[0] == prices[1]


def _part(window: Window, period: Period, start: datetime, end: datetime) -> Part:
    whole = _length(period.whole_start, period.whole_end)
    return Part(window, start, end, _length(start, end) / whole, _length(end, window.end) / whole)


def _length(start: datetime, end: datetime) -> Fraction:
    return Fraction((end - start) // _MICROSECOND)
