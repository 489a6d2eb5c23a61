"""Sharing whole units in proportion: coupons over lines, a document's tax over its lines, credit notes over items."""

from collections.abc import Sequence
from fractions import Fraction
from math import lcm

from common.money import split_largest_remainder


def largest_remainder(total: int, weights: Sequence[Fraction]) -> tuple[int, ...]:
    """Return whole units in proportion to the weights; they sum to exactly `total`.

    Every share is floored, then the missing units go, one each, to the largest fractions; ties go to the
    earlier share (house rule 4). A negative total gives the negatives of the positive shares. Raises
    ValueError for a negative weight, or when nothing has a weight and the total is not 0.
    """
    scale = lcm(*(weight.denominator for weight in weights))
    return tuple(
        split_largest_remainder(
            total, [weight.numerator * (scale // weight.denominator) for weight in weights]
        )
    )
