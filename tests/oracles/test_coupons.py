"""The worked example of coupons over several lines (section 8, X1)."""

from fractions import Fraction

import pytest

from billing.rules.coupons import Coupon, DiscountableLine, Discounted, apply_coupons
from tests.builders.charges import minor, units_of_minor

KEYS = [f"line-{number}" for number in range(1, 9)]
LINES = [
    DiscountableLine(key, units_of_minor(1000 * each))
    for key, each in zip(KEYS, [1, 2, 3, 4] * 2, strict=True)
]
COUPONS = [
    Coupon("twenty", units=units_of_minor(2000), targets=frozenset(KEYS[:2])),
    Coupon("ten", units=units_of_minor(1000), targets=frozenset(KEYS[4:])),
    Coupon("five", units=units_of_minor(500)),
]


@pytest.fixture
def discounted() -> Discounted:
    """X1: 20 off lines 1 and 2, then 10 off the second subscription, then 5 off all."""
    return apply_coupons(LINES, COUPONS, currency="USD")


@pytest.mark.parametrize(
    ("case", "place", "exact", "document"),
    [
        ("X1-1", 0, "6.7647059", 677),
        ("X1-2", 1, "13.5294117", 1353),
        ("X1-3", 2, "0.8823529", 88),
        ("X1-4", 3, "1.1764706", 118),
        ("X1-5", 4, "1.2647059", 126),
        ("X1-6", 5, "2.5294118", 253),
        ("X1-7", 6, "3.7941176", 379),
        ("X1-8", 7, "5.0588235", 506),
    ],
)
def test_a_line_bears_its_share_of_all_coupons(
    discounted: Discounted, case: str, place: int, exact: str, document: int
) -> None:
    assert abs(discounted.exact[place] - Fraction(exact)) <= Fraction(1, 10**7)
    assert minor(discounted.units[place]) == document


def test_x1_the_shares_sum_to_the_coupons(discounted: Discounted) -> None:
    assert [minor(applied.units) for applied in discounted.coupons] == [2000, 1000, 500]
    assert minor(sum(discounted.units)) == 3500
