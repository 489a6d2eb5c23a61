"""Worked examples of rounding and splitting that other systems get differently."""

import pytest

from common.money import round_half_up, split_largest_remainder, to_document_units

MAJOR = 100_000_000


@pytest.mark.parametrize(
    ("case", "units", "currency", "expected"),
    [
        # Decimal.quantize rounds a half to the even neighbour (0.12); PostgreSQL's numeric does not.
        ("quantize-half-even", 12_500_000, "USD", 13_000_000),
        # The float 2.675 lies below the half, so that round(2.675, 2) is 2.67; the decimal does not.
        ("float-below-the-half", 267_500_000, "USD", 268_000_000),
        # 5 % tax on 14.50 is 0.725: half-even and cutting give 0.72.
        ("X8-tax", 1_450_000_000 * 5 // 100, "USD", 73_000_000),
        ("half-away-from-zero", -12_500_000, "USD", -13_000_000),
        ("no-decimals", 10 * MAJOR + MAJOR // 2, "JPY", 11 * MAJOR),
        ("three-decimals", 123_450_000, "KWD", 123_500_000),
        ("below-the-half", 12_499_999, "USD", 12_000_000),
        ("exact", 1_234 * MAJOR // 100, "USD", 1_234 * MAJOR // 100),
    ],
)
def test_a_document_is_rounded_half_up(case: str, units: int, currency: str, expected: int) -> None:
    assert to_document_units(units, currency=currency) == expected


@pytest.mark.parametrize(
    ("case", "numerator", "denominator", "expected"),
    [
        ("1/2", 1, 2, 1),
        ("3/2", 3, 2, 2),
        ("5/2", 5, 2, 3),
        ("-1/2", -1, 2, -1),
        ("1/3", 1, 3, 0),
        ("2/3", 2, 3, 1),
    ],
)
def test_a_half_is_rounded_away_from_zero(case: str, numerator: int, denominator: int, expected: int) -> None:
    assert round_half_up(numerator, denominator) == expected


@pytest.mark.parametrize(
    ("case", "total", "weights", "parts"),
    [
        ("a-price-in-three", 1_000, [1, 1, 1], [334, 333, 333]),
        # A coupon of 90.00 over lines of 100.00 and 200.00.
        ("R30-coupon", 9_000, [10_000, 20_000], [3_000, 6_000]),
        # Ten seats for 100,000 votes by the method of Hamilton.
        ("hamilton", 10, [47_000, 16_000, 15_900, 12_000, 6_000, 3_100], [5, 2, 1, 1, 1, 0]),
    ],
)
def test_a_split_follows_the_largest_remainder(
    case: str, total: int, weights: list[int], parts: list[int]
) -> None:
    assert split_largest_remainder(total, weights) == parts
