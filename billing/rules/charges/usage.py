"""What was used, as a charge is priced on it: plain exact values that meters and subscriptions hand over."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from billing.rules.amounts import ZERO


@dataclass(frozen=True, slots=True)
class QuantityChange:
    """A change of a held quantity, such as seats: by how much, and what that is when prorated over the period."""

    quantity: Fraction
    prorated: Fraction


@dataclass(frozen=True, slots=True)
class TokenUse:
    """How much of one component, such as input tokens, of one model was used; components do not overlap."""

    model: str
    component: str
    quantity: Fraction


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured in a span of time; a charge model reads the part that it is priced on.

    `quantity`: units, an amount of money (percentages) or a cost (dynamic). `prorated`: the part of a held
    quantity that counts, where it was not held all period. `events`: amounts in order of time. `changes`: of
    a held quantity, in order of time; what was held from the start is the first. Raises ValueError for a
    negative quantity.
    """

    quantity: Fraction = ZERO
    prorated: Fraction | None = None
    events: tuple[Fraction, ...] = ()
    changes: tuple[QuantityChange, ...] = ()
    tokens: tuple[TokenUse, ...] = ()

    def __post_init__(self) -> None:
        measured = (
            self.quantity,
            self.prorated or ZERO,
            *self.events,
            *(use.quantity for use in self.tokens),
        )
        if any(quantity < 0 for quantity in measured):
            raise ValueError("what was measured is not negative")

    def __add__(self, later: Measured) -> Measured:
        prorated = None
        if self.prorated is not None or later.prorated is not None:
            prorated = self.effective + later.effective
        return Measured(
            quantity=self.quantity + later.quantity,
            prorated=prorated,
            events=self.events + later.events,
            changes=self.changes + later.changes,
            tokens=self.tokens + later.tokens,
        )

    @property
    def total(self) -> Fraction:
        """Return how much was measured, whatever it was measured in."""
        parts = (
            *self.events,
            *(change.quantity for change in self.changes),
            *(use.quantity for use in self.tokens),
        )
        return self.quantity + sum(parts, ZERO)

    @property
    def effective(self) -> Fraction:
        """Return the prorated quantity where there is one, else the quantity."""
        return self.quantity if self.prorated is None else self.prorated


@dataclass(frozen=True, slots=True)
class Usage:
    """What one line is to bill: what was measured for it, and what earlier lines of the same period billed.

    `before` None: this is the first line of its period. `last`: it is the last one, at the period's end.
    """

    measured: Measured
    before: Measured | None = None
    last: bool = True

    @property
    def whole(self) -> Measured:
        """Return everything measured from the start of the period to the end of this line."""
        return self.measured if self.before is None else self.before + self.measured


def used(quantity: Fraction | int, *, before: Fraction | int | None = None, last: bool = True) -> Usage:
    """Return the usage of plain quantities: this line's, and that of the period's earlier lines."""
    earlier = None if before is None else Measured(Fraction(before))
    return Usage(Measured(Fraction(quantity)), before=earlier, last=last)
