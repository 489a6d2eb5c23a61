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
    Used,
    settle,
    unpaid,
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


class TestWhatIsOwed:
    def test_is_the_newest_that_was_used(self) -> None:
        used = [
            Used("grant:a", 10, OLD),
            Used("debt:b", 4, HOUR),
            Used("debt:c", 4, HOUR - timedelta(days=1)),
        ]
        found = unpaid(used, 6)
        assert found["debt:b"].of(100) == (0, 0)
        assert found["debt:c"].of(100) == (50, 0)
        assert found["grant:a"].of(100) == (100, 0)

    def test_reaches_what_credit_paid_for_when_that_was_taken_back(self) -> None:
        assert unpaid([Used("grant:a", 10, OLD)], 4)["grant:a"].of(100) == (60, 0)

    def test_is_nothing_without_debt(self) -> None:
        assert unpaid([Used("grant:a", 10, OLD)], 0)["grant:a"].of(7) == (7, 0)
