"""A flat fee per period, whatever was used; prorated when the period was not whole."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

from billing.rules.amounts import exact_text
from billing.rules.charges import reading
from billing.rules.charges.formula import Formula, Terms, step
from billing.rules.charges.usage import Measured
from common.bodies import BodyReader

FIELDS = frozenset(("amount",))


@dataclass(frozen=True, slots=True)
class Flat:
    """The fee of a whole period; `Measured.prorated` is the share of the period that is billed."""

    amount: Fraction

    kind: ClassVar[str] = "flat"
    splits: ClassVar[bool] = True
    options: ClassVar[frozenset[str]] = frozenset()

    def formula(self, measured: Measured, terms: Terms) -> Formula:
        """Return the fee, or the share of it."""
        share = Fraction(1) if measured.prorated is None else measured.prorated
        if share == 1:
            steps = (step("flat", "flat fee", self.amount, amount=self.amount),)
        else:
            words = "flat fee: {amount} x {share} of the period"
            steps = (step("flat", words, self.amount * share, amount=self.amount, share=share),)
        return Formula(self.amount * share, share, steps)

    def written(self) -> dict[str, Any]:
        """Return the fields as JSON."""
        return {"amount": exact_text(self.amount)}


def read(reader: BodyReader) -> Flat:
    """Return the model of a definition."""
    return Flat(reader.required("amount", reading.money))
