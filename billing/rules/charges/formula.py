"""What every charge model answers: an exact amount, the tiers it used, and the steps that lead to it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, Final, Protocol

from billing.rules.amounts import ZERO, exact_text
from billing.rules.charges.usage import Measured

INCLUDED: Final = "included"
USAGE_DISCOUNT: Final = "usage_discount"
FLAT_FEE_AT_ZERO: Final = "flat_fee_at_zero"
FREE_UNITS: Final = frozenset((INCLUDED, USAGE_DISCOUNT))


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a formula: its name, words with every number in them, the numbers by name, and the result."""

    name: str
    words: str
    result: Fraction
    values: tuple[tuple[str, Fraction], ...] = ()


@dataclass(frozen=True, slots=True)
class TierUse:
    """What a line used of one tier, which begins above one quantity and ends with another (None: never)."""

    number: int
    above: Fraction
    up_to: Fraction | None
    quantity: Fraction
    unit_price: Fraction
    flat: Fraction
    amount: Fraction


@dataclass(frozen=True, slots=True)
class Formula:
    """The exact amount of everything measured in a period so far, and how it came about.

    `billable` is the quantity that was priced, after what is free.
    """

    amount: Fraction
    billable: Fraction
    steps: tuple[Step, ...] = ()
    tiers: tuple[TierUse, ...] = ()


@dataclass(frozen=True, slots=True)
class Terms:
    """What a charge takes off the quantity before it is priced, and whether no usage at all costs a flat fee."""

    usage_discount: Fraction = ZERO
    included: Fraction = ZERO
    flat_fee_at_zero: bool = False

    @property
    def free(self) -> Fraction:
        """Return the units of the period that are not billed."""
        return self.usage_discount + self.included

    def billable(self, quantity: Fraction) -> Fraction:
        """Return what is left of a period's quantity after usage discount and included units, never below 0."""
        return max(ZERO, quantity - self.free)

    def prorated(self, measured: Measured) -> Fraction:
        """Return the billable part of a prorated quantity: as much of it as of the full quantity."""
        billable = self.billable(measured.quantity)
        if measured.prorated is None:
            return billable
        if not measured.quantity:
            return self.billable(measured.prorated)
        return measured.prorated * billable / measured.quantity

    def steps(self, measured: Measured) -> list[Step]:
        """Return how the billable quantity comes about; nothing where all is billed."""
        steps, left = [], measured.quantity
        for name, words, free in (
            (USAGE_DISCOUNT, "usage discount", self.usage_discount),
            (INCLUDED, "included", self.included),
        ):
            if free:
                taken = min(left, free)
                left -= taken
                steps.append(
                    step(name, f"{words}: {{quantity}} - {{taken}}", left, quantity=left + taken, taken=taken)
                )
        if measured.prorated not in (None, measured.quantity) and measured.quantity:
            words = "prorated: {prorated} x {left} / {quantity}"
            numbers = {"prorated": measured.effective, "quantity": measured.quantity, "left": left}
            steps.append(step("prorated", words, self.prorated(measured), **numbers))
        return steps


NO_TERMS: Final = Terms()


class ChargeModel(Protocol):
    """A family of prices, as data.

    `splits`: a line may be billed before its period ends (house rules 11, 12). `options`: which of `Terms`
    it takes.
    """

    kind: ClassVar[str]
    splits: ClassVar[bool]
    options: ClassVar[Collection[str]]

    def formula(self, measured: Measured, terms: Terms) -> Formula:
        """Return what everything measured from the period's start on costs."""

    def written(self) -> dict[str, Any]:
        """Return the model's own fields as JSON."""


def step(name: str, words: str, result: Fraction, **values: Fraction) -> Step:
    """Return a step whose words name their numbers, such as "{units} x {price}"; the result is added to them."""
    shown = {key: exact_text(value) for key, value in values.items()}
    return Step(name, f"{words.format(**shown)} = {exact_text(result)}", result, tuple(values.items()))


def sum_step(name: str, words: str, parts: Collection[Fraction]) -> Step:
    """Return the step that adds up parts."""
    total = sum(parts, ZERO)
    shown = " + ".join(exact_text(part) for part in parts).replace("+ -", "- ")
    return Step(name, f"{words}: {shown or '0'} = {exact_text(total)}", total)
