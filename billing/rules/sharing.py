"""Sharing whole units in proportion: coupons over lines, a document's tax over its lines, credit notes over items."""

from collections.abc import Sequence
from fractions import Fraction
from math import floor, lcm

from common.money import round_half_up, split_largest_remainder


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


def rounded_shares(shares: Sequence[Fraction]) -> tuple[int, ...]:
    """Return exact shares brought to whole units; they sum to their exact sum, rounded half up.

    As `largest_remainder`, for shares that are known already: none is moved beyond the whole number next to
    it. Raises ValueError for a negative share.
    """
    if any(share < 0 for share in shares):
        raise ValueError("a share is not negative")
    whole = sum(shares, Fraction(0))
    parts = [floor(share) for share in shares]
    missing = round_half_up(whole.numerator, whole.denominator) - sum(parts)
    by_fraction = sorted(range(len(shares)), key=lambda place: parts[place] - shares[place])
    for place in by_fraction[:missing]:
        parts[place] += 1
    return tuple(parts)
