"""A price per unit, or per so many units without rounding up: 3 per 1,000,000 tokens."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

from billing.rules.amounts import exact_text
from billing.rules.charges import reading
from billing.rules.charges.formula import FREE_UNITS, Formula, Terms, step
from billing.rules.charges.usage import Measured
from common.bodies import BodyReader

FIELDS = frozenset(("unit_price", "per"))
ONE = Fraction(1)


@dataclass(frozen=True, slots=True)
class PerUnit:
    """`unit_price` for each `per` units. Seats that were not held all period count as their prorated quantity."""

    unit_price: Fraction
    per: Fraction = ONE

    kind: ClassVar[str] = "per_unit"
    splits: ClassVar[bool] = True
    options: ClassVar[frozenset[str]] = FREE_UNITS

    def formula(self, measured: Measured, terms: Terms) -> Formula:
        """Return quantity x price."""
        billable, prorated = terms.billable(measured.quantity), terms.prorated(measured)
        amount = prorated * self.unit_price / self.per
        words = "{quantity} x {price}" if self.per == 1 else "{quantity} x {price} / {per}"
        priced = step("price", words, amount, quantity=prorated, price=self.unit_price, per=self.per)
        return Formula(amount, billable, (*terms.steps(measured), priced))

    def written(self) -> dict[str, Any]:
        """Return the fields as JSON."""
        per = {} if self.per == 1 else {"per": exact_text(self.per)}
        return {"unit_price": exact_text(self.unit_price)} | per


def read(reader: BodyReader) -> PerUnit:
    """Return the model of a definition."""
    return PerUnit(
        reader.required("unit_price", reading.unit_price), reader.defaulted("per", reading.positive, ONE)
    )
