"""Minimum and maximum of a charge's period (house rules 2, 8 and 12).

Both look at what the period has come to after discounts and coupons, over all its lines. The maximum holds on every
line, the minimum is tested on the last one only.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from billing.rules.amounts import RunningAmount


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a period costs at least and at most; None: no such bound."""

    minimum: Fraction | None = None
    maximum: Fraction | None = None

    def applied(self, amount: RunningAmount, *, last: bool) -> RunningAmount:
        """Return the running amount within the bounds; the difference is "minimum spend", or a discount."""
        after, before = self._capped(amount.after), self._capped(amount.before)
        if last and self.minimum is not None:
            after = max(after, self.minimum)
        return RunningAmount(after, before)

    def _capped(self, amount: Fraction) -> Fraction:
        return amount if self.maximum is None else min(amount, self.maximum)


NO_BOUNDS: Final = Bounds()
