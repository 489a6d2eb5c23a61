"""Percentiles, headroom, confidence and rounding of what was measured, against counting by hand."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spend.rules.suggesting import (
    NOTHING_SPENT,
    TOO_FEW_WINDOWS,
    Suggestion,
    confidence,
    ended_windows,
    nearest_rank,
    rounded_up,
    suggest,
    with_headroom,
    would_have_blocked,
)

amounts = st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=60)


class TestTheNearestRank:
    # Wikipedia, "Percentile", worked examples of the nearest-rank method.
    @pytest.mark.parametrize(("percent", "expected"), [(5, 15), (30, 20), (40, 20), (50, 35), (100, 50)])
    def test_is_that_of_the_worked_example(self, percent: int, expected: int) -> None:
        assert nearest_rank([15, 20, 35, 40, 50], percent) == expected

    @given(amounts, st.integers(1, 100))
    def test_is_the_smallest_value_that_enough_values_do_not_exceed(
        self, values: list[int], percent: int
    ) -> None:
        enough = [v for v in values if 100 * sum(other <= v for other in values) >= percent * len(values)]
        assert nearest_rank(values, percent) == min(enough)

    @pytest.mark.parametrize(("values", "percent"), [([], 50), ([1], 0), ([1], 101)])
    def test_needs_a_value_and_a_percent(self, values: list[int], percent: int) -> None:
        with pytest.raises(ValueError, match="percentile"):
            nearest_rank(values, percent)


class TestRounding:
    @pytest.mark.parametrize(
        ("units", "expected"),
        [(0, 0), (1, 1), (999, 999), (1_000, 1_000), (1_001, 1_010), (1_337_200_000, 1_340_000_000), (99_901, 100_000)],
    )  # fmt: skip
    def test_keeps_three_digits(self, units: int, expected: int) -> None:
        assert rounded_up(units) == expected

    @given(st.integers(0, 2**63 - 1))
    def test_adds_at_most_one_percent_and_takes_nothing(self, units: int) -> None:
        assert units <= rounded_up(units) <= units + units // 100 + 1

    @pytest.mark.parametrize(("units", "hundredths", "expected"), [(10, 120, 12), (1, 120, 2), (7, 100, 7)])
    def test_of_headroom_is_up(self, units: int, hundredths: int, expected: int) -> None:
        assert with_headroom(units, hundredths) == expected


class TestConfidence:
    @pytest.mark.parametrize(
        ("samples", "expected"),
        [(0, "low"), (4, "low"), (5, "medium"), (29, "medium"), (30, "high"), (10**6, "high")],
    )
    def test_changes_at_5_and_at_30(self, samples: int, expected: str) -> None:
        assert confidence(samples) == expected


class TestASuggestion:
    def test_is_the_percentile_times_the_headroom(self) -> None:
        assert suggest([100, 300, 200, 400], percent=50, headroom=120) == Suggestion(200, 240, 240, None)
        assert suggest([100, 300, 200, 400], percent=95, headroom=150) == Suggestion(400, 600, 600, None)

    def test_needs_four_windows(self) -> None:
        assert suggest([5, 5, 5], percent=95, headroom=120).reason == TOO_FEW_WINDOWS
        assert suggest([5, 5, 5, 5], percent=95, headroom=120).limit == 6

    def test_is_not_nothing(self) -> None:
        assert suggest([0, 0, 0, 0, 9], percent=50, headroom=120) == Suggestion(0, None, None, NOTHING_SPENT)


class TestEndedWindows:
    def test_are_the_last_ones_without_the_present_one(self) -> None:
        now = datetime(2026, 3, 5, 12, tzinfo=UTC)
        found = ended_windows("month", now, ZoneInfo("UTC"), most=3)
        starts = [(window.start.year, window.start.month) for window in found]
        assert starts == [(2025, 12), (2026, 1), (2026, 2)]
        assert found[-1].end == datetime(2026, 3, 1, tzinfo=UTC)

    def test_follow_each_other_also_where_the_clocks_change(self) -> None:
        now = datetime(2026, 4, 2, 12, tzinfo=UTC)
        found = ended_windows("day", now, ZoneInfo("Europe/Berlin"), most=7)
        assert all(one.end == other.start for one, other in pairwise(found))
        lengths = {window.end - window.start for window in found if window.end is not None}
        assert lengths == {timedelta(hours=23), timedelta(hours=24)}

    def test_end_at_a_boundary_that_is_now(self) -> None:
        now = datetime(2026, 3, 2, tzinfo=UTC)  # a Monday
        (week,) = ended_windows("week", now, ZoneInfo("UTC"), most=1)
        assert (week.start, week.end) == (datetime(2026, 2, 23, tzinfo=UTC), now)


class TestTheSentence:
    @pytest.mark.parametrize(
        ("calls", "units", "currency", "expected"),
        [
            (37, 1_240_000_000, "USD", "would have blocked 37 calls worth 12.40 USD"),
            (1, 1, "USD", "would have blocked 1 call worth 0.00000001 USD"),
            (0, 0, "USD", "would have blocked 0 calls worth 0.00 USD"),
            (2, 300_000_000, "JPY", "would have blocked 2 calls worth 3 JPY"),
        ],
    )
    def test_has_the_currencys_decimals_at_least(
        self, calls: int, units: int, currency: str, expected: str
    ) -> None:
        assert would_have_blocked(calls, units, currency) == expected
