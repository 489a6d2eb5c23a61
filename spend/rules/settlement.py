"""How a reservation ends, and how usage without one is booked: the true cost in full, funded by the receipt.

A commit burns what the reservation took, in the order in which it was taken; what exceeds it is allocated now and,
where nothing is left, becomes debt (S31, S5). What was used is never clamped to the hold and never lost.
"""

from collections.abc import Mapping
from typing import Any

from common.errors import AmountExceedsAvailable, NotAvailableYet
from common.money import format_amount
from ledger.rules import effects as ledger_effects
from ledger.rules.grants import GRANT_SOURCES, GrantSubject, broken_parts
from spend.rules.admission import check_booking, told_sources
from spend.rules.answers import credit_body
from spend.rules.booking import (
    Accounts,
    Burn,
    booked,
    burn_charge,
    counted,
    merged,
    of_run,
    post,
    shared_of,
    spent_by,
    take_from,
    tell_shares,
    usage_row,
)
from spend.rules.budgets import BudgetDefinition
from spend.rules.commands import Commit, Release
from spend.rules.decide import event_of
from spend.rules.denials import ReservationFinalized
from spend.rules.effects import Answer, Effects, UsageRow
from spend.rules.happenings import Happening, fire_all
from spend.rules.meters import SHADOW, STRIKES, THRESHOLD
from spend.rules.plan import Plan
from spend.rules.state import Layer, OrganizationState, Reservation

AT_ONCE = frozenset("qsg")
"""Letters that nothing is held under: they are moved when a reservation is made, and never again."""
BOOKED = frozenset("trpiox")
"""Letters beside charge and cost under which what was used is booked."""


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
    burn = burn_charge(state, [] if late else reservation.funding, charge, subject)
    usage = _usage_of_commit(state, command, plan, reservation, burn)
    shared = shared_of(state, plan, burn)
    cost = 0 if reservation.own_key else rated.cost_units
    post(state, ledger, burn, accounts, charge=charge, cost=cost, shared=shared)
    receipt_is_told = not _return_expired(state, reservation, burn, ledger, accounts, late=late)
    data = {
        "usage": usage.id,
        **booked(plan.amounts, reservation.measures),
        **_settle_counters(state, reservation, plan, freed=not late),
        **of_run(reservation.run_id),
    }
    if burn.line or burn.debt or not receipt_is_told:
        data["funding"] = burn.receipt
    else:
        sources = told_sources(burn.receipt)
        if sources is not None:
            data["sources"] = sources
    tell_shares(data, usage, plan, burn, shared)
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
        happening = _happening(state, command, reservation, effects)
        for mode in ("enforce", "observe"):
            fire_all(happening, _layers_of(state, reservation, budgets, mode), mode=mode)
    return Answer(200, _committed_body(state, reservation, usage, overage=overage, late=late))


def _happening(
    state: OrganizationState, command: Commit, reservation: Reservation, effects: Effects
) -> Happening:
    happening = Happening(state, effects, command)
    happening.agent_id, happening.run_id = reservation.agent_id, reservation.run_id
    begun = state.begun.get(reservation.run_id or "")
    if begun is not None:
        happening.run_key, happening.root_key, happening.run_started_at = begun
    elif reservation.run_id is not None:  # it began in this very batch
        happening.run_started_at = reservation.created_at
    return happening


def _committed_body(
    state: OrganizationState, reservation: Reservation, usage: UsageRow, *, overage: int, late: bool
) -> dict[str, Any]:
    return {
        "id": reservation.id,
        "status": "committed",
        "charged": format_amount(usage.charge),
        "released": format_amount(0 if late else max(0, reservation.held - usage.charge)),
        "overage": format_amount(overage),
        "cost": format_amount(usage.cost),
        "currency": state.currency,
        "price_version": usage.price_version,
        "usage_record": usage.id,
        "credit": credit_body(state),
        "late": late,
    }


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


def takes_more(reservation: Reservation, plan: Plan, *, is_freed: bool) -> bool:
    """Return whether a commit takes more of anything than is held for it: then it may cross a threshold."""
    amounts = plan.amounts
    if is_freed or amounts.charge > reservation.held or amounts.cost > reservation.estimated_cost:
        return True
    others = set(reservation.measures) & BOOKED
    if not others:
        return False
    spent = {**amounts.by_meter(), **amounts.by_letter()}
    return any(spent[letter] > reservation.holds(letter) for letter in others)


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
            or counter.target.removeprefix(SHADOW)[:1] in (STRIKES, THRESHOLD)
        ):
            continue
        if counter.target.startswith(SHADOW) != (mode == "observe"):
            continue
        layer = Layer(budget, counter, 0, label=counter.target.removeprefix(SHADOW) or None)
        if budget.window_kind == "rolling":
            buckets = state.rolling.get((counter.budget_id, counter.target), ())
            if not any(bucket is counter for bucket in buckets):  # it no longer counts, and its marks neither
                continue
            layer.held = sum(bucket.held for bucket in buckets)
            layer.spent = sum(bucket.spent for bucket in buckets)
        elif counter.window_end is not None and counter.window_end <= state.now:
            continue
        found.append(layer)
    return found


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
    data = {**_settle_counters(state, reservation, None, freed=True), **of_run(reservation.run_id)}
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
    held = {name: amount for source, name, amount in reservation.funding if source in GRANT_SOURCES}
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
    back = {n: a - used.get(n, 0) for source, n, a in reservation.funding if source in GRANT_SOURCES}
    ended = [
        grant for grant in state.books.grants if grant.expired_at is not None and back.get(grant.id, 0) > 0
    ]
    if not ended:
        return False
    broken = [[grant.id, back[grant.id]] for grant in ended]
    amount = sum(part for _, part in broken)
    given_back = sum(broken_parts(grant, back[grant.id])[1] for grant in ended)
    take_from(ended, broken)
    state.books.credit.posted -= amount
    lines = [[accounts.credit, -amount]]
    lines += [[accounts.breakage, amount - given_back]] if amount > given_back else []
    lines += [[accounts.promotional_expense, given_back]] if given_back else []
    entry = ledger_effects.entry(
        kind="breakage",
        key=f"breakage:{reservation.id}",
        source=f"reservation:{reservation.id}",
        lines=lines,
        currency=state.currency,
    )
    ledger.setdefault("entries", []).append(entry)
    ledger["burned"] = merged(ledger.get("burned", []), broken)
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
    spent = spent_by(plan, reservation.measures) if plan is not None else {}
    loaded = state.counters_by_number
    for number, letter in zip(reservation.counters, reservation.measures, strict=True):
        counter = loaded.get(number)
        if counter is not None:
            counter.held -= free.get(letter, 0) if freed else 0
            counter.spent += spent.get(letter, 0)
    charged = plan.amounts.charge if plan is not None else 0
    state.move_run(reservation.run_id, charged - (free["c"] if freed else 0))
    part = counted(reservation.counters, reservation.measures)
    if freed:
        part["freed"] = free
    return part


def _usage_of_commit(
    state: OrganizationState, command: Commit, plan: Plan, reservation: Reservation, burn: Burn
) -> UsageRow:
    usage = usage_row(
        state, command, plan, burn, reservation.agent_id, reservation.team_id, reservation.workflow_id,
        reservation.connection_id, reservation.run_id, reservation.user_label, reservation.action,
        reservation.own_key,
    )  # fmt: skip
    usage.root_run_id = reservation.root_run_id
    usage.reservation_id = reservation.id
    return usage


def _grant_subject(reservation: Reservation) -> GrantSubject:
    return GrantSubject(
        team=reservation.team_id, agent=reservation.agent_id, workflow=reservation.workflow_id
    )
