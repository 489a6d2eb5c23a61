"""Progressive billing: usage is invoiced within its period whenever the period's total reaches a threshold (house rule
29; M12 to M16). Pure; amounts are units of 10^-8.

Thresholds look at what the whole period has come to. One invoice takes all that was not yet billed, however many
thresholds were passed. The period's last invoice bills the rest, and states what all came to and what was billed
before: each record of usage stays on one line, is taxed there, and is posted once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from common.money import MAX_UNITS
from orgs.rules.facts import time_text

THRESHOLD: Final = "threshold"
"""The cause of a progressive invoice."""
MOST_NAMED: Final = 100
"""So many invoices a statement names, the newest; it counts them all."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """`once` rise, `recurring` counts on from the last of them. Raises ValueError otherwise."""

    once: tuple[int, ...] = ()
    recurring: int | None = None

    def __post_init__(self) -> None:
        steps = [later - earlier for earlier, later in zip((0, *self.once), self.once, strict=False)]
        if any(size <= 0 for size in steps) or (self.recurring is not None and self.recurring <= 0):
            raise ValueError("thresholds are above 0 and rise")

    def next_above(self, total: int) -> int | None:
        """Return the threshold that follows after a total, None when there is none left."""
        fixed = next((threshold for threshold in self.once if threshold > total), None)
        if fixed is not None or self.recurring is None:
            return fixed
        last = self.once[-1] if self.once else 0
        return last + ((total - last) // self.recurring + 1) * self.recurring


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a customer's period is. `billed`: what of its usage is on living progressive invoices; `fired`: the
    highest total at which one was made, up to which no threshold fires again, whatever becomes of that invoice.
    `ends_at`: when the period ends before its time, by a change of plan."""

    thresholds: Thresholds = Thresholds()
    fired: int = 0
    billed: int = 0
    ends_at: datetime | None = None

    @property
    def is_on(self) -> bool:
        """Return whether the period may have progressive invoices."""
        return self.thresholds != Thresholds() or self.fired > 0

    @property
    def trigger(self) -> int | None:
        """Return at how much usage that is on no invoice the next one is made; None: at none."""
        following = self.thresholds.next_above(self.fired)
        if following is None or following - self.billed > MAX_UNITS:
            return None
        return following - self.billed

    def invoiced(self, units: int) -> Progress:
        """Return it after a progressive invoice over so much usage."""
        billed = self.billed + units
        return replace(self, billed=billed, fired=max(self.fired, billed))

    def taken_back(self, units: int) -> Progress:
        """Return it after a progressive invoice over so much usage is void: that is to bill again, with what comes. One
        from before there were several thresholds was never counted."""
        return replace(self, billed=max(0, self.billed - units))

    def ending(self, at: datetime) -> Progress:
        """Return it with an end of the period; the first of several counts."""
        return replace(self, ends_at=at if self.ends_at is None else min(self.ends_at, at))

    def restarted(self, at: datetime) -> Progress:
        """Return it at the beginning of the next period."""
        later = None if self.ends_at is None or self.ends_at <= at else self.ends_at
        return Progress(self.thresholds, ends_at=later)

    def written(self) -> dict[str, Any] | None:
        """Return it as events hold it; None where nothing is set."""
        if self == Progress():
            return None
        return {
            "thresholds": list(self.thresholds.once),
            "recurring": self.thresholds.recurring,
            "fired": self.fired,
            "billed": self.billed,
            "ends_at": time_text(self.ends_at),
        }


def read_progress(data: Mapping[str, Any] | None, threshold: int | None) -> Progress:
    """Return what was written so. Before there were several, a customer had one `threshold` of unbilled usage: the same
    as one that recurs from the beginning."""
    if data is None:
        return Progress(Thresholds((), threshold))
    ends_at = data["ends_at"]
    return Progress(
        Thresholds(tuple(data["thresholds"]), data["recurring"]),
        data["fired"],
        data["billed"],
        None if ends_at is None else datetime.fromisoformat(ends_at),
    )


@dataclass(frozen=True, slots=True)
class ProgressiveInvoice:
    """A living progressive invoice: what it is over without tax and what tax it bears, both less its credit notes."""

    id: UUID
    number: str | None
    issued_at: datetime | None
    net: int
    tax: int


def statement(found: Sequence[ProgressiveInvoice], *, net: int) -> dict[str, Any] | None:
    """Return what the last invoice of a period states beside its lines, whose `net` is due: the fees of the whole
    period and the credit for what was invoiced before, without tax. None where nothing was."""
    if not found:
        return None
    credit = sum(one.net for one in found)
    return {
        "fees": net + credit,
        "credit": credit,
        "credit_tax": sum(one.tax for one in found),
        "count": len(found),
        "invoices": [
            {
                "id": str(one.id),
                "number": one.number,
                "issued_at": time_text(one.issued_at),
                "net": one.net,
                "tax": one.tax,
            }
            for one in found[-MOST_NAMED:]
        ],
    }


def used_units(lines: Iterable[tuple[str, int]]) -> int:
    """Return how much usage the lines of an invoice bill, by their kind and exact amount. Metered charges are not
    meant: these wait for the end of their period."""
    return sum(exact for kind, exact in lines if kind == "usage")
