"""The rows a batch of gate commands is decided on: working copies that each accepted command moves on.

Amounts are units of 10^-8 (money) or plain integers (TOKENS, CREDITS, RISK_POINTS); ids are texts, which cost a
fraction of what id objects do. Nothing here knows a database.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ledger.rules.grants import Grant
from spend.rules.budgets import BudgetDefinition

CounterKey = tuple[str, str, datetime]
"""Budget, target and start of the window."""


@dataclass(slots=True)
class Counter:
    """held and spent of one budget, target and window; `number` 0 until an event opened it."""

    number: int
    budget_id: str
    target: str
    window_start: datetime
    window_end: datetime | None
    held: int = 0
    spent: int = 0


class Layer:
    """One budget that applies to a call: its counter, and for a rolling budget what the other buckets hold."""

    __slots__ = ("budget", "counter", "held", "label", "requested", "resets_at", "resets_text", "spent")

    def __init__(
        self,
        budget: BudgetDefinition,
        counter: Counter,
        requested: int,
        *,
        label: str | None = None,
        resets_at: datetime | None = None,
        resets_text: str | None = None,
    ) -> None:
        self.budget, self.counter, self.requested = budget, counter, requested
        self.held, self.spent = counter.held, counter.spent
        self.label, self.resets_at, self.resets_text = label, resets_at, resets_text

    def hold(self) -> None:
        """Take what is requested."""
        self.counter.held += self.requested
        self.held += self.requested


@dataclass(slots=True)
class Run:
    """A run and its place in the tree; `is_new` until an event started it."""

    id: str
    key: str
    root_id: str
    root_key: str
    parent_id: str | None
    version: int = 1
    is_new: bool = False


@dataclass(slots=True)
class Reservation:
    """A reservation's row, with the receipt of what it took: counters by number, measures and funding."""

    id: str
    organization: str
    agent_id: str
    team_id: str | None
    workflow_id: str | None
    connection_id: str | None
    run_id: str | None
    root_run_id: str | None
    price_version: str | None
    held: int
    estimated_cost: int
    tokens: int | None
    credits: int | None
    risk_points: int | None
    created_at: datetime
    expires_at: datetime
    version: int
    status: str
    user_label: str | None
    action: dict[str, Any]
    counters: list[int]
    measures: str
    funding: list[list[Any]]
    own_key: bool

    def holds(self, letter: str) -> int:
        """Return what a layer that counts this measure holds for the reservation."""
        return getattr(self, HOLDS[letter]) or 0


HOLDS = {"c": "held", "k": "estimated_cost", "t": "tokens", "r": "credits", "p": "risk_points"}
"""Where a reservation keeps what a layer holds, by the letter of the layer's measure."""


@dataclass(slots=True)
class LiveAccount:
    """A ledger account with a limit, as locked. credit_limit None: no floor."""

    id: str
    posted: int = 0
    held: int = 0
    debt: int = 0
    credit_limit: int | None = 0

    def room(self) -> int | None:
        """Return what may still be held before the floor; None without a floor (L6)."""
        if self.credit_limit is None:
            return None
        return self.posted - self.held + self.credit_limit


@dataclass(slots=True)
class Books:
    """The funding side of one organization: its credit account, the postpaid line and the live grants."""

    credit: LiveAccount
    line: LiveAccount | None
    grants: list[Grant]

    @property
    def open_line(self) -> LiveAccount | None:
        """The postpaid line that new work may draw on: none while credit is owed (S08)."""
        return None if self.credit.debt else self.line


@dataclass(slots=True)
class OrganizationState:
    """Everything that the commands of one organization are decided on. `last_counter` is the highest number given."""

    id: str
    now: datetime
    currency: str
    status: str
    books: Books
    last_counter: int = 0
    counters: dict[CounterKey, Counter] = field(default_factory=dict)
    counters_by_number: dict[int, Counter] = field(default_factory=dict)
    rolling: dict[tuple[str, str], list[Counter]] = field(default_factory=dict)
    reservations: dict[str, Reservation] = field(default_factory=dict)
