"""Graduated percentages: every part of an amount of money bears the rate of the tier it lies in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from billing.rules.amounts import ZERO
from billing.rules.charges import reading, tiers
from billing.rules.charges.formula import FLAT_FEE_AT_ZERO, FREE_UNITS, Formula, Terms, sum_step
from billing.rules.charges.usage import Measured
from common.bodies import BodyReader

FIELDS = frozenset(("tiers",))


@dataclass(frozen=True, slots=True)
class GraduatedPercentage:
    """Tiers of an amount; the quantity is the amount, in the currency of the charge."""

    tiers: tuple[tiers.Tier, ...]

    kind: ClassVar[str] = "graduated_percentage"
    splits: ClassVar[bool] = True
    options: ClassVar[frozenset[str]] = FREE_UNITS | {FLAT_FEE_AT_ZERO}

    def formula(self, measured: Measured, terms: Terms) -> Formula:
        """Return the sum of the tiers."""
        billable = terms.billable(measured.quantity)
        uses = tiers.filled(self.tiers, billable, at_zero=terms.flat_fee_at_zero)
        amounts = [use.amount for use in uses]
        steps = (*terms.steps(measured), *(tiers.tier_step(use, is_percentage=True) for use in uses))
        if len(amounts) != 1:
            steps = (*steps, sum_step("sum", "all tiers", amounts))
        return Formula(sum(amounts, ZERO), billable, steps, tuple(uses))

    def written(self) -> dict[str, Any]:
        """Return the fields as JSON."""
        return {"tiers": tiers.written_tiers(self.tiers, rate="rate")}


def read(reader: BodyReader) -> GraduatedPercentage:
    """Return the model of a definition."""
    return GraduatedPercentage(tiers.read_tiers(reader, rate="rate", check=reading.percent))
