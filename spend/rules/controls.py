"""Everything that may refuse a call beside its budgets and its money, for the enforced rules and for the observed ones.

Only organizations that have such rules, and calls that name a retry or a fingerprint, come here.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from common.ids import new_id_text
from spend.rules.admission import layer_binding, refusal_of_layer, refuse
from spend.rules.budgets import SCOPE_RANK, Caps
from spend.rules.commands import Reserve
from spend.rules.crossings import REFUSED
from spend.rules.denials import (
    Binding,
    BudgetExhausted,
    Denied,
    RateLimited,
    RunCeilingReached,
)
from spend.rules.entitled import ENTITLEMENT, feature_of_unit
from spend.rules.happenings import Happening, fire_all, refuse_by_level
from spend.rules.layers import open_counters, open_layer
from spend.rules.meters import SHADOW, Meter, Wait, refusal_of_meter
from spend.rules.plan import LayerPlace, Plan
from spend.rules.runs import Found, is_retry, judge_run, of_mode
from spend.rules.state import Layer, OrganizationState, Trace, Tried
from spend.rules.stops import OBSERVED, awaiting, forbidden, kept_to, stopped

Refusal = tuple[type[Denied], Binding]
EXHAUSTED = frozenset(("budget_exhausted", "run_ceiling_reached"))
_SCOPE = {**SCOPE_RANK, "key": -1}


@dataclass(slots=True)
class Judged:
    """What the rules say: refusals, the meters that count this call, and what an accepted call is told.

    `struck` are the limits that refused and escalate. `observed` is what the shadow gate would have refused, `shadow`
    the layers that it holds otherwise, and `gate` all that it says; its `budgets` are those in mode observe.
    """

    failing: list[Refusal] = field(default_factory=list)
    meters: list[Layer] = field(default_factory=list)
    caps: list[tuple[Layer, Caps]] = field(default_factory=list)
    run: Found = field(default_factory=Found)
    struck: list[tuple[LayerPlace, Layer]] = field(default_factory=list)
    passive: list[Layer] = field(default_factory=list)
    shadow: list[Layer] = field(default_factory=list)
    observed: list[dict[str, Any]] = field(default_factory=list)
    gate: "Judged | None" = None
    budgets: list[Layer] = field(default_factory=list)
    ceilings: list[Layer] = field(default_factory=list)

    @property
    def is_capped(self) -> bool:
        """Return whether an accepted call is kept to something."""
        return bool(self.caps) or self.run.cooldown_ms is not None

    def warnings(self) -> list[dict[str, Any]]:
        """Return what an accepted call is warned of: its run repeats itself, observed rules would refuse it."""
        observed = [{**one, "code": "would_be_refused", "refusal": one["code"]} for one in self.observed]
        return [*self.run.warnings, *observed]


def judge(state: OrganizationState, command: Reserve, plan: Plan, layers: list[Layer]) -> Judged:
    """Return what the enforced rules say of a call; `layers` are its enforced budgets, opened."""
    who, places = plan.who, plan.places
    assert who is not None and places is not None
    judged = Judged()
    if state.switches:
        judged.failing += stopped(state.switches, who, command.caller.key_id)
    judged.failing += awaiting(state, layers)
    judged.caps = kept_to(layers)
    judged.failing += forbidden(judged.caps, command)
    judged.run = judge_run(state, command, who, of_mode(places.policies, "enforce"))
    judged.failing += judged.run.failing
    if places.meters:
        _judge_meters(state, command, plan, places.meters, (places.budgets, layers), judged)
    return judged


def _judge_meters(
    state: OrganizationState,
    command: Reserve,
    plan: Plan,
    places: list[LayerPlace],
    budgets: tuple[list[LayerPlace], list[Layer]],
    judged: Judged,
) -> None:
    asked, attempt = asked_of(state, plan, command, judged.run.prefix), command.subject.attempt
    opened = {id(place): layer for place, layer in zip(*budgets, strict=True)}
    for place in places:
        if place.when is not None and not _counts_now(place, opened):
            continue
        layer = open_layer(state, place, asked[place.budget.counts])
        wait = refusal_of_meter(layer, state.now, attempt)
        if wait is None:
            if layer.requested:
                judged.meters.append(layer)
            continue
        kind = _kind(place)
        judged.failing.append((kind, _meter_binding(layer, wait)))
        if kind is RateLimited and place.strikes is not None:
            judged.struck.append((place.strikes, layer))
        if kind is RunCeilingReached:
            judged.ceilings.append(layer)


def _counts_now(place: LayerPlace, opened: dict[int, Layer]) -> bool:
    assert place.when is not None
    budget, level = place.when
    layer = opened.get(id(budget))
    return layer is not None and layer.spent + layer.held >= level


def _kind(place: LayerPlace) -> type[Denied]:
    kind = place.budget.kind
    if kind == "ceiling":
        return RunCeilingReached
    return BudgetExhausted if kind == "steps" else RateLimited


def asked_of(state: OrganizationState, plan: Plan, command: Reserve, prefix: str = "") -> dict[str, int]:
    """Return what a call asks of each kind of meter; a retry, by the history of this prefix, is no new step."""
    run = plan.who.run if plan.who is not None else None
    is_new = run is None or not is_retry(state, command, prefix + run.key)
    return {**plan.amounts.by_meter(), "s": 1 if is_new else 0}


def _meter_binding(layer: Layer, wait: Wait) -> Binding:
    meter: Any = layer.budget
    gcra = meter.burst > 0
    figures = {
        "scope": meter.scope,
        "target": layer.label,
        "rule": str(meter.id),
        "kind": meter.kind,
        "feature": feature_of_unit(meter.unit) if meter.kind == ENTITLEMENT else None,
        "unit": meter.unit,
        "limit": meter.limit_text,
        "burst": str(meter.burst) if gcra else None,
        "spent": None if gcra else str(layer.spent),
        "held": None if gcra else str(layer.held),
        "requested": str(layer.requested),
        "remaining": str(wait.remaining),
        "resets_at": layer.resets_at,
    }
    return Binding(
        scope=meter.scope,
        rank=_SCOPE[meter.scope],
        figures={name: value for name, value in figures.items() if value is not None or name == "target"},
        requested=layer.requested,
        budget_id=str(meter.id),
        version=meter.version,
        wait=wait.seconds,
    )


def observe(state: OrganizationState, command: Reserve, plan: Plan, judged: Judged) -> None:
    """Let the shadow gate decide a call that is accepted: what one observed rule refuses counts on none of them."""
    places, who = plan.places, plan.who
    assert places is not None and who is not None
    asked = plan.amounts.by_letter()
    judged.passive = [open_layer(state, place, asked[place.budget.letter]) for place in places.passive]
    shadow = judged.gate = Judged()
    budgets = [place for place in places.shadow if not isinstance(place.budget, Meter)]
    layers = shadow.budgets = [open_layer(state, place, asked[place.budget.letter]) for place in budgets]
    shadow.failing += stopped(state.switches, who, command.caller.key_id, prefix=OBSERVED)
    shadow.failing += awaiting(state, layers)
    shadow.failing += forbidden(kept_to(layers), command)
    shadow.run = judge_run(state, command, who, of_mode(places.policies, "observe"), prefix=SHADOW)
    shadow.failing += shadow.run.failing
    meters = [place for place in places.shadow if isinstance(place.budget, Meter)]
    _judge_meters(state, command, plan, meters, (budgets, layers), shadow)
    if not any(kind.status == 403 for kind, _ in shadow.failing):
        shadow.failing += [
            (kind, layer_binding(layer)) for layer in layers if (kind := refusal_of_layer(layer))
        ]
    if shadow.failing:
        judged.observed = [_observed(kind, binding) for kind, binding in shadow.failing]
    else:
        judged.shadow = [*layers, *shadow.meters]


def _observed(kind: type[Denied], binding: Binding) -> dict[str, Any]:
    figures = binding.figures
    budget, rule = figures.get("budget_id"), figures.get("rule")
    of = "budget" if budget is not None else _rule_kind(kind, figures)
    return {
        "rule": str(budget) if budget is not None else rule,
        "kind": of,
        "code": kind.code,
        "scope": binding.scope,
        "target": figures.get("target"),
    }


def _rule_kind(kind: type[Denied], figures: dict[str, Any]) -> str:
    if "since" in figures:
        return "switch"
    if kind.code in ("attempts_exceeded", "backoff_required") and "attempt" in figures:
        return "attempts"
    if "fingerprint" in figures:
        return "loop"
    return {"rate": "rate_limit", "throttle": "threshold", "steps": "threshold"}.get(
        figures.get("kind", ""), "run_policy"
    )


def strike(happening: Happening, judged: Judged, mode: str) -> None:
    """Count a denial by limits that escalate, and pause their target when it was the last one of too many (S51)."""
    for place, refused in judged.struck:
        state = happening.state
        layer = open_layer(state, place, 1)
        layer.counter.spent += 1
        layer.spent += 1
        open_counters(state, happening.actor, [layer], happening.effects)
        limit = refused.budget
        happening.record_strike(layer.counter.number)
        if layer.spent < place.budget.most:
            continue
        first = min(bucket.window_start for bucket in state.rolling.get(place.key[:2], [layer.counter]))
        evidence = {
            "denials": layer.spent,
            "seconds": place.budget.rolling_seconds,
            "limit": limit.limit_text,
        }
        scope, target = _struck(limit, refused.counter.target.removeprefix(SHADOW))
        happening.incident(
            trigger="rate_escalation", action="pause", scope=scope, target=target, rule=str(limit.id),
            evidence=evidence, began_at=first, spent=0, switch="pause", mode=mode,
            reason=f"{layer.spent} calls over a rate limit within {place.budget.rolling_seconds} s",
        )  # fmt: skip


def _struck(limit: Any, target: str) -> tuple[str, str | None]:
    """Whom an escalation pauses: the caller where the limit counts each on its own, else its target."""
    if limit.per is not None:
        return limit.per, target.partition("/")[2]
    return limit.scope, target or None


def tell_accepted(happening: Happening, judged: Judged) -> None:
    """Do what the rules say of an accepted call: warnings of loops, and whatever the shadow gate says of it."""
    _tell_run(happening, judged.run, "enforce")
    shadow = judged.gate
    if shadow is None:
        return
    if shadow.failing:
        tell_refused(happening, shadow, refuse(shadow.failing), shadow.budgets, mode="observe")
    else:
        _tell_run(happening, shadow.run, "observe")
        fire_all(happening, shadow.budgets, mode="observe")


def tell_refused(
    happening: Happening, judged: Judged, error: Denied, layers: Iterable[Layer], *, mode: str = "enforce"
) -> None:
    """Do what the rules say of a refused call: count strikes, stop a loop, open the incident of what ran out."""
    _tell_run(happening, judged.run, mode)
    if error.status == 429:
        strike(happening, judged, mode)
    if error.code in EXHAUSTED:
        for layer in layers:
            if refusal_of_layer(layer) in (BudgetExhausted, RunCeilingReached):
                refuse_by_level(happening, layer, mode=mode)
    for layer in judged.ceilings:
        _tell_ceiling(happening, layer, mode)


def _tell_run(happening: Happening, found: Found, mode: str) -> None:
    run, state = happening.run_key, happening.state
    if run is None or not found.news:
        return
    for news in found.news:
        happening.incident(
            trigger=news["trigger"], action=news["action"], scope="run", target=news["target"], rule=news["rule"],
            evidence=news["evidence"], began_at=news["began_at"], switch=news["switch"],
            spent=_spent_so_far(happening, news["trigger"]), reason="the run repeats itself", mode=mode,
        )  # fmt: skip
    own, root = found.prefix + run, found.prefix + (happening.root_key or run)
    for marked, level in {root: found.root_level, own: found.level}.items():
        known = state.traces.get(marked)
        is_exceeded = found.exceeded is not None and marked == own
        if level == (known.level if known is not None else 0) and not is_exceeded:
            continue
        if level:
            state.traces.setdefault(marked, Trace([])).level = level
        marks: dict[str, Any] = {"run_key": marked, "level": level}
        if found.exceeded is not None and is_exceeded:
            marks["step"] = found.exceeded[1]
            state.tried.setdefault(found.exceeded, Tried(0, state.now)).stopped = True
        happening.record("run_mark", new_id_text(), "set", marks)


def _spent_so_far(happening: Happening, trigger: str) -> int:
    """What the run has charged and holds; of a ceiling, which is the whole tree's, what all of the tree has."""
    state = happening.state
    if trigger == "run_ceiling":
        return state.tree_sums.get(happening.root_key or "", 0)
    return state.run_sums.get(happening.run_key or "", 0)


def _tell_ceiling(happening: Happening, layer: Layer, mode: str) -> None:
    """Open the incident of a counted ceiling, once for each version of its policy."""
    meter: Any = layer.budget
    counter, state = layer.counter, happening.state
    if not counter.number or (counter.armed == meter.version and counter.fired >= REFUSED):
        return
    counter.armed, counter.fired, counter.approved = meter.version, REFUSED, 0
    evidence = {"used": layer.spent + layer.held, "limit": meter.most, "unit": meter.unit}
    marks = {"budget": meter.id, "counter": counter.number, "armed": counter.armed, "fired": counter.fired}
    about = {"rank": 0, "action": "block", "scope": "run", "target": layer.label, "mode": mode}
    happening.record("threshold", new_id_text(), "crossed", {**marks, **about, **evidence})
    happening.incident(
        trigger="run_ceiling", action="block", scope="run", target=layer.label, rule=meter.id, evidence=evidence,
        began_at=happening.run_started_at or state.now, spent=_spent_so_far(happening, "run_ceiling"),
        mode=mode,
    )  # fmt: skip
