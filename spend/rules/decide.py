"""Decisions of the gate over one organization's working state; each accepted command moves the state on.

The order of judgement is that of the API contract: 403 (closed, archived, not permitted), then 402 and 409 over all
layers and the funding at once. A denial moves nothing but leaves a decision (S8, S47).
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from common.errors import NotFound
from common.ids import new_id
from common.money import format_amount
from events.rules.facts import Event
from ledger.rules.grants import available, free_without_holds
from spend.rules.admission import (
    Receipt,
    credit_refusal,
    fund,
    layer_binding,
    layer_figures,
    refusal_of_layer,
    refuse,
)
from spend.rules.commands import Caller, Extend, Reserve
from spend.rules.denials import (
    Archived,
    Binding,
    Denied,
    NotPermitted,
    OrganizationClosed,
    ReservationFinalized,
    TtlLimit,
)
from spend.rules.effects import Answer, DecisionRow, Effects
from spend.rules.plan import MEASURES, LayerPlace, Plan, Who, measure_of
from spend.rules.state import Counter, Layer, OrganizationState, Reservation, Run

MAX_TTL_SECONDS = 86_400
ROLLING = "rolling"


def written(moment: datetime) -> str:
    """Return a time as the API and the events write it (RFC 3339, UTC)."""
    return moment.isoformat().replace("+00:00", "Z")


def decide_reserve(state: OrganizationState, command: Reserve, plan: Plan, effects: Effects) -> Answer:
    """Return the answer to a reservation; when it is accepted the state holds it and the effects record it."""
    who, rated = plan.who, plan.rated
    assert who is not None and rated is not None
    layers = [open_layer(state, place, plan) for place in plan.places]
    failing = _duty(state, who) or _money_failures(state, layers, plan)
    if failing:
        return _deny(state, command, plan, refuse(failing), effects)
    receipt, credit, line = fund(state.books, rated.charge_units, who.grants, state.now)
    if command.dry_run:
        effects.decide(_allowed(state, plan, who, None, dry=True))
        return Answer(200, _reserved_body(state, command, plan, layers, None))
    reservation = _hold(state, command, plan, layers, (receipt, credit, line), effects)
    effects.decide(_allowed(state, plan, who, reservation))
    return Answer(201, _reserved_body(state, command, plan, layers, reservation))


def decide_extend(state: OrganizationState, command: Extend, effects: Effects) -> Answer:
    """Return the answer to a heartbeat: expires_at = max(expires_at, now + ttl), at most 24 h after creation."""
    reservation = find_reservation(state, command.reservation, command.caller)
    if reservation.status != "active":
        raise ReservationFinalized(extra={"reservation_status": reservation.status})
    until = state.now + timedelta(seconds=command.ttl_seconds)
    if until > reservation.created_at + timedelta(seconds=MAX_TTL_SECONDS):
        raise TtlLimit
    if until > reservation.expires_at:
        reservation.expires_at = until
        reservation.version += 1
        data = {"expires_at": written(until)}
        effects.events.append(event_of(state, command, reservation, "extended", data))
    body = {
        "id": str(reservation.id),
        "status": "active",
        "expires_at": written(reservation.expires_at),
        "remaining_ttl_ms": milliseconds(reservation.expires_at - state.now),
    }
    return Answer(200, body)


def find_reservation(state: OrganizationState, wanted: UUID, caller: Caller) -> Reservation:
    """Return a reservation of the organization that the caller may act on.

    Raises NotFound, for another organization's too (S20), and NotPermitted for that of an agent or connection that
    the caller's key is not for.
    """
    found = state.reservations.get(wanted)
    if found is None:
        raise NotFound("There is no such reservation.")
    if caller.forbidden(agent=found.agent_id, connection=found.connection_id) is not None:
        raise NotPermitted
    return found


def open_layer(state: OrganizationState, place: LayerPlace, plan: Plan) -> Layer:
    """Return the layer of a budget with its counter, a new one where the window has none yet."""
    key = (place.budget.id, place.target, place.window.start)
    counter = state.counters.get(key)
    if counter is None:
        counter = Counter(
            new_id(), place.budget.id, place.target, place.window.start, place.window.end, is_new=True
        )
        state.counters[key] = counter
        if place.first_bucket is not None:
            state.rolling.setdefault(key[:2], []).append(counter)
    layer = Layer(
        place.budget, counter, requested=plan.amounts.measured(measure_of(place.budget)), label=place.label
    )
    if place.first_bucket is None:
        layer.resets_at = place.window.end
        return layer
    for bucket in state.rolling.get(key[:2], ()):
        if bucket is not counter and bucket.window_start >= place.first_bucket:
            layer.others_held += bucket.held
            layer.others_spent += bucket.spent
    layer.resets_at = _rolling_reset(state, place)
    return layer


def _rolling_reset(state: OrganizationState, place: LayerPlace) -> datetime:
    """When the oldest bucket that holds anything leaves the window."""
    length = timedelta(seconds=place.budget.rolling_seconds or 0)
    buckets = state.rolling.get((place.budget.id, place.target), ())
    ends = [b.window_end for b in buckets if b.window_end is not None and (b.held or b.spent)]
    return (min(ends) if ends else state.now) + length


def _duty(state: OrganizationState, who: Who) -> list[tuple[type[Denied], Binding]]:
    def bound(kind: type[Denied], scope: str, target: str | None) -> list[tuple[type[Denied], Binding]]:
        return [(kind, Binding(scope=scope, rank=0, figures={"scope": scope, "target": target}, requested=0))]

    if state.status != "active":
        return bound(OrganizationClosed, "organization", None)
    if who.archived is not None:
        return bound(Archived, who.archived, None)
    if who.forbidden is not None:
        return bound(NotPermitted, who.forbidden, None)
    return []


def _money_failures(
    state: OrganizationState, layers: list[Layer], plan: Plan
) -> list[tuple[type[Denied], Binding]]:
    assert plan.who is not None and plan.rated is not None
    failing = []
    for layer in layers:
        kind = refusal_of_layer(layer)
        if kind is not None:
            failing.append((kind, layer_binding(layer)))
    charge = plan.rated.charge_units
    if charge:
        _, credit, line = fund(state.books, charge, plan.who.grants, state.now)
        if credit + line < charge:
            books = state.books
            idle = free_without_holds(books.grants, state.now, plan.who.grants, debt=books.credit.debt)
            if books.open_line is not None:
                idle += max(0, (books.open_line.room() or 0) + books.open_line.held)
            failing.append(credit_refusal(books, charge, credit + line, state.currency, idle))
    return failing


def _deny(state: OrganizationState, command: Reserve, plan: Plan, error: Denied, effects: Effects) -> Answer:
    who, binding = plan.who, error.binding
    assert who is not None and binding is not None
    subject, action = command.subject, command.action
    detail = {
        "run": subject.run,
        "user": subject.user,
        "team": _text(who.team_id),
        "workflow": _text(who.workflow_id),
        "connection": _text(who.connection_id),
        "provider": action.provider,
        "model": action.model,
        "tool": action.tool,
        "kind": action.kind,
        "binding": _jsonable(binding.figures),
        "also_failing": [_jsonable(item) for item in error.extra["also_failing"]],
    }
    effects.decide(
        DecisionRow(
            organization=state.id,
            at=state.now,
            answer="deny",
            requested=binding.requested or plan.amounts.charge,
            agent_id=who.agent_id,
            run_id=who.run.id if who.run and not who.run.is_new else None,
            code=error.code,
            binding_scope=binding.scope,
            binding_budget=binding.budget_id,
            binding_version=binding.version or None,
            dry=command.dry_run,
            detail={name: value for name, value in detail.items() if value},
        )
    )
    error.extra = {"binding": detail["binding"], "also_failing": detail["also_failing"]}
    if not command.dry_run:
        return Answer.refused(error)
    return Answer(200, {"decision": "deny", "code": error.code, "detail": error.detail, **error.extra})


def _jsonable(figures: dict[str, Any]) -> dict[str, Any]:
    return {
        name: written(value) if isinstance(value, datetime) else value
        for name, value in figures.items()
        if value is not None or name == "target"
    }


def _allowed(
    state: OrganizationState, plan: Plan, who: Who, reservation: Reservation | None, *, dry: bool = False
) -> DecisionRow:
    return DecisionRow(
        organization=state.id,
        at=state.now,
        answer="allow",
        requested=plan.amounts.charge,
        agent_id=who.agent_id,
        run_id=who.run.id if who.run and not (dry and who.run.is_new) else None,
        reservation_id=reservation.id if reservation else None,
        dry=dry,
    )


def _hold(
    state: OrganizationState,
    command: Reserve,
    plan: Plan,
    layers: list[Layer],
    funding: tuple[Receipt, int, int],
    effects: Effects,
) -> Reservation:
    who, rated = plan.who, plan.rated
    assert who is not None and rated is not None
    open_counters(state, command.caller.actor, [layer.counter for layer in layers], effects)
    start_runs(state, command.caller.actor, who, effects)
    receipt, placed = _place(state, funding)
    reservation = Reservation(
        id=new_id(),
        organization=state.id,
        agent_id=who.agent_id,
        team_id=who.team_id,
        workflow_id=who.workflow_id,
        connection_id=who.connection_id,
        run_id=who.run.id if who.run else None,
        root_run_id=who.run.root_id if who.run else None,
        price_version=rated.price_version,
        held=rated.charge_units,
        estimated_cost=rated.cost_units,
        created_at=state.now,
        expires_at=state.now + timedelta(seconds=command.ttl_seconds),
        version=1,
        status="active",
        user_label=who.user,
        action=action_data(command.action, command.subject),
        counters=[layer.counter.id for layer in layers],
        counter_amounts=[layer.requested for layer in layers],
        measures="".join(measure_of(layer.budget) for layer in layers),
        funding=receipt,
        own_key=who.own_key,
    )
    for layer in layers:
        layer.counter.held += layer.requested
    state.reservations[reservation.id] = reservation
    data = _reserved_data(state, reservation)
    if placed:
        data["ledger"] = {"placed": placed}
    key = command.key.key if command.key else None
    effects.events.append(event_of(state, command, reservation, "reserved", data, key=key))
    return reservation


def _place(
    state: OrganizationState, funding: tuple[Receipt, int, int]
) -> tuple[Receipt, list[dict[str, Any]]]:
    """Move the books on by what is taken; return the whole receipt and the holds (the first gets its id later)."""
    receipt, credit, line = funding
    books, placed = state.books, []
    if credit:
        books.credit.held += credit
        taken = {UUID(grant): amount for _, grant, amount in receipt}
        for grant in books.grants:
            grant.held += taken.get(grant.id, 0)
        grants = [[grant, amount] for _, grant, amount in receipt]
        placed.append({"account": str(books.credit.id), "amount": credit, "grants": grants})
    if line and books.line is not None:
        books.line.held += line
        hold = str(new_id())
        placed.append({"hold": hold, "account": str(books.line.id), "amount": line, "grants": []})
        receipt = [*receipt, ["postpaid", hold, line]]
    return receipt, placed


def open_counters(state: OrganizationState, actor: str, counters: list[Counter], effects: Effects) -> None:
    """Record the windows that are used for the first time."""
    for counter in counters:
        if counter.is_new:
            counter.is_new = False
            state.counters_by_id[counter.id] = counter
            data: dict[str, Any] = {
                "budget": str(counter.budget_id),
                "target": counter.target,
                "start": written(counter.window_start),
            }
            if counter.window_end is not None:
                data["end"] = written(counter.window_end)
            effects.events.append(
                Event(
                    state.id, "budget_counter", counter.id, 1, "budget_counter.opened", data, state.now, actor
                )
            )


def start_runs(state: OrganizationState, actor: str, who: Who, effects: Effects) -> None:
    """Record the run, and the parent that it names, at their first use."""
    for run in (who.parent, who.run):
        if run is None or not run.is_new:
            continue
        run.is_new = False
        state.runs[run.key] = state.runs_by_id[run.id] = run
        data: dict[str, Any] = {"key": run.key, "root": str(run.root_id), "agent": str(who.agent_id)}
        if run.parent_id is not None:
            data["parent"] = str(run.parent_id)
        if who.workflow_id is not None:
            data["workflow"] = str(who.workflow_id)
        effects.events.append(
            Event(state.id, "run", run.id, run.version, "run.started", data, state.now, actor)
        )


def action_data(action: Any, subject: Any) -> dict[str, Any]:
    """Return the action and the place in the chain, without what was not given."""
    data = {
        "kind": action.kind,
        "provider": action.provider,
        "model": action.model,
        "tool": action.tool,
        "fingerprint": action.fingerprint,
        "step": subject.step,
        "attempt": subject.attempt,
        "parent_task": subject.parent_task,
        "hop": subject.hop,
    }
    return {name: value for name, value in data.items() if value is not None}


def event_of(
    state: OrganizationState,
    command: Any,
    reservation: Reservation,
    verb: str,
    data: dict[str, Any],
    *,
    key: str | None = None,
) -> Event:
    """Return an event of the reservation's stream at its present version."""
    return Event(
        organization=state.id,
        stream_type="reservation",
        stream_id=reservation.id,
        version=reservation.version,
        type=f"reservation.{verb}",
        data=data,
        occurred_at=state.now,
        actor=command.caller.actor,
        idempotency_key=key or (command.key.key if command.key else None),
    )


def _reserved_data(state: OrganizationState, reservation: Reservation) -> dict[str, Any]:
    data = {
        "agent": str(reservation.agent_id),
        "team": _text(reservation.team_id),
        "workflow": _text(reservation.workflow_id),
        "connection": _text(reservation.connection_id),
        "run": _text(reservation.run_id),
        "root": _text(reservation.root_run_id) if reservation.root_run_id != reservation.run_id else None,
        "user": reservation.user_label,
        "action": reservation.action,
        "price_version": _text(reservation.price_version),
        "held": reservation.held,
        "cost": reservation.estimated_cost,
        "expires_at": written(reservation.expires_at),
        "counters": [str(counter) for counter in reservation.counters],
        "measures": reservation.measures,
        **measured(reservation),
        "own_key": reservation.own_key or None,
    }
    return {name: value for name, value in data.items() if value is not None}


def measured(reservation: Reservation) -> dict[str, int]:
    """Return what layers count beside charge and cost: tokens, credits, risk points; without what is 0."""
    amounts = zip(reservation.measures, reservation.counter_amounts, strict=True)
    return {MEASURES[measure]: amount for measure, amount in amounts if measure not in "ck" and amount}


def _reserved_body(
    state: OrganizationState,
    command: Reserve,
    plan: Plan,
    layers: list[Layer],
    reservation: Reservation | None,
) -> dict[str, Any]:
    rated = plan.rated
    assert rated is not None
    expires = reservation.expires_at if reservation else None
    return {
        "id": str(reservation.id) if reservation else None,
        "decision": "allow",
        "status": "active" if reservation else None,
        "held": format_amount(rated.charge_units if reservation else 0),
        "currency": state.currency,
        "estimated_cost": format_amount(rated.cost_units),
        "price_version": _text(rated.price_version),
        "expires_at": written(expires) if expires else None,
        "remaining_ttl_ms": command.ttl_seconds * 1000 if reservation else None,
        "caps": {},
        "budgets": [_budget_body(layer) for layer in layers],
        "credit": credit_body(state),
        "warnings": [warning for layer in layers for warning in _warnings(layer)],
    }


def _budget_body(layer: Layer) -> dict[str, Any]:
    figures = layer_figures(layer)
    return {
        "id": str(layer.budget.id),
        "scope": layer.budget.scope,
        "target": layer.label,
        "window": layer.budget.window_kind,
        "unit": layer.budget.unit,
        **figures,
        "resets_at": written(figures["resets_at"]) if figures["resets_at"] else None,
    }


def _warnings(layer: Layer) -> list[dict[str, Any]]:
    """The highest notice level of the layer that spent and held have reached."""
    budget, used = layer.budget, layer.spent + layer.held
    reached = [t for t in budget.thresholds if t.action == "notify" and used >= t.level(budget.amount_limit)]
    if not reached or not budget.amount_limit:
        return []
    return [{"code": "threshold_reached", "budget_id": str(budget.id), **reached[-1].shown()}]


def credit_body(state: OrganizationState) -> dict[str, Any]:
    """Return available and held credit as the gate's answers show them."""
    books = state.books
    free = available(books.grants, books.credit.debt, state.now)
    return {"available": format_amount(free), "held": format_amount(books.credit.held)}


def milliseconds(span: timedelta) -> int:
    """Return a span in whole milliseconds, never negative."""
    return max(0, span // timedelta(milliseconds=1))


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)


__all__ = ["Run", "action_data", "credit_body", "decide_extend", "decide_reserve", "event_of", "find_reservation",
           "milliseconds", "open_counters", "open_layer", "start_runs", "written"]  # fmt: skip
