"""Volume prices: the whole quantity costs what the tier it reaches says (house rules 10, 11 and 17)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

from billing.rules.amounts import ZERO
from billing.rules.charges import reading, tiers
from billing.rules.charges.formula import FLAT_FEE_AT_ZERO, FREE_UNITS, Formula, Step, Terms, step
from billing.rules.charges.usage import Measured, QuantityChange
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
        """Return the price of the tier that the full quantity reaches, applied to the prorated quantity: of a held one
        that changed, the tier is that of the quantity which is held at last. Raises ValueError when changes take it
        below 0."""
        if measured.changes:
            return self._changed(measured.changes, terms)
        steps = terms.steps(measured)
        billable = terms.billable(measured.quantity)
        return self._reached(billable, terms.prorated(measured), steps, is_used=billable > 0, terms=terms)

    def _changed(self, changes: Sequence[QuantityChange], terms: Terms) -> Formula:
        level, prorated, is_used, steps = ZERO, ZERO, False, []
        for change in changes:
            before, level = terms.billable(level), level + change.quantity
            if level < 0:
                raise ValueError("a held quantity is not negative")
            passed = abs(terms.billable(level) - before)
            is_used = is_used or terms.billable(level) > 0
            if passed:
                part = change.prorated * passed / abs(change.quantity)
                prorated += part
                steps.append(_moved(change, passed, part))
        return self._reached(terms.billable(level), max(prorated, ZERO), steps, is_used=is_used, terms=terms)

    def _reached(
        self, billable: Fraction, prorated: Fraction, steps: Sequence[Step], *, is_used: bool, terms: Terms
    ) -> Formula:
        if not is_used and not terms.flat_fee_at_zero:
            return Formula(ZERO, billable, (*steps, step("nothing", "no usage", ZERO)))
        number, above, tier = tiers.reached(self.tiers, billable)
        use = tiers.use_of(number, above, tier, prorated)
        return Formula(use.amount, billable, (*steps, tiers.tier_step(use)), (use,))

    def written(self) -> dict[str, Any]:
        """Return the fields as JSON."""
        return {"tiers": tiers.written_tiers(self.tiers, rate="unit_price")}


def read(reader: BodyReader) -> Volume:
    """Return the model of a definition."""
    return Volume(tiers.read_tiers(reader, rate="unit_price", check=reading.unit_price))


def _moved(change: QuantityChange, passed: Fraction, prorated: Fraction) -> Step:
    return step(
        "change",
        "change by {change}, {passed} of it billed: {prorated} x {passed} / {size}",
        prorated,
        change=change.quantity,
        passed=passed,
        prorated=change.prorated,
        size=abs(change.quantity),
    )
