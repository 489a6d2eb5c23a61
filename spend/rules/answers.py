"""What the gate answers about a reservation: bodies as the contract has them, amounts as decimal strings."""

from datetime import timedelta
from typing import Any

from common.money import format_amount
from ledger.rules.grants import available
from spend.rules.commands import Reserve
from spend.rules.plan import Plan, written
from spend.rules.state import Layer, OrganizationState, Reservation


def reserved_body(
    state: OrganizationState,
    command: Reserve,
    plan: Plan,
    layers: list[Layer],
    reservation: Reservation | None,
) -> dict[str, Any]:
    """Return the answer to a call that is allowed; without a reservation (a dry run) nothing is held."""
    rated = plan.rated
    assert rated is not None
    cost = format_amount(rated.cost_units)
    version = reservation.price_version if reservation else rated.price_version
    return {
        "id": reservation.id if reservation else None,
        "decision": "allow",
        "status": "active" if reservation else None,
        "held": format_amount(rated.charge_units) if reservation else "0",
        "currency": state.currency,
        "estimated_cost": cost,
        "price_version": version if version is None else str(version),
        "expires_at": written(reservation.expires_at) if reservation else None,
        "remaining_ttl_ms": command.ttl_seconds * 1000 if reservation else None,
        "caps": {},
        "budgets": [budget_body(layer) for layer in layers],
        "credit": credit_body(state),
        "warnings": [warning for layer in layers if layer.budget.notices for warning in _warnings(layer)],
    }


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
        "limit": budget.limit_text,
        "spent": shown(spent),
        "held": shown(held),
        "remaining": shown(max(0, budget.most - spent - held)),
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
