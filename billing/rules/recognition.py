"""Revenue recognition: what part of a service is over at an instant, by three methods (house rule 36).

What is booked of it, month by month, and what a credit or an early end changes: `billing.rules.schedules`.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Final

from billing.rules.periods import Cycle, Interval, Period
from common.localtime import local_time

METHODS: Final = ("per_second", "per_day", "even_month")
_ONE_DAY: Final = timedelta(days=1)
_MICROSECOND: Final = timedelta(microseconds=1)


def elapsed_share(at: datetime, *, start: datetime, end: datetime, zone: str, method: str) -> Fraction:
    """Return what part of a service period is over at an instant, by the method.

    per_second: by time. per_day: by local days, the start day whole and the end day not. even_month: as much for
    every service month, counted from the start, once it has begun. Raises ValueError.
    """
    if start >= end or method not in METHODS:
        raise ValueError("a service period ends after its start, and a method is one of METHODS")
    at = min(max(at, start), end)
    if at == end:
        return Fraction(1)
    if method == "per_second":
        return Fraction((at - start) // _MICROSECOND, (end - start) // _MICROSECOND)
    if method == "even_month":
        begun = [period.start for period in _service_months(start, end, zone)]
        return Fraction(sum(month < at for month in begun), len(begun))
    first, last = _day(start, zone), max(_day(end, zone), _day(start, zone) + _ONE_DAY)
    return Fraction((_day(at, zone) - first).days, (last - first).days)


def _service_months(start: datetime, end: datetime, zone: str) -> Iterator[Period]:
    cycle = Cycle.from_start(start, interval=Interval("month"), zone=zone)
    return cycle.started_by(end - _MICROSECOND)


def _day(instant: datetime, zone: str) -> date:
    return local_time(instant, zone=zone).date()
