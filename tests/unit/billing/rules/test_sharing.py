"""Shares in whole units."""

from fractions import Fraction

import pytest

from billing.rules.sharing import largest_remainder, rounded_shares


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


class TestRoundedShares:
    def test_sum_to_the_rounded_whole(self) -> None:
        assert rounded_shares([Fraction(1, 2)] * 3) == (1, 1, 0)
        assert rounded_shares([Fraction("676.47"), Fraction("126.53")]) == (676, 127)

    def test_stay_between_the_whole_numbers_beside_them(self) -> None:
        assert rounded_shares([Fraction(1), Fraction(1, 4), Fraction(0)]) == (1, 0, 0)
        assert rounded_shares([Fraction(1), Fraction(3, 4), Fraction(0)]) == (1, 1, 0)

    def test_are_not_negative(self) -> None:
        with pytest.raises(ValueError):
            rounded_shares([Fraction(-1)])
