"""What a rule does by itself, as events: incidents, switches, crossed thresholds, requests for approval.

Each is decided and recorded in the transaction of the call that led to it, and moves the working state, so that the
next call of the same batch is judged by it.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Protocol

from common.ids import new_id_text
from common.money import MAX_UNITS
from events.rules.facts import Event
from spend.rules.budgets import BudgetDefinition
from spend.rules.commands import Caller
from spend.rules.crossings import (
    Crossed,
    Marks,
    blocking_rank,
    crossed_data,
    crossings,
    is_reached,
    mark,
    marks,
    marks_of,
)
from spend.rules.effects import Effects
from spend.rules.incidents import Incident
from spend.rules.meters import SHADOW
from spend.rules.plan import Who
from spend.rules.state import Counter, Layer, OrganizationState
from spend.rules.stops import place_of
from spend.rules.switches import Switch, moment
from spend.rules.windows import EPOCH

STOPPING = frozenset(("pause", "block", "require_approval"))
TARGETED = frozenset(("team", "agent", "workflow", "connection", "key"))


class Acting(Protocol):
    """What leads to events: a command, or a change of a budget."""

    @property
    def caller(self) -> Caller:
        """Return who acts."""


class Happening:
    """Where events of one command go: state, effects, its actor, and whom it is about (None: not known)."""

    __slots__ = ("actor", "agent_id", "effects", "root_key", "run_id", "run_key", "run_started_at", "state")

    def __init__(
        self, state: OrganizationState, effects: Effects, command: Acting, who: Who | None = None
    ) -> None:
        self.state, self.effects, self.actor = state, effects, command.caller.actor
        run = who.run if who is not None else None
        self.agent_id = who.route.agent_id if who is not None else None
        self.run_key = run.key if run is not None else None
        self.root_key = run.root_key if run is not None else None
        self.run_id = run.id if run is not None and not run.is_new else None
        self.run_started_at = run.root_started_at if run is not None else None

    def record(self, stream: str, name: str, verb: str, data: dict[str, Any]) -> None:
        """Append the first event of a stream."""
        self.effects.events.append(
            Event(self.state.id, stream, name, 1, f"{stream}.{verb}", data, self.state.now, self.actor)
        )

    def record_strike(self, counter: int) -> None:
        """Record that a limit which escalates refused a call."""
        self.record("strike", new_id_text(), "counted", {"counter": counter})

    def incident(
        self,
        *,
        trigger: str,
        action: str,
        scope: str,
        target: str | None,
        rule: str | None,
        evidence: dict[str, Any],
        began_at: datetime,
        spent: int,
        mode: str = "enforce",
        switch: str | None = None,
        reason: str = "",
    ) -> None:
        """Open an incident and, with `switch` (pause or stop), set the switch that it is the reason for."""
        name, state = new_id_text(), self.state
        target_id, label = (target, None) if scope in TARGETED else (None, target or None)
        switch_id = None
        if switch is not None:
            cause = {"loop": "loop", "rate_escalation": "escalation"}.get(trigger, "threshold")
            switch_id = self._switch(switch, scope, target_id, label, cause, name, reason, mode)
        incident = Incident(
            id=name, organization=state.id, trigger=trigger, mode=mode, action=action, scope=scope,
            target_id=target_id, target_label=label, agent_id=self.agent_id, run_id=self.run_id,
            run_key=self.run_key, rule_id=rule, switch_id=switch_id, spent=min(spent, MAX_UNITS), evidence=evidence,
            began_at=min(began_at, state.now), opened_at=state.now,
        )  # fmt: skip
        self.record("incident", name, "opened", incident.data())

    def _switch(
        self, kind: str, scope: str, target: str | None, label: str | None, cause: str, incident: str, reason: str,
        mode: str,
    ) -> str | None:  # fmt: skip
        switch = Switch(
            id=new_id_text(), organization=self.state.id, scope=scope, target_id=target, target_label=label,
            kind=kind, mode=mode, cause=cause, incident_id=incident, reason=reason, set_by=self.actor,
            set_at=self.state.now,
        )  # fmt: skip
        place = place_of(switch)
        known = self.state.switches.get(place)
        # A stop is for good: it is set also where a pause stands that a person may lift.
        if known is not None and (kind != "stop" or known.kind == "stop"):
            return str(known.id)
        self.state.switches[place] = switch
        self.record("switch", str(switch.id), "set", switch.data())
        return str(switch.id)


def fire_all(happening: Happening, layers: Iterable[Layer], *, mode: str = "enforce") -> None:
    """Fire every threshold that these layers have reached and that has not fired in their windows."""
    for layer in layers:
        if not is_reached(layer):
            continue
        before, used = marks(happening.state, layer), layer.spent + layer.held
        crossed = crossings(layer.budget, before, used)
        if crossed:
            fire(happening, layer, crossed, before, used=used, mode=mode)


def fire(
    happening: Happening, layer: Layer, crossed: list[Crossed], before: Marks, *, used: int, mode: str
) -> None:
    """Record these thresholds, and do what they say."""
    budget = layer.budget
    # Of a rolling budget each bucket keeps what fired in it, so that it is forgotten when the bucket leaves.
    refused = marks_of(budget, (layer.counter,)).refused
    for one in crossed:
        mark(layer.counter, budget, fired=one.rank, refused=refused)
        if before.refused and one.rank == blocking_rank(budget):  # it was told with the first refusal
            continue
        _record_crossing(happening, layer, one, used, mode)


def refuse_by_level(happening: Happening, layer: Layer, *, mode: str = "enforce") -> None:
    """Fire the level that refused a call: once per window and arming, also where nothing has reached it yet."""
    budget, rank = layer.budget, blocking_rank(layer.budget)
    if rank is None or not _stands_on_a_window(happening.state, layer):
        return
    counter, before = layer.counter, marks(happening.state, layer)
    if before.refused or rank <= before.fired:
        return
    mark(counter, budget, fired=marks_of(budget, (counter,)).fired, refused=True)
    level, threshold = budget.levels[rank - 1]
    _record_crossing(happening, layer, Crossed(rank, level, threshold), layer.spent + layer.held, mode)


def _stands_on_a_window(state: OrganizationState, layer: Layer) -> bool:
    """Whether anything was ever counted in the layer's window; of a rolling one the last bucket takes the mark, because
    a refusal opens none.
    """
    if layer.counter.number:
        return True
    buckets = state.rolling.get((layer.counter.budget_id, layer.counter.target), ())
    used = [bucket for bucket in buckets if bucket.number]
    if not used:
        return False
    layer.counter = max(used, key=lambda bucket: bucket.window_start)
    return True


def _record_crossing(happening: Happening, layer: Layer, crossed: Crossed, used: int, mode: str) -> None:
    counter, action = layer.counter, crossed.threshold.action
    who = {"agent": happening.agent_id, "run": happening.run_key}
    window = {"window_start": moment(counter.window_start), "window_end": moment(counter.window_end)}
    data = crossed_data(layer, crossed, used=used, mode=mode, **who, **window)
    happening.record("threshold", new_id_text(), "crossed", data)
    if action not in STOPPING:
        return
    if action == "require_approval" and mode == "enforce":
        happening.record("approval", new_id_text(), "requested", _approval(happening, layer, crossed, used))
    budget: BudgetDefinition = layer.budget
    scope, target = _stopped_target(budget, counter)
    evidence = {
        name: data[name] for name in ("used", "limit", "level", "percent", "unit", "rank") if name in data
    }
    happening.incident(
        trigger="run_ceiling" if budget.scope == "run" else "budget_threshold",
        action=action,
        scope=scope,
        target=target,
        rule=str(budget.id),
        evidence=evidence | window,
        began_at=_began(happening, budget, counter),
        spent=used,
        mode=mode,
        switch="pause" if action == "pause" else None,
        reason=f"budget at {budget.shown(used)} of {budget.limit_text} {budget.unit}",
    )


def _began(happening: Happening, budget: BudgetDefinition, counter: Counter) -> datetime:
    """When what crossed a level began: its run, or its window, whichever came later. A window without a beginning says
    nothing of it."""
    run, window = happening.run_started_at, counter.window_start
    if window == EPOCH:
        return run or happening.state.now
    return run if run is not None and budget.scope == "run" else max(window, run or window)


def _stopped_target(budget: BudgetDefinition, counter: Counter) -> tuple[str, str | None]:
    """Whom a level stops: the window's target; where a target is counted in each run by itself, that run."""
    target = counter.target.removeprefix(SHADOW)
    if budget.window_kind == "run" and budget.scope != "run":
        return "run", target.partition("/")[2]
    return budget.scope, target or None


def _approval(happening: Happening, layer: Layer, crossed: Crossed, used: int) -> dict[str, Any]:
    budget, counter = layer.budget, layer.counter
    return {
        "budget_id": str(budget.id),
        "counter": counter.number,
        "target": counter.target,
        "label": layer.label,
        "window_start": moment(counter.window_start),
        "window_end": moment(counter.window_end),
        "armed": counter.armed,
        "rank": crossed.rank,
        "percent": crossed.threshold.percent,
        "amount": crossed.threshold.amount,
        "used": min(used, MAX_UNITS),
        "amount_limit": budget.amount_limit,
        "unit": budget.unit,
        "agent_id": happening.agent_id,
        "run_id": happening.run_id,
        "status": "pending",
        "asked_at": moment(happening.state.now),
        "decided_by": None,
        "decided_at": None,
        "reason": None,
    }
