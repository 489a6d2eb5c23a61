"""Exact amounts on documents, and parts that sum to them."""

from fractions import Fraction

import pytest

from billing.rules.rounding import document_step, round_to_document, spread
from common.errors import AmountOutOfRange

MAJOR = 100_000_000


class TestRounding:
    @pytest.mark.parametrize(("currency", "step"), [("USD", 10**6), ("JPY", 10**8), ("KWD", 10**5)])
    def test_is_at_the_currency_s_precision(self, currency: str, step: int) -> None:
        assert document_step(currency) == step
        assert round_to_document(Fraction(step, 2), currency=currency) == step
        assert round_to_document(Fraction(-step, 2), currency=currency) == -step
        assert round_to_document(Fraction(step, 2) - Fraction(1, 10**30), currency=currency) == 0

    def test_leaves_no_range(self) -> None:
        with pytest.raises(AmountOutOfRange):
            round_to_document(2**63, currency="USD")


class TestSpreading:
    def test_gives_missing_steps_to_the_largest_fractions_and_then_to_the_earlier(self) -> None:
        assert spread(10, [Fraction(33, 10)] * 3) == (4, 3, 3)
        assert spread(479, [Fraction(1294, 10), Fraction(3494, 10)]) == (130, 349)
        assert spread(480, [Fraction(1294, 10), Fraction(3495, 10)]) == (130, 350)

    def test_mirrors_negative_totals(self) -> None:
        assert spread(-10, [Fraction(-33, 10)] * 3) == (-4, -3, -3)

    def test_takes_positive_and_negative_parts(self) -> None:
        assert spread(1, [Fraction(5, 2), Fraction(-3, 2)]) == (3, -2)

    def test_goes_by_steps(self) -> None:
        assert spread(1000, [Fraction(1000, 3)] * 3, step=100) == (400, 300, 300)

    def test_keeps_within_bounds(self) -> None:
        parts = [Fraction(50), Fraction(30), Fraction(20)]
        assert spread(100, parts, bounds=[(0, 10), (0, 100), (0, 40)]) == (10, 50, 40)
        assert spread(-100, [-p for p in parts], bounds=[(-10, 0), (-100, 0), (-40, 0)]) == (-10, -50, -40)

    def test_refuses_what_has_no_room(self) -> None:
        with pytest.raises(ValueError, match="cannot sum"):
            spread(100, [Fraction(50), Fraction(50)], bounds=[(0, 49), (0, 50)])

    def test_of_nothing_is_nothing(self) -> None:
        assert spread(0, []) == ()
