"""What is done with a case next, and what it is after that: the one machine that everybody's commands go through (S95).

Each function returns the case after one fact, with that fact. Who calls them holds the organization's lock, does what
the fact means (asks for money, cancels, tells the gate), and asks `next_action` until there is none.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from billing.rules.dunning import campaigns
from billing.rules.dunning.campaigns import Campaign, first_due
from billing.rules.dunning.case import BELOW_THRESHOLD, BY_FINANCE, SETTLED, STREAM, Case, after, fact
from billing.rules.dunning.declines import is_hard
from billing.rules.dunning.policy import LEADS_TO, NOTIFY, RETRY, Policy, moment_of
from billing.rules.dunning.states import (
    CANCELED,
    CLOSED,
    GRACE,
    PAST_DUE,
    SUSPENDED,
    TRANSITIONS,
    WRITTEN_OFF,
    require_transition,
)
from billing.rules.payments.views import Failure
from common.errors import InvalidField, InvalidTransition
from orgs.rules.facts import Fact, time_text

TIMER, PAYMENT, METHOD, INVOICE, FINANCE = "timer", "payment", "payment_method", "invoice", "finance"
TRIGGERS: Final = (TIMER, PAYMENT, METHOD, INVOICE, FINANCE)
BETWEEN_RETRIES: Final = timedelta(hours=23)
"""A retry that comes sooner after the last one, as after a standstill, is taken to have its outcome."""
NOTICE_OF: Final = {PAST_DUE: "past_due", GRACE: "grace", SUSPENDED: "suspended", CANCELED: "canceled"}
"""What the customer is told in which state; of a write-off nothing."""
RECOVERED: Final = "recovered"
REMINDER: Final = "reminder"
Turned = tuple[Case, Fact]


@dataclass(frozen=True, slots=True)
class Action:
    """What is to be done with a case now: `retry`, `notify`, `move` to `target`, `skip` a step (`why`), `stop_waiting`
    for an outcome, `end_exemption`, or the `attempt` of a campaign in `currency` (with `why`: nothing is asked for).
    `due_at` is when it was due, however late it is."""

    kind: str
    due_at: datetime
    target: str | None = None
    why: str | None = None
    currency: str | None = None


def opened(
    *,
    identifier: UUID,
    organization: UUID,
    policy: tuple[UUID | None, int, Policy],
    zone: str,
    anchor_at: datetime,
    invoices: Sequence[UUID],
    now: datetime,
    trigger: str,
    reached: Collection[str] = (),
) -> Turned:
    """Return the case of a customer whose first invoice is overdue since `anchor_at`, with the policy of that invoice
    (id, number and document) frozen; by overdue balance with campaigns for the currencies that `reached` thresholds."""
    case = Case(
        identifier, organization, PAST_DUE, *policy, zone, anchor_at, now, now, tuple(invoices), version=1
    )
    case = replace(case, campaigns=_campaigns(case, reached, now=now, trigger=trigger))
    told = {"notice": NOTICE_OF[PAST_DUE], **_begun_and_ended((), case.campaigns)}
    return case, fact(case, "opened", at=now, trigger=trigger, **told)


def joined(
    case: Case, invoices: Sequence[UUID], *, now: datetime, trigger: str, reached: Collection[str] = ()
) -> Turned:
    """Return the case with further overdue invoices: its steps go on as they are, and it ends with the last of them. By
    overdue balance a campaign begins for each further currency that `reached` its threshold."""
    on = _campaigns(case, reached, now=now, trigger=trigger)
    done = after(case, invoices=(*case.invoices, *invoices), campaigns=on)
    told = {"joined": [str(each) for each in invoices], **_begun_and_ended(case.campaigns, on)}
    return done, fact(done, "joined", at=now, trigger=trigger, **told)


def recounted(case: Case, reached: Collection[str], *, now: datetime, trigger: str) -> Turned | None:
    """Return the case with campaigns for just these currencies; None where it has them already."""
    on = _campaigns(case, reached, now=now, trigger=trigger)
    if on == case.campaigns:
        return None
    done = after(case, campaigns=on)
    told = _begun_and_ended(case.campaigns, on)
    return done, fact(done, "campaigns_changed", at=now, trigger=trigger, **told)


def _campaigns(case: Case, reached: Collection[str], *, now: datetime, trigger: str) -> tuple[Campaign, ...]:
    """What was given up is asked for no more."""
    if not case.policy.is_by_balance or case.state == WRITTEN_OFF:
        return ()
    return campaigns.carried_on(
        case.campaigns, reached, now=now, zone=case.zone, has_just_failed=trigger == PAYMENT
    )


def _begun_and_ended(before: Sequence[Campaign], on: Sequence[Campaign]) -> dict[str, Any]:
    had, has = ({each.currency for each in some} for some in (before, on))
    return {"began": sorted(has - had) or None, "ended": sorted(had - has) or None}


def next_action(case: Case, now: datetime) -> Action | None:
    """Return what is due by now, one thing at a time and in the order of the dates; None: nothing. While an exemption
    runs no step is taken. An attempt of a campaign waits for no outcome, and comes before what escalates."""
    if not case.is_open:
        return None
    if case.exempt_until is not None and case.exempt_until <= now:
        return Action("end_exemption", case.exempt_until)
    if case.pending and (waits := case.waits_until or now) <= now:
        return Action("stop_waiting", waits)
    if case.exempt_until is None and (attempt := _attempt(case, now)) is not None:
        return attempt
    due = case.next_step_at
    if case.pending or due is None or due > now or case.exempt_until is not None:
        return None
    return _step(case, due, now)


def _attempt(case: Case, now: datetime) -> Action | None:
    first = first_due(case.campaigns)
    if first is None or first.next_at is None or first.next_at > now:
        return None
    return Action("attempt", first.next_at, why=_needless(case, first.asked_at, now), currency=first.currency)


def _step(case: Case, due: datetime, now: datetime) -> Action:
    action = case.policy.steps[case.step].action
    if action == RETRY:
        why = _needless(case, case.asked_at, now)
        return Action("retry", due) if why is None else Action("skip", due, why=why)
    if action == NOTIFY:
        return Action("notify", due)
    target = LEADS_TO[action]
    if target in TRANSITIONS[case.state]:
        return Action("move", due, target)
    return Action("skip", due, why=f"is_{case.state}")


def _needless(case: Case, asked_at: datetime | None, now: datetime) -> str | None:
    if case.is_hard:
        return "hard_decline"
    if asked_at is not None and now - asked_at < BETWEEN_RETRIES:
        return "asked_just_now"
    return None


def asked(
    case: Case,
    under_way: Mapping[UUID, datetime],
    *,
    now: datetime,
    trigger: str,
    due_at: datetime | None = None,
    is_step: bool = True,
) -> Turned:
    """Return the case after money was asked for: `under_way` are the invoices whose payment is, with when each was
    asked for; none where there is nothing to ask with.

    Each is waited for until `retry_wait_hours` after that: what was under way before begins no new wait. Once the next
    step is due and was asked for, nothing holds it up longer than that after its own date, whatever is asked for
    meanwhile. A new method whose turn has not come (`wants_retry`) is asked when what was under way before has failed.
    """
    wait = timedelta(hours=case.policy.retry_wait_hours)
    until = max(under_way.values(), default=now) + wait
    due = case.next_step_at
    if not is_step and due is not None and case.asked_at is not None and case.asked_at >= due:
        until = min(until, due + wait)
    pending = tuple(each for each, at in under_way.items() if until > now and at + wait > now)
    was_under_way = any(at < now for at in under_way.values())
    times = [at for at in (case.asked_at, *under_way.values()) if at is not None]
    done = after(
        case,
        step=case.step + is_step,
        pending=pending,
        waits_until=until if pending else None,
        asked_at=max(times, default=None),
        is_hard=case.is_hard and is_step,
        wants_retry=was_under_way and (case.wants_retry or not is_step),
        campaigns=campaigns.asked_for(case.campaigns, now=max(under_way.values()))
        if under_way
        else case.campaigns,
    )
    verb = "retried" if any(at >= now for at in under_way.values()) else "retry_skipped"
    why = "is_under_way" if under_way else "nothing_to_collect_with"
    told = {"due_at": time_text(due_at), "why": why if verb == "retry_skipped" else None}
    return done, fact(done, verb, at=now, trigger=trigger, **told)


def attempted(
    case: Case, action: Action, under_way: Mapping[UUID, datetime], *, now: datetime, trigger: str
) -> Turned:
    """Return the case after an attempt of a campaign: `under_way` as in `asked`, of that currency's invoices.

    What is under way of other currencies stays so. What escalates waits for all of it; once it is due no further
    attempt holds it up longer.
    """
    wait = timedelta(hours=case.policy.retry_wait_hours)
    due = case.next_step_at
    until = max((at + wait for at in under_way.values()), default=now)
    if case.pending and case.waits_until is not None:
        is_held_up = due is not None and due <= now
        until = case.waits_until if is_held_up else max(until, case.waits_until)
    fresh = (each for each, at in under_way.items() if at + wait > now)
    pending = tuple(dict.fromkeys((*case.pending, *fresh))) if until > now else ()
    is_asked = any(at >= now for at in under_way.values())
    done = after(
        case,
        campaigns=tuple(
            campaigns.attempted(each, case.policy, now=now, zone=case.zone, is_asked=is_asked)
            if each.currency == action.currency
            else each
            for each in case.campaigns
        ),
        pending=pending,
        waits_until=until if pending else None,
        asked_at=max((at for at in (case.asked_at, *under_way.values()) if at is not None), default=None),
    )
    why = action.why or ("is_under_way" if under_way else "nothing_to_collect_with")
    told = {
        "due_at": time_text(action.due_at),
        "currency": action.currency,
        "attempt": next(each.attempts for each in done.campaigns if each.currency == action.currency),
        "why": None if is_asked else why,
    }
    return done, fact(done, "retried" if is_asked else "retry_skipped", at=now, trigger=trigger, **told)


def skipped(case: Case, action: Action, *, now: datetime, trigger: str) -> Turned:
    """Return the case past a step that had nothing to do."""
    done = after(case, step=case.step + 1)
    verb = "retry_skipped" if case.policy.steps[case.step].action == RETRY else "step_skipped"
    return done, fact(done, verb, at=now, trigger=trigger, due_at=time_text(action.due_at), why=action.why)


def reminded(case: Case, action: Action, *, now: datetime, trigger: str) -> Turned:
    """Return the case past a notice between the stages."""
    done = after(case, step=case.step + 1)
    notice = f"{REMINDER}_{case.step + 1}"
    return done, fact(
        done, "reminded", at=now, trigger=trigger, due_at=time_text(action.due_at), notice=notice
    )


def moved(
    case: Case,
    target: str,
    *,
    now: datetime,
    trigger: str,
    due_at: datetime | None = None,
    reason: str | None = None,
    is_settled: bool = False,
    is_below: bool = False,
) -> Turned:
    """Return the case in another state; with `due_at` by the step that is due. What is closed waits for nothing:
    `is_settled` because everything is, `is_below` because no balance is at its threshold, else because finance lets it
    be. Raises InvalidTransition for what is not in the table."""
    require_transition(case.state, target)
    changes: dict[str, Any] = {"state": target, "changed_at": now, "step": case.step + (due_at is not None)}
    notice = NOTICE_OF.get(target)
    if target in (CLOSED, WRITTEN_OFF):
        changes["campaigns"] = ()
    if target == CLOSED:
        changes |= {
            "closed_at": now,
            "closing": SETTLED if is_settled else BELOW_THRESHOLD if is_below else BY_FINANCE,
            "pending": (),
            "waits_until": None,
            "wants_retry": False,
            "exempt_until": None,
            "extended_until": None,
        }
        notice = RECOVERED if is_settled else None
    done = after(case, **changes)
    told = {"from": case.state, "due_at": time_text(due_at), "reason": reason, "notice": notice}
    return done, fact(done, target, at=now, trigger=trigger, **told)


def failed(case: Case, invoice: UUID, failure: Failure, *, now: datetime, trigger: str) -> Turned:
    """Return the case after a payment of one of its invoices failed: what it waited for has come."""
    pending = tuple(each for each in case.pending if each != invoice)
    told = {"invoice": str(invoice), "code": failure.code, "decline_code": failure.decline_code}
    done = after(
        case,
        pending=pending,
        waits_until=case.waits_until if pending else None,
        failures=case.failures + 1,
        failure={**told, "at": time_text(now)},
        is_hard=is_hard(failure) and not case.wants_retry,
    )
    return done, fact(done, "payment_failed", at=now, trigger=trigger, failed_invoice=str(invoice))


def outcomes_in(case: Case, unpaid: Collection[UUID], *, now: datetime, trigger: str) -> Turned | None:
    """Return the case that waits for no invoice that is settled; None where it does not anyway."""
    pending = tuple(each for each in case.pending if each in unpaid)
    if pending == case.pending:
        return None
    done = after(case, pending=pending, waits_until=case.waits_until if pending else None)
    return done, fact(done, "partly_settled", at=now, trigger=trigger)


def waited(case: Case, action: Action, *, now: datetime, trigger: str) -> Turned:
    """Return the case after an outcome did not come in time: its steps go on; one that comes late still counts."""
    done = after(case, pending=(), waits_until=None)
    return done, fact(done, "outcome_missing", at=now, trigger=trigger, due_at=time_text(action.due_at))


def method_noted(case: Case, *, now: datetime, trigger: str) -> Turned:
    """Return the case that asks again with a new method as soon as what is under way has failed."""
    done = after(case, wants_retry=True, is_hard=False)
    return done, fact(done, "method_noted", at=now, trigger=trigger)


def extended(case: Case, days: int, reason: str, *, now: datetime) -> Turned:
    """Return the case whose further steps come `days` later. Raises InvalidField and InvalidTransition."""
    _require_worse_to_come(case, days)
    running = _days_left(case.extended_until, now)
    if running + days > case.policy.longest_exemption_days:
        raise InvalidField(_most(case), pointer="/days")
    until = moment_of(days, anchor=max(case.extended_until or now, now), zone=case.zone)
    later = campaigns.put_off(case.campaigns, days, zone=case.zone)
    done = after(case, shift_days=case.shift_days + days, extended_until=until, campaigns=later)
    return done, fact(done, "extended", at=now, trigger=FINANCE, reason=reason, days=days)


def exempted(case: Case, days: int, reason: str, *, now: datetime) -> Turned:
    """Return the case that means nothing for `days`: the gate is open, and every step comes so much later.

    Raises InvalidField, and InvalidTransition for one that is closed, written off or exempt already.
    """
    _require_worse_to_come(case, days, is_exemption=True)
    if case.exempt_until is not None:
        raise InvalidTransition("An exemption runs already.")
    until = moment_of(days, anchor=now, zone=case.zone)
    later = campaigns.put_off(case.campaigns, days, zone=case.zone)
    done = after(case, shift_days=case.shift_days + days, exempt_until=until, campaigns=later)
    return done, fact(done, "exempted", at=now, trigger=FINANCE, reason=reason, days=days)


def exemption_ended(case: Case, *, now: datetime, trigger: str, reason: str | None = None) -> Turned:
    """Return the case that means again what it meant. Raises InvalidTransition without an exemption."""
    if case.exempt_until is None:
        raise InvalidTransition("No exemption runs.")
    due = time_text(case.exempt_until)
    done = after(case, exempt_until=None)
    return done, fact(done, "exemption_ended", at=now, trigger=trigger, due_at=due, reason=reason)


def _require_worse_to_come(case: Case, days: int, *, is_exemption: bool = False) -> None:
    allowed = (PAST_DUE, GRACE, SUSPENDED, CANCELED) if is_exemption else (PAST_DUE, GRACE, SUSPENDED)
    if case.state not in allowed:
        raise InvalidTransition(f"There is nothing to put off for a case that is {case.state}.")
    if not 1 <= days <= case.policy.longest_exemption_days:
        raise InvalidField(_most(case), pointer="/days")


def _days_left(until: datetime | None, now: datetime) -> int:
    return 0 if until is None or until <= now else -(-(until - now) // timedelta(days=1))


def _most(case: Case) -> str:
    return f"From 1 to {case.policy.longest_exemption_days} days from now, by the case's policy."


__all__ = ["STREAM", "WRITTEN_OFF", "Action", "Turned", "next_action"]
