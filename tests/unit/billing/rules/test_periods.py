"""Periods: from the original anchor, clamped, over changes of the clock, with a stub at the start."""

from datetime import UTC, date, datetime, timedelta
from itertools import islice

import pytest

from billing.rules.periods import Cycle, Interval, Period


def local(text: str) -> datetime:
    return datetime.fromisoformat(text)


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def dates(cycle: Cycle, count: int) -> list[str]:
    return [str(period.start_date) for period in islice(cycle.periods(), count)]


class TestIntervals:
    @pytest.mark.parametrize(
        ("interval", "starts"),
        [
            (Interval("week"), ["2026-01-31", "2026-02-07", "2026-02-14"]),
            (Interval("week", 2), ["2026-01-31", "2026-02-14", "2026-02-28"]),
            (Interval("month"), ["2026-01-31", "2026-02-28", "2026-03-31"]),
            (Interval("month", 5), ["2026-01-31", "2026-06-30", "2026-11-30"]),
            (Interval("quarter"), ["2026-01-31", "2026-04-30", "2026-07-31"]),
            (Interval("year"), ["2026-01-31", "2027-01-31", "2028-01-31"]),
        ],
    )
    def test_are_counted_from_the_anchor(self, interval: Interval, starts: list[str]) -> None:
        assert dates(Cycle(local("2026-01-31"), interval, "UTC"), 3) == starts

    def test_of_years_from_a_leap_day_return_to_it(self) -> None:
        cycle = Cycle(local("2024-02-29"), Interval("year"), "UTC")
        assert dates(cycle, 5) == ["2024-02-29", "2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29"]

    @pytest.mark.parametrize(("unit", "count"), [("day", 1), ("month", 0), ("", 1)])
    def test_are_one_or_more_of_four_units(self, unit: str, count: int) -> None:
        with pytest.raises(ValueError, match="interval"):
            Interval(unit, count)


class TestPeriods:
    def test_have_instants_dates_zone_and_number(self) -> None:
        cycle = Cycle(local("2026-03-01"), Interval("month"), "Europe/Berlin")
        assert cycle.period(0) == Period(
            number=0,
            start=instant("2026-03-01T00:00+01:00"),
            end=instant("2026-04-01T00:00+02:00"),
            start_date=date(2026, 3, 1),
            end_date=date(2026, 4, 1),
            zone="Europe/Berlin",
            interval=Interval("month"),
            whole_start=instant("2026-03-01T00:00+01:00"),
            whole_end=instant("2026-04-01T00:00+02:00"),
        )
        assert not cycle.period(0).is_stub

    def test_include_their_start_and_not_their_end(self) -> None:
        cycle = Cycle(local("2026-03-01"), Interval("month"), "Europe/Berlin")
        first = cycle.period(0)
        assert first.start in first
        assert first.end not in first
        assert cycle.period_at(first.end - timedelta(microseconds=1)) == first
        assert cycle.period_at(first.end) == cycle.period(1)

    def test_go_back_before_the_anchor_without_a_start(self) -> None:
        cycle = Cycle(local("2026-03-31"), Interval("month"), "UTC")
        assert cycle.period(-1).start_date == date(2026, 2, 28)
        assert cycle.period_at(instant("2025-12-31T00:00+00:00")).number == -3

    def test_begin_with_a_stub_where_the_start_is_no_boundary(self) -> None:
        start = instant("2026-01-20T09:30+00:00")
        cycle = Cycle(local("2026-02-01"), Interval("month"), "UTC", starts_at=start)
        stub = cycle.period(0)
        assert (stub.start, stub.end, stub.is_stub) == (start, instant("2026-02-01T00:00+00:00"), True)
        assert (stub.whole_start, stub.whole_end) == (instant("2026-01-01T00:00+00:00"), stub.end)
        assert cycle.period(1).start == stub.end

    def test_do_not_exist_before_the_start(self) -> None:
        cycle = Cycle.from_start(instant("2026-01-20T09:30+00:00"), interval=Interval("month"), zone="UTC")
        with pytest.raises(ValueError, match="before the start"):
            cycle.period(-1)
        with pytest.raises(ValueError, match="before the start"):
            cycle.period_at(instant("2026-01-20T09:29+00:00"))

    def test_that_have_begun_are_those_billed_in_advance(self) -> None:
        cycle = Cycle(
            local("2026-01-15"), Interval("month"), "UTC", starts_at=instant("2026-01-15T00:00+00:00")
        )
        assert [p.number for p in cycle.started_by(instant("2026-03-15T00:00+00:00"))] == [0, 1, 2]
        assert [p.number for p in cycle.started_by(instant("2026-03-14T00:00+00:00"), number=1)] == [1]


class TestChangesOfTheClock:
    def test_move_a_boundary_in_a_gap_behind_it(self) -> None:
        cycle = Cycle(local("2026-02-08T02:30"), Interval("month"), "America/New_York")
        assert cycle.period(1).start == instant("2026-03-08T03:00-04:00")
        assert cycle.period(2).start == instant("2026-04-08T02:30-04:00")

    def test_take_the_earlier_of_two(self) -> None:
        cycle = Cycle(local("2026-10-01T01:30"), Interval("month"), "America/New_York")
        assert cycle.period(1).start == instant("2026-11-01T01:30-04:00")

    def test_that_a_start_lies_in_make_it_a_stub_of_almost_a_period(self) -> None:
        """A start in the second pass of a repeated hour is after the boundary of its local time."""
        second_pass = instant("2026-11-01T01:30-05:00")
        cycle = Cycle.from_start(second_pass, interval=Interval("month"), zone="America/New_York")
        assert cycle.period(0).start == second_pass
        assert cycle.period(0).whole_start == instant("2026-11-01T01:30-04:00")
        assert cycle.period(1).start == instant("2026-12-01T01:30-05:00")

    def test_skip_a_day_that_a_zone_never_had(self) -> None:
        cycle = Cycle(local("2011-11-30"), Interval("month"), "Pacific/Apia")
        assert cycle.period(1).start == instant("2011-12-31T00:00+14:00")
        assert cycle.period(1).start_date == date(2011, 12, 31)
        assert cycle.period(2).start_date == date(2012, 1, 30)


class TestAnotherAnchor:
    def test_is_the_local_time_of_a_reset(self) -> None:
        cycle = Cycle(local("2026-01-31"), Interval("month"), "Europe/Berlin")
        after = cycle.restarted(instant("2026-02-10T12:00+01:00"))
        assert after.period(0).start == instant("2026-02-10T12:00+01:00")
        assert after.period(0).end == instant("2026-03-10T12:00+01:00")
        assert not after.period(0).is_stub

    def test_keeps_its_day_when_another_interval_continues(self) -> None:
        cycle = Cycle(local("2026-01-31"), Interval("month"), "UTC")
        years = cycle.continued(cycle.period(1).start, interval=Interval("year"))
        assert dates(years, 3) == ["2026-02-28", "2027-02-28", "2028-02-29"]
        months = years.continued(years.period(1).start, interval=Interval("month"))
        assert dates(months, 3) == ["2027-02-28", "2027-03-31", "2027-04-30"]

    def test_has_no_day_of_the_month_in_weeks(self) -> None:
        cycle = Cycle(local("2026-01-31"), Interval("month"), "UTC")
        weeks = cycle.continued(cycle.period(1).start, interval=Interval("week"))
        assert dates(weeks, 2) == ["2026-02-28", "2026-03-07"]

    def test_may_name_a_day_that_its_month_lacks(self) -> None:
        assert dates(Cycle(local("2026-04-30"), Interval("month"), "UTC", day=31), 2) == [
            "2026-04-30",
            "2026-05-31",
        ]
        with pytest.raises(ValueError, match="fall on the day"):
            Cycle(local("2026-04-29"), Interval("month"), "UTC", day=31)

    def test_is_local_and_a_start_an_instant(self) -> None:
        with pytest.raises(ValueError, match="wall time"):
            Cycle(datetime(2026, 1, 1, tzinfo=UTC), Interval("month"), "UTC")
        with pytest.raises(ValueError, match="instant"):
            Cycle(local("2026-01-01"), Interval("month"), "UTC", starts_at=local("2026-01-01"))
