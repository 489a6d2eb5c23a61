"""The rows a batch of gate commands is decided on: working copies that each accepted command moves on.

Amounts are units of 10^-8 (money) or plain integers (TOKENS, CREDITS, RISK_POINTS). Nothing here knows a database.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from ledger.rules.grants import Grant
from spend.rules.budgets import BudgetDefinition


@dataclass(slots=True)
class Counter:
    """held and spent of one budget, target and window; `is_new` until an event opened it."""

    id: UUID
    budget_id: UUID
    target: str
    window_start: datetime
    window_end: datetime | None
    held: int = 0
    spent: int = 0
    is_new: bool = False


@dataclass(slots=True)
class Layer:
    """One budget that applies to a call: its counter, and for a rolling budget what the other buckets hold."""

    budget: BudgetDefinition
    counter: Counter
    requested: int = 0
    others_held: int = 0
    others_spent: int = 0
    resets_at: datetime | None = None
    label: str | None = None

    @property
    def spent(self) -> int:
        """Spent in the window (of a rolling budget: in all its buckets)."""
        return self.counter.spent + self.others_spent

    @property
    def held(self) -> int:
        """Held in the window."""
        return self.counter.held + self.others_held


@dataclass(slots=True)
class Run:
    """A run and its place in the tree; `is_new` until an event started it."""

    id: UUID
    key: str
    root_id: UUID
    root_key: str
    parent_id: UUID | None
    version: int = 1
    is_new: bool = False


@dataclass(slots=True)
class Reservation:
    """A reservation's row, with the receipt of what it took: counters and funding."""

    id: UUID
    organization: UUID
    agent_id: UUID
    team_id: UUID | None
    workflow_id: UUID | None
    connection_id: UUID | None
    run_id: UUID | None
    root_run_id: UUID | None
    price_version: UUID | None
    held: int
    estimated_cost: int
    created_at: datetime
    expires_at: datetime
    version: int
    status: str
    user_label: str | None
    action: dict[str, Any]
    counters: list[UUID]
    counter_amounts: list[int]
    measures: str
    funding: list[list[Any]]
    own_key: bool


@dataclass(slots=True)
class LiveAccount:
    """A ledger account with a limit, as locked. credit_limit None: no floor."""

    id: UUID
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
    """Everything that the commands of one organization are decided on."""

    id: UUID
    now: datetime
    currency: str
    status: str
    books: Books
    counters: dict[tuple[UUID, str, datetime], Counter] = field(default_factory=dict)
    counters_by_id: dict[UUID, Counter] = field(default_factory=dict)
    rolling: dict[tuple[UUID, str], list[Counter]] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    runs_by_id: dict[UUID, Run] = field(default_factory=dict)
    reservations: dict[UUID, Reservation] = field(default_factory=dict)
