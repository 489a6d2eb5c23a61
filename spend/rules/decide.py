"""Decisions of the gate over one organization's working state; each accepted command moves the state on.

The order of judgement is that of the API contract: 403 (closed, archived, not permitted, and what stops a call whatever
it costs), then 429, 402 and 409 over all limits, layers and the funding at once. A denial moves no counter and no money
but leaves a decision (S8, S47), and what a rule does for the first time.
"""

from datetime import datetime, timedelta
from typing import Any

from common.errors import NotFound
from common.ids import known_text, new_id_text
from events.rules.facts import Event
from ledger.rules.effects import held
from ledger.rules.grants import free_without_holds
from spend.rules.admission import (
    Receipt,
    check_holding,
    credit_refusal,
    fund,
    layer_binding,
    refusal_of_layer,
    refuse,
    told_sources,
)
from spend.rules.answers import milliseconds, reserved_body
from spend.rules.commands import Action, Caller, Extend, Reserve, Subject
from spend.rules.controls import Judged, judge, observe, tell_accepted, tell_refused
from spend.rules.crossings import is_reached
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
from spend.rules.entitled import refusals
from spend.rules.happenings import Happening, fire_all
from spend.rules.layers import open_counters, open_layers, start_runs
from spend.rules.meters import SHADOW, take
from spend.rules.plan import Places, Plan, Who, written
from spend.rules.runs import remember
from spend.rules.state import Books, Layer, OrganizationState, Reservation
from spend.rules.suspension import bought_credit, suspension

MAX_TTL_SECONDS = 86_400


def decide_reserve(state: OrganizationState, command: Reserve, plan: Plan, effects: Effects) -> Answer:
    """Return the answer to a reservation; when it is accepted the state holds it and the effects record it."""
    who, rated, places = plan.who, plan.rated, plan.places
    assert who is not None and rated is not None and places is not None
    check_holding(state.books, rated.charge_units)
    layers = open_layers(state, plan)
    duty = _duty(state, who)
    if state.entitled is not None and not duty:
        duty = refusals(state.entitled, command)
    books = state.books
    if state.standing is not None:
        books = _in_arrears(state, duty)
    judged = judge(state, command, plan, layers) if _has_rules(state, command, places) else None
    failing = [*duty, *judged.failing] if judged is not None else duty
    is_stopped = any(kind.status == 403 for kind, _ in failing)
    if not is_stopped:
        failing += [(kind, layer_binding(layer)) for layer in layers if (kind := refusal_of_layer(layer))]
    charge, grants = rated.charge_units, who.route.grants
    receipt, credit, line = fund(books, charge, grants, state.now) if charge else ([], 0, 0)
    if charge and credit + line < charge and not is_stopped:
        failing.append(_credit_failure(state, plan, credit + line, books))
    if failing:
        return _refuse(state, command, plan, failing, layers, judged, effects)
    if (judged is not None and not places.is_plain) or (state.switches and state.has_observed_switches):
        judged = judged or Judged()
        observe(state, command, plan, judged)
    if command.dry_run:
        effects.decide(_allowed(state, plan, who, None, judged, dry=True))
        return Answer(200, reserved_body(state, command, plan, layers, None, judged))
    reservation = _hold(state, command, plan, layers, (receipt, credit, line), judged, effects)
    effects.decide(_allowed(state, plan, who, reservation, judged))
    return Answer(201, reserved_body(state, command, plan, layers, reservation, judged))


def _has_rules(state: OrganizationState, command: Reserve, places: Places) -> bool:
    """Whether anything beside budgets and money may have a say: most calls have nothing of it."""
    if not places.is_plain or state.switches or command.action.fingerprint is not None:
        return True
    attempt = command.subject.attempt
    return attempt is not None and attempt > 1


def _refuse(
    state: OrganizationState,
    command: Reserve,
    plan: Plan,
    failing: list[tuple[type[Denied], Binding]],
    layers: list[Layer],
    judged: Judged | None,
    effects: Effects,
) -> Answer:
    """Refuse a call, and do what the rules say of a refused one: nothing where it was a dry run."""
    error = refuse(failing)
    if not command.dry_run:
        happening = Happening(state, effects, command, plan.who)
        tell_refused(happening, judged or Judged(), error, layers)
    return _deny(state, command, plan, error, effects)


def decide_extend(
    state: OrganizationState, command: Extend, reservation: Reservation, effects: Effects
) -> Answer:
    """Return the answer to a heartbeat: expires_at = max(expires_at, now + ttl), at most 24 h after creation."""
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
        "id": reservation.id,
        "status": "active",
        "expires_at": written(reservation.expires_at),
        "remaining_ttl_ms": milliseconds(reservation.expires_at - state.now),
    }
    return Answer(200, body)


def find_reservation(state: OrganizationState, wanted: str, caller: Caller) -> Reservation:
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


def _duty(state: OrganizationState, who: Who) -> list[tuple[type[Denied], Binding]]:
    def bound(kind: type[Denied], scope: str, target: str | None) -> list[tuple[type[Denied], Binding]]:
        return [(kind, Binding(scope=scope, rank=0, figures={"scope": scope, "target": target}, requested=0))]

    if state.status != "active":
        return bound(OrganizationClosed, "organization", None)
    if who.route.archived is not None:
        return bound(Archived, *who.route.archived)
    if who.forbidden is not None:
        return bound(NotPermitted, *who.forbidden)
    return []


def _in_arrears(state: OrganizationState, duty: list[tuple[type[Denied], Binding]]) -> Books:
    """Refuse what a suspended customer may not do; return the books that pay for the rest."""
    standing = state.standing
    if standing is not None and standing.shuts and not duty:
        duty.append(suspension(standing))
    return bought_credit(state.books) if standing is not None and standing.shuts_line else state.books


def _credit_failure(
    state: OrganizationState, plan: Plan, funded: int, books: Books
) -> tuple[type[Denied], Binding]:
    assert plan.who is not None and plan.rated is not None
    grants = plan.who.route.grants
    if state.standing is not None and state.standing.shuts_line:
        return suspension(state.standing)
    idle = free_without_holds(books.grants, state.now, grants, debt=books.credit.debt)
    if books.open_line is not None:
        idle += max(0, (books.open_line.room() or 0) + books.open_line.held)
    return credit_refusal(books, plan.rated.charge_units, funded, state.currency, idle)


def _deny(state: OrganizationState, command: Reserve, plan: Plan, error: Denied, effects: Effects) -> Answer:
    who, binding = plan.who, error.binding
    assert who is not None and binding is not None
    subject, action, route = command.subject, command.action, who.route
    detail = {
        "run": subject.run,
        "user": subject.user,
        "team": route.team_id,
        "workflow": route.workflow_id,
        "connection": route.connection_id,
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
            agent_id=route.agent_id,
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
    state: OrganizationState,
    plan: Plan,
    who: Who,
    reservation: Reservation | None,
    judged: Judged | None,
    *,
    dry: bool = False,
) -> DecisionRow:
    return DecisionRow(
        organization=state.id,
        at=state.now,
        answer="allow_with_caps" if judged is not None and judged.is_capped else "allow",
        detail={"observed": judged.observed} if judged is not None and judged.observed else None,
        requested=plan.amounts.charge,
        agent_id=who.route.agent_id,
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
    judged: Judged | None,
    effects: Effects,
) -> Reservation:
    who = plan.who
    assert who is not None
    actor = command.caller.actor
    counted = layers if judged is None else [*layers, *judged.meters, *judged.passive, *judged.shadow]
    open_counters(state, actor, counted, effects)
    start_runs(state, actor, who, effects)
    receipt, placed = _place(state, funding)
    run = who.run
    reservation = _reservation(state, command, plan, counted, receipt)
    for layer in layers:
        layer.hold()
    moved = _take(judged, state.now) if judged is not None else []
    if run is not None:
        state.run_keys[run.id] = (run.key, run.root_key)
        state.move_run(run.id, reservation.held)
    state.reservations[reservation.id] = reservation
    data = _reserved_data(reservation, command.ttl_seconds)
    if moved:
        data["arrivals"] = moved
    if placed:
        data["ledger"] = {"placed": placed}
        sources = told_sources(receipt)
        if sources is not None:
            data["sources"] = sources
    if run is not None and (command.action.fingerprint is not None or command.subject.attempt is not None):
        data["run_key"] = run.key
        counts_as = remember(state, command, run.key)
        if counts_as is not None:
            data["tried"] = counts_as
        if judged is not None and judged.gate is not None and not judged.observed:
            data["shadow"] = True  # the shadow gate remembers it, too
            counts_as = remember(state, command, SHADOW + run.key)
            if counts_as is not None:
                data["shadow_tried"] = counts_as
    effects.events.append(event_of(state, command, reservation, "reserved", data))
    reached = [layer for layer in layers if is_reached(layer)]
    if reached or judged is not None:
        _after_hold(Happening(state, effects, command, who), reached, judged)
    return reservation


def _reservation(
    state: OrganizationState, command: Reserve, plan: Plan, counted: list[Layer], receipt: Receipt
) -> Reservation:
    who, rated, amounts = plan.who, plan.rated, plan.amounts
    assert who is not None and rated is not None
    route, run = who.route, who.run
    measures = "".join([layer.budget.letter for layer in counted])
    return Reservation(
        id=new_id_text(),
        organization=state.id,
        agent_id=route.agent_id,
        team_id=route.team_id,
        workflow_id=route.workflow_id,
        connection_id=route.connection_id,
        run_id=run.id if run else None,
        root_run_id=run.root_id if run and run.root_id != run.id else None,
        price_version=None if rated.price_version is None else known_text(rated.price_version),
        held=rated.charge_units,
        estimated_cost=rated.cost_units,
        tokens=amounts.tokens if "t" in measures or "o" in measures else None,
        credits=amounts.credits if "r" in measures else None,
        risk_points=amounts.risk_points if "p" in measures else None,
        created_at=state.now,
        expires_at=state.now + timedelta(seconds=command.ttl_seconds),
        version=1,
        status="active",
        user_label=who.user,
        action=action_data(command.action, command.subject),
        counters=[layer.counter.number for layer in counted],
        measures=measures,
        funding=receipt,
        own_key=route.own_key,
        input_tokens=amounts.input_tokens if "i" in measures or "o" in measures else None,
        tool_calls=amounts.tool_calls if "x" in measures else None,
    )


def _take(judged: Judged, now: datetime) -> list[int]:
    """Move every counter beside the enforced budgets; return by how much the arrival times of GCRAs moved, in order."""
    for layer in judged.passive:
        layer.hold()
    moves = [take(layer, now) for layer in (*judged.meters, *judged.shadow)]
    return [move for move in moves if move is not None]


def _after_hold(happening: Happening, layers: list[Layer], judged: Judged | None) -> None:
    fire_all(happening, layers)
    if judged is not None:
        tell_accepted(happening, judged)


def _place(
    state: OrganizationState, funding: tuple[Receipt, int, int]
) -> tuple[Receipt, list[dict[str, Any]]]:
    """Move the books on by what is taken; return the whole receipt and the holds (the first gets its id later)."""
    receipt, credit, line = funding
    books = state.books
    placed: list[dict[str, Any]] = []
    if credit:
        books.credit.held += credit
        taken = {grant: amount for _, grant, amount in receipt}
        for grant in books.grants:
            grant.held += taken.get(grant.id, 0)
        grants = [[grant, amount] for _, grant, amount in receipt]
        placed.append(held(books.credit.id, credit, grants))
    if line and books.line is not None:
        books.line.held += line
        hold = new_id_text()
        placed.append({"hold": hold, **held(books.line.id, line, [])})
        receipt = [*receipt, ["postpaid", hold, line]]
    return receipt, placed


def action_data(action: Action, subject: Subject) -> dict[str, Any]:
    """Return the action and the place in the chain, without what was not given."""
    data: dict[str, Any] = {"kind": action.kind}
    if action.provider is not None:
        data["provider"] = action.provider
    if action.model is not None:
        data["model"] = action.model
    if action.tool is not None:
        data["tool"] = action.tool
    if action.fingerprint is not None:
        data["fingerprint"] = action.fingerprint
    for name in ("step", "attempt", "parent_task", "hop"):
        value = getattr(subject, name)
        if value is not None:
            data[name] = value
    return data


def told_measures(measures: str) -> str | None:
    """Return what an event says of what its counters count: nothing where all count the charge."""
    return measures if measures.strip("c") else None


def event_of(
    state: OrganizationState, command: Any, reservation: Reservation, verb: str, data: dict[str, Any]
) -> Event:
    """Return an event of the reservation's stream at its present version."""
    return Event(
        state.id,
        "reservation",
        reservation.id,
        reservation.version,
        f"reservation.{verb}",
        data,
        state.now,
        command.caller.actor,
        None,
        command.key.key if command.key else None,
    )


def _reserved_data(reservation: Reservation, ttl_seconds: int) -> dict[str, Any]:
    data = {
        "agent": reservation.agent_id,
        "team": reservation.team_id,
        "workflow": reservation.workflow_id,
        "connection": reservation.connection_id,
        "run": reservation.run_id,
        "root": reservation.root_run_id,
        "user": reservation.user_label,
        "action": reservation.action,
        "price_version": reservation.price_version,
        "held": reservation.held,
        "cost": reservation.estimated_cost if reservation.estimated_cost != reservation.held else None,
        "ttl": ttl_seconds,
        "counters": reservation.counters,
        "measures": told_measures(reservation.measures),
        "tokens": reservation.tokens,
        "credits": reservation.credits,
        "risk_points": reservation.risk_points,
        "input": reservation.input_tokens,
        "calls": reservation.tool_calls,
        "own_key": reservation.own_key or None,
    }
    return {name: value for name, value in data.items() if value is not None}
