"""Proration: shares of a period by three bases."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest

from billing.rules.periods import Cycle, Interval
from billing.rules.proration import BASES, blocked_share, span_share, unused_share, used_share

JUNE = Cycle(datetime.fromisoformat("2025-06-01"), Interval("month"), "UTC")
MIDDLE = datetime(2025, 6, 16, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class TestShares:
    def test_by_seconds_are_exact_to_the_microsecond(self) -> None:
        period = JUNE.period(0)
        share = span_share(period, period.start, at("2025-06-01T00:00:00.000001"), basis="per_second")
        assert share == Fraction(1, 30 * 86_400 * 10**6)

    def test_by_days_count_the_local_day_of_a_change_for_what_follows(self) -> None:
        period = Cycle(datetime.fromisoformat("2025-06-01"), Interval("month"), "Asia/Tokyo").period(0)
        assert unused_share(period, at("2025-06-15T14:59"), basis="per_day") == Fraction(16, 30)
        assert unused_share(period, at("2025-06-15T15:00"), basis="per_day") == Fraction(15, 30)

    @pytest.mark.parametrize(
        ("start", "end", "share"),
        [
            ("2025-01-15", "2025-01-31", Fraction(15, 30)),  # the 31st counts as the 30th
            ("2025-01-01", "2025-01-31", Fraction(29, 30)),
            ("2025-01-31", "2025-02-01", Fraction(1, 30)),
            ("2025-01-01", "2025-02-01", Fraction(1)),
        ],
    )
    def test_by_thirty_days_count_every_month_alike(self, start: str, end: str, share: Fraction) -> None:
        period = Cycle(datetime.fromisoformat("2025-01-01"), Interval("month"), "UTC").period(0)
        assert span_share(period, at(start), at(end), basis="fixed_30") == share

    def test_by_thirty_days_keep_february_s_number_and_never_exceed_the_period(self) -> None:
        cycle = Cycle(datetime.fromisoformat("2025-01-31"), Interval("month"), "UTC")
        assert span_share(cycle.period(0), at("2025-01-31"), at("2025-02-27"), basis="fixed_30") == Fraction(
            27, 30
        )
        assert span_share(cycle.period(1), at("2025-02-28"), at("2025-03-30"), basis="fixed_30") == 1

    @pytest.mark.parametrize("basis", BASES)
    def test_of_a_whole_period_are_one(self, basis: str) -> None:
        february = Cycle(datetime.fromisoformat("2025-01-31"), Interval("month"), "UTC").period(0)
        assert span_share(february, february.start, february.end, basis=basis) == 1

    def test_by_thirty_days_have_ninety_in_a_quarter_and_none_in_weeks(self) -> None:
        quarter = Cycle(datetime.fromisoformat("2025-01-01"), Interval("quarter"), "UTC").period(0)
        assert span_share(quarter, quarter.start, at("2025-02-01"), basis="fixed_30") == Fraction(1, 3)
        week = Cycle(datetime.fromisoformat("2025-01-01"), Interval("week"), "UTC").period(0)
        with pytest.raises(ValueError, match="fixed_30 counts months"):
            span_share(week, week.start, at("2025-01-02"), basis="fixed_30")

    def test_of_a_stub_have_the_whole_anchor_period_below(self) -> None:
        stub = Cycle(
            datetime.fromisoformat("2025-06-01"), Interval("month"), "UTC", starts_at=at("2025-05-22")
        ).period(0)
        assert span_share(stub, stub.start, stub.end, basis="per_day") == Fraction(10, 31)
        assert used_share(stub, at("2025-05-30"), basis="per_second") == Fraction(8, 31)

    def test_of_a_termination_count_its_day_as_used(self) -> None:
        period = JUNE.period(0)
        assert unused_share(period, MIDDLE, basis="per_day", day_counts_as_used=True) == Fraction(14, 30)
        assert used_share(period, MIDDLE, basis="per_day", day_counts_as_used=True) == Fraction(16, 30)
        assert used_share(period, period.end, basis="per_day", day_counts_as_used=True) == 1
        assert unused_share(period, period.end, basis="per_day", day_counts_as_used=True) == 0

    def test_lie_inside_the_period(self) -> None:
        with pytest.raises(ValueError, match="inside the period"):
            span_share(JUNE.period(0), at("2025-06-02"), at("2025-07-02"), basis="per_second")

    def test_have_a_known_basis(self) -> None:
        with pytest.raises(ValueError, match="one of BASES"):
            span_share(JUNE.period(0), at("2025-06-02"), at("2025-06-03"), basis="per_hour")


class TestBlockedTime:
    def test_is_counted_by_days_of_the_period_each_once(self) -> None:
        blocks = [
            (at("2025-05-20"), at("2025-06-03")),
            (at("2025-06-02T12:00"), at("2025-06-05T01:00")),
            (at("2025-06-30"), at("2025-07-09")),
        ]
        assert blocked_share(JUNE.period(0), blocks) == Fraction(5, 30)
        assert blocked_share(JUNE.period(0), [(at("2025-08-01"), at("2025-08-05"))]) == 0

    @pytest.mark.parametrize(
        ("start", "hours", "nights", "days"),
        [
            ("2025-06-01T23:59", 2 / 60, 29, 1),
            ("2025-06-01T23:30", 1, 24, 1),
            ("2025-06-01T23:30", 1, 25, 2),
            ("2025-06-01T18:00", 12, 28, 14),
            ("2025-06-01T12:00", 240, 1, 10),
            ("2025-06-01T12:00", 20, 1, 1),
            ("2025-06-01T01:00", 20, 28, 0),
        ],
    )
    def test_is_never_more_days_than_were_blocked_in_all(
        self, start: str, hours: float, nights: int, days: int
    ) -> None:
        begun = [at(start) + timedelta(days=night) for night in range(nights)]
        blocks = [(one, one + timedelta(hours=hours)) for one in begun]
        assert blocked_share(JUNE.period(0), blocks) == Fraction(days, 30)

    def test_is_counted_in_local_time_over_a_change_of_the_clocks(self) -> None:
        march = Cycle(datetime.fromisoformat("2025-03-01"), Interval("month"), "Europe/Berlin").period(0)
        blocks = [(at("2025-03-29T11:00"), at("2025-03-30T10:00"))]  # noon to noon, 23 hours
        assert blocked_share(march, blocks) == Fraction(1, 31)
