"""Dynamic prices: the cost that came with the usage, times a multiplier (house rule 16)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

from billing.rules.amounts import exact_text
from billing.rules.charges import reading
from billing.rules.charges.formula import FREE_UNITS, Formula, Terms, step
from billing.rules.charges.usage import Measured
from common.bodies import BodyReader

FIELDS = frozenset(("multiplier",))


@dataclass(frozen=True, slots=True)
class Dynamic:
    """Cost x multiplier; the quantity is the cost, in the currency of the charge. Included units are cost, too."""

    multiplier: Fraction

    kind: ClassVar[str] = "dynamic"
    splits: ClassVar[bool] = True
    options: ClassVar[frozenset[str]] = FREE_UNITS

    def formula(self, measured: Measured, terms: Terms) -> Formula:
        """Return cost x multiplier."""
        cost = terms.billable(measured.quantity)
        amount = cost * self.multiplier
        priced = step("price", "cost {cost} x {multiplier}", amount, cost=cost, multiplier=self.multiplier)
        return Formula(amount, cost, (*terms.steps(measured), priced))

    def written(self) -> dict[str, Any]:
        """Return the fields as JSON."""
        return {"multiplier": exact_text(self.multiplier)}


def read(reader: BodyReader) -> Dynamic:
    """Return the model of a definition."""
    return Dynamic(reader.required("multiplier", reading.factor))
