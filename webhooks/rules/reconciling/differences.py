"""What a difference is: its class, what it is about, and which finding it is when it cannot be repaired. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

MISSING_HERE, MISSING_THERE = "missing_here", "missing_there"
AMOUNT, STATE, DOUBLE, FOREIGN = "amount", "state", "double", "foreign"
CATEGORY, BOOKS, COST = "category", "books", "cost"
CLASSES: Final = (
    MISSING_HERE, MISSING_THERE, AMOUNT, STATE, DOUBLE, FOREIGN, CATEGORY, BOOKS, COST,
)  # fmt: skip
REPAIRED, OPEN, GONE = "repaired", "open", "gone"
OUTCOMES: Final = (REPAIRED, OPEN, GONE)
OVERDUE: Final = timedelta(days=3)
"""An open difference that is older waits too long: it is counted apart, whoever looks after it."""

FINDINGS: Final[Mapping[str, tuple[str, str]]] = {
    MISSING_HERE: ("missing_here", "apply it again; look at why its event could not be"),
    MISSING_THERE: ("missing_there", "ask the processor; reverse the entry if it never was"),
    AMOUNT: (
        "amount_differs",
        "post the difference, or reverse what was booked, when it is clear who is right",
    ),
    STATE: ("state_differs", "look at both; post what the processor did"),
    DOUBLE: ("double", "refund, or delete, what was made twice"),
    FOREIGN: ("foreign_money", "assign it to an organization, or mark it as foreign"),
    CATEGORY: ("balance_category_unknown", "say what it is: assign it, or mark it as foreign"),
    BOOKS: ("books_broken", "see the runbook: nothing is to be changed before it is understood"),
    COST: ("provider_bill_differs", "correct the price, or book the bill with the difference"),
}
"""By class: the kind of its finding, and what is proposed. Steps say more where they know the entry."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference. `kind`: of the object; `amount`: how much more the processor says than we, in units;
    `organization`: whose it is, None: the platform's. `proposed`: what would settle it, if more than its class says."""

    kind: str
    name: str
    subject: str
    detail: Mapping[str, Any]
    organization: UUID | None = None
    amount: int | None = None
    currency: str | None = None
    proposed: Mapping[str, Any] = field(default_factory=dict)

    @property
    def finding_kind(self) -> str:
        """The kind of the finding that it is."""
        return FINDINGS[self.name][0]

    @property
    def step(self) -> Mapping[str, Any]:
        """What is proposed to a person."""
        return self.proposed or {"step": FINDINGS[self.name][1]}


@dataclass(slots=True)
class Tally:
    """What a step counted. `foreign`: objects that are somebody else's, without money of ours."""

    compared: int = 0
    foreign: int = 0
    repaired: int = 0
    open: int = 0
    amounts: dict[str, int] = field(default_factory=dict)

    def add(self, currency: str, amount: int) -> None:
        """Add up what was compared, in units by currency."""
        self.amounts[currency] = self.amounts.get(currency, 0) + amount

    def as_dict(self) -> dict[str, Any]:
        """Return it as a report has it."""
        return {
            "compared": self.compared,
            "foreign": self.foreign,
            "repaired": self.repaired,
            "open": self.open,
            "amounts": self.amounts,
        }
