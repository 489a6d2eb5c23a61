"""What stops a call whatever it costs: switches, levels that wait for a person, caps that forbid a model or tool."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from spend.rules.budgets import SCOPE_RANK, Caps
from spend.rules.commands import Estimate, Reserve
from spend.rules.crossings import is_reached, marks, reached
from spend.rules.denials import ApprovalRequired, Binding, Blocked, Denied, LoopDetected, NotAmongCaps, Paused
from spend.rules.plan import Who, written
from spend.rules.state import Layer, OrganizationState
from spend.rules.switches import Switch

OBSERVED: Final = "~"
"""What the scope of an observed switch begins with in the working state."""
Refusal = tuple[type[Denied], Binding]
_KINDS: Final[dict[str, type[Denied]]] = {"pause": Paused, "kill": Blocked, "stop": Blocked}


def place_of(switch: Switch) -> tuple[str, str]:
    """Return where the working state keeps a switch: scope, and target as a text."""
    target = switch.target_label if switch.target_label is not None else switch.target_id
    scope = switch.scope if switch.mode == "enforce" else OBSERVED + switch.scope
    return scope, "" if target is None else str(target)


def stopped(
    switches: Mapping[tuple[str, str], Switch], who: Who, key: str | None, *, prefix: str = ""
) -> list[Refusal]:
    """Return the refusal of every switch that is set for one of the call's subjects, narrow to wide."""
    found = []
    for scope, target, label in _subjects(who, key):
        switch = switches.get((prefix + scope, target))
        if switch is not None:
            found.append((_kind(switch), _binding(switch, scope, label)))
    return found


def _kind(switch: Switch) -> type[Denied]:
    return LoopDetected if (switch.kind, switch.cause) == ("stop", "loop") else _KINDS[switch.kind]


def _subjects(who: Who, key: str | None) -> Iterable[tuple[str, str, str | None]]:
    route, run = who.route, who.run
    if run is not None:
        for name in dict.fromkeys((run.key, *run.above, run.root_key)):
            yield "run", name, name
    if who.user is not None:
        yield "user", who.user, who.user
    yield "agent", route.agent_id, route.agent_key
    if route.workflow_id is not None:
        yield "workflow", route.workflow_id, route.workflow_key
    if route.connection_id is not None:
        yield "connection", route.connection_id, route.connection_key
    if route.team_id is not None:
        yield "team", route.team_id, route.team_key
    if key is not None:
        yield "key", key, None
    yield "organization", "", None
    yield "platform", "", None


def _binding(switch: Switch, scope: str, label: str | None) -> Binding:
    figures = {
        "scope": scope,
        "target": label,
        "rule": str(switch.id),
        "reason": switch.reason,
        "since": written(switch.set_at),
        "incident": None if switch.incident_id is None else str(switch.incident_id),
    }
    return Binding(scope=scope, rank=SCOPE_RANK.get(scope, 9), figures=figures, requested=0)


def awaiting(state: OrganizationState, layers: Iterable[Layer]) -> list[Refusal]:
    """Return the refusal of every layer at a level that waits for a person's approval."""
    found: list[Refusal] = []
    for layer in layers:
        budget = layer.budget
        if not budget.waits or not is_reached(layer):
            continue
        known = marks(state, layer)
        asked = [rank for rank in budget.waits if rank <= known.fired]
        if asked and asked[-1] > known.approved:
            threshold = budget.levels[asked[-1] - 1][1]
            found.append((ApprovalRequired, budget_binding(layer, **threshold.shown())))
    return found


def budget_binding(layer: Layer, **more: Any) -> Binding:
    """Return a layer as the binding of a refusal that no sum decides."""
    budget = layer.budget
    figures = {"scope": budget.scope, "target": layer.label, "budget_id": budget.id, **more}
    rank = SCOPE_RANK[budget.scope]
    return Binding(
        scope=budget.scope,
        rank=rank,
        figures=figures,
        requested=0,
        budget_id=budget.id,
        version=budget.version,
    )


def kept_to(layers: Iterable[Layer]) -> list[tuple[Layer, Caps]]:
    """Return the caps of every layer that has reached a level which caps."""
    return [
        (layer, threshold.caps or Caps())
        for layer in layers
        if layer.budget.caps and is_reached(layer)
        for threshold in reached(layer.budget, layer.spent + layer.held, "cap")
    ]


def forbidden(caps: Iterable[tuple[Layer, Caps]], command: Reserve) -> list[Refusal]:
    """Return the refusal of every cap that does not allow the call's model or one of its tools."""
    found: list[Refusal] = []
    for layer, cap in caps:
        model = command.action.model
        if cap.models is not None and model is not None and model not in cap.models:
            found.append((NotAmongCaps, budget_binding(layer, model=model, models=list(cap.models))))
        if cap.tools is not None and (extra := sorted(tools_of(command) - set(cap.tools))):
            found.append((NotAmongCaps, budget_binding(layer, tool=extra[0], tools=list(cap.tools))))
    return found


def tools_of(command: Reserve) -> set[str]:
    """Return the tools that a call names."""
    estimate: Estimate | None = command.estimate
    named = {use.name for use in estimate.tool_calls} if estimate is not None else set()
    return named | ({command.action.tool} if command.action.tool is not None else set())
