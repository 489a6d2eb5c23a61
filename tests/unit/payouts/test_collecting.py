"""Settling as plain arithmetic: what is taken back, from which hour, and what that moves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from payouts.rules.collecting import (
    ALL,
    NOTHING,
    Collection,
    Fraction,
    Moved,
    Pair,
    Source,
    settle,
)

NOW = datetime(2026, 3, 20, 12, 30, tzinfo=UTC)
HOUR = NOW.replace(minute=0)
WEEK = timedelta(days=7)
OLD = HOUR - timedelta(days=9)


class TestSettling:
    def test_collects_in_the_hour_in_which_it_is_found(self) -> None:
        made = settle([Source("p", "grant:g", 80, 0, 0)], {"grant:g": ALL}, [], [], now=NOW)
        assert made.collected == [("p", "grant:g", HOUR, 80)]

    def test_of_nothing_new_is_empty(self) -> None:
        pair = Pair("p", 80, 80, WEEK)
        made = settle([Source("p", "grant:g", 80, 80, 0)], {"grant:g": ALL}, [], [pair], now=NOW)
        assert made.is_empty

    def test_takes_back_of_the_newest_hour_first(self) -> None:
        hours = [
            Collection("p", "grant:g", OLD, 50, matured=True),
            Collection("p", "grant:g", HOUR - timedelta(hours=5), 30, matured=False),
        ]
        source, pair = Source("p", "grant:g", 80, 80, 0), Pair("p", 50, 50, WEEK)
        made = settle([source], {"grant:g": Fraction(1, 0, 2)}, hours, [pair], now=NOW)
        assert made.collected == [
            ("p", "grant:g", HOUR - timedelta(hours=5), -30),
            ("p", "grant:g", OLD, -10),
        ]
        assert made.moved == [Moved("p", None, -10, -10)]

    def test_takes_back_what_waits_without_a_move(self) -> None:
        hours = [Collection("p", "invoice:i", HOUR - timedelta(hours=5), 30, matured=False)]
        source, pair = Source("p", "invoice:i", 30, 30, 0), Pair("p", 0, 0, WEEK)
        made = settle([source], {"invoice:i": NOTHING}, hours, [pair], now=NOW)
        assert made.collected == [("p", "invoice:i", HOUR - timedelta(hours=5), -30)]
        assert made.moved == []

    def test_goes_below_zero_where_it_was_paid_out(self) -> None:
        hours = [Collection("p", "invoice:i", OLD, 30, matured=True)]
        source, pair = Source("p", "invoice:i", 30, 30, 0), Pair("p", 30, 30, WEEK)
        made = settle([source], {"invoice:i": NOTHING}, hours, [pair], now=NOW)
        assert [move.amount for move in made.moved] == [-30]


class TestWhatIsBelowZero:
    OWED = Source("p", "line", -80, 0, 0)

    def test_comes_off_what_waits_the_newest_first(self) -> None:
        hours = [
            Collection("p", "grant:g", HOUR - timedelta(hours=9), 70, matured=False),
            Collection("p", "invoice:i", HOUR - timedelta(hours=5), 30, matured=False),
            Collection("q", "invoice:i", HOUR - timedelta(hours=4), 99, matured=False),
        ]
        made = settle([self.OWED], {}, hours, [Pair("p", 0, 0, WEEK), Pair("q", 0, 0, WEEK)], now=NOW)
        assert made.collected == [
            ("p", "line", HOUR - timedelta(hours=5), -30),
            ("p", "line", HOUR - timedelta(hours=9), -50),
        ]
        assert made.moved == []

    def test_comes_off_the_balance_at_once_where_nothing_waits(self) -> None:
        made = settle([self.OWED], {}, [], [Pair("p", 90, 90, WEEK)], now=NOW)
        ripe = HOUR - WEEK - timedelta(hours=1)
        assert made.collected == [("p", "line", ripe, -80)]
        assert made.moved == [Moved("p", ripe, -80, -80)]

    def test_comes_off_a_second_time_in_the_hour_in_which_some_did(self) -> None:
        ripe = HOUR - WEEK - timedelta(hours=1)
        before = [Collection("p", "line", ripe, -80, matured=True)]
        source, pair = Source("p", "line", -100, -80, 0), Pair("p", 10, 10, WEEK)
        made = settle([source], {}, before, [pair], now=NOW)
        assert made.collected == [("p", "line", ripe, -20)]
        assert [(move.matured, move.amount) for move in made.moved] == [(-20, -20)]

    def test_is_settled_as_far_as_what_it_is_a_difference_of(self) -> None:
        assert Fraction(1, 1, 4).of(-10) == (-3, -3)
        assert Fraction(3, 1, 4).of(-10) == (-8, -2)
