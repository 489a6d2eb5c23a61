"""Changing what is subscribed to: the plan, its version, quantities, add-ons (house rule 24).

`invoice` and `prorate` change now and credit what is unused, the one with an invoice now, the other on the next (of
the customer's cycle, or of the next period).
Another interval begins a new period now at the full price. `next_period` waits for the end of the period; a
subscription keeps one waiting change at most, and a new one replaces it. `reset` begins a new period now and
credits nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from typing import Final

from billing.rules.plans import PlanTerms
from billing.rules.subscriptions.allowances import without_ended
from billing.rules.subscriptions.counting import is_same_price
from billing.rules.subscriptions.crediting import credit_unused
from billing.rules.subscriptions.decision import Decision
from billing.rules.subscriptions.fees import (
    charges_of,
    checked_selection,
    interval_of,
    monthly_value,
    months_of,
    prices_of,
)
from billing.rules.subscriptions.moving import move_quantities, moving_quantities
from billing.rules.subscriptions.row import PendingChange, Selection, Subscription
from billing.rules.subscriptions.starting import activate, trial_end
from billing.rules.subscriptions.states import (
    ACTIVE,
    PAST_DUE,
    SCHEDULED,
    TRIALING,
    require_live,
    require_state,
)
from billing.rules.subscriptions.work import (
    Known,
    Work,
    begin_metered,
    begin_period,
    bill_arrears,
    bill_rest,
    end_metered,
)
from common.errors import Forbidden, InvalidField

UPGRADES: Final = ("prorate", "invoice", "next_period", "reset")
"""The modes in the order in which the customer gives more: more comes later, at once, or nothing comes back."""
DOWNGRADES: Final = ("invoice", "prorate", "next_period", "reset")


@dataclass(frozen=True, slots=True)
class Change:
    """A change that is asked for: to which selection under which terms. `mode` None: as the plan has it for an
    upgrade or a downgrade. `at`: at a date to come; None: now, or when the mode says. `is_bound`: the mode is the
    plan's, or one in which the customer gives more, and a shorter interval is a downgrade whatever it costs."""

    selection: Selection
    terms: PlanTerms
    mode: str | None = None
    at: datetime | None = None
    is_bound: bool = False


def decide_change(row: Subscription, change: Change, known: Known, *, at: datetime) -> Decision | None:
    """Return what becomes of a change at `at`: made, or waiting; None when there is nothing to change.

    The present selection again drops a change that waits. Raises InvalidTransition (ended, or paused and not for the
    next period), InvalidField, Forbidden (a mode that the plan does not leave to the customer) and what
    `checked_selection` raises.
    """
    require_live(row.status)
    work = Work(row, known, at)
    terms = work.terms_of(change.selection, change.terms)
    target = checked_selection(terms, change.selection, currency=row.currency)
    _check_date(change, at)
    if target == row.selection and change.mode != "reset":
        if row.pending is None:
            return None
        work.change(pending=None)
        return work.decided("change_dropped")
    wanted = replace(change, terms=terms)
    mode = mode_of(row, wanted, work.terms, target)
    if row.status == SCHEDULED or (row.status == TRIALING and not _waits(change, mode)):
        switch_unpaid(work, target, change.terms)
        return work.decided("changed")
    if change.is_bound:
        _require_choice(row, wanted, work.terms, target, mode)
    if _waits(change, mode):
        waiting = PendingChange(change.at, mode, target)
        if waiting == row.pending:
            return None
        work.change(pending=waiting)
        return work.decided("change_scheduled")
    require_state(row.status, ACTIVE, PAST_DUE)
    make_change(work, target, change.terms, mode)
    return work.decided("changed", mode=mode)


def with_quantities(row: Subscription, quantities: Mapping[str, Fraction]) -> Selection:
    """Return what is subscribed to with other quantities."""
    return replace(row.selection, quantities={**row.selection.quantities, **quantities})


def with_add_ons(
    row: Subscription,
    terms: PlanTerms,
    *,
    add: Collection[str],
    remove: Collection[str],
    quantities: Mapping[str, Fraction],
) -> Selection:
    """Return what is subscribed to with some add-ons more and others less. Raises InvalidField for one to remove that
    is not subscribed to."""
    missing = [key for key in remove if key not in row.selection.add_ons]
    if missing:
        raise InvalidField("The subscription has no such add-on.", pointer="/remove")
    add_ons = tuple(sorted({*row.selection.add_ons, *add} - set(remove)))
    chosen = replace(row.selection, add_ons=add_ons)
    licensed = {charge.key for charge in charges_of(terms, chosen) if charge.kind == "licensed"}
    held = {key: count for key, count in row.selection.quantities.items() if key in licensed}
    return replace(chosen, quantities={**held, **quantities})


def mode_of(row: Subscription, change: Change, terms: PlanTerms, target: Selection) -> str:
    """Return how a change is made: as it says, else as the present plan has it for upgrades and downgrades. What costs
    as much a month is no downgrade, unless who is bound would leave a term early. A change at a date waits for no
    period."""
    if change.mode is not None:
        return change.mode
    mode = terms.upgrade if _is_upgrade(row, change, terms, target) else terms.downgrade
    return "prorate" if mode == "next_period" and change.at is not None else mode


def _is_upgrade(row: Subscription, change: Change, terms: PlanTerms, target: Selection) -> bool:
    if change.is_bound and months_of(interval_of(change.terms)) < months_of(row.interval):
        return False  # a term that was paid for is not left for a shorter one as one likes
    old = monthly_value(terms, row.selection, currency=row.currency)
    return monthly_value(change.terms, target, currency=row.currency) >= old


def _require_choice(
    row: Subscription, change: Change, terms: PlanTerms, target: Selection, mode: str
) -> None:
    """The seller says what comes back when, the customer may ask for less or later. Raises Forbidden."""
    is_upgrade = _is_upgrade(row, change, terms, target)
    planned, order = (terms.upgrade, UPGRADES) if is_upgrade else (terms.downgrade, DOWNGRADES)
    if order.index(mode) < order.index(planned):
        raise Forbidden(
            f"The plan makes this change with {planned}, and only the platform with {mode}.",
            pointer="/at" if change.mode is None else "/mode",
        )


def make_change(work: Work, target: Selection, terms: PlanTerms, mode: str) -> None:
    """Change now what is subscribed to, and with it what the rest of the period costs."""
    row = work.row
    restarts = mode == "reset" or interval_of(terms) != row.interval
    if target.version == row.selection.version and not restarts:
        _change_charges(work, target, _due_at(work, mode))
        return
    due_at = work.at if restarts else _due_at(work, mode)
    bill_arrears(work)
    if mode == "reset":
        leave_allowances(work)
        end_metered(work)
    else:
        credit_unused(work, due_at=due_at)
        end_metered(work, left=_left(work, target, work.terms_of(target, terms)))
    switch(work, target, terms)
    if restarts:
        cycle = row.cycle.restarted(work.at, interval=interval_of(terms))
        work.change(anchor=cycle.anchor, anchor_day=cycle.day, cycle_start=work.at, interval=cycle.interval)
        begin_period(work, cycle.period(0))
    else:
        begin_metered(work, work.at)
        bill_rest(work, due_at=due_at)


def switch(work: Work, target: Selection, terms: PlanTerms) -> None:
    """Let the subscription be to something else from now on; nothing waits any more. Of another version the prices are
    those of this moment, of the same one those of the period's beginning."""
    is_other = target.version != work.row.selection.version
    work.known = replace(work.known, terms=terms)
    work.change(selection=target, funding=terms.funding, pending=None)
    if is_other:
        work.agree(max(work.at, work.row.starts_at))


def switch_unpaid(work: Work, target: Selection, terms: PlanTerms) -> None:
    """Do so before the first period: nothing is paid for yet. Another plan has its own trial, or none."""
    is_other = target.plan != work.row.selection.plan
    switch(work, target, terms)
    work.change(interval=interval_of(terms), metered={})
    if is_other:
        _cap_trial(work)
    if work.row.status == TRIALING:
        begin_metered(work, work.at)


def _cap_trial(work: Work) -> None:
    """Let the trial end when it would have, had the subscription begun with its plan: now, if that is over."""
    row = work.row
    had = work.known.trial_days
    days = min(row.trial_days, work.terms.trial_days if had is None else had)
    work.change(trial_days=days)
    if row.status != TRIALING or row.period_start is None or row.trial_end is None:
        return
    end = min(row.trial_end, trial_end(row.period_start, days, zone=row.zone))
    work.change(trial_end=max(end, work.at), period_end=max(end, work.at))
    if end <= work.at:
        activate(work)


def leave_allowances(work: Work) -> None:
    """Keep the credit that was granted, and forget what was only planned."""
    kept = [replace(one, closed=True) for one in work.row.allowances if one.grant is not None]
    work.change(allowances=without_ended(kept, work.at))


def _change_charges(work: Work, target: Selection, due_at: datetime) -> None:
    """Other quantities and add-ons of the same version: quantities with tiers move through them, and of the others only
    the charges that differ are credited and billed anew. The plan's credit stays, and so does the part of a fee that
    pays for it."""
    row, terms = work.row, work.terms
    old = {price.charge.key: price for price in prices_of(terms, row.selection, currency=row.currency)}
    new = {price.charge.key: price for price in prices_of(terms, target, currency=row.currency)}
    differing = {key for key in {*old, *new} if old.get(key) != new.get(key)}
    moving = moving_quantities(work, target, differing)
    anew = differing - moving.keys()
    worth = {fee.charge: fee.worth for fee in row.fees if fee.charge in anew}
    bill_arrears(work, only=anew)
    credit_unused(work, due_at=due_at, keeps_credit=worth, only=anew)
    end_metered(
        work,
        keep=[charge.key for charge in charges_of(terms, target) if charge.meter],
        left=_left(work, target, terms),
    )
    switch(work, target, work.known.terms)
    begin_metered(work, work.at)
    move_quantities(work, moving, due_at=due_at)
    bill_rest(work, due_at=due_at, only=anew, worth=worth)


def _left(work: Work, target: Selection, terms: PlanTerms) -> list[str]:
    """The metered charges whose price ends with a change: nothing subscribed to then prices their meter alike."""
    goes_on = [charge for charge in charges_of(terms, target) if charge.meter]
    if interval_of(terms) != work.row.interval:
        goes_on = []
    return [
        charge.key
        for charge in charges_of(work.terms, work.row.selection)
        if not any(is_same_price(charge, other, work.row.currency) for other in goes_on)
    ]


def _waits(change: Change, mode: str) -> bool:
    return mode == "next_period" or change.at is not None


def _due_at(work: Work, mode: str) -> datetime:
    """With `prorate` on the customer's next invoice: a year's period may end long after it."""
    dates = [date for date in (work.row.period_end, work.known.next_cycle) if date is not None]
    return min(dates) if mode == "prorate" and dates else work.at


def _check_date(change: Change, at: datetime) -> None:
    if change.at is None:
        return
    if change.at <= at:
        raise InvalidField("A change at a date lies in the future.", pointer="/at")
    if change.mode == "next_period":
        raise InvalidField("A change for the next period names no date.", pointer="/at")
