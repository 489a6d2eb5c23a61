"""Graduated prices: every unit costs what the tier it lies in says (house rules 9, 10 and 17)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

from billing.rules.amounts import ZERO
from billing.rules.charges import reading, tiers
from billing.rules.charges.formula import (
    FLAT_FEE_AT_ZERO,
    FREE_UNITS,
    Formula,
    Step,
    Terms,
    TierUse,
    step,
    sum_step,
)
from billing.rules.charges.usage import Measured, QuantityChange
from common.bodies import BodyReader

FIELDS = frozenset(("tiers",))


@dataclass(frozen=True, slots=True)
class Graduated:
    """Tiers that are filled one after another; a held quantity moves up and down through them."""

    tiers: tuple[tiers.Tier, ...]

    kind: ClassVar[str] = "graduated"
    splits: ClassVar[bool] = True
    options: ClassVar[frozenset[str]] = FREE_UNITS | {FLAT_FEE_AT_ZERO}

    def formula(self, measured: Measured, terms: Terms) -> Formula:
        """Return the sum of the tiers. Raises ValueError when changes take a held quantity below 0."""
        if measured.changes:
            return self._changed(measured, terms)
        billable = terms.billable(measured.quantity)
        uses = tiers.filled(self.tiers, billable, at_zero=terms.flat_fee_at_zero)
        return _summed(billable, uses, terms.steps(measured))

    def _changed(self, measured: Measured, terms: Terms) -> Formula:
        moved = Moved(self.tiers, terms)
        for change in measured.changes:
            moved.apply(change)
        entered = sorted(moved.prorated) or ([1] if terms.flat_fee_at_zero else [])
        spans = {number: (above, tier) for number, above, tier in tiers.spans(self.tiers)}
        uses = [tiers.use_of(number, *spans[number], moved.prorated.get(number, ZERO)) for number in entered]
        found = _summed(terms.billable(moved.level), uses, moved.steps)
        if found.amount >= 0:
            return found
        floor = step("floor", "never below 0: {amount}", ZERO, amount=found.amount)
        return Formula(ZERO, found.billable, (*found.steps, floor), found.tiers)

    def written(self) -> dict[str, Any]:
        """Return the fields as JSON."""
        return {"tiers": tiers.written_tiers(self.tiers, rate="unit_price")}


class Moved:
    """A held quantity on its way through the tiers: its level, and the prorated quantity of each tier entered."""

    def __init__(self, ladder: Sequence[tiers.Tier], terms: Terms) -> None:
        self._ladder = ladder
        self._terms = terms
        self.level = ZERO
        self.prorated: dict[int, Fraction] = {}
        self.steps: list[Step] = []

    def apply(self, change: QuantityChange) -> None:
        """Move by one change: its prorated quantity goes to the tiers passed in proportion to the units in each."""
        start, self.level = self.level, self.level + change.quantity
        if self.level < 0:
            raise ValueError("a held quantity is not negative")
        low, high = sorted((self._terms.billable(start), self._terms.billable(self.level)))
        for number, above, tier in tiers.spans(self._ladder):
            passed = (high if tier.up_to is None else min(high, tier.up_to)) - max(low, above)
            if passed > 0:
                share = change.prorated * passed / abs(change.quantity)
                self.prorated[number] = self.prorated.get(number, ZERO) + share
                self._tell(change, number, passed, share)

    def _tell(self, change: QuantityChange, number: int, passed: Fraction, share: Fraction) -> None:
        words = (
            f"change by {{change}}, {{passed}} of it in tier {number}: {{prorated}} x {{passed}} / {{size}}"
        )
        self.steps.append(
            step(
                "change",
                words,
                share,
                change=change.quantity,
                passed=passed,
                prorated=change.prorated,
                size=abs(change.quantity),
            )
        )


def read(reader: BodyReader) -> Graduated:
    """Return the model of a definition."""
    return Graduated(tiers.read_tiers(reader, rate="unit_price", check=reading.unit_price))


def _summed(billable: Fraction, uses: Sequence[TierUse], steps: Sequence[Step]) -> Formula:
    amounts = [use.amount for use in uses]
    priced = (*steps, *(tiers.tier_step(use) for use in uses))
    if len(amounts) != 1:
        priced = (*priced, sum_step("sum", "all tiers", amounts))
    return Formula(sum(amounts, ZERO), billable, priced, tuple(uses))
