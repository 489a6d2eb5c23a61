"""Exact amounts and the one rounding."""

from fractions import Fraction

import pytest

from billing.rules.amounts import RunningAmount, amount_of, document_units_of, exact_text, units_of
from common.errors import AmountOutOfRange


class TestRounding:
    def test_is_half_up_at_the_eighth_decimal(self) -> None:
        assert units_of(Fraction("0.000000005")) == 1
        assert units_of(Fraction("0.0000000049999")) == 0
        assert units_of(Fraction("-0.000000005")) == -1

    def test_of_a_document_is_done_once(self) -> None:
        """Rounded to 8 decimals before, this would be half a cent, and then a cent."""
        assert document_units_of(Fraction("0.004999999999"), currency="USD") == 0
        assert document_units_of(Fraction("0.005"), currency="USD") == 1_000_000
        assert document_units_of(Fraction("0.5"), currency="JPY") == 100_000_000
        assert document_units_of(Fraction("0.0005"), currency="KWD") == 100_000

    def test_refuses_what_cannot_be_stored(self) -> None:
        with pytest.raises(AmountOutOfRange):
            units_of(Fraction(10**12))

    def test_gives_units_back(self) -> None:
        assert units_of(amount_of(123)) == 123


class TestRunningAmounts:
    def test_round_so_that_the_lines_sum_to_the_whole(self) -> None:
        """Three thirds of a cent are one cent, of which each line alone would have none."""
        third = Fraction(1, 300)
        lines = [
            RunningAmount(third, Fraction(0)),
            RunningAmount(2 * third, third),
            RunningAmount(3 * third, 2 * third),
        ]
        assert [line.document_units("USD") for line in lines] == [0, 1_000_000, 0]

    def test_round_likewise_where_they_are_kept(self) -> None:
        third = Fraction(1, 3 * 10**8)
        assert RunningAmount(2 * third, third).units == 1
        assert RunningAmount(3 * third, 2 * third).units == 0

    def test_add_and_turn(self) -> None:
        whole = RunningAmount(Fraction(5), Fraction(2)) + -RunningAmount(Fraction(1), Fraction(1))
        assert whole == RunningAmount(Fraction(4), Fraction(1))
        assert whole.exact == 3


class TestTexts:
    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (Fraction(0), "0"),
            (Fraction(100), "100"),
            (Fraction("0.000000000001"), "0.000000000001"),
            (Fraction("-1.50"), "-1.5"),
            (Fraction(1, 8), "0.125"),
            (Fraction(3, 125), "0.024"),
            (Fraction(2, 3), "0.666666666667…"),
            (Fraction(-23, 31), "-0.741935483871…"),
            (Fraction(1, 2**30), "0.000000000931…"),
        ],
    )
    def test_show_all_decimals_or_say_that_there_are_more(self, value: Fraction, text: str) -> None:
        assert exact_text(value) == text
