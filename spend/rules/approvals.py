"""Approvals: a threshold that was crossed and waits for a person, once per window and arming (S35).

Until it is approved the calls that the window counts are refused. A decision is made once, and only while it can still
have an effect: in its window, under the limit and thresholds that it was asked under.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from common.errors import InvalidTransition
from common.ids import AnyId
from orgs.rules.facts import Fact, time_text, with_changes
from spend.rules.budgetfacts import Budget
from spend.rules.windows import rolling_reset

PENDING: Final = "pending"
LAPSED: Final = "lapsed"
"""Shown for one that waits and can no longer be decided."""
DECISIONS: Final = {"approve": "approved", "reject": "rejected"}
STATUSES: Final = (PENDING, *DECISIONS.values(), LAPSED)


@dataclass(frozen=True, slots=True)
class Approval:
    """An approval's row: which threshold (`rank`, and its `percent` or `amount`) of which counter, under which arming.

    `used` is spent + held when it was crossed, `amount_limit` the limit then, both in the budget's `unit`; `agent_id`
    and `run_id` are those of the call that crossed it.
    """

    id: AnyId
    organization: AnyId
    budget_id: AnyId
    counter: int
    target: str
    label: str | None
    window_start: datetime
    window_end: datetime | None
    armed: int
    rank: int
    percent: int | None
    amount: int | None
    used: int
    amount_limit: int
    unit: str
    agent_id: AnyId | None
    run_id: AnyId | None
    status: str
    asked_at: datetime
    decided_by: str | None = None
    decided_at: datetime | None = None
    reason: str | None = None
    version: int = 1

    def data(self) -> dict[str, Any]:
        """Return the approval as its events hold it."""
        return {
            "budget_id": str(self.budget_id),
            "counter": self.counter,
            "target": self.target,
            "label": self.label,
            "window_start": time_text(self.window_start),
            "window_end": time_text(self.window_end),
            "armed": self.armed,
            "rank": self.rank,
            "percent": self.percent,
            "amount": self.amount,
            "used": self.used,
            "amount_limit": self.amount_limit,
            "unit": self.unit,
            "agent_id": None if self.agent_id is None else str(self.agent_id),
            "run_id": None if self.run_id is None else str(self.run_id),
            "status": self.status,
            "asked_at": time_text(self.asked_at),
            "decided_by": self.decided_by,
            "decided_at": time_text(self.decided_at),
            "reason": self.reason,
        }


def lapse_of(approval: Approval, budget: Budget, now: datetime) -> str | None:
    """Return why a decision could no longer have an effect; None while it can.

    The window of a rolling budget's approval is a bucket, which counts until it has left the rolling period.
    """
    if budget.archived_at is not None:
        return "The budget is archived."
    if budget.arming != approval.armed:
        return (
            "The budget's limit or thresholds were changed since; the call that crosses one again asks anew."
        )
    end = approval.window_end
    if end is not None and budget.rolling_seconds is not None:
        end = rolling_reset(end, budget.rolling_seconds)
    if end is not None and end <= now:
        return "Its window is over; the thresholds of the next one are armed anew."
    return None


def decided(
    approval: Approval, budget: Budget, decision: str, *, by: str, reason: str, at: datetime
) -> tuple[Approval, Fact]:
    """Return the approval as a person decided it ("approve" or "reject"), and the fact of it with old and new values.

    Raises InvalidTransition for one that is decided already or that can no longer have an effect, and says why.
    """
    if approval.status != PENDING:
        raise InvalidTransition(f"This approval is {approval.status} already.")
    lapse = lapse_of(approval, budget, at)
    if lapse is not None:
        raise InvalidTransition(lapse)
    new = replace(
        approval,
        status=DECISIONS[decision],
        decided_by=by,
        decided_at=at,
        reason=reason,
        version=approval.version + 1,
    )
    data = with_changes(new.data(), approval.data())
    organization, stream = UUID(str(new.organization)), UUID(str(new.id))
    return new, Fact(organization, "approval", stream, new.version, new.status, data, at)
