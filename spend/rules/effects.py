"""What a batch of decisions leaves behind: events, decisions, usage records and keys, before one bulk write."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from common.errors import ProblemError
from common.ids import new_id_text
from events.rules.facts import Event

ATTRIBUTION = ("run", "user", "team", "workflow", "connection", "kind", "provider", "model", "tool")
"""What of its detail a denial is counted for: only denials that are the same in all of it are equal."""


class DecisionRow(msgspec.Struct):
    """One answer of the gate; equal denials of one transaction are one row with a count (S47)."""

    organization: str
    at: datetime
    answer: str
    requested: int
    agent_id: str | None
    run_id: str | None = None
    reservation_id: str | None = None
    code: str | None = None
    binding_scope: str | None = None
    binding_budget: str | None = None
    binding_version: int | None = None
    dry: bool = False
    detail: dict[str, Any] | None = None
    count: int = 1
    id: str = msgspec.field(default_factory=new_id_text)


class UsageRow(msgspec.Struct):
    """One usage record, as its table has it; token counts are inclusive, money in units."""

    organization: str
    id: str
    occurred_at: datetime
    currency: str
    outcome: str
    cost: int
    charge: int
    funding: list[list[Any]]
    agent_id: str | None
    team_id: str | None
    workflow_id: str | None
    connection_id: str | None
    run_id: str | None
    root_run_id: str | None
    user_label: str | None
    action: dict[str, Any]
    reservation_id: str | None = None
    price_version: str | None = None
    fx_rate: str | None = None
    input_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    output_tokens: int = 0
    reasoning_output_tokens: int = 0
    tool_calls: int = 0
    latency_ms: int | None = None
    response_id: str | None = None
    reason: str | None = None
    adjustment: bool = False
    source: str | None = None
    external_id: str | None = None
    detail: dict[str, Any] | None = None
    raw: dict[str, Any] | None = None


@dataclass(slots=True)
class Effects:
    """Collected writes of a batch, in order."""

    events: list[Event] = field(default_factory=list)
    decisions: dict[object, DecisionRow] = field(default_factory=dict)
    usages: list[UsageRow] = field(default_factory=list)
    usage_keys: list[tuple[str, str, bytes, bytes, str]] = field(default_factory=list)

    def decide(self, row: DecisionRow) -> None:
        """Add a decision; a denial equal to an earlier one of this batch only raises its count."""
        if row.answer != "deny":
            self.decisions[row.id] = row
            return
        detail = row.detail or {}
        same = (
            row.organization,
            row.agent_id,
            row.code,
            row.binding_scope,
            row.binding_budget,
            row.requested,
            row.dry,
        )
        key = (*same, *map(detail.get, ATTRIBUTION))
        known = self.decisions.setdefault(key, row)
        if known is not row:
            known.count += 1


class Answer(msgspec.Struct):
    """What one command is answered: a status with a body, or a refusal. `packed` is the body as it is sent."""

    status: int
    body: dict[str, Any] | None = None
    error: ProblemError | None = None
    replayed: bool = False
    packed: bytes | None = None

    @classmethod
    def refused(cls, error: ProblemError) -> "Answer":
        """Return the answer that this error is."""
        return cls(status=error.status, error=error)
