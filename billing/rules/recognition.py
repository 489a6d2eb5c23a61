"""Revenue recognition: a fee straight line over its service period, cut by calendar months.

Up to every month's end the exact share is rounded once, half up, to units of 10^-8, and a month is the difference of
two such sums: so the months sum to exactly the amount, and a month that is over does not depend on later ones.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Final

from billing.rules.periods import Cycle, Interval, Period
from common.localtime import boundary_instant, local_time
from common.money import round_half_up

METHODS: Final = ("per_second", "per_day", "even_month")
_ONE_DAY: Final = timedelta(days=1)
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class MonthPart:
    """What of an amount is revenue of a calendar month (its first day): [start, end) of the service is in it."""

    month: date
    start: datetime
    end: datetime
    amount: int


@dataclass(frozen=True, slots=True)
class Recognition:
    """An amount over the service [start, end), by the months of a zone; the parts sum to the amount."""

    amount: int
    start: datetime
    end: datetime
    zone: str
    method: str
    parts: tuple[MonthPart, ...]


def recognise(amount: int, *, start: datetime, end: datetime, zone: str, method: str) -> Recognition:
    """Return an amount's revenue by month (house rule 36).

    per_second: by time. per_day: by local days, the start day whole and the end day not. even_month: as much for
    every service month, counted from the start, in the calendar month that it begins in. Raises ValueError.
    """
    parts = []
    before = 0
    for month, first, last in _months(start, end, zone):
        share = elapsed_share(last, start=start, end=end, zone=zone, method=method)
        until = round_half_up(amount * share.numerator, share.denominator)
        parts.append(MonthPart(month, first, last, until - before))
        before = until
    return Recognition(amount, start, end, zone, method, tuple(parts))


def elapsed_share(at: datetime, *, start: datetime, end: datetime, zone: str, method: str) -> Fraction:
    """Return what part of a service period is over at an instant, by the method."""
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


def recognised_until(recognition: Recognition, month: date) -> int:
    """Return the revenue of all months up to and with this one (its first day)."""
    return sum(part.amount for part in recognition.parts if part.month <= month)


def deferred_after(recognition: Recognition, month: date) -> int:
    """Return what is still deferred after this month."""
    return recognition.amount - recognised_until(recognition, month)


def end_recognition(recognition: Recognition, *, at: datetime, credited: int = 0) -> Recognition:
    """Return the recognition of a service that ends early, its unused rest credited.

    Months before that of the end stay as they are, for they may be closed; that month takes what is left of the amount
    after the credit, less than nothing if more was credited than deferred. Raises ValueError.
    """
    if not recognition.start <= at <= recognition.end:
        raise ValueError("a service ends early inside its period")
    amount = recognition.amount - credited
    kept = [part for part in recognition.parts if part.start < at] or [recognition.parts[0]]
    last = kept.pop()
    rest = amount - sum(part.amount for part in kept)
    kept.append(replace(last, end=at, amount=rest))
    return replace(recognition, amount=amount, end=at, parts=tuple(kept))


def revenue_by_month(recognitions: Sequence[Recognition]) -> dict[date, int]:
    """Return the revenue of several recognitions by month."""
    sums: dict[date, int] = {}
    for part in (part for recognition in recognitions for part in recognition.parts):
        sums[part.month] = sums.get(part.month, 0) + part.amount
    return dict(sorted(sums.items()))


def _months(start: datetime, end: datetime, zone: str) -> Iterator[tuple[date, datetime, datetime]]:
    if start >= end:
        raise ValueError("a service period ends after its start")
    month = _day(start, zone).replace(day=1)
    first = start
    while first < end:
        following = (month.replace(day=28) + timedelta(days=4)).replace(day=1)
        midnight = datetime(following.year, following.month, 1)  # noqa: DTZ001
        last = min(boundary_instant(midnight, zone=zone), end)
        if last > first:
            yield month, first, last
        month, first = following, max(first, last)


def _service_months(start: datetime, end: datetime, zone: str) -> Iterator[Period]:
    cycle = Cycle.from_start(start, interval=Interval("month"), zone=zone)
    return cycle.started_by(end - _MICROSECOND)


def _day(instant: datetime, zone: str) -> date:
    return local_time(instant, zone=zone).date()
