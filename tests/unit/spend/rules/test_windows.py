"""Windows of budgets: over changes of the clock both ways, leap days and month ends; they tile the time line."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spend.rules.windows import (
    ALWAYS,
    WINDOW_KINDS,
    Window,
    bucket_seconds,
    first_bucket_at,
    first_instant,
    rolling_reset,
    window_at,
)

CALENDAR = ("hour", "day", "week", "month", "quarter", "year", "billing_cycle")
ZONES = (
    "UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/Sao_Paulo",
    "Asia/Beirut", "Pacific/Apia", "America/St_Johns", "Africa/Cairo", "America/Havana",
)  # fmt: skip
MOMENTS = st.integers(315_532_800, 2_145_916_800).map(lambda second: datetime.fromtimestamp(second, UTC))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def window(kind: str, moment: str, zone: str = "UTC") -> Window:
    return window_at(kind, at(moment), ZoneInfo(zone))


class TestEachKind:
    @pytest.mark.parametrize(
        ("kind", "start", "end"),
        [
            ("hour", "2026-11-24T13:00:00+01:00", "2026-11-24T14:00:00+01:00"),
            ("day", "2026-11-24T00:00:00+01:00", "2026-11-25T00:00:00+01:00"),
            ("week", "2026-11-23T00:00:00+01:00", "2026-11-30T00:00:00+01:00"),
            ("month", "2026-11-01T00:00:00+01:00", "2026-12-01T00:00:00+01:00"),
            ("billing_cycle", "2026-11-01T00:00:00+01:00", "2026-12-01T00:00:00+01:00"),
            ("quarter", "2026-10-01T00:00:00+02:00", "2027-01-01T00:00:00+01:00"),
            ("year", "2026-01-01T00:00:00+01:00", "2027-01-01T00:00:00+01:00"),
        ],
    )
    def test_is_the_period_of_the_wall_clock_in_its_zone(self, kind: str, start: str, end: str) -> None:
        found = window(kind, "2026-11-24T13:37:00+01:00", "Europe/Berlin")
        assert found == Window(at(start), at(end))

    @pytest.mark.parametrize("kind", ["run", "lifetime"])
    def test_may_never_end(self, kind: str) -> None:
        assert (
            window(kind, "2026-11-24T13:37:00+01:00")
            == ALWAYS
            == Window(datetime(1970, 1, 1, tzinfo=UTC), None)
        )

    def test_begins_where_the_one_before_ends(self) -> None:
        assert window("day", "2026-11-24T00:00:00+00:00").start == at("2026-11-24T00:00:00+00:00")
        assert window("day", "2026-11-23T23:59:59.999999+00:00").end == at("2026-11-24T00:00:00+00:00")

    def test_has_a_leap_day(self) -> None:
        assert window("month", "2028-02-29T12:00:00+00:00") == Window(
            at("2028-02-01T00:00:00+00:00"), at("2028-03-01T00:00:00+00:00")
        )
        assert window("day", "2028-02-29T12:00:00+00:00").end == at("2028-03-01T00:00:00+00:00")
        assert window("day", "2027-02-28T12:00:00+00:00").end == at("2027-03-01T00:00:00+00:00")

    def test_of_a_week_crosses_the_year(self) -> None:
        assert window("week", "2027-01-01T12:00:00+00:00") == Window(
            at("2026-12-28T00:00:00+00:00"), at("2027-01-04T00:00:00+00:00")
        )


class TestChangesOfTheClock:
    @pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-10-26", 24)])
    def test_make_a_day_shorter_or_longer(self, day: str, hours: int) -> None:
        found = window("day", f"{day}T12:00:00+01:00", "Europe/Berlin")
        assert found.end is not None
        assert found.end - found.start == timedelta(hours=hours)

    def test_leave_both_passes_of_a_repeated_hour_an_hour_each(self) -> None:
        first = window("hour", "2026-10-25T00:30:00+00:00", "Europe/Berlin")
        second = window("hour", "2026-10-25T01:30:00+00:00", "Europe/Berlin")
        assert first == Window(at("2026-10-25T00:00:00+00:00"), at("2026-10-25T01:00:00+00:00"))
        assert second == Window(at("2026-10-25T01:00:00+00:00"), at("2026-10-25T02:00:00+00:00"))

    def test_move_a_boundary_in_a_gap_to_the_first_instant_after_it(self) -> None:
        """In Beirut the clocks went from 00:00 to 01:00 on 2021-03-28: that day has no midnight."""
        found = window("day", "2021-03-28T12:00:00+03:00", "Asia/Beirut")
        assert found == Window(at("2021-03-28T01:00:00+03:00"), at("2021-03-29T00:00:00+03:00"))

    def test_take_the_earlier_of_two_midnights(self) -> None:
        """In Havana the clocks go from 01:00 back to 00:00: midnight of 2026-11-01 exists twice."""
        found = window("day", "2026-11-01T12:00:00-05:00", "America/Havana")
        assert found.start == at("2026-11-01T00:00:00-04:00")
        again = window("day", "2026-11-01T00:30:00-05:00", "America/Havana")
        assert again == found

    def test_skip_a_day_that_a_zone_never_had(self) -> None:
        """Samoa crossed the date line: there was no 2011-12-30."""
        before = window("day", "2011-12-29T12:00:00-10:00", "Pacific/Apia")
        after = window("day", "2011-12-31T12:00:00+14:00", "Pacific/Apia")
        assert before == Window(at("2011-12-29T00:00:00-10:00"), at("2011-12-31T00:00:00+14:00"))
        assert after == Window(at("2011-12-31T00:00:00+14:00"), at("2012-01-01T00:00:00+14:00"))

    def test_end_an_hour_where_the_clocks_change_by_half_of_one(self) -> None:
        """On Lord Howe Island the clocks go from 02:00 back to 01:30: that half hour is a window of its own."""
        first = window("hour", "2026-04-05T01:45:00+11:00", "Australia/Lord_Howe")
        again = window("hour", "2026-04-05T01:45:00+10:30", "Australia/Lord_Howe")
        assert first == Window(at("2026-04-05T01:00:00+11:00"), at("2026-04-05T02:00:00+11:00"))
        assert again == Window(at("2026-04-05T01:30:00+10:30"), at("2026-04-05T02:00:00+10:30"))

    def test_shift_hours_by_offsets_that_are_not_whole_hours(self) -> None:
        found = window("hour", "2026-11-24T12:10:00+05:30", "Asia/Kolkata")
        assert found == Window(at("2026-11-24T12:00:00+05:30"), at("2026-11-24T13:00:00+05:30"))


class TestTiling:
    @pytest.mark.parametrize("kind", CALENDAR)
    @pytest.mark.parametrize("zone", ZONES)
    @settings(max_examples=25)
    @given(moment=MOMENTS)
    @example(moment=datetime(2011, 12, 29, 8, tzinfo=UTC))
    @example(moment=datetime(2011, 12, 30, 10, tzinfo=UTC))
    @example(moment=datetime(2026, 4, 4, 15, 15, tzinfo=UTC))
    @example(moment=datetime(2026, 10, 25, 0, 59, 59, 999999, tzinfo=UTC))
    def test_every_moment_is_in_exactly_one_window(self, kind: str, zone: str, moment: datetime) -> None:
        found = window_at(kind, moment, ZoneInfo(zone))
        assert found.end is not None
        assert found.start <= moment < found.end
        assert window_at(kind, found.start, ZoneInfo(zone)) == found
        assert window_at(kind, found.end - timedelta(microseconds=1), ZoneInfo(zone)) == found
        assert window_at(kind, found.end, ZoneInfo(zone)).start == found.end
        assert window_at(kind, found.start - timedelta(microseconds=1), ZoneInfo(zone)).end == found.start

    @given(moment=MOMENTS, seconds=st.integers(1, 10**7))
    def test_buckets_tile_too(self, moment: datetime, seconds: int) -> None:
        found = window_at("rolling", moment, ZoneInfo("UTC"), rolling_seconds=seconds)
        assert found.end is not None
        assert found.start <= moment < found.end
        assert found.end - found.start == timedelta(seconds=bucket_seconds(seconds))
        assert window_at("rolling", found.end, ZoneInfo("UTC"), rolling_seconds=seconds).start == found.end

    def test_the_same_window_is_the_same_object(self) -> None:
        one = window("day", "2026-11-24T13:37:00+00:00")
        assert window("day", "2026-11-24T13:38:00+00:00") is one

    def test_every_kind_is_known(self) -> None:
        assert set(WINDOW_KINDS) == {*CALENDAR, "rolling", "run", "lifetime"}


class TestRollingBuckets:
    @pytest.mark.parametrize(
        ("seconds", "length"), [(1, 1), (59, 1), (60, 1), (119, 1), (120, 2), (3600, 60)]
    )
    def test_are_a_sixtieth_of_the_window_and_at_least_a_second(self, seconds: int, length: int) -> None:
        assert bucket_seconds(seconds) == length

    @given(moment=MOMENTS, seconds=st.integers(1, 10**7), back=st.integers(0, 10**7))
    def test_count_until_they_are_wholly_outside(self, moment: datetime, seconds: int, back: int) -> None:
        """Rounded to the strict side: a bucket leaves no moment before all of it is older than the window."""
        spent_at = moment - timedelta(seconds=back)
        bucket = window_at("rolling", spent_at, ZoneInfo("UTC"), rolling_seconds=seconds)
        assert bucket.end is not None
        counts = bucket.start >= first_bucket_at(moment, seconds)
        assert counts == (moment < rolling_reset(bucket.end, seconds))
        if back <= seconds and spent_at <= moment:
            assert counts or back == seconds


class TestFirstInstant:
    def test_is_the_end_of_the_gap_to_the_second(self) -> None:
        zone = ZoneInfo("America/New_York")
        assert first_instant(datetime.fromisoformat("2026-03-08T02:30"), zone) == at(
            "2026-03-08T03:00:00-04:00"
        )

    def test_is_the_earlier_of_two(self) -> None:
        zone = ZoneInfo("America/New_York")
        assert first_instant(datetime.fromisoformat("2026-11-01T01:30"), zone) == at(
            "2026-11-01T01:30:00-04:00"
        )
