"""Shares sum to the whole, and none is a unit away from its exact value."""

from fractions import Fraction
from math import ceil, floor

from hypothesis import given
from hypothesis import strategies as st

from billing.rules.sharing import largest_remainder, rounded_shares
from tests.property.billing.fractions import fractions

weights = st.lists(fractions(10**9, max_denominator=10**6), min_size=1, max_size=12)


@given(total=st.integers(min_value=-(10**18), max_value=10**18), weights=weights.filter(any))
def test_shares_sum_to_the_total_and_are_off_by_less_than_a_unit(total: int, weights: list[Fraction]) -> None:
    shares = largest_remainder(total, weights)
    whole = sum(weights)
    assert sum(shares) == total
    assert all(abs(share - total * weight / whole) < 1 for share, weight in zip(shares, weights, strict=True))


@given(total=st.integers(min_value=0, max_value=10**18), weights=weights.filter(any))
def test_a_negative_total_is_the_mirror(total: int, weights: list[Fraction]) -> None:
    assert largest_remainder(-total, weights) == tuple(-share for share in largest_remainder(total, weights))


@given(shares=st.lists(fractions(10**6, max_denominator=10**6), max_size=12))
def test_rounded_shares_lie_beside_the_exact_ones(shares: list[Fraction]) -> None:
    rounded = rounded_shares(shares)
    assert all(floor(share) <= units <= ceil(share) for share, units in zip(shares, rounded, strict=True))
    assert abs(sum(rounded) - sum(shares)) <= Fraction(1, 2)
