"""What a decision on a contract comes to: its row then, and everything that the same event says beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from typing import Any, Final
from uuid import UUID

from billing.rules.contracts.row import Contract, Version, Window
from billing.rules.contracts.writing import write_row, write_version, write_window
from billing.rules.items import NewItem, items_event_data
from orgs.rules.facts import Fact, with_changes

STREAM: Final = "contract"
_TOLD: Final = ("status", "name", "purchase_order", "net_days", "ends_at", "number", "terminates_at")
"""What of a row is told as a change from what to what; the rest follows from it."""


@dataclass(frozen=True, slots=True)
class Left:
    """What a grant has left in the ledger, and what of that is held. Units."""

    remaining: int
    held: int = 0

    @property
    def free(self) -> int:
        """What can be taken back at once."""
        return self.remaining - self.held


NOTHING_LEFT: Final = Left(0)


@dataclass(frozen=True, slots=True)
class Units:
    """What was counted of calls that exceeded a commitment, for one model or tool: `quantity` of them cost `amount`."""

    name: str
    quantity: Fraction
    amount: int


@dataclass(frozen=True, slots=True)
class WindowUse:
    """What was used within a window, in units: on the postpaid `line`, from the customer's own credit and debt (`own`),
    and from the window's grants after its end (`since`). `exceeding`: the line's part by model or tool."""

    line: int = 0
    own: int = 0
    since: int = 0
    exceeding: tuple[Units, ...] = ()


NO_USE: Final = WindowUse()


@dataclass(frozen=True, slots=True)
class Owed:
    """An item as it stands by now, in units: its `amount`, what coupons took off it on its invoice (`discount`), and
    what credit notes and other items took back. `due_at`: None once it is on an invoice."""

    amount: int
    discount: int = 0
    taken: int = 0
    due_at: datetime | None = None

    @property
    def net(self) -> int:
        """What of it was to pay."""
        return self.amount - self.discount

    @property
    def left(self) -> int:
        """What of it can still be credited."""
        return max(self.net - self.taken, 0)


@dataclass(frozen=True, slots=True)
class Known:
    """What a decision must know beside the row: what grants have left, what was used in the windows that are settled,
    the customer's debt (units), which new credit repays first, and how the items that it may credit stand."""

    left: Mapping[UUID, Left] = field(default_factory=dict)
    use: Mapping[UUID, WindowUse] = field(default_factory=dict)
    debt: int = 0
    owed: Mapping[UUID, Owed] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Granted:
    """A grant of a window, [effective_at, expires_at), in units; `is_owed`: it is paid as it is used."""

    grant: UUID
    amount: int
    is_owed: bool
    effective_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Taking:
    """What leaves grants unused, one journal entry: each [grant, units]. `income` of it is breakage, `rounded` what the
    lines over the use made of it by rounding, the rest goes back to deferred revenue. `ended`: grants that nothing is
    drawn from any more; what is `held` of them breaks when its holds end: so much of the income is left to them."""

    key: str
    reason: str
    taken: tuple[tuple[UUID, int], ...]
    income: int
    rounded: int = 0
    held: int = 0
    ended: tuple[UUID, ...] = ()

    @property
    def amount(self) -> int:
        """Return what is taken in all."""
        return sum(amount for _, amount in self.taken)


@dataclass(frozen=True, slots=True)
class Decision:
    """A contract after a decision at `at`, and what comes with it. `windows`: those that are new or other than before,
    `version`: one that was made."""

    row: Contract
    verb: str
    at: datetime
    items: Sequence[NewItem] = ()
    windows: Sequence[Window] = ()
    grants: Sequence[Granted] = ()
    takings: Sequence[Taking] = ()
    version: Version | None = None
    passed: Sequence[str] = ()


def fact_of(decision: Decision, before: Contract | None) -> Fact:
    """Return the fact of a decision, without the ledger's part."""
    row = decision.row
    data: dict[str, Any] = write_row(row)
    if before is not None:
        told, was = ({name: side[name] for name in _TOLD} for side in (data, write_row(before)))
        data["changed"] = with_changes(told, was)["changed"]
    if decision.items:
        data["items"] = items_event_data(decision.items)
    if decision.windows:
        data["changed_windows"] = [write_window(each) for each in decision.windows]
    if decision.version is not None:
        data["made"] = write_version(decision.version)
    if decision.passed:
        data["passed"] = list(decision.passed)
    return Fact(row.organization, STREAM, row.id, row.version, decision.verb, data, decision.at)
