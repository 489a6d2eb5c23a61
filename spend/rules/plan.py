"""A command with everything looked up that its decision needs: who, at which prices, under which budgets."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from common.errors import ProblemError
from ledger.rules.grants import GrantSubject
from spend.rules.budgets import BudgetDefinition
from spend.rules.rating import Rated, Usage
from spend.rules.state import Run
from spend.rules.windows import Window


@dataclass(frozen=True, slots=True)
class LayerPlace:
    """Where a budget counts a call: target and window, the target's name for people (`label`), and of a rolling
    budget the first bucket that still counts.
    """

    budget: BudgetDefinition
    target: str
    window: Window
    label: str | None = None
    first_bucket: datetime | None = None


@dataclass(slots=True)
class Who:
    """The resolved subject of a call. `label` of a run stands in `run`; `root` is its tree's root."""

    agent_id: UUID
    team_id: UUID | None
    workflow_id: UUID | None
    connection_id: UUID | None
    own_key: bool
    agent_key: str
    team_key: str | None
    workflow_key: str | None
    connection_key: str | None
    user: str | None
    run: Run | None
    parent: Run | None
    grants: GrantSubject
    archived: str | None = None
    forbidden: str | None = None


@dataclass(slots=True)
class Amounts:
    """What is asked of, or booked on, each unit of budget; money in units."""

    cost: int = 0
    charge: int = 0
    tokens: int = 0
    credits: int = 0
    risk_points: int = 0
    tool_calls: int = 0

    def measured(self, measure: str) -> int:
        """Return the amount of one measure: c charge, k cost, t tokens, r credits, p risk points."""
        return int(getattr(self, MEASURES[measure]))


MEASURES = {"c": "charge", "k": "cost", "t": "tokens", "r": "credits", "p": "risk_points"}
_UNIT_MEASURES = {"TOKENS": "t", "CREDITS": "r", "RISK_POINTS": "p"}


def measure_of(budget: BudgetDefinition) -> str:
    """Return the letter of what a budget counts; a reservation's receipt keeps one per layer."""
    return _UNIT_MEASURES.get(budget.unit) or ("c" if budget.measure == "charge" else "k")


@dataclass(slots=True)
class Plan:
    """A command ready to be decided; `error` is why it cannot be (a request error, before any judgement)."""

    who: Who | None = None
    rated: Rated | None = None
    usage: Usage | None = None
    amounts: Amounts = field(default_factory=Amounts)
    places: list[LayerPlace] = field(default_factory=list)
    error: ProblemError | None = None
    adjustment: bool = False
