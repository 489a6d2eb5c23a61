"""How a reservation ends, and how usage without one is booked: the true cost in full, funded by the receipt.

A commit burns what the reservation took, in the order in which it was taken; what exceeds it is allocated now and,
where nothing is left, becomes debt (S31, S5). What was used is never clamped to the hold and never lost.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from common.errors import AmountExceedsAvailable, NotAvailableYet
from common.ids import AnyId, known_text, new_id_text
from common.money import format_amount
from events.rules.facts import Event
from ledger.rules import effects as ledger_effects
from ledger.rules.grants import GrantSubject, settle
from spend.rules.admission import Receipt, check_booking, fund
from spend.rules.answers import credit_body
from spend.rules.budgets import BudgetDefinition
from spend.rules.commands import Commit, RecordUsage, Release
from spend.rules.decide import action_data, event_of, told_measures
from spend.rules.denials import NotPermitted, ReservationFinalized
from spend.rules.effects import Answer, Effects, UsageRow
from spend.rules.explaining import rating_detail
from spend.rules.happenings import Happening, fire_all
from spend.rules.layers import open_budgets, open_counters, open_layers, start_runs
from spend.rules.meters import SHADOW, STRIKES, THRESHOLD
from spend.rules.plan import Amounts, Plan, written
from spend.rules.state import Layer, OrganizationState, Reservation

AT_ONCE = frozenset("qsg")
"""Letters that nothing is held under: they are moved when a reservation is made, and never again."""
BOOKED = frozenset("cktrpiox")
"""Letters under which what was used is booked."""
METERED = frozenset("iox")


@dataclass(slots=True)
class Burn:
    """What a charge took from where: the final receipt, and the amounts by account."""

    receipt: Receipt
    credit: int = 0
    line: int = 0
    debt: int = 0
    burned: list[list[Any]] | None = None


@dataclass(frozen=True, slots=True)
class Accounts:
    """The ledger accounts that usage is posted to, as text ids."""

    credit: str
    line: str | None
    revenue: str
    provider_cost: str
    provider_payable: str
    breakage: str


def decide_commit(
    state: OrganizationState,
    command: Commit,
    plan: Plan,
    reservation: Reservation,
    accounts: Accounts,
    budgets: Mapping[str, BudgetDefinition],
    effects: Effects,
) -> Answer:
    """Return the answer to a commit: cost and charge booked once, the rest of the hold free, the usage recorded."""
    if reservation.status not in ("active", "expired"):
        raise ReservationFinalized(extra={"reservation_status": reservation.status})
    rated = plan.rated
    assert rated is not None
    late = reservation.status == "expired"
    charge = rated.charge_units
    check_booking(state.books, charge)
    ledger: dict[str, Any] = {}
    if not late:
        _end_holds(state, reservation, "posted", ledger)
    subject = _grant_subject(reservation)
    burn = _burn(state, [] if late else reservation.funding, charge, subject)
    usage = _usage_of_commit(state, command, plan, reservation, burn)
    _post(state, ledger, burn, rated, accounts, own_key=reservation.own_key)
    receipt_is_told = not _return_expired(state, reservation, burn, ledger, accounts, late=late)
    happening = Happening(state, effects, command)
    happening.agent_id, happening.run_id = reservation.agent_id, reservation.run_id
    data = {
        "usage": usage.id,
        **_booked(plan.amounts, reservation.measures),
        **_settle_counters(state, reservation, plan, freed=not late),
        **_of_run(reservation.run_id),
    }
    if burn.line or burn.debt or not receipt_is_told:
        data["funding"] = burn.receipt
    overage = max(0, charge - reservation.held)
    reservation.status = "committed"
    reservation.version += 1
    if overage:
        data["overage"] = overage
    if late:
        data["late"] = True
    if ledger:
        data["ledger"] = ledger
    effects.usages.append(usage)
    effects.events.append(event_of(state, command, reservation, "committed", data))
    if takes_more(reservation, plan, is_freed=late):
        fire_all(happening, _layers_of(state, reservation, budgets, "enforce"))
        fire_all(happening, _layers_of(state, reservation, budgets, "observe"), mode="observe")
    body = {
        "id": reservation.id,
        "status": "committed",
        "charged": format_amount(charge),
        "released": format_amount(0 if late else max(0, reservation.held - charge)),
        "overage": format_amount(overage),
        "cost": format_amount(rated.cost_units),
        "currency": state.currency,
        "price_version": usage.price_version,
        "usage_record": usage.id,
        "credit": credit_body(state),
        "late": late,
    }
    return Answer(200, body)


def decide_release(
    state: OrganizationState,
    command: Release,
    reservation: Reservation,
    accounts: Accounts,
    effects: Effects,
) -> Answer:
    """Return the answer to a release: everything that was held is free again."""
    if reservation.status in ("expired", "released"):
        return Answer(200, {"id": reservation.id, "status": reservation.status, "released": "0"})
    if reservation.status == "committed":
        raise ReservationFinalized(extra={"reservation_status": "committed"})
    if command.amount is not None and command.amount > reservation.held:
        raise AmountExceedsAvailable("More than is held cannot be released.", pointer="/amount")
    if command.amount is not None and command.amount < reservation.held:
        raise NotAvailableYet("Releasing a part of a hold is not available yet.", pointer="/amount")
    _free(state, command, reservation, "released", accounts, effects, reason=command.reason)
    return Answer(
        200, {"id": reservation.id, "status": "released", "released": format_amount(reservation.held)}
    )


def expire(
    state: OrganizationState, command: Any, reservation: Reservation, accounts: Accounts, effects: Effects
) -> None:
    """Free the hold of a reservation whose time is over; its late commit is still booked (S32)."""
    _free(state, command, reservation, "expired", accounts, effects)


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
    places = plan.places
    assert places is not None
    layers, route = open_layers(state, plan), who.route
    actor = command.caller.actor
    shadow = [place for place in places.shadow if isinstance(place.budget, BudgetDefinition)]
    observed = open_budgets(state, shadow, plan.amounts)
    counted = [*layers, *open_budgets(state, places.passive, plan.amounts), *observed]
    open_counters(state, actor, counted, effects)
    start_runs(state, actor, who, effects)
    burn = _burn(state, [], rated.charge_units, route.grants)
    usage = _usage_row(
        state, command, plan, burn, route.agent_id, route.team_id, route.workflow_id, route.connection_id,
        who.run.id if who.run else None, who.user, action_data(command.action, command.subject), route.own_key,
    )  # fmt: skip
    usage.root_run_id = who.run.root_id if who.run and who.run.root_id != who.run.id else None
    usage.occurred_at, usage.adjustment = command.occurred_at, plan.adjustment
    usage.source, usage.external_id, usage.reservation_id = (
        command.source,
        command.external_id,
        None if command.reservation is None else str(command.reservation),
    )
    ledger: dict[str, Any] = {}
    _post(state, ledger, burn, rated, accounts, own_key=route.own_key)
    for layer in counted:
        layer.counter.spent += layer.requested
        layer.spent += layer.requested
    data: dict[str, Any] = {
        **_booked(plan.amounts),
        **_counted(
            [layer.counter.number for layer in counted], "".join([layer.budget.letter for layer in counted])
        ),
        **_of_run(who.run.id if who.run else None),
    }
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


def takes_more(reservation: Reservation, plan: Plan, *, is_freed: bool) -> bool:
    """Return whether a commit takes more of anything than is held for it: then it may cross a threshold."""
    if is_freed:
        return True
    spent = {**plan.amounts.by_meter(), **plan.amounts.by_letter()}
    return any(
        spent[letter] > reservation.holds(letter) for letter in set(reservation.measures) if letter in BOOKED
    )


def _layers_of(
    state: OrganizationState, reservation: Reservation, budgets: Mapping[str, BudgetDefinition], mode: str
) -> list[Layer]:
    """The receipt's windows that still run, of budgets in this mode: of observed ones their shadow."""
    found = []
    for number in reservation.counters:
        counter = state.counters_by_number.get(number)
        budget = budgets.get(counter.budget_id) if counter is not None else None
        if (
            counter is None
            or budget is None
            or budget.mode != mode
            or counter.target[:1] in (STRIKES, THRESHOLD)
        ):
            continue
        if counter.target.startswith(SHADOW) != (mode == "observe"):
            continue
        layer = Layer(budget, counter, 0, label=counter.target.removeprefix(SHADOW) or None)
        if budget.window_kind == "rolling":
            buckets = state.rolling.get((counter.budget_id, counter.target), ())
            layer.held = sum(bucket.held for bucket in buckets)
            layer.spent = sum(bucket.spent for bucket in buckets)
        elif counter.window_end is not None and counter.window_end <= state.now:
            continue
        found.append(layer)
    return found


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


def _free(
    state: OrganizationState,
    command: Any,
    reservation: Reservation,
    status: str,
    accounts: Accounts,
    effects: Effects,
    *,
    reason: str = "",
) -> None:
    ledger: dict[str, Any] = {}
    _end_holds(state, reservation, "voided" if status == "released" else "expired", ledger)
    _return_expired(state, reservation, None, ledger, accounts, late=False)
    data = {**_settle_counters(state, reservation, None, freed=True), **_of_run(reservation.run_id)}
    reservation.status = status
    reservation.version += 1
    if reason:
        data["reason"] = reason
    if ledger:
        data["ledger"] = ledger
    effects.events.append(event_of(state, command, reservation, status, data))


def _end_holds(
    state: OrganizationState, reservation: Reservation, status: str, ledger: dict[str, Any]
) -> None:
    """Take the reservation's holds off the books and say so in the ledger's part of the event."""
    books, settled = state.books, []
    held = {name: amount for source, name, amount in reservation.funding if source == "credit"}
    credit = sum(held.values())
    if credit:
        books.credit.held -= credit
        for grant in books.grants:
            grant.held -= held.get(grant.id, 0)
        settled.append(
            ledger_effects.settled(
                status=status,
                account=books.credit.id,
                amount=credit,
                grants=[[name, amount] for name, amount in held.items()],
            )
        )
    for source, name, amount in reservation.funding:
        if source == "postpaid" and books.line is not None:
            books.line.held -= amount
            settled.append(
                ledger_effects.settled(
                    hold=name, status=status, account=books.line.id, amount=amount, grants=[]
                )
            )
    if settled:
        ledger["settled"] = settled


def _burn(state: OrganizationState, receipt: Receipt, charge: int, subject: GrantSubject) -> Burn:
    """Move the books on by a charge: first what the receipt took, then live grants, the line, and debt."""
    books = state.books
    grants_taken = [(name, amount) for source, name, amount in receipt if source == "credit"]
    burned: list[list[Any]] = [[grant, amount] for grant, amount in settle(grants_taken, charge)]
    rest: int = charge - sum(amount for _, amount in burned)
    line: int = min(rest, sum(amount for source, _, amount in receipt if source == "postpaid"))
    rest -= line
    _take(books.grants, burned)
    if rest:
        more, _, _ = fund(books, rest, subject, state.now)
        extra: list[list[Any]] = [[name, amount] for _, name, amount in more]
        _take(books.grants, extra)
        burned = _merged(burned, extra)
        rest -= sum(amount for _, amount in extra)
        if books.line is not None:  # a postpaid customer owes overage on the line, over its limit if need be
            line, rest = line + rest, 0
    credit = sum(amount for _, amount in burned)
    books.credit.posted -= credit + rest
    books.credit.debt += rest
    if books.line is not None:
        books.line.posted -= line
    final: Receipt = [["credit", name, amount] for name, amount in burned]
    if line:
        final.append(["postpaid", None, line])
    if rest:
        final.append(["debt", None, rest])
    return Burn(final, credit, line, rest, burned)


def _take(grants: list[Any], burned: list[list[Any]]) -> None:
    if burned:
        amounts = dict(burned)
        for grant in grants:
            grant.remaining -= amounts.get(grant.id, 0)


def _merged(first: list[list[Any]], more: list[list[Any]]) -> list[list[Any]]:
    amounts: dict[str, int] = {}
    for name, amount in (*first, *more):
        amounts[name] = amounts.get(name, 0) + amount
    return [[name, amount] for name, amount in amounts.items()]


def _post(
    state: OrganizationState,
    ledger: dict[str, Any],
    burn: Burn,
    rated: Any,
    accounts: Accounts,
    *,
    own_key: bool,
) -> None:
    lines: list[list[Any]] = []
    charge = rated.charge_units
    if burn.credit + burn.debt:
        lines.append([accounts.credit, -(burn.credit + burn.debt)])
    if burn.line:
        lines.append([accounts.line, -burn.line])
    if charge:
        lines.append([accounts.revenue, charge])
    if rated.cost_units and not own_key:
        lines.append([accounts.provider_cost, -rated.cost_units])
        lines.append([accounts.provider_payable, rated.cost_units])
    if lines:
        entry = ledger_effects.entry(lines=lines, currency=state.currency)
        ledger["entries"] = [entry]
    if burn.burned:
        ledger["burned"] = burn.burned
    if burn.debt:
        ledger["debt"] = [[accounts.credit, burn.debt]]


def _return_expired(
    state: OrganizationState,
    reservation: Reservation,
    burn: Burn | None,
    ledger: dict[str, Any],
    accounts: Accounts,
    *,
    late: bool,
) -> bool:
    """Post breakage for what comes back to grants whose expiry was posted while it was held; return whether."""
    if late:
        return False
    used: dict[str, int] = dict(burn.burned or []) if burn else {}
    back = {n: a - used.get(n, 0) for source, n, a in reservation.funding if source == "credit"}
    broken = [
        [grant.id, back[grant.id]]
        for grant in state.books.grants
        if grant.expired_at is not None and back.get(grant.id, 0) > 0
    ]
    if not broken:
        return False
    _take(state.books.grants, broken)
    amount = sum(part for _, part in broken)
    state.books.credit.posted -= amount
    entry = ledger_effects.entry(
        kind="breakage",
        key=f"breakage:{reservation.id}",
        source=f"reservation:{reservation.id}",
        lines=[[accounts.credit, -amount], [accounts.breakage, amount]],
        currency=state.currency,
    )
    ledger.setdefault("entries", []).append(entry)
    ledger["burned"] = _merged(ledger.get("burned", []), broken)
    return True


def _settle_counters(
    state: OrganizationState, reservation: Reservation, plan: Plan | None, *, freed: bool
) -> dict[str, Any]:
    """Return the event's part on the layers, and move loaded counters on.

    `counters` are the layers of the receipt, `measures` what each counts, `freed` what is no longer held by measure
    (c, the charge, also for the run). What is spent stands in the event as charge, cost, tokens, ...
    """
    free = {
        letter: reservation.holds(letter) for letter in {"c", *reservation.measures} if letter not in AT_ONCE
    }
    spent = _spent(plan, reservation.measures) if plan is not None else {}
    loaded = state.counters_by_number
    for number, letter in zip(reservation.counters, reservation.measures, strict=True):
        counter = loaded.get(number)
        if counter is not None:
            counter.held -= free.get(letter, 0) if freed else 0
            counter.spent += spent.get(letter, 0)
    part = _counted(reservation.counters, reservation.measures)
    if freed:
        part["freed"] = free
    return part


def _spent(plan: Plan, measures: str) -> dict[str, int]:
    if not METERED.intersection(measures):
        return plan.amounts.by_letter()
    more = plan.amounts.by_meter()
    return {**plan.amounts.by_letter(), **{letter: more[letter] for letter in "iox"}}


def _counted(numbers: list[int], measures: str) -> dict[str, Any]:
    told = told_measures(measures)
    return {"counters": numbers} if told is None else {"counters": numbers, "measures": told}


def _booked(amounts: Amounts, measures: str = "") -> dict[str, int]:
    """Return the charge, the cost where it is another figure, and of the other figures those that are not 0."""
    others = {
        "input": amounts.input_tokens if "i" in measures or "o" in measures else 0,
        "tokens": amounts.tokens,
        "calls": amounts.tool_calls,
        "credits": amounts.credits,
        "risk_points": amounts.risk_points,
    }
    return {
        "charge": amounts.charge,
        **({"cost": amounts.cost} if amounts.cost != amounts.charge else {}),
        **{name: amount for name, amount in others.items() if amount},
    }


def _of_run(run: str | None) -> dict[str, str]:
    return {} if run is None else {"run": run}


def _usage_of_commit(
    state: OrganizationState, command: Commit, plan: Plan, reservation: Reservation, burn: Burn
) -> UsageRow:
    usage = _usage_row(
        state, command, plan, burn, reservation.agent_id, reservation.team_id, reservation.workflow_id,
        reservation.connection_id, reservation.run_id, reservation.user_label, reservation.action,
        reservation.own_key,
    )  # fmt: skip
    usage.root_run_id = reservation.root_run_id
    usage.reservation_id = reservation.id
    return usage


def _usage_row(
    state: OrganizationState,
    command: Commit | RecordUsage,
    plan: Plan,
    burn: Burn,
    agent: str,
    team: str | None,
    workflow: str | None,
    connection: str | None,
    run: str | None,
    user: str | None,
    action: dict[str, Any],
    own_key: bool,
) -> UsageRow:
    rated, used = plan.rated, plan.usage
    assert rated is not None
    row = UsageRow(
        organization=state.id, id=new_id_text(), occurred_at=state.now, currency=state.currency,
        outcome=command.outcome,
        cost=rated.cost_units, charge=rated.charge_units, funding=burn.receipt, agent_id=agent, team_id=team,
        workflow_id=workflow, connection_id=connection, run_id=run, root_run_id=None, user_label=user, action=action,
        price_version=None if rated.price_version is None else known_text(rated.price_version),
        fx_rate=None if rated.fx_rate is None else str(rated.fx_rate), latency_ms=command.actual.latency_ms,
        response_id=command.actual.response_id, reason=command.actual.reason, raw=command.actual.raw,
        detail=usage_detail(plan, command, own_key),
    )  # fmt: skip
    if used is not None:
        row.input_tokens = used.input_tokens
        row.cache_read_input_tokens = used.cache_read_input_tokens
        row.cache_creation_input_tokens = used.cache_creation_input_tokens
        row.output_tokens = used.output_tokens
        row.reasoning_output_tokens = used.reasoning_output_tokens
        row.tool_calls = sum(use.calls for use in used.tool_calls)
    return row


def usage_detail(plan: Plan, command: Commit | RecordUsage, own_key: bool) -> dict[str, Any]:
    """Return what cost and charge are worked out again from (S6), and the calls of each tool."""
    rated, used = plan.rated, plan.usage
    assert rated is not None
    detail = rating_detail(rated, amount_units=command.actual.amount, own_key=own_key)
    if used is not None and used.tool_calls:
        detail["tools"] = {use.name: use.calls for use in used.tool_calls}
    return detail


def _grant_subject(reservation: Reservation) -> GrantSubject:
    return GrantSubject(
        team=reservation.team_id, agent=reservation.agent_id, workflow=reservation.workflow_id
    )
