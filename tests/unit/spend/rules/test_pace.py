"""Sliding windows over spend by minute, and when a pace is an alert."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import InvalidField
from common.ids import new_id
from spend.rules.pace import BurnRate, Slices, burn_rate, minute_of, spent_within
from spend.rules.velocity import (
    HOUSE,
    Pace,
    Settings,
    VelocityRule,
    check_target,
    history_of,
    is_fast,
    may_alert,
    rule_for,
)

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
AGENT = new_id()
UNIT = 10**8


def pace(value: int, trailing: int, *, hours: int = 168) -> Pace:
    return Pace(AGENT, value, trailing, timedelta(hours=hours), NOON)


class TestWindows:
    @pytest.mark.parametrize(
        ("seconds", "spent"), [(0, 160), (15, 145), (30, 130), (45, 115), (59.999999, 100)]
    )
    def test_the_first_minute_counts_for_what_lies_in_the_window(self, seconds: float, spent: int) -> None:
        assert spent_within(Slices(100, 60), NOON + timedelta(seconds=seconds)) == spent

    def test_rates_are_averages_per_minute_rounded_half_up(self) -> None:
        windows = [Slices(7, 0), Slices(7, 0), Slices(90, 0)]
        assert burn_rate(windows, NOON) == BurnRate(7, 1, 2)

    @given(whole=st.integers(0, 10**30), first=st.integers(0, 10**30), micro=st.integers(0, 59_999_999))
    def test_a_window_holds_no_less_than_its_whole_minutes_and_no_more_than_all(
        self, whole: int, first: int, micro: int
    ) -> None:
        now = NOON + timedelta(microseconds=micro)
        assert whole <= spent_within(Slices(whole, first), now) <= whole + first
        assert minute_of(now) == NOON


class TestFast:
    def test_is_what_reaches_the_factor_exactly(self) -> None:
        trailing = 2_016 * 10 * UNIT  # 10 in five minutes, for seven days
        assert pace(0, trailing).baseline == 10 * UNIT
        assert is_fast(pace(50 * UNIT, trailing), HOUSE)
        assert not is_fast(pace(50 * UNIT - 1, trailing), HOUSE)

    def test_is_nothing_below_the_minimum(self) -> None:
        assert is_fast(pace(UNIT, 0), HOUSE)
        assert not is_fast(pace(UNIT - 1, 0), HOUSE)
        assert not is_fast(pace(0, 0), Settings(minimum=0))

    def test_is_nothing_with_too_little_history_or_switched_off(self) -> None:
        assert is_fast(pace(9 * UNIT, 0, hours=24), HOUSE)
        assert not is_fast(pace(9 * UNIT, 0, hours=23), HOUSE)
        assert not is_fast(pace(9 * UNIT, 0), Settings(mode="off"))

    @given(
        steps=st.lists(st.integers(1, 1_000), min_size=2, max_size=40),
        factor=st.integers(2, 20),
    )
    def test_growth_below_the_factor_never_is(self, steps: list[int], factor: int) -> None:
        """A baseline that each window is below `factor` times of."""
        trailing = sum(steps) * UNIT * 2_016 // len(steps)
        average = sum(steps) * UNIT // len(steps)
        assert not is_fast(pace(average * factor - 1, trailing), Settings(factor=factor, minimum=0))

    def test_begins_anew_after_five_minutes(self) -> None:
        assert may_alert(None, NOON)
        assert not may_alert(NOON - timedelta(minutes=5) + timedelta(microseconds=1), NOON)
        assert may_alert(NOON - timedelta(minutes=5), NOON)


class TestHistory:
    def test_is_the_last_seven_days_up_to_the_running_hour(self) -> None:
        now = NOON + timedelta(minutes=59)
        assert history_of(NOON - timedelta(days=30), now) == (NOON - timedelta(days=7), NOON)

    def test_of_a_younger_agent_begins_with_it(self) -> None:
        made = NOON - timedelta(hours=30, minutes=7)
        assert history_of(made, NOON) == (made, NOON)

    def test_of_an_agent_of_this_hour_is_none(self) -> None:
        assert history_of(NOON + timedelta(minutes=5), NOON + timedelta(minutes=9)) == (NOON, NOON)
        assert pace(5, 7, hours=0).baseline == 0


def test_an_agents_own_rule_goes_before_the_organizations() -> None:
    owner = new_id()
    wide = VelocityRule(new_id(), owner, "organization", None, HOUSE, 1, NOON)
    mine = VelocityRule(new_id(), owner, "agent", AGENT, HOUSE, 1, NOON)
    assert rule_for([wide, mine], AGENT) is mine
    assert rule_for([wide, mine], new_id()) is wide
    assert rule_for([], AGENT) is None


def test_an_agents_rule_names_its_agent() -> None:
    check_target("organization", None)
    with pytest.raises(InvalidField):
        check_target("agent", None)
