"""Shares in whole units."""

from fractions import Fraction

import pytest

from billing.rules.sharing import largest_remainder


class TestShares:
    def test_go_to_the_largest_fractions(self) -> None:
        assert largest_remainder(10, [Fraction(1, 3), Fraction(1, 2), Fraction(1, 6)]) == (3, 5, 2)

    def test_go_to_the_earlier_one_of_equals(self) -> None:
        assert largest_remainder(2, [Fraction(1, 3)] * 3) == (1, 1, 0)

    def test_are_mirrored_for_a_negative_total(self) -> None:
        assert largest_remainder(-100, [Fraction(1)] * 3) == (-34, -33, -33)

    def test_are_none_without_parts(self) -> None:
        assert largest_remainder(0, []) == ()

    def test_need_a_weight(self) -> None:
        assert largest_remainder(0, [Fraction(0)] * 2) == (0, 0)
        with pytest.raises(ValueError):
            largest_remainder(1, [Fraction(0)] * 2)

    def test_have_no_negative_weight(self) -> None:
        with pytest.raises(ValueError):
            largest_remainder(1, [Fraction(2), Fraction(-1)])
