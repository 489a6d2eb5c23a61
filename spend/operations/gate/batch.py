"""What one transaction of the gate knows while it decides."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from common.errors import ProblemError
from common.idempotency import key_digest
from spend.operations.gate.planning import Planner
from spend.queries.gate_state import KeptAnswer, KnownUsage
from spend.rules.commands import Caller, Command
from spend.rules.effects import Effects
from spend.rules.plan import Plan
from spend.rules.state import OrganizationState, Run

EXPIRER = Caller(actor="system:expire")


@dataclass(frozen=True, slots=True)
class Expire:
    """The gate's own command: free what has run out in an organization (sweeper, and before every decision)."""

    organization: UUID
    caller: Caller = EXPIRER
    key: None = None


class MoreExpired(Exception):
    """What is held refused a call while more reservations have expired than one transaction frees: free them, decide
    anew.
    """

    def __init__(self, organization: str) -> None:
        self.organization = organization


@dataclass(slots=True)
class Batch:
    """The commands of a transaction; their organizations, digests of keys and reservations as texts, "" for none; their
    plans; what was read for them by organization; and what is to be written.

    `refused` are those, by place, whose caller's key is no longer what it was when the call came. `wanted` are the
    organizations whose state is to be remembered, `until` when the first reservation of each expires, `numbered` those
    whose highest number of a counter is known, `read_at` when the oldest was read of what is remembered of each.
    """

    commands: list[Command | Expire]
    names: list[str] = field(init=False)
    keys: list[str] = field(init=False)
    reservations: list[str] = field(init=False)
    plans: list[Plan | None] = field(init=False)
    states: dict[str, OrganizationState] = field(default_factory=dict)
    epochs: dict[str, tuple[int, int]] = field(default_factory=dict)
    planners: dict[str, Planner] = field(default_factory=dict)
    asked_runs: list[tuple[str, str]] = field(default_factory=list)
    found_runs: dict[tuple[str, str], Run] = field(default_factory=dict)
    kept: dict[tuple[str, str], KeptAnswer] = field(default_factory=dict)
    known_usage: dict[tuple[str, str, bytes], KnownUsage] = field(default_factory=dict)
    refused: dict[int, ProblemError] = field(default_factory=dict)
    effects: Effects = field(default_factory=Effects)
    new_keys: list[tuple[str, str, KeptAnswer]] = field(default_factory=list)
    wanted: set[str] = field(default_factory=set)
    until: dict[str, datetime] = field(default_factory=dict)
    numbered: set[str] = field(default_factory=set)
    read_at: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.names, last, text = [], None, ""
        for command in self.commands:
            if command.organization is not last:
                last, text = command.organization, str(command.organization)
            self.names.append(text)
        self.keys = ["" if c.key is None else key_digest(c.key.key) for c in self.commands]
        self.reservations = [_reservation_of(c) for c in self.commands]
        self.plans = [None] * len(self.commands)


def _reservation_of(command: Command | Expire) -> str:
    named = getattr(command, "reservation", None)
    return "" if named is None else str(named)


def usage_digest(text: str) -> bytes:
    """Return the digest under which a caller's usage id is kept (16 bytes)."""
    return hashlib.sha256(text.encode()).digest()[:16]
