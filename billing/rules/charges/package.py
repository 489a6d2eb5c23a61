"""Packages: free units are taken off first, then every package that was opened is paid (house rule 13)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Any, ClassVar

from billing.rules.amounts import exact_text
from billing.rules.charges import reading
from billing.rules.charges.formula import FREE_UNITS, Formula, Terms, step
from billing.rules.charges.usage import Measured
from common.bodies import BodyReader

FIELDS = frozenset(("size", "price"))


@dataclass(frozen=True, slots=True)
class Package:
    """`price` for each `size` units or part of them."""

    size: Fraction
    price: Fraction

    kind: ClassVar[str] = "package"
    splits: ClassVar[bool] = True
    options: ClassVar[frozenset[str]] = FREE_UNITS

    def formula(self, measured: Measured, terms: Terms) -> Formula:
        """Return packages x price."""
        billable = terms.billable(measured.quantity)
        packages = Fraction(ceil(billable / self.size))
        amount = packages * self.price
        steps = (
            *terms.steps(measured),
            step("packages", "{quantity} / {size}, rounded up", packages, quantity=billable, size=self.size),
            step("price", "{packages} x {price}", amount, packages=packages, price=self.price),
        )
        return Formula(amount, billable, steps)

    def written(self) -> dict[str, Any]:
        """Return the fields as JSON."""
        return {"size": exact_text(self.size), "price": exact_text(self.price)}


def read(reader: BodyReader) -> Package:
    """Return the model of a definition."""
    return Package(reader.required("size", reading.positive), reader.required("price", reading.unit_price))
