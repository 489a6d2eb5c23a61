"""Proration: what part of a period's price belongs to a part of it.

A share is exact. The denominator is always the whole anchor period, also in a stub, so the same day costs the same in
both (house rules 21 to 23 and 26). What a change credits and charges of it: `crediting` and `moving` in
`billing.rules.subscriptions`.
"""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Final

from billing.rules.periods import Period
from common.localtime import local_time

BASES: Final = ("per_second", "per_day", "fixed_30")
ARREARS: Final = "arrears"
_ONE_DAY: Final = timedelta(days=1)


def span_share(period: Period, start: datetime, end: datetime, *, basis: str) -> Fraction:
    """Return what part of a whole period's price [start, end) costs; it lies inside the whole anchor period.

    per_day counts the start day and not the end day. fixed_30 counts 30E/360 days over 30 for each month of the
    interval; at most 1, and not for weeks. Raises ValueError.
    """
    if not period.whole_start <= start <= end <= period.whole_end:
        raise ValueError("a share is that of a span inside the period")
    if (start, end) == (period.whole_start, period.whole_end):
        return Fraction(1)
    if basis == "per_second":
        return _length(start, end) / _length(period.whole_start, period.whole_end)
    return _share_of_days(period, _day(start, period), _day(end, period), basis)


def unused_share(period: Period, at: datetime, *, basis: str, day_counts_as_used: bool = False) -> Fraction:
    """Return what part of a whole period's price is left at a change (house rule 22).

    The day of a change belongs to what comes after; on a termination it counts as used. Raises ValueError.
    """
    if basis == "per_second" or not day_counts_as_used:
        return span_share(period, at, period.end, basis=basis)
    return _share_of_days(period, _day(at, period) + _ONE_DAY, period.end_date, basis)


def used_share(period: Period, at: datetime, *, basis: str, day_counts_as_used: bool = False) -> Fraction:
    """Return what part of a whole period's price was used from the period's start until a change or termination."""
    if basis == "per_second" or not day_counts_as_used:
        return span_share(period, period.start, at, basis=basis)
    last = min(_day(at, period) + _ONE_DAY, period.end_date)
    return _share_of_days(period, period.start_date, last, basis)


def blocked_share(period: Period, blocks: Iterable[tuple[datetime, datetime]]) -> Fraction:
    """Return what part of a whole period's price the blocked days [block, unblock) cost: a day counts once, and all of
    them are no more than the begun days of 24 hours (local time) that were blocked together."""
    blocked: set[date] = set()
    length, last = timedelta(), period.start
    for start, end in sorted(blocks):
        first = max(_day(start, period), period.start_date)
        days = (min(_day(end, period), period.end_date) - first).days
        blocked.update(first + timedelta(days=number) for number in range(max(days, 0)))
        last, since = max(last, min(end, period.end)), max(last, start)
        length += max(_local(last, period) - _local(since, period), timedelta())
    count = min(len(blocked), -(-length // _ONE_DAY))
    return Fraction(count, (_day(period.whole_end, period) - _day(period.whole_start, period)).days)


def _share_of_days(period: Period, first: date, end: date, basis: str) -> Fraction:
    if basis == "per_day":
        whole = (_day(period.whole_end, period) - _day(period.whole_start, period)).days
        return Fraction(max((end - first).days, 0), whole)
    if basis != "fixed_30" or not period.interval.months:
        raise ValueError("a basis is one of BASES, and fixed_30 counts months")
    days = _thirty_day_count(end) - _thirty_day_count(first)
    return min(Fraction(max(days, 0), 30 * period.interval.months), Fraction(1))


def _thirty_day_count(day: date) -> int:
    """Days since year 0 if every month had 30 (30E/360): the 31st counts as the 30th."""
    return (day.year * 12 + day.month) * 30 + min(day.day, 30)


def _day(instant: datetime, period: Period) -> date:
    return _local(instant, period).date()


def _local(instant: datetime, period: Period) -> datetime:
    return local_time(instant, zone=period.zone)


def _length(start: datetime, end: datetime) -> Fraction:
    return Fraction((end - start) // timedelta(microseconds=1))
