"""What a budget is, and how far it lets spending go. Pure values on the hot path."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any
from zoneinfo import ZoneInfo

from common.ids import AnyId
from common.money import format_amount

SCOPES = ("run", "user", "agent", "workflow", "connection", "team", "organization")
"""Narrow to wide: the order in which layers are shown and in which one binds."""
NEVER = 2**80
"""A level that nothing reaches."""
SCOPE_RANK = {scope: rank for rank, scope in enumerate(SCOPES)}
MONEY_FREE_UNITS = frozenset(("TOKENS", "CREDITS", "RISK_POINTS"))
_UNIT_MEASURES = {"TOKENS": "t", "CREDITS": "r", "RISK_POINTS": "p"}


def shown(unit: str) -> Callable[[int], str]:
    """Return how amounts of this unit are written: money as decimals, the rest as plain integers."""
    return str if unit in MONEY_FREE_UNITS else format_amount


@dataclass(frozen=True, slots=True)
class Caps:
    """What calls are kept to above a level: allowed models and tools, the most output tokens, a pause between calls
    (`cooldown_ms`), and how many more calls there may be (`steps`). None: as before.
    """

    max_output_tokens: int | None = None
    models: tuple[str, ...] | None = None
    tools: tuple[str, ...] | None = None
    cooldown_ms: int | None = None
    steps: int | None = None


@dataclass(frozen=True, slots=True)
class Threshold:
    """A level of a budget with its action: `percent` of the limit, or an `amount` in the budget's unit.

    A throttle names its rate, `per_minute`, or `rate_percent` of the rate limit `rate_limit` of the same target; a cap
    names its `caps`.
    """

    action: str
    percent: int | None = None
    amount: int | None = None
    per_minute: int | None = None
    rate_percent: int | None = None
    rate_limit: str | None = None
    caps: Caps | None = None

    def level(self, limit: int) -> int:
        """Return the level in the budget's unit; a percentage is cut down, to the strict side."""
        return self.amount if self.amount is not None else limit * (self.percent or 0) // 100

    def shown(self) -> dict[str, Any]:
        """Return the threshold as the API shows it."""
        return {"percent": self.percent} if self.percent is not None else {"amount": self.amount}


@dataclass(frozen=True, slots=True)
class BudgetDefinition:
    """One budget as the gate reads it; limit and overdraft in units of 10^-8, or whole TOKENS, CREDITS, RISK_POINTS.

    `arming` counts the changes of limit, overdraft and thresholds: what fired under an earlier one may fire again.

    What follows from the definition is worked out once: the most that spent + held may be (`most`), its notice levels,
    all levels ascending and the lowest of them, the ranks that wait for approval (`waits`), whether a level caps calls
    (`caps`) or may refuse one beside its sum (`has_stops`), the letter of what it counts (`letter`: c charge, k cost, t
    tokens, r credits, p risk points), how amounts of its unit are written (`shown`), and the limit so written.
    """

    id: AnyId
    scope: str
    target_id: AnyId | None
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
    arming: int = 1
    most: int = field(init=False)
    letter: str = field(init=False)
    shown: Callable[[int], str] = field(init=False)
    limit_text: str = field(init=False)
    notices: tuple[tuple[int, Threshold], ...] = field(init=False)
    levels: tuple[tuple[int, Threshold], ...] = field(init=False)
    lowest: int = field(init=False)
    waits: tuple[int, ...] = field(init=False)
    caps: bool = field(init=False)
    has_stops: bool = field(init=False)

    def __post_init__(self) -> None:
        of_unit = _UNIT_MEASURES.get(self.unit)
        notices = [(t.level(self.amount_limit), t) for t in self.thresholds if t.action == "notify"]
        self._keep(
            most=cap(self),
            letter=of_unit or ("c" if self.measure == "charge" else "k"),
            shown=shown(self.unit),
            notices=tuple(notices) if self.amount_limit else (),
            levels=_levels(self) if self.amount_limit else (),
        )
        self._keep(
            lowest=self.levels[0][0] if self.levels else NEVER,
            limit_text=self.shown(self.amount_limit),
            waits=tuple(rank for rank, (_, t) in enumerate(self.levels, 1) if t.action == "require_approval"),
            caps=any(threshold.action == "cap" for threshold in self.thresholds),
            has_stops=any(threshold.action in ("cap", "require_approval") for threshold in self.thresholds),
        )

    def _keep(self, **derived: Any) -> None:
        for name, value in derived.items():
            object.__setattr__(self, name, value)


def _levels(budget: BudgetDefinition) -> tuple[tuple[int, Threshold], ...]:
    """Every threshold with its level, ascending; its place from 1 on is its rank. What blocks stands last of equals."""
    pairs = [(threshold.level(budget.amount_limit), threshold) for threshold in budget.thresholds]
    return tuple(sorted(pairs, key=lambda pair: (pair[0], pair[1].action == "block")))


def cap(budget: BudgetDefinition) -> int:
    """Return the most that spent + held may be: limit + overdraft, or a lower level that blocks (S36)."""
    most = budget.amount_limit + budget.overdraft
    blocking = [
        threshold.level(budget.amount_limit)
        for threshold in budget.thresholds
        if threshold.action == "block" and threshold.percent != 100
    ]
    return min(most, *blocking) if blocking else most


def passive(budget: BudgetDefinition) -> BudgetDefinition:
    """Return the budget as one that counts, and neither refuses nor fires anything."""
    counting = replace(budget, thresholds=())
    object.__setattr__(counting, "most", 2**62)
    return counting
