"""Exact amounts brought to the currency's precision: once, half up; and parts that sum to the rounded whole."""

from collections.abc import Sequence
from fractions import Fraction
from functools import cache

from common.currencies import exponent_of
from common.money import UNIT_DECIMALS, checked_units, round_half_up

Bounds = tuple[int, int]


@cache
def document_step(currency: str) -> int:
    """Return the units of the smallest amount on a document of this currency."""
    return int(10 ** (UNIT_DECIMALS - exponent_of(currency)))


def round_to_document(exact: Fraction | int, *, currency: str) -> int:
    """Return an exact amount of units at its currency's precision, half up (house rule 1)."""
    step = document_step(currency)
    return checked_units(round_half_up(exact.numerator, exact.denominator * step) * step)


def spread(
    total: int, exact: Sequence[Fraction], *, step: int = 1, bounds: Sequence[Bounds] | None = None
) -> tuple[int, ...]:
    """Return the exact parts as multiples of `step` that sum to exactly the total.

    Every part is floored, then the missing steps go to the largest fractions, ties to the earlier part (house rule 4).
    Unlike with `largest_remainder` the total is not the sum of the parts but what a rounding made of it. A negative
    total gives the negatives of the positive parts. With `bounds` no part leaves its [least, most]; what one cannot
    take goes to the others. Raises ValueError when the parts cannot sum to the total.
    """
    if total < 0:
        mirrored = None if bounds is None else [(-most, -least) for least, most in bounds]
        return tuple(-part for part in spread(-total, [-part for part in exact], step=step, bounds=mirrored))
    found = [(divmod(part.numerator, part.denominator * step), part.denominator * step) for part in exact]
    parts = [whole for (whole, _), _ in found]
    left = [Fraction(rest, whole) if rest else 0 for (_, rest), whole in found]
    by_fraction = sorted(range(len(parts)), key=lambda index: -left[index])
    if bounds is None:
        reach = abs(total // step - sum(parts)) + 1
        limits = [(part - reach, part + reach) for part in parts]
    else:
        limits = [(-(-least // step), most // step) for least, most in bounds]
        parts = [min(max(part, least), most) for part, (least, most) in zip(parts, limits, strict=True)]
    _close(parts, total // step, by_fraction, limits)
    return tuple(part * step for part in parts)


def _close(parts: list[int], total: int, order: Sequence[int], limits: Sequence[Bounds]) -> None:
    """Move the parts, evenly and within their limits, until they sum to the total."""
    missing = total - sum(parts)
    while missing:
        up = missing > 0
        room = {
            index: limits[index][1] - parts[index] if up else parts[index] - limits[index][0]
            for index in (order if up else reversed(order))
        }
        takers = [index for index in room if room[index] > 0]
        if not takers:
            raise ValueError("the parts cannot sum to the total")
        each, rest = divmod(abs(missing), len(takers))
        for place, index in enumerate(takers):
            moved = min(each + (place < rest), room[index]) * (1 if up else -1)
            parts[index] += moved
            missing -= moved
