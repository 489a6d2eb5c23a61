"""What a budget is, and how far it lets spending go. Pure values on the hot path."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

SCOPES = ("run", "user", "agent", "workflow", "connection", "team", "organization")
"""Narrow to wide: the order in which layers are shown and in which one binds."""
SCOPE_RANK = {scope: rank for rank, scope in enumerate(SCOPES)}
MONEY_FREE_UNITS = frozenset(("TOKENS", "CREDITS", "RISK_POINTS"))


@dataclass(frozen=True, slots=True)
class Threshold:
    """A level of a budget with its action: `percent` of the limit, or an `amount` in the budget's unit."""

    action: str
    percent: int | None = None
    amount: int | None = None

    def level(self, limit: int) -> int:
        """Return the level in the budget's unit; a percentage is cut down, to the strict side."""
        return self.amount if self.amount is not None else limit * (self.percent or 0) // 100

    def shown(self) -> dict[str, Any]:
        """Return the threshold as the API shows it."""
        return {"percent": self.percent} if self.percent is not None else {"amount": self.amount}


@dataclass(frozen=True, slots=True)
class BudgetDefinition:
    """One budget as the gate reads it; limit and overdraft in units of 10^-8, or whole TOKENS, CREDITS, RISK_POINTS."""

    id: UUID
    scope: str
    target_id: UUID | None
    target_label: str | None
    window_kind: str
    rolling_seconds: int | None
    unit: str
    measure: str
    amount_limit: int
    overdraft: int
    mode: str
    zone: ZoneInfo
    thresholds: tuple[Threshold, ...]
    version: int


def cap(budget: BudgetDefinition) -> int:
    """Return the most that spent + held may be: limit + overdraft, or a lower level that blocks (S36)."""
    most = budget.amount_limit + budget.overdraft
    blocking = [
        threshold.level(budget.amount_limit)
        for threshold in budget.thresholds
        if threshold.action == "block" and threshold.percent != 100
    ]
    return min(most, *blocking) if blocking else most
