"""Pausing and resuming, and falling behind with a payment.

A pause costs nothing new: a period that begins in it is not billed; resuming bills the rest of it. What was paid before
the pause is credited for the blocked days only where the plan has `credit_blocked_time` (house rule 26).
"""

from datetime import datetime

from billing.rules.subscriptions.crediting import credit_blocked
from billing.rules.subscriptions.decision import Decision
from billing.rules.subscriptions.row import Subscription
from billing.rules.subscriptions.states import (
    ACTIVE,
    PAST_DUE,
    PAUSED,
    require_follower,
    require_live,
    require_state,
)
from billing.rules.subscriptions.work import Known, Work, bill_rest
from common.errors import InvalidField


def decide_pause(
    row: Subscription, known: Known, *, at: datetime, resumes_at: datetime | None = None
) -> Decision:
    """Return the subscription as it is paused, until it is resumed or `resumes_at`. Raises InvalidTransition unless it
    is active, and InvalidField for a date that is not to come."""
    require_live(row.status)
    require_follower(row.status, PAUSED)
    if resumes_at is not None and resumes_at <= at:
        raise InvalidField("A pause ends in the future.", pointer="/resumes_at")
    work = Work(row, known, at)
    work.change(status=PAUSED, paused_at=at, resumes_at=resumes_at)
    return work.decided("paused")


def decide_resume(row: Subscription, known: Known, *, at: datetime) -> Decision:
    """Return the subscription as it goes on. Raises InvalidTransition unless it is paused."""
    require_live(row.status)
    require_state(row.status, PAUSED)
    work = Work(row, known, at)
    resume(work)
    return work.decided("resumed")


def resume(work: Work) -> None:
    """End the pause now: what was blocked is credited, what was not billed is billed from now on."""
    row = work.row
    assert row.paused_at is not None and row.period_start is not None
    credit_blocked(work, work.at)
    work.change(status=ACTIVE, paused_at=None, resumes_at=None)
    if row.paused_at < row.period_start and work.row.period_end != work.at:
        bill_rest(work, due_at=work.at)


def decide_past_due(row: Subscription, known: Known, *, at: datetime) -> Decision | None:
    """Return the subscription as one of which an invoice is overdue; None when it is that already. It goes on.
    Raises InvalidTransition."""
    return _standing(row, known, PAST_DUE, "past_due", at)


def decide_recover(row: Subscription, known: Known, *, at: datetime) -> Decision | None:
    """Return the subscription as one with nothing overdue any more; None when it is active. Raises InvalidTransition
    for one that is not past due."""
    if row.status != ACTIVE:
        require_state(row.status, PAST_DUE)
    return _standing(row, known, ACTIVE, "recovered", at)


def _standing(row: Subscription, known: Known, status: str, verb: str, at: datetime) -> Decision | None:
    if row.status == status:
        return None
    require_live(row.status)
    require_follower(row.status, status)
    work = Work(row, known, at)
    work.change(status=status)
    return work.decided(verb)
