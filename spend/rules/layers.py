"""Budget layers of a call: the counters of their windows, opened at first use, and of rolling budgets all buckets."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from common.ids import new_id_text
from events.rules.facts import Event
from spend.rules.effects import Effects
from spend.rules.plan import Amounts, LayerPlace, Plan, Who, written
from spend.rules.state import Counter, Layer, OrganizationState


def open_layers(state: OrganizationState, plan: Plan) -> list[Layer]:
    """Return the enforced budgets of a plan with their counters, a new one where the window has none yet."""
    assert plan.places is not None
    return open_budgets(state, plan.places.budgets, plan.amounts)


def open_budgets(state: OrganizationState, places: Iterable[LayerPlace], amounts: Amounts) -> list[Layer]:
    """Return the layers of budgets."""
    asked = amounts.by_letter()
    return [open_layer(state, place, asked[place.budget.letter]) for place in places]


def open_layer(state: OrganizationState, place: LayerPlace, requested: int) -> Layer:
    """Return the layer of one budget."""
    counter = state.counters.get(place.key)
    if counter is None:
        counter = _new_counter(state, place)
    if place.first_bucket is None:
        return Layer(
            place.budget, counter, requested, label=place.label, resets_at=place.window.end,
            resets_text=place.resets_text, extra=place.extra,
        )  # fmt: skip
    layer = Layer(place.budget, counter, requested, label=place.label, extra=place.extra)
    for bucket in state.rolling.get(place.key[:2], ()):
        if bucket is not counter and bucket.window_start >= place.first_bucket:
            layer.held += bucket.held
            layer.spent += bucket.spent
    layer.resets_at = _rolling_reset(state, place)
    layer.resets_text = written(layer.resets_at)
    return layer


def _new_counter(state: OrganizationState, place: LayerPlace) -> Counter:
    budget, target, start = place.key
    counter = state.counters[place.key] = Counter(0, budget, target, start, place.window.end)
    if place.first_bucket is not None:
        state.rolling.setdefault((budget, target), []).append(counter)
    return counter


def _rolling_reset(state: OrganizationState, place: LayerPlace) -> datetime:
    """When the oldest bucket that holds anything leaves the window."""
    length = timedelta(seconds=place.budget.rolling_seconds or 0)
    buckets = state.rolling.get(place.key[:2], ())
    ends = [b.window_end for b in buckets if b.window_end is not None and (b.held or b.spent)]
    return (min(ends) if ends else state.now) + length


def open_counters(state: OrganizationState, actor: str, layers: Iterable[Layer], effects: Effects) -> None:
    """Number and record the windows that are used for the first time."""
    for layer in layers:
        counter = layer.counter
        if counter.number:
            continue
        state.last_counter += 1
        counter.number = state.last_counter
        state.counters_by_number[counter.number] = counter
        data: dict[str, Any] = {
            "number": counter.number,
            "budget": counter.budget_id,
            "target": counter.target,
            "start": written(counter.window_start),
        }
        if counter.window_end is not None:
            data["end"] = written(counter.window_end)
        event = Event(
            state.id, "budget_counter", new_id_text(), 1, "budget_counter.opened", data, state.now, actor
        )
        effects.events.append(event)


def start_runs(state: OrganizationState, actor: str, who: Who, effects: Effects) -> None:
    """Record the run, and the parent that it names, at their first use."""
    for run in (who.parent, who.run):
        if run is None or not run.is_new:
            continue
        run.is_new = False
        run.root_started_at = run.root_started_at or state.now
        data: dict[str, Any] = {"key": run.key, "root": run.root_id, "agent": who.route.agent_id}
        if run.depth:
            data["depth"] = run.depth
        if run.parent_id is not None:
            data["parent"] = run.parent_id
        if who.route.workflow_id is not None:
            data["workflow"] = who.route.workflow_id
        effects.events.append(
            Event(state.id, "run", run.id, run.version, "run.started", data, state.now, actor)
        )
