"""Thresholds of windows as they stand, without a call: what fires when a limit or thresholds are changed (S37, S42)."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from events.rules.facts import Event
from spend.rules.budgets import BudgetDefinition
from spend.rules.commands import Caller
from spend.rules.effects import Effects
from spend.rules.happenings import Happening, fire_all
from spend.rules.state import Books, Counter, Layer, LiveAccount, OrganizationState
from spend.rules.switches import Switch


@dataclass(frozen=True, slots=True)
class Change:
    """What leads to the events in place of a call: a change, by whom."""

    caller: Caller


def fired_now(
    budget: BudgetDefinition,
    counters: Iterable[Counter],
    *,
    label_of: Callable[[str], str | None],
    organization: str,
    now: datetime,
    currency: str,
    switches: Mapping[tuple[str, str], Switch],
    actor: str,
) -> list[Event]:
    """Return the events of every threshold that spent + held has reached in these windows of the budget.

    `counters` are all that count now, of a rolling budget all its buckets; `label_of` names a counter's target. What
    has fired under the budget's arming does not fire again.
    """
    books = Books(LiveAccount(""), None, [])
    state = OrganizationState(organization, now, currency, "active", books, switches=dict(switches))
    by_target: dict[str, list[Counter]] = {}
    for counter in sorted(counters, key=lambda one: one.window_start):
        by_target.setdefault(counter.target, []).append(counter)
    effects, layers = Effects(), []
    for target, buckets in by_target.items():
        state.rolling[str(budget.id), target] = buckets
        layer = Layer(budget, buckets[-1], 0, label=label_of(target))
        layer.held, layer.spent = sum(one.held for one in buckets), sum(one.spent for one in buckets)
        layers.append(layer)
    fire_all(Happening(state, effects, Change(Caller(actor))), layers, mode=budget.mode)
    return effects.events
