"""Coupons: when they apply, to what, and how much they take."""

from fractions import Fraction

import pytest

from billing.rules.coupons import Coupon, DiscountableLine, apply_coupons, in_order

CENT = 10**6
HALF = Fraction(1, 2)


def lines(*cents: int) -> list[DiscountableLine]:
    """Lines a, b, c … of so many cents."""
    return [DiscountableLine(key, each * CENT) for key, each in zip("abcdefgh", cents, strict=False)]


def taken(cents: tuple[int, ...], *coupons: Coupon) -> list[int]:
    """The cents that coupons take off lines."""
    return [units // CENT for units in apply_coupons(lines(*cents), coupons, currency="USD").units]


class TestACoupon:
    @pytest.mark.parametrize(
        ("coupon", "periods"),
        [
            (Coupon("once", share=HALF), [True, False, False, False]),
            (Coupon("three", share=HALF, duration="periods", periods=3), [True, True, True, False]),
            (Coupon("ever", share=HALF, duration="forever"), [True, True, True, True]),
        ],
    )
    def test_holds_once_for_some_periods_or_for_ever(self, coupon: Coupon, periods: list[bool]) -> None:
        assert [coupon.holds_in(period) for period in range(4)] == periods
        assert not coupon.holds_in(-1)

    @pytest.mark.parametrize(
        "terms",
        [
            {},
            {"share": HALF, "units": 1},
            {"share": Fraction(0)},
            {"share": Fraction(3, 2)},
            {"units": 0},
            {"share": HALF, "periods": 2},
            {"share": HALF, "duration": "periods"},
            {"share": HALF, "duration": "periods", "periods": 0},
        ],
    )
    def test_does_not_contradict_itself(self, terms: dict[str, object]) -> None:
        with pytest.raises(ValueError):
            Coupon("wrong", **terms)  # type: ignore[arg-type]

    def test_in_percent_comes_before_an_amount(self) -> None:
        fixed, half, third = Coupon("a", units=CENT), Coupon("b", share=HALF), Coupon("c", share=HALF / 2)
        assert in_order([fixed, half, third]) == [half, third, fixed]
        assert taken((1000,), Coupon("a", units=100 * CENT), half) == [600]


class TestCoupons:
    def test_take_from_the_lines_they_are_for(self) -> None:
        assert taken((100, 200, 300), Coupon("b", share=HALF, targets=frozenset("bc"))) == [0, 100, 150]
        assert taken((100, 200), Coupon("z", share=HALF, targets=frozenset("z"))) == [0, 0]

    def test_are_spread_over_what_remains(self) -> None:
        first = Coupon("first", units=100 * CENT, targets=frozenset("a"))
        assert taken((100, 300), first, Coupon("second", units=30 * CENT)) == [100, 30]

    def test_never_take_more_than_there_is(self) -> None:
        found = apply_coupons(lines(100, 50), [Coupon("big", units=1000 * CENT)], currency="USD")
        assert [units // CENT for units in found.units] == [100, 50]
        assert (found.coupons[0].units // CENT, found.coupons[0].unused // CENT) == (150, 850)

    def test_of_all_in_percent_are_rounded_half_up(self) -> None:
        assert taken((1, 1, 1), Coupon("half", share=HALF)) == [1, 1, 0]
        assert taken((2900,), Coupon("half", share=HALF)) == [1450]

    def test_leave_lines_of_nothing_alone(self) -> None:
        assert taken((0, 10, 0), Coupon("three", units=3 * CENT)) == [0, 3, 0]
        assert taken((0, 0), Coupon("three", units=3 * CENT)) == [0, 0]

    def test_show_exact_shares(self) -> None:
        found = apply_coupons(lines(100, 200), [Coupon("one", units=100 * CENT)], currency="USD")
        assert found.exact == (Fraction(1, 3), Fraction(2, 3))
        assert found.coupons[0].shares == found.exact

    def test_keep_to_the_currency(self) -> None:
        yen = [DiscountableLine("a", 10 * 10**8), DiscountableLine("b", 5 * 10**8)]
        found = apply_coupons(yen, [Coupon("half", share=HALF)], currency="JPY")
        assert [units // 10**8 for units in found.units] == [5, 3]
        with pytest.raises(ValueError):
            apply_coupons(lines(150), [], currency="JPY")
        with pytest.raises(ValueError):
            apply_coupons(yen, [Coupon("cent", units=CENT)], currency="JPY")

    def test_are_for_no_negative_line(self) -> None:
        with pytest.raises(ValueError):
            apply_coupons(lines(-1), [], currency="USD")
