"""What a policy would do to a customer that does not pay, worked out by the machine itself before it is saved. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from billing.rules.dunning import machine
from billing.rules.dunning.case import Case, consequence_of
from billing.rules.dunning.machine import PAYMENT, TIMER, Action, Turned
from billing.rules.dunning.policy import Policy, moment_of
from billing.rules.dunning.states import CLOSED
from billing.rules.payments.views import Failure
from common.localtime import local_time

_NOBODY: Final = UUID(int=0)
_SOFT: Final = Failure("card_declined", "insufficient_funds")
_HARD: Final = Failure("card_declined", "lost_card")


@dataclass(frozen=True, slots=True)
class Moment:
    """What happens when, with the state and what the gate obeys after it. `notice`: what the customer is told;
    `currency` and `attempt`: of a campaign."""

    at: datetime
    day: int
    event: str
    state: str
    standing: str
    notice: str | None
    why: str | None
    currency: str | None = None
    attempt: int | None = None


def timeline(
    policy: Policy,
    *,
    due_at: datetime,
    zone: str,
    is_hard: bool = False,
    paid_on_day: int | None = None,
    overdue: Mapping[str, int] | None = None,
) -> list[Moment]:
    """Return everything that a policy does for an invoice due at `due_at` in a zone, if every retry fails at once
    (`is_hard`: by a hard decline), until it is paid on a day, which comes before that day's steps.

    One by overdue balance is asked of these balances (`overdue`, in units by currency; None: every currency is at its
    threshold), which stay: without one at its threshold nothing happens.
    """
    reached = policy.reached(dict(policy.thresholds) if overdue is None else overdue)
    if policy.is_by_balance and not reached:
        return []
    paid_at = None if paid_on_day is None else moment_of(paid_on_day, anchor=due_at, zone=zone)
    case, made = machine.opened(
        identifier=_NOBODY,
        organization=_NOBODY,
        policy=(None, 0, policy),
        zone=zone,
        anchor_at=due_at,
        invoices=[_NOBODY],
        now=due_at,
        trigger=TIMER,
        reached=reached,
    )
    told = [_moment(case, (case, made), due_at)]
    while (now := case.next_at) is not None and (paid_at is None or now < paid_at):
        while (action := machine.next_action(case, now)) is not None:
            for turned in _turns(case, action, now, _HARD if is_hard else _SOFT):
                case = turned[0]
                told.append(_moment(case, turned, now))
    if paid_at is not None:
        turned = machine.moved(case, CLOSED, now=paid_at, trigger=PAYMENT, is_settled=True)
        told.append(_moment(turned[0], turned, paid_at))
    return told


def _turns(case: Case, action: Action, now: datetime, failure: Failure) -> list[Turned]:
    if action.kind == "attempt" and action.why is not None:
        return [machine.attempted(case, action, {}, now=now, trigger=TIMER)]
    if action.kind in ("retry", "attempt"):
        under_way = {_NOBODY: now}
        asked = (
            machine.asked(case, under_way, now=now, trigger=TIMER, due_at=action.due_at)
            if action.kind == "retry"
            else machine.attempted(case, action, under_way, now=now, trigger=TIMER)
        )
        return [asked, machine.failed(asked[0], _NOBODY, failure, now=now, trigger=PAYMENT)]
    if action.kind == "notify":
        return [machine.reminded(case, action, now=now, trigger=TIMER)]
    if action.kind == "move" and action.target is not None:
        return [machine.moved(case, action.target, now=now, trigger=TIMER, due_at=action.due_at)]
    return [machine.skipped(case, action, now=now, trigger=TIMER)]


def _moment(case: Case, turned: Turned, at: datetime) -> Moment:
    said = turned[1].data
    first, today = (local_time(moment, zone=case.zone).date() for moment in (case.anchor_at, at))
    day = (today - first).days
    standing = consequence_of(case).standing
    more = (said.get(name) for name in ("notice", "why", "currency", "attempt"))
    return Moment(at, day, turned[1].verb, case.state, standing, *more)
