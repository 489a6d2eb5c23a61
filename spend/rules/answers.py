"""What the gate answers about a reservation: bodies as the contract has them, amounts as decimal strings."""

from datetime import timedelta
from typing import Any

from common.money import format_amount
from ledger.rules.grants import available
from spend.rules.commands import Reserve
from spend.rules.controls import Judged
from spend.rules.plan import Plan, written
from spend.rules.state import Layer, OrganizationState, Reservation


def reserved_body(
    state: OrganizationState,
    command: Reserve,
    plan: Plan,
    layers: list[Layer],
    reservation: Reservation | None,
    judged: Judged | None = None,
) -> dict[str, Any]:
    """Return the answer to a call that is allowed; without a reservation (a dry run) nothing is held."""
    rated = plan.rated
    assert rated is not None
    cost = format_amount(rated.cost_units)
    version = reservation.price_version if reservation else rated.price_version
    return {
        "id": reservation.id if reservation else None,
        "decision": "allow" if judged is None or not judged.is_capped else "allow_with_caps",
        "status": "active" if reservation else None,
        "held": format_amount(rated.charge_units) if reservation else "0",
        "currency": state.currency,
        "estimated_cost": cost,
        "price_version": version if version is None else str(version),
        "expires_at": written(reservation.expires_at) if reservation else None,
        "remaining_ttl_ms": command.ttl_seconds * 1000 if reservation else None,
        "caps": {} if judged is None else caps_body(judged, plan, layers),
        "budgets": [budget_body(layer) for layer in layers],
        "credit": credit_body(state),
        "warnings": [
            *[warning for layer in layers if layer.budget.notices for warning in _warnings(layer)],
            *(judged.warnings() if judged is not None else ()),
        ],
    }


def caps_body(judged: Judged, plan: Plan, layers: list[Layer]) -> dict[str, Any]:
    """Return what an accepted call is kept to; of several caps the strictest."""
    body: dict[str, Any] = {}
    caps = [cap for _, cap in judged.caps]
    tokens = [cap.max_output_tokens for cap in caps if cap.max_output_tokens is not None]
    tokens += [found for layer, _ in judged.caps if (found := _affordable(layer, plan)) is not None]
    if tokens:
        body["max_output_tokens"] = min(tokens)
    for name in ("models", "tools"):
        lists = [getattr(cap, name) for cap in caps if getattr(cap, name) is not None]
        if lists:
            body[name] = [value for value in lists[0] if all(value in other for other in lists[1:])]
    pauses = [cap.cooldown_ms for cap in caps if cap.cooldown_ms is not None]
    pauses += [judged.run.cooldown_ms] if judged.run.cooldown_ms is not None else []
    if pauses:
        body["cooldown_ms"] = max(pauses)
    steps = [
        layer.budget.most - layer.spent - layer.held
        for layer in judged.meters
        if layer.budget.unit == "steps"
    ]
    if steps and judged.is_capped:
        body["steps_remaining"] = max(0, min(steps))
    return body


def _affordable(layer: Layer, plan: Plan) -> int | None:
    """How many output tokens this call may write when all that the layer has left goes into them; None when the call
    states none, or its price is not one of tokens. Rounded down.
    """
    asked = plan.amounts.tokens - plan.amounts.input_tokens
    left = max(0, layer.most - layer.spent - layer.held)
    if layer.budget.letter == "t":
        return asked + left if asked else None
    if layer.budget.letter not in "ck" or not asked or plan.rated is None:
        return None
    lines = plan.rated.own_lines or plan.rated.lines
    total = sum(line.amount for line in lines)
    output = sum(line.amount for line in lines if line.component == "output")
    if not output or not layer.requested:
        return None
    return asked + left * asked * total // (layer.requested * output)


def budget_body(layer: Layer) -> dict[str, Any]:
    """Return one budget of an answer, with its figures after the call."""
    budget, spent, held = layer.budget, layer.spent, layer.held
    shown = budget.shown
    return {
        "id": budget.id,
        "scope": budget.scope,
        "target": layer.label,
        "window": budget.window_kind,
        "unit": budget.unit,
        "limit": shown(budget.amount_limit + layer.extra) if layer.extra else budget.limit_text,
        "spent": shown(spent),
        "held": shown(held),
        "remaining": shown(max(0, layer.most - spent - held)),
        "resets_at": layer.resets_text,
    }


def _warnings(layer: Layer) -> list[dict[str, Any]]:
    """The highest notice level of the layer that spent and held have reached."""
    budget, used = layer.budget, layer.spent + layer.held
    for level, threshold in reversed(budget.notices):
        if used >= level:
            return [{"code": "threshold_reached", "budget_id": budget.id, **threshold.shown()}]
    return []


def credit_body(state: OrganizationState) -> dict[str, str]:
    """Return available and held credit as the gate's answers show them."""
    books = state.books
    free = available(books.grants, books.credit.debt, state.now)
    return {"available": format_amount(free), "held": format_amount(books.credit.held)}


def milliseconds(span: timedelta) -> int:
    """Return a span in whole milliseconds, never negative."""
    return max(0, span // timedelta(milliseconds=1))
