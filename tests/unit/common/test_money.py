"""Amounts, prices and their one rounding."""

import ast
import datetime as dt
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import money
from common.currencies import EXPONENTS, parse_currency
from common.errors import AmountOutOfRange, InvalidAmount, InvalidCurrency, InvalidQuantity
from common.strictjson import NumberText

UNITS = st.integers(min_value=1, max_value=money.MAX_UNITS)


class TestAnAmountIsReadExactly:
    @pytest.mark.parametrize(
        ("text", "units"),
        [
            ("1", 100_000_000),
            ("0.05", 5_000_000),
            ("0.01234567", 1_234_567),
            ("0.00000001", 1),
            ("10.50", 1_050_000_000),
            ("92233720368.54775807", money.MAX_UNITS),
        ],
    )
    def test_a_plain_decimal_string_is_its_units(self, text: str, units: int) -> None:
        assert money.parse_amount(text) == units

    def test_zero_is_taken_only_where_it_is_allowed(self) -> None:
        assert money.parse_amount("0", allow_zero=True) == 0
        assert money.parse_amount("0.00", allow_zero=True) == 0
        with pytest.raises(InvalidAmount):
            money.parse_amount("0.00")

    @pytest.mark.parametrize(
        ("row", "value"),
        [
            ("B3", "NaN"), ("B5", NumberText("1e400")), ("B6", "1E+999999999"), ("B7", "1E-999999999"),
            ("B8", NumberText("0.1")), ("B8", 0.1), ("B9", "0.000000001"), ("B11", "-0"), ("B12", "-1"),
            ("B12", -1), ("B13", "0"), ("B14", "123456789012"), ("B15", "１０"), ("B17", "1_000"),
            ("B18", "1,000"), ("B19", " 1 "), ("B20", "+1"), ("B21", "0x10"), ("B22", True), ("B23", None),
            ("B24", []), ("B26", NumberText("9" * 5000)), ("B26", "9" * 5000),
            ("B27", NumberText(str(2**63))), ("B27", str(2**63)), ("B28", NumberText(str(-(2**63) - 1))),
            ("B28", str(-(2**63) - 1)), ("one unit too many", "92233720368.54775808"), ("number", 1),
            ("empty", ""), ("no digit before the point", ".5"), ("no digit behind the point", "5."),
            ("leading zero", "01"), ("line feed", "1\n"), ("object", {}), ("Arabic digits", "١"),
            ("Infinity", "Infinity"), ("bytes", b"1"),
        ],
    )  # fmt: skip
    def test_everything_else_is_refused(self, row: str, value: object) -> None:
        with pytest.raises(InvalidAmount) as refused:
            money.parse_amount(value, allow_zero=row == "B11")
        assert (refused.value.status, refused.value.code) == (400, "invalid_amount")

    def test_a_string_of_a_text_class_of_its_own_is_no_string(self) -> None:
        class Text(str):
            __slots__ = ()

        with pytest.raises(InvalidAmount):
            money.parse_amount(Text("1"))


class TestADocumentHasTheDecimalsOfItsCurrency:
    @pytest.mark.parametrize(
        ("text", "currency"), [("10.5", "JPY"), ("10.0", "JPY"), ("1.2345", "KWD"), ("1.005", "USD")]
    )
    def test_more_decimals_are_refused_b37(self, text: str, currency: str) -> None:
        with pytest.raises(InvalidAmount):
            money.parse_amount(text, currency=currency, document=True)

    @pytest.mark.parametrize(
        ("text", "currency", "units"),
        [("1.234", "KWD", 123_400_000), ("10", "JPY", 1_000_000_000), ("1.5", "USD", 150_000_000)],
    )
    def test_as_many_are_taken(self, text: str, currency: str, units: int) -> None:
        assert money.parse_amount(text, currency=currency, document=True) == units

    def test_elsewhere_all_currencies_have_eight(self) -> None:
        assert money.parse_amount("10.12345678", currency="JPY") == 1_012_345_678

    def test_a_document_without_currency_is_a_defect(self) -> None:
        with pytest.raises(ValueError, match="has a currency"):
            money.parse_amount("1", document=True)


class TestAnAmountIsWrittenPlainly:
    @pytest.mark.parametrize(
        ("units", "text"),
        [
            (0, "0"), (200_000_000, "2"), (5_000_000, "0.05"), (1_234_567, "0.01234567"), (-1, "-0.00000001"),
            (-150_000_000, "-1.5"), (money.MAX_UNITS, "92233720368.54775807"), (1_000_000_000, "10"),
        ],
    )  # fmt: skip
    def test_with_as_few_digits_as_it_takes(self, units: int, text: str) -> None:
        assert money.format_amount(units) == text

    @given(UNITS)
    def test_what_was_written_reads_back_as_the_same(self, units: int) -> None:
        assert money.parse_amount(money.format_amount(units)) == units

    @given(UNITS)
    def test_a_negative_is_the_positive_with_a_sign(self, units: int) -> None:
        assert money.format_amount(-units) == "-" + money.format_amount(units)

    @pytest.mark.parametrize(
        ("units", "currency", "text"),
        [
            (1_050_000_000, "USD", "10.50"), (1_000_000_000, "JPY", "10"), (123_400_000, "KWD", "1.234"),
            (-5_000_000, "EUR", "-0.05"), (0, "EUR", "0.00"),
        ],
    )  # fmt: skip
    def test_on_a_document_with_all_decimals_of_its_currency(
        self, units: int, currency: str, text: str
    ) -> None:
        assert money.format_document_amount(units, currency=currency) == text

    def test_an_amount_that_was_not_rounded_is_not_written_on_a_document(self) -> None:
        with pytest.raises(ValueError, match="finer than USD"):
            money.format_document_amount(1, currency="USD")


class TestRounding:
    @given(st.integers(-(10**30), 10**30), st.integers(1, 10**18))
    def test_the_answer_is_never_more_than_a_half_away(self, numerator: int, denominator: int) -> None:
        rounded = money.round_half_up(numerator, denominator)
        assert abs(2 * (rounded * denominator - numerator)) <= denominator

    @given(st.integers(0, 10**30), st.integers(1, 10**18))
    def test_a_reversal_rounds_to_the_exact_negative(self, numerator: int, denominator: int) -> None:
        assert money.round_half_up(-numerator, denominator) == -money.round_half_up(numerator, denominator)

    @given(st.integers(-(10**18), 10**18), st.integers(1, 10**9))
    def test_a_half_goes_away_from_zero(self, whole: int, half: int) -> None:
        numerator = (2 * abs(whole) + 1) * half
        assert money.round_half_up(numerator, 2 * half) == abs(whole) + 1

    @pytest.mark.parametrize("denominator", [0, -1])
    def test_a_denominator_is_positive(self, denominator: int) -> None:
        with pytest.raises(ValueError, match="positive"):
            money.round_half_up(1, denominator)

    @given(st.integers(-money.MAX_UNITS, money.MAX_UNITS), st.sampled_from(sorted(EXPONENTS)))
    def test_a_document_amount_is_a_multiple_of_the_currencys_unit(self, units: int, currency: str) -> None:
        rounded = money.to_document_units(units, currency=currency)
        step = 10 ** (8 - EXPONENTS[currency])
        assert (rounded % step, abs(rounded - units) * 2 <= step) == (0, True)

    @given(st.integers(-money.MAX_UNITS, money.MAX_UNITS), st.sampled_from(["USD", "JPY", "KWD"]))
    def test_a_payout_is_cut_towards_zero_by_less_than_one_unit(self, units: int, currency: str) -> None:
        cut = money.cut_to_document_units(units, currency=currency)
        step = 10 ** (8 - EXPONENTS[currency])
        assert 0 <= abs(units) - abs(cut) < step
        assert cut % step == 0


class TestSplitting:
    @given(st.integers(-(10**18), 10**18), st.lists(st.integers(0, 10**12), min_size=1, max_size=40))
    def test_the_parts_sum_to_the_whole(self, total: int, weights: list[int]) -> None:
        if sum(weights) == 0:
            weights = [*weights, 1]
        assert sum(money.split_largest_remainder(total, weights)) == total

    @given(st.integers(0, 10**18), st.lists(st.integers(1, 10**12), min_size=1, max_size=40))
    def test_no_part_is_a_unit_away_from_its_exact_share(self, total: int, weights: list[int]) -> None:
        parts = money.split_largest_remainder(total, weights)
        whole = sum(weights)
        assert all(
            abs(part * whole - total * weight) < whole for part, weight in zip(parts, weights, strict=True)
        )

    def test_a_third_three_times_is_the_whole_b35(self) -> None:
        assert money.split_largest_remainder(100, [1, 1, 1]) == [34, 33, 33]

    def test_of_equal_remainders_the_earlier_part_gets_the_unit(self) -> None:
        assert money.split_largest_remainder(2, [1, 1, 1, 1]) == [1, 1, 0, 0]

    def test_the_larger_remainder_comes_before_the_earlier_part(self) -> None:
        assert money.split_largest_remainder(10, [1, 2, 4]) == [1, 3, 6]

    def test_a_negative_total_is_the_negative_split(self) -> None:
        assert money.split_largest_remainder(-100, [1, 1, 1]) == [-34, -33, -33]

    def test_nothing_is_split_over_no_weight(self) -> None:
        assert money.split_largest_remainder(0, [0, 0]) == [0, 0]
        assert money.split_largest_remainder(0, []) == []
        with pytest.raises(ValueError, match="no weight"):
            money.split_largest_remainder(1, [0, 0])

    def test_a_weight_is_not_negative(self) -> None:
        with pytest.raises(ValueError, match="not negative"):
            money.split_largest_remainder(1, [2, -1])


class TestPricesAndQuantities:
    def test_a_price_has_twelve_decimals(self) -> None:
        assert money.parse_price("0.000003") == 3_000_000
        assert money.parse_price("0.000000000001") == 1
        assert money.parse_price("0") == 0

    @pytest.mark.parametrize(
        "value", ["0.0000000000001", "-1", 3, NumberText("0.1"), None, "1e-6", "123456789012"]
    )
    def test_everything_else_is_no_price(self, value: object) -> None:
        with pytest.raises(InvalidAmount):
            money.parse_price(value)

    @given(st.integers(0, 99_999_999_999 * 10**12))
    def test_a_price_and_a_quantity_read_back_as_they_were_written(self, value: int) -> None:
        assert money.parse_price(money.format_price(value)) == value
        assert money.parse_quantity(money.format_quantity(value)) == value

    @pytest.mark.parametrize("value", [3, "3e2", " 3", "-3", NumberText("3.0"), True])
    def test_a_metered_quantity_is_a_plain_string(self, value: object) -> None:
        with pytest.raises(InvalidQuantity):
            money.parse_quantity(value)

    def test_a_charge_is_rounded_once_half_up(self) -> None:
        assert money.charge_units(3_000_000, 1_800) == 540_000
        assert money.charge_units(5_000, 1) == 1
        assert money.charge_units(4_999, 1) == 0

    def test_a_sum_outside_the_range_is_refused(self) -> None:
        assert money.checked_units(-money.MAX_UNITS) == -money.MAX_UNITS
        with pytest.raises(AmountOutOfRange):
            money.checked_units(money.MAX_UNITS + 1)

    @pytest.mark.parametrize("value", ["", "01", "1.0", "-1", 5, "1000000000001", "0"])
    def test_a_limit_in_tokens_is_a_string_of_digits(self, value: object) -> None:
        with pytest.raises(InvalidAmount):
            money.parse_count(value)

    def test_a_limit_in_tokens_goes_to_a_million_millions(self) -> None:
        assert money.parse_count("1000000000000") == 10**12


class TestCurrencies:
    @pytest.mark.parametrize(
        "value", ["usd", "USD ", "USĐ", "XXX", "XTS", "XAU", "", None, 840, "US", "USDT"]
    )
    def test_what_is_not_in_the_table_is_refused_b36(self, value: object) -> None:
        with pytest.raises(InvalidCurrency):
            parse_currency(value)

    def test_the_exponents_are_those_of_iso_4217(self) -> None:
        exponents = [
            EXPONENTS[code] for code in ("USD", "EUR", "JPY", "KWD", "MGA", "UGX", "ISK", "CLP", "TND")
        ]
        assert exponents == [2, 2, 0, 3, 2, 0, 0, 0, 3]

    def test_every_code_is_three_letters_and_none_stands_in_two_lists(self) -> None:
        assert all(len(code) == 3 and code.isascii() and code.isupper() for code in EXPONENTS)
        assert len(EXPONENTS) == 156


def test_no_float_and_no_decimal_takes_part() -> None:
    tree = ast.parse(Path(money.__file__).read_text(encoding="utf-8"))
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    divisions = [node for node in ast.walk(tree) if isinstance(node, ast.Div)]
    assert names & {"float", "Decimal", "Fraction"} == set()
    assert divisions == []


def test_a_hostile_amount_is_refused_at_once_b6() -> None:
    started = dt.datetime.now(dt.UTC)
    for value in ("1E+999999999", "9" * 1_000_000, "0." + "0" * 1_000_000):
        with pytest.raises(InvalidAmount):
            money.parse_amount(value)
    assert dt.datetime.now(dt.UTC) - started < dt.timedelta(milliseconds=50)
