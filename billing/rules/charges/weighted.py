"""Quantities that are held over time: a weighted sum, and changes prorated over their period (house rules 17, 18)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

from billing.rules.amounts import ZERO
from billing.rules.charges.usage import QuantityChange

MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class DatedChange:
    """By how much a held quantity changes at a moment."""

    at: datetime
    quantity: Fraction


def weighted_sum(
    changes: Sequence[DatedChange], *, start: datetime, end: datetime, held: Fraction = ZERO
) -> Fraction:
    """Return the mean of the held quantity over [start, end): its integral by time, divided by the period's length.

    `held` is what was held at the start. Raises ValueError for an empty period or a change outside of it.
    """
    return sum((change.prorated for change in prorated(changes, start=start, end=end, held=held)), ZERO)


def prorated(
    changes: Sequence[DatedChange], *, start: datetime, end: datetime, held: Fraction = ZERO
) -> tuple[QuantityChange, ...]:
    """Return every change in order of time with its part for the rest of the period; what was held comes first.

    Raises ValueError for an empty period or a change outside of it.
    """
    length = (end - start) // MICROSECOND
    if length <= 0:
        raise ValueError("a period ends after its start")
    found = [QuantityChange(held, held)] if held else []
    for change in sorted(changes, key=lambda change: change.at):
        if not start <= change.at < end:
            raise ValueError("a change lies in its period")
        rest = Fraction((end - change.at) // MICROSECOND, length)
        found.append(QuantityChange(change.quantity, change.quantity * rest))
    return tuple(found)
