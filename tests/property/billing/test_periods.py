"""Periods tile the time line, whatever the anchor, the interval, the zone and the start."""

from calendar import monthrange
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from billing.rules.periods import Cycle, Interval
from common.localtime import local_time
from tests.property.billing.calendars import INSTANTS, INTERVALS, ZONES, cycles


@given(cycle=cycles(), number=st.integers(0, 60))
def test_each_begins_where_the_one_before_ends(cycle: Cycle, number: int) -> None:
    period, following = cycle.period(number), cycle.period(number + 1)
    assert period.whole_start <= period.start < period.end == period.whole_end == following.start
    assert (period.end_date, following.number) == (following.start_date, number + 1)


@given(cycle=cycles(), moment=INSTANTS)
def test_every_instant_is_in_exactly_one(cycle: Cycle, moment: datetime) -> None:
    if cycle.starts_at is not None and moment < cycle.starts_at:
        moment = cycle.starts_at
    found = cycle.period_at(moment)
    assert moment in found
    assert cycle.period(found.number) == found
    assert cycle.period_at(found.start) == found
    assert cycle.period_at(found.end - timedelta(microseconds=1)) == found
    assert cycle.period_at(found.end).number == found.number + 1


@given(cycle=cycles(with_start=True))
def test_only_the_first_is_ever_a_stub(cycle: Cycle) -> None:
    assert cycle.period(0).start == cycle.starts_at
    assert not cycle.period(1).is_stub


@given(day=st.integers(1, 31), zone=st.sampled_from(ZONES), number=st.integers(-200, 200))
def test_the_day_of_the_start_returns_to_the_anchor(day: int, zone: str, number: int) -> None:
    period = Cycle(datetime.fromisoformat(f"2020-01-{day:02}T12:00"), Interval("month"), zone).period(number)
    start = local_time(period.start, zone=zone)
    if (start.year, start.month, day, zone) != (2011, 12, 30, "Pacific/Apia"):  # a day that never was
        assert start.day == min(day, monthrange(start.year, start.month)[1])
        assert start.hour == 12


@given(cycle=cycles(), interval=INTERVALS, number=st.integers(0, 40))
def test_another_interval_goes_on_without_gap(cycle: Cycle, interval: Interval, number: int) -> None:
    boundary = cycle.period(number).end
    after = cycle.continued(boundary, interval=interval)
    assert after.period(0).start == boundary
    assert not after.period(0).is_stub
    assert after.period(0).end == after.period(1).start > boundary


@given(cycle=cycles(), number=st.integers(0, 40), again=st.integers(1, 12))
def test_going_on_with_the_same_interval_changes_nothing(cycle: Cycle, number: int, again: int) -> None:
    after = cycle.continued(cycle.period(number).end, interval=cycle.interval)
    assert after.period(again).start == cycle.period(number + 1 + again).start
