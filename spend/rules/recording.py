"""Usage without a reservation: cost-bearing facts after the event, booked in full on every layer (S5)."""

from datetime import datetime
from typing import Any

from common.ids import AnyId
from common.money import format_amount
from events.rules.facts import Event
from spend.rules.admission import check_booking
from spend.rules.booking import (
    Accounts,
    Burn,
    booked,
    burn_charge,
    counted,
    of_run,
    post,
    shared_of,
    tell_shares,
    usage_row,
)
from spend.rules.budgets import BudgetDefinition
from spend.rules.commands import RecordUsage
from spend.rules.decide import action_data
from spend.rules.denials import NotPermitted
from spend.rules.effects import Answer, Effects, UsageRow
from spend.rules.happenings import Happening, fire_all
from spend.rules.layers import open_budgets, open_counters, open_layers, start_runs
from spend.rules.plan import Plan, written
from spend.rules.state import Layer, OrganizationState


def decide_usage(
    state: OrganizationState, command: RecordUsage, plan: Plan, accounts: Accounts, effects: Effects
) -> Answer:
    """Return the answer to a cost-bearing fact after the event: booked in full on every layer, without a hold (S5).

    What an archived agent or a closed organization used is booked, too. Raises NotPermitted for an agent or connection
    that the caller's key is not for.
    """
    who, rated = plan.who, plan.rated
    assert who is not None and rated is not None
    if who.forbidden is not None:
        raise NotPermitted
    check_booking(state.books, rated.charge_units)
    layers, observed, passive = _layers(state, plan)
    all_layers = [*layers, *passive, *observed]
    actor, route = command.caller.actor, who.route
    open_counters(state, actor, all_layers, effects)
    start_runs(state, actor, who, effects)
    burn = burn_charge(state, [], rated.charge_units, route.grants)
    usage = _record(state, command, plan, burn)
    ledger: dict[str, Any] = {}
    cost = 0 if route.own_key else rated.cost_units
    shared = shared_of(state, plan, burn)
    post(state, ledger, burn, accounts, charge=rated.charge_units, cost=cost, shared=shared)
    for layer in all_layers:
        layer.counter.spent += layer.requested
        layer.spent += layer.requested
    letters = "".join([layer.budget.letter for layer in all_layers])
    state.move_run(who.run.id if who.run else None, plan.amounts.charge)
    data: dict[str, Any] = {
        **booked(plan.amounts),
        **counted([layer.counter.number for layer in all_layers], letters),
        **of_run(who.run.id if who.run else None),
    }
    tell_shares(data, usage, plan, burn, shared)
    if ledger:
        data["ledger"] = ledger
    effects.usages.append(usage)
    key = command.key.key if command.key else None
    effects.events.append(
        Event(state.id, "usage", usage.id, 1, "usage.recorded", data, state.now, actor, idempotency_key=key)
    )
    happening = Happening(state, effects, command, who)
    fire_all(happening, _present(layers, state.now))
    fire_all(happening, _present(observed, state.now), mode="observe")
    body = usage_body(
        usage.source, usage.id, usage.external_id, usage.outcome, usage.cost, usage.charge, usage.currency,
        usage.price_version, usage.occurred_at, usage.adjustment,
    )  # fmt: skip
    return Answer(201, body)


def _layers(state: OrganizationState, plan: Plan) -> tuple[list[Layer], list[Layer], list[Layer]]:
    """The enforced budgets, the shadow of the observed ones, and what only counts for these."""
    places = plan.places
    assert places is not None
    shadow = [place for place in places.shadow if isinstance(place.budget, BudgetDefinition)]
    observed = open_budgets(state, shadow, plan.amounts)
    return open_layers(state, plan), observed, open_budgets(state, places.passive, plan.amounts)


def _record(state: OrganizationState, command: RecordUsage, plan: Plan, burn: Burn) -> UsageRow:
    who = plan.who
    assert who is not None
    route, run = who.route, who.run
    usage = usage_row(
        state, command, plan, burn, route.agent_id, route.team_id, route.workflow_id, route.connection_id,
        run.id if run else None, who.user, action_data(command.action, command.subject), route.own_key,
    )  # fmt: skip
    usage.root_run_id = run.root_id if run and run.root_id != run.id else None
    usage.occurred_at, usage.adjustment = command.occurred_at, plan.adjustment
    usage.source, usage.external_id = command.source, command.external_id
    usage.reservation_id = None if command.reservation is None else str(command.reservation)
    return usage


def _present(layers: list[Layer], now: datetime) -> list[Layer]:
    """Those whose window still runs: what is booked into a past one warns nobody."""
    return [
        layer
        for layer in layers
        if layer.budget.window_kind == "rolling"
        or layer.counter.window_end is None
        or layer.counter.window_end > now
    ]


def usage_body(
    source: str | None,
    usage: AnyId,
    external_id: str | None,
    outcome: str,
    cost: int,
    charge: int,
    currency: str,
    price_version: AnyId | None,
    occurred_at: datetime,
    adjustment: bool,
) -> dict[str, Any]:
    """Return the answer to a recorded fact, now and whenever it is sent again."""
    return {
        "id": str(usage),
        "source": source,
        "external_id": external_id,
        "outcome": outcome,
        "cost": format_amount(cost),
        "charge": format_amount(charge),
        "currency": currency,
        "price_version": None if price_version is None else str(price_version),
        "occurred_at": written(occurred_at),
        "adjustment": adjustment,
    }
