"""Volume prices: the whole quantity costs what the tier it reaches says (house rule 11)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from billing.rules.amounts import ZERO
from billing.rules.charges import reading, tiers
from billing.rules.charges.formula import FLAT_FEE_AT_ZERO, FREE_UNITS, Formula, Terms, step
from billing.rules.charges.usage import Measured
from common.bodies import BodyReader

FIELDS = frozenset(("tiers",))


@dataclass(frozen=True, slots=True)
class Volume:
    """Tiers of which one holds for all; the total may fall where a cheaper one begins. It never splits."""

    tiers: tuple[tiers.Tier, ...]

    kind: ClassVar[str] = "volume"
    splits: ClassVar[bool] = False
    options: ClassVar[frozenset[str]] = FREE_UNITS | {FLAT_FEE_AT_ZERO}

    def formula(self, measured: Measured, terms: Terms) -> Formula:
        """Return the price of the tier that the full quantity reaches, applied to the prorated quantity."""
        billable = terms.billable(measured.quantity)
        steps = terms.steps(measured)
        if not billable and not terms.flat_fee_at_zero:
            return Formula(ZERO, billable, (*steps, step("nothing", "no usage", ZERO)))
        number, above, tier = tiers.reached(self.tiers, billable)
        use = tiers.use_of(number, above, tier, terms.prorated(measured))
        return Formula(use.amount, billable, (*steps, tiers.tier_step(use)), (use,))

    def written(self) -> dict[str, Any]:
        """Return the fields as JSON."""
        return {"tiers": tiers.written_tiers(self.tiers, rate="unit_price")}


def read(reader: BodyReader) -> Volume:
    """Return the model of a definition."""
    return Volume(tiers.read_tiers(reader, rate="unit_price", check=reading.unit_price))
