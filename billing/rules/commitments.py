"""Commitments: what was promised, what usage drew from it, and what comes on top (house rules 7 and 27; M1 to M9).

Charges draw from a commitment in their order. What exceeds it is overage: at a factor of its price, or at a rate of its
own. What is missing at the end is the true-up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from itertools import pairwise
from typing import Final

from billing.rules.amounts import ZERO, document_units_of
from billing.rules.charges.formula import Step, step

ONE: Final = Fraction(1)


@dataclass(frozen=True, slots=True)
class Overage:
    """What exceeds a commitment costs its price times `factor`, or, with a `rate`, so much per unit."""

    factor: Fraction = ONE
    rate: Fraction | None = None

    def __post_init__(self) -> None:
        if self.factor < 0 or (self.rate is not None and (self.rate < 0 or self.factor != 1)):
            raise ValueError("overage has either a factor or a rate, not below 0")


AT_LIST_PRICE: Final = Overage()


@dataclass(frozen=True, slots=True)
class Charge:
    """A charge that draws from a commitment: its amount at its own price, and its quantity for a rate of overage."""

    key: str
    amount: Fraction
    quantity: Fraction = ZERO

    def __post_init__(self) -> None:
        if self.amount < 0 or self.quantity < 0:
            raise ValueError("a charge is not negative")


@dataclass(frozen=True, slots=True)
class Drawn:
    """What one charge took from the commitment, what of it exceeded that, and what the excess costs."""

    key: str
    covered: Fraction
    excess: Fraction
    overage: Fraction
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Settled:
    """A commitment against the charges of its span; `true_up` is what lifts them to it, 0 where that is off."""

    commitment: Fraction
    charges: tuple[Drawn, ...]
    true_up: Fraction

    @property
    def covered(self) -> Fraction:
        """Return how much of the commitment was used."""
        return sum((drawn.covered for drawn in self.charges), ZERO)

    @property
    def overage(self) -> Fraction:
        """Return what came on top of the commitment."""
        return sum((drawn.overage for drawn in self.charges), ZERO)

    @property
    def unused(self) -> Fraction:
        """Return what is left of the commitment."""
        return self.commitment - self.covered

    @property
    def total(self) -> Fraction:
        """Return what the span costs: covered, overage and true-up."""
        return self.covered + self.overage + self.true_up


@dataclass(frozen=True, slots=True)
class RampSegment:
    """What is committed from a date on until the next segment begins."""

    start: date
    commitment: Fraction
    overage: Overage = AT_LIST_PRICE


def settle(
    commitment: Fraction,
    charges: Sequence[Charge],
    *,
    overage: Overage = AT_LIST_PRICE,
    true_up: bool = True,
) -> Settled:
    """Return how charges draw from a commitment, in their order, and what exceeds or misses it."""
    left = commitment
    drawn = []
    for charge in charges:
        covered = min(left, charge.amount)
        left -= covered
        drawn.append(_drawn(charge, covered, overage))
    return Settled(commitment, tuple(drawn), left if true_up else ZERO)


def true_up_units(commitment: Fraction, lines: Sequence[int], *, currency: str, share: Fraction = ONE) -> int:
    """Return the true-up line in 10^-8: the rounded prorated commitment less the rounded lines, never below 0 (rule 7).

    `share` is the part of the commitment's period that is billed, `lines` are what it is compared with.
    """
    return max(0, document_units_of(commitment * share, currency=currency) - sum(lines))


def segment_at(segments: Sequence[RampSegment], day: date) -> RampSegment | None:
    """Return the segment that holds on a day, None before the first. Raises ValueError unless their starts rise."""
    if any(later.start <= earlier.start for earlier, later in pairwise(segments)):
        raise ValueError("segments begin one after another")
    begun = [segment for segment in segments if segment.start <= day]
    return begun[-1] if begun else None


def _drawn(charge: Charge, covered: Fraction, overage: Overage) -> Drawn:
    excess = charge.amount - covered
    steps = [
        step(
            "commitment",
            "{amount} - {covered} from the commitment",
            excess,
            amount=charge.amount,
            covered=covered,
        )
    ]
    if not excess:
        cost = ZERO
    elif overage.rate is None:
        cost = excess * overage.factor
        steps.append(step("overage", "{excess} x {factor}", cost, excess=excess, factor=overage.factor))
    else:
        units = charge.quantity * excess / charge.amount
        cost = units * overage.rate
        words = "{quantity} units x {excess} / {amount} x {rate}"
        numbers = {
            "quantity": charge.quantity,
            "excess": excess,
            "amount": charge.amount,
            "rate": overage.rate,
        }
        steps.append(step("overage", words, cost, **numbers))
    return Drawn(charge.key, covered, excess, cost, tuple(steps))
