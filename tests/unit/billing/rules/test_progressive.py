"""Thresholds of progressive billing."""

from typing import Any

import pytest

from billing.rules.progressive import (
    PeriodEnd,
    ProgressiveInvoice,
    Thresholds,
    period_end,
    progressive_invoice,
)

BOTH = Thresholds(once=(200, 500), recurring=1000)


class TestThresholds:
    @pytest.mark.parametrize(
        ("billed", "following"), [(0, 200), (199, 200), (200, 500), (500, 1500), (1499, 1500), (1500, 2500)]
    )
    def test_follow_what_was_billed(self, billed: int, following: int) -> None:
        assert BOTH.next_above(billed) == following

    @pytest.mark.parametrize(
        ("usage", "reached"), [(0, 0), (199, 0), (200, 200), (1499, 500), (1500, 1500), (9999, 9500)]
    )
    def test_are_reached_by_equality(self, usage: int, reached: int) -> None:
        assert BOTH.last_reached(usage) == reached

    def test_may_only_recur(self) -> None:
        assert Thresholds(recurring=1000).next_above(999) == 1000
        assert Thresholds(recurring=1000).last_reached(3500) == 3000

    def test_may_end(self) -> None:
        assert Thresholds(once=(200,)).next_above(200) is None
        assert Thresholds().next_above(0) is None

    @pytest.mark.parametrize(
        "wrong", [{"once": (0,)}, {"once": (5, 5)}, {"once": (5, 4)}, {"once": (-1,)}, {"recurring": 0}]
    )
    def test_are_above_nothing_and_rise(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(ValueError):
            Thresholds(**wrong)


class TestProgressiveInvoices:
    def test_take_all_that_was_not_billed(self) -> None:
        assert progressive_invoice(BOTH, usage=720, billed=0) == ProgressiveInvoice(500, 720)
        assert progressive_invoice(BOTH, usage=720, billed=220) == ProgressiveInvoice(500, 500)

    def test_wait_for_the_next_threshold(self) -> None:
        assert progressive_invoice(BOTH, usage=499, billed=220) is None
        assert progressive_invoice(BOTH, usage=1499, billed=720) is None
        assert progressive_invoice(Thresholds(), usage=10**18, billed=0) is None

    def test_do_not_count_many_small_thresholds_one_by_one(self) -> None:
        assert progressive_invoice(Thresholds(recurring=1), usage=10**18, billed=0) == ProgressiveInvoice(
            10**18, 10**18
        )

    def test_are_none_after_usage_fell(self) -> None:
        assert progressive_invoice(BOTH, usage=100, billed=220) is None


class TestThePeriodsEnd:
    def test_credits_what_was_billed(self) -> None:
        assert period_end([400, 31], billed=200) == PeriodEnd(fees=431, credit=200, due=231, excess=0)

    def test_gives_back_what_was_billed_too_much(self) -> None:
        assert period_end([100], billed=150) == PeriodEnd(fees=100, credit=100, due=0, excess=50)
