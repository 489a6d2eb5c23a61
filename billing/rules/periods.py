"""Billing periods: counted from the original anchor, clamped to the month, at the wall clock of the customer's zone.

Boundary k is the anchor moved by k intervals, never the last boundary moved by one: a day that a month lacks is clamped
to its last one, and returns (house rule 19). A boundary in a gap of the clock moves to the first instant after it; one
that exists twice is the earlier (house rule 20). So periods tile the time line.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, Self

from common.localtime import boundary_instant, local_time

INTERVAL_UNITS: Final = ("week", "month", "quarter", "year")
_MONTHS: Final = {"week": 0, "month": 1, "quarter": 3, "year": 12}


@dataclass(frozen=True, slots=True)
class Interval:
    """How long a period is: `count` weeks, months, quarters or years."""

    unit: str
    count: int = 1

    def __post_init__(self) -> None:
        if self.unit not in INTERVAL_UNITS or self.count < 1:
            raise ValueError("an interval is one or more weeks, months, quarters or years")

    @property
    def months(self) -> int:
        """The length in months; 0 for weeks."""
        return _MONTHS[self.unit] * self.count


@dataclass(frozen=True, slots=True)
class Period:
    """[start, end) as instants (UTC), and the local dates of both. By days the start day is in it, the end day not.

    `whole_start` and `whole_end` are the anchor period that contains it; they differ from start and end in a stub only.
    """

    number: int
    start: datetime
    end: datetime
    start_date: date
    end_date: date
    zone: str
    interval: Interval
    whole_start: datetime
    whole_end: datetime

    @property
    def is_stub(self) -> bool:
        """Whether it is shorter than the anchor period."""
        return (self.start, self.end) != (self.whole_start, self.whole_end)

    def __contains__(self, instant: datetime) -> bool:
        return self.start <= instant < self.end


@dataclass(frozen=True, slots=True)
class Cycle:
    """The periods of one subscription.

    `anchor` is a local wall time without offset that one boundary falls on, before or after the start. `day` is the day
    of the month to return to where the anchor's own month lacks it (31 for an anchor on 30 April). With `starts_at`
    (an instant) period 0 begins there, as a stub if it is no boundary, and there is none before; without it, period 0
    begins at the anchor and numbers go below 0.
    """

    anchor: datetime
    interval: Interval
    zone: str
    starts_at: datetime | None = None
    day: int | None = None

    def __post_init__(self) -> None:
        if self.anchor.tzinfo is not None:
            raise ValueError("an anchor is a local wall time without offset")
        if self.starts_at is not None and self.starts_at.tzinfo is None:
            raise ValueError("a start is an instant")
        if self.day is not None and self.anchor.day != min(self.day, _last_day(self.anchor)):
            raise ValueError("the anchor does not fall on the day")

    @classmethod
    def from_start(cls, start: datetime, *, interval: Interval, zone: str) -> Self:
        """Return the cycle that is anchored at the local time of its first instant."""
        return cls(local_time(start, zone=zone), interval, zone, starts_at=start.astimezone(UTC))

    def period(self, number: int) -> Period:
        """Return the period with this number. Raises ValueError for one before the start."""
        if self.starts_at is not None and number < 0:
            raise ValueError("there is no period before the start")
        return self._period(number, self._first_index() + number)

    def period_at(self, instant: datetime) -> Period:
        """Return the period that contains the instant. Raises ValueError for an instant before the start."""
        if self.starts_at is not None and instant < self.starts_at:
            raise ValueError("there is no period before the start")
        index = self._index_at(instant)
        return self._period(index - self._first_index(), index)

    def periods(self, number: int = 0) -> Iterator[Period]:
        """Yield the periods from this number on, without end."""
        while True:
            yield self.period(number)
            number += 1

    def started_by(self, instant: datetime, *, number: int = 0) -> Iterator[Period]:
        """Yield the periods from this number on that have begun at the instant: what is billed in advance up to it."""
        for period in self.periods(number):
            if period.start > instant:
                return
            yield period

    def restarted(self, at: datetime, *, interval: Interval | None = None) -> "Cycle":
        """Return a cycle with a new anchor: the local time of `at`, its first instant."""
        return Cycle.from_start(at, interval=interval or self.interval, zone=self.zone)

    def continued(self, boundary: datetime, *, interval: Interval) -> "Cycle":
        """Return the cycle that goes on with another interval from one of this cycle's boundaries on.

        The day of the month is kept: after a period from 31 January to 28 February years end on 28 or 29 February and
        months on the 31st.
        """
        kept = self.interval.months and interval.months
        local = self._wall_time(self._index_at(boundary))
        day = (self.day or self.anchor.day) if kept else None
        return Cycle(local, interval, self.zone, starts_at=boundary, day=day)

    def _period(self, number: int, index: int) -> Period:
        whole_start, whole_end = self._boundary(index), self._boundary(index + 1)
        start = whole_start if self.starts_at is None else max(whole_start, self.starts_at.astimezone(UTC))
        return Period(
            number=number,
            start=start,
            end=whole_end,
            start_date=local_time(start, zone=self.zone).date(),
            end_date=local_time(whole_end, zone=self.zone).date(),
            zone=self.zone,
            interval=self.interval,
            whole_start=whole_start,
            whole_end=whole_end,
        )

    def _first_index(self) -> int:
        return 0 if self.starts_at is None else self._index_at(self.starts_at)

    def _index_at(self, instant: datetime) -> int:
        """A guess by the calendar, put right by the boundaries around it."""
        local = local_time(instant, zone=self.zone)
        if months := self.interval.months:
            index = ((local.year - self.anchor.year) * 12 + local.month - self.anchor.month) // months
        else:
            index = (local - self.anchor) // timedelta(weeks=self.interval.count)
        while instant < self._boundary(index):
            index -= 1
        while instant >= self._boundary(index + 1):
            index += 1
        return index

    def _boundary(self, index: int) -> datetime:
        return boundary_instant(self._wall_time(index), zone=self.zone)

    def _wall_time(self, index: int) -> datetime:
        if not self.interval.months:
            return self.anchor + timedelta(weeks=self.interval.count * index)
        number = self.anchor.year * 12 + self.anchor.month - 1 + self.interval.months * index
        first = self.anchor.replace(year=number // 12, month=number % 12 + 1, day=1)
        return first.replace(day=min(self.day or self.anchor.day, _last_day(first)))


def _last_day(local: datetime) -> int:
    following = (local.replace(day=28) + timedelta(days=4)).replace(day=1)
    return (following - timedelta(days=1)).day
