"""When thresholds fire: once per window and arming, on spent + held, in the transaction that crosses them (S34, S37).

A counter's `fired` is the rank of the highest level that has fired, plus REFUSED once a call was refused by a level
that blocks. A budget's `arming` is raised by each change of limit or thresholds: marks of an older one count no more.
A rolling budget has fired what one of its living buckets says.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from spend.rules.budgets import BudgetDefinition, Threshold
from spend.rules.state import Counter, Layer, OrganizationState

REFUSED: Final = 1_000


class Crossed(NamedTuple):
    """A threshold that fires: its rank, its level in the budget's unit, and itself."""

    rank: int
    level: int
    threshold: Threshold


class Marks(NamedTuple):
    """Up to which rank the thresholds of a window have fired and were approved; whether one that blocks refused."""

    fired: int = 0
    approved: int = 0
    refused: bool = False


def marks_of(budget: BudgetDefinition, counters: Iterable[Counter]) -> Marks:
    """Return the marks of a window: of its counter, or of the buckets that a rolling budget still counts."""
    fired = approved = 0
    refused = False
    for counter in counters:
        if counter.armed != budget.arming:
            continue
        fired = max(fired, counter.fired % REFUSED)
        approved = max(approved, counter.approved)
        refused = refused or counter.fired >= REFUSED
    return Marks(fired, approved, refused)


def marks(state: OrganizationState, layer: Layer) -> Marks:
    """Return the marks of a layer's window."""
    budget, counter = layer.budget, layer.counter
    if budget.window_kind != "rolling":
        return marks_of(budget, (counter,))
    return marks_of(budget, state.rolling.get((counter.budget_id, counter.target), (counter,)))


def crossings(budget: BudgetDefinition, before: Marks, used: int) -> list[Crossed]:
    """Return the thresholds that `used` (spent + held) has reached and that have not fired yet, ascending."""
    levels = budget.levels
    return [
        Crossed(rank + 1, *levels[rank])
        for rank in range(before.fired, len(levels))
        if used >= levels[rank][0]
    ]


def blocking_rank(budget: BudgetDefinition) -> int | None:
    """Return the rank of the lowest level that blocks: the one that refuses; None where none does."""
    return next((rank for rank, (_, t) in enumerate(budget.levels, 1) if t.action == "block"), None)


def is_reached(layer: Layer) -> bool:
    """Return whether a layer stands at its lowest level or above: only then there is anything to look at."""
    return layer.spent + layer.held >= layer.budget.lowest


def mark(counter: Counter, budget: BudgetDefinition, *, fired: int, refused: bool) -> None:
    """Set the marks of a counter under the budget's present arming; older ones are gone."""
    if counter.armed != budget.arming:
        counter.armed, counter.approved = budget.arming, 0
    counter.fired = fired + (REFUSED if refused else 0)


def reached(budget: BudgetDefinition, used: int, action: str) -> Iterator[Threshold]:
    """Yield the thresholds with this action whose level `used` has reached."""
    for level, threshold in budget.levels:
        if used < level:
            return
        if threshold.action == action:
            yield threshold


def crossed_data(layer: Layer, crossed: Crossed, *, used: int, mode: str, **more: Any) -> dict[str, Any]:
    """Return what `threshold.crossed` says: which level of which window, how much was used, and the counter's marks."""
    budget, counter, threshold = layer.budget, layer.counter, crossed.threshold
    data = {
        "budget": str(budget.id),
        "scope": budget.scope,
        "counter": counter.number,
        "armed": counter.armed,
        "fired": counter.fired,
        "rank": crossed.rank,
        "action": threshold.action,
        "percent": threshold.percent,
        "level": crossed.level,
        "used": used,
        "limit": budget.amount_limit,
        "unit": budget.unit,
        "target": layer.label,
        "mode": mode,
        **more,
    }
    return {name: value for name, value in data.items() if value is not None}
