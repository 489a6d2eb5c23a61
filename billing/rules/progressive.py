"""Progressive billing: usage is invoiced within its period whenever it reaches a threshold (house rule 29; M12 to M16).

Thresholds look at what the usage of the whole period has come to. One invoice takes all that was not yet billed,
however many thresholds were passed. The period's end bills everything and credits what was billed progressively.
Nothing calls this yet: the billing run knows one threshold of unbilled use (docs/charges.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Amounts in 10^-8: `once` rise, `recurring` counts on from the last of them. Raises ValueError otherwise."""

    once: tuple[int, ...] = ()
    recurring: int | None = None

    def __post_init__(self) -> None:
        steps = [later - earlier for earlier, later in zip((0, *self.once), self.once, strict=False)]
        if any(size <= 0 for size in steps) or (self.recurring is not None and self.recurring <= 0):
            raise ValueError("thresholds are above 0 and rise")

    def next_above(self, billed: int) -> int | None:
        """Return the threshold that follows after what was billed, None when there is none left."""
        fixed = next((threshold for threshold in self.once if threshold > billed), None)
        if fixed is not None or self.recurring is None:
            return fixed
        last = self.once[-1] if self.once else 0
        return last + ((billed - last) // self.recurring + 1) * self.recurring

    def last_reached(self, usage: int) -> int:
        """Return the highest threshold that usage reached (equality reaches it), 0 for none."""
        last = max((threshold for threshold in self.once if threshold <= usage), default=0)
        if self.recurring is None or (self.once and last < self.once[-1]):
            return last
        return last + (usage - last) // self.recurring * self.recurring


@dataclass(frozen=True, slots=True)
class ProgressiveInvoice:
    """An invoice within the period: the last threshold that the usage reached, and what it bills."""

    threshold: int
    units: int


@dataclass(frozen=True, slots=True)
class PeriodEnd:
    """The end of a period: all its fees, the credit for what was billed progressively, and what is due.

    `excess` is what was billed progressively beyond the fees, as after usage was voided; it goes back.
    """

    fees: int
    credit: int
    due: int
    excess: int


def progressive_invoice(thresholds: Thresholds, *, usage: int, billed: int) -> ProgressiveInvoice | None:
    """Return the invoice that is due now, None while no threshold is reached.

    `usage` is what the usage of the period so far comes to, `billed` how much of it was billed progressively.
    """
    reached = thresholds.next_above(billed)
    if reached is None or usage < reached:
        return None
    return ProgressiveInvoice(thresholds.last_reached(usage), usage - billed)


def period_end(lines: Sequence[int], *, billed: int) -> PeriodEnd:
    """Return the end of a period from its rounded lines and what was billed progressively."""
    fees = sum(lines)
    credit = min(billed, fees)
    return PeriodEnd(fees, credit, fees - credit, billed - credit)
