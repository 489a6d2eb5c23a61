"""The rows a batch of gate commands is decided on: working copies that each accepted command moves on.

Amounts are units of 10^-8 (money) or plain integers (TOKENS, CREDITS, RISK_POINTS); ids are texts, which cost a
fraction of what id objects do. Nothing here knows a database.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from ledger.rules.grants import Grant
from spend.rules.budgets import BudgetDefinition
from spend.rules.standings import Standing
from spend.rules.switches import Switch

CounterKey = tuple[str, str, datetime]
"""Budget, target and start of the window."""


@dataclass(slots=True)
class Counter:
    """held and spent of one budget, target and window; `number` 0 until an event opened it.

    `fired` and `approved` are the ranks up to which thresholds have, under the arming `armed`; see `crossings`.
    """

    number: int
    budget_id: str
    target: str
    window_start: datetime
    window_end: datetime | None
    held: int = 0
    spent: int = 0
    armed: int = 0
    fired: int = 0
    approved: int = 0


class Layer:
    """One budget that applies to a call: its counter, and for a rolling budget what the other buckets hold.

    `extra` is what an override adds to the most that spent + held may be (`most`).
    """

    __slots__ = (
        "budget", "counter", "extra", "held", "label", "most", "requested", "resets_at", "resets_text", "spent",
    )  # fmt: skip

    def __init__(
        self,
        budget: BudgetDefinition,
        counter: Counter,
        requested: int,
        *,
        label: str | None = None,
        resets_at: datetime | None = None,
        resets_text: str | None = None,
        extra: int = 0,
    ) -> None:
        self.budget, self.counter, self.requested = budget, counter, requested
        self.extra, self.most = extra, budget.most + extra
        self.held, self.spent = counter.held, counter.spent
        self.label, self.resets_at, self.resets_text = label, resets_at, resets_text

    def hold(self) -> None:
        """Take what is requested."""
        self.counter.held += self.requested
        self.held += self.requested


@dataclass(slots=True)
class Run:
    """A run and its place in the tree: `above` are the keys of the runs over it but for the root, nearest first.

    `root_started_at` None: with this call. `is_new` until an event started it.
    """

    id: str
    key: str
    root_id: str
    root_key: str
    parent_id: str | None
    version: int = 1
    depth: int = 0
    root_started_at: datetime | None = None
    above: tuple[str, ...] = ()
    is_new: bool = False


class Reservation(msgspec.Struct):
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
    input_tokens: int | None = None
    tool_calls: int | None = None

    def holds(self, letter: str) -> int:
        """Return what a layer that counts this measure holds for the reservation."""
        name = HOLDS.get(letter)
        if name is not None:
            return getattr(self, name) or 0
        if letter == "o":
            return (self.tokens or 0) - (self.input_tokens or 0)
        return 1 if letter == "n" else 0


HOLDS = {
    "c": "held", "k": "estimated_cost", "t": "tokens", "r": "credits", "p": "risk_points", "i": "input_tokens",
    "x": "tool_calls",
}  # fmt: skip
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
class Trace:
    """The last calls of a run that named a fingerprint, oldest first: (fingerprint, when); and how many levels of loop
    detection have acted."""

    recent: list[tuple[str, datetime]]
    level: int = 0


@dataclass(slots=True)
class Tried:
    """The last attempt of a step; `stopped` when an incident says that it had too many."""

    attempt: int
    at: datetime
    stopped: bool = False


@dataclass(slots=True)
class OrganizationState:
    """Everything that the commands of one organization are decided on. `last_counter` is the highest number given.

    `switches` are those that are set, by scope and target; `traces` by run, `tried` by run and step, `run_sums`
    (charged + held by run) and `tree_sums` (of a root run and all below it) hold what the commands named; `run_keys`
    are the keys of a run and its root by the run's id; `begun` has beside them when the root began, of runs whose
    commits may cross a threshold; `standing` is that of a customer in arrears, None of all others; `entitled` (see
    spend.rules.entitled) what a customer may call, None where nothing is stopped by that.
    """

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
    switches: dict[tuple[str, str], Switch] = field(default_factory=dict)
    traces: dict[str, Trace] = field(default_factory=dict)
    tried: dict[tuple[str, int], Tried] = field(default_factory=dict)
    run_sums: dict[str, int] = field(default_factory=dict)
    tree_sums: dict[str, int] = field(default_factory=dict)
    run_keys: dict[str, tuple[str, str]] = field(default_factory=dict)
    begun: dict[str, tuple[str, str, datetime]] = field(default_factory=dict)
    standing: Standing | None = None
    entitled: Any = None

    @property
    def has_observed_switches(self) -> bool:
        """Return whether a switch is set that only observes."""
        return any(switch.mode == "observe" for switch in self.switches.values())

    def move_run(self, run: str | None, amount: int) -> None:
        """Add to what a run has charged and holds, where that was asked for."""
        keys = self.run_keys.get(run) if run is not None else None
        if keys is not None:
            key, root = keys
            self.run_sums[key] = self.run_sums.get(key, 0) + amount
            self.tree_sums[root] = self.tree_sums.get(root, 0) + amount
