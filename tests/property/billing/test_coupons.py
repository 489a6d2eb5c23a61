"""Coupons sum exactly, take no line below zero, and give back nothing."""

import hypothesis.strategies as st
from hypothesis import given

from billing.rules.amounts import units_of
from billing.rules.coupons import Coupon, DiscountableLine, apply_coupons
from tests.property.billing.fractions import shares

STEPS = {"USD": 10**6, "JPY": 10**8, "KWD": 10**5}
KEYS = "abcdef"
TARGETS = st.one_of(st.none(), st.frozensets(st.sampled_from(KEYS), min_size=1))
SHARES = shares(1000).filter(bool)


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, list[DiscountableLine], list[Coupon]]:
    """A currency, lines and coupons of a document."""
    currency = draw(st.sampled_from(sorted(STEPS)))
    step = STEPS[currency]
    amounts = draw(st.lists(st.integers(0, 3000), min_size=1, max_size=len(KEYS)))
    fixed = st.builds(
        lambda units, at: Coupon("c", units=units * step, targets=at), st.integers(1, 4000), TARGETS
    )
    shares = st.builds(lambda share, at: Coupon("c", share=share, targets=at), SHARES, TARGETS)
    lines = [DiscountableLine(key, amount * step) for key, amount in zip(KEYS, amounts, strict=False)]
    return currency, lines, draw(st.lists(st.one_of(fixed, shares), max_size=4))


@given(documents())
def test_no_line_falls_below_zero_and_shares_sum_to_the_coupons(
    document: tuple[str, list[DiscountableLine], list[Coupon]],
) -> None:
    currency, lines, coupons = document
    found = apply_coupons(lines, coupons, currency=currency)
    assert all(0 <= units <= line.units for units, line in zip(found.units, lines, strict=True))
    assert sum(found.units) == sum(applied.units for applied in found.coupons)
    assert all(
        abs(units - units_of(exact)) < STEPS[currency]
        for units, exact in zip(found.units, found.exact, strict=True)
    )


@given(documents())
def test_a_fixed_coupon_takes_all_it_can(
    document: tuple[str, list[DiscountableLine], list[Coupon]],
) -> None:
    currency, lines, coupons = document
    for coupon in (coupon for coupon in coupons if coupon.units is not None):
        applied = apply_coupons(lines, [coupon], currency=currency).coupons[0]
        covered = sum(line.units for line in lines if coupon.covers(line.key))
        assert coupon.units is not None
        assert (applied.units, applied.unused) == (min(coupon.units, covered), max(0, coupon.units - covered))


@given(documents())
def test_a_line_bears_only_coupons_that_are_for_it(
    document: tuple[str, list[DiscountableLine], list[Coupon]],
) -> None:
    currency, lines, coupons = document
    found = apply_coupons(lines, coupons, currency=currency)
    for applied in found.coupons:
        for line, share in zip(lines, applied.shares, strict=True):
            assert not share or applied.coupon.covers(line.key)
    for place, exact in enumerate(found.exact):
        assert exact == sum(applied.shares[place] for applied in found.coupons)
