"""What happens by itself when a subscription reaches a boundary, each dated at its own moment.

In this order where several fall on one moment: it is canceled or expires; it starts; a pause ends; a change that waits
is made; the trial or the period ends and the next one begins; credit is granted.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from billing.rules.periods import Period
from billing.rules.plans import PlanTerms
from billing.rules.subscriptions.changing import make_change, switch, switch_unpaid
from billing.rules.subscriptions.crediting import credit_blocked
from billing.rules.subscriptions.decision import Decision
from billing.rules.subscriptions.ending import finish
from billing.rules.subscriptions.fees import interval_of
from billing.rules.subscriptions.pausing import resume
from billing.rules.subscriptions.row import Subscription
from billing.rules.subscriptions.starting import activate, begin
from billing.rules.subscriptions.states import (
    CANCELED,
    EXPIRED,
    PAUSED,
    SCHEDULED,
    TRIALING,
)
from billing.rules.subscriptions.work import (
    Known,
    Work,
    begin_period,
    bill_arrears,
    end_metered,
    grant_due,
)


def decide_boundary(row: Subscription, known: Known, *, waiting: PlanTerms | None = None) -> Decision:
    """Return the subscription after its next boundary, dated at that moment; `waiting` are the terms of the change that
    waits. Raises ValueError when it has no boundary any more."""
    at = row.next_at
    if at is None:
        raise ValueError("a subscription that has ended has no boundary")
    work = Work(row, known, at)
    return work.decided(_pass(work, at, waiting))


def _pass(work: Work, at: datetime, waiting: PlanTerms | None) -> str:
    row = work.row
    if at == row.cancel_at and row.ending is not None:
        finish(work, CANCELED, credits=row.ending.credit_unused)
        return "canceled"
    if at == row.ends_at:
        finish(work, EXPIRED)
        return "expired"
    if row.status == SCHEDULED:
        begin(work)
        return "started"
    verb = "credited"
    if at == row.resumes_at:
        resume(work)
        verb = "resumed"
    if at == row.period_end:
        return _turn(work, waiting)
    if at == row.change_at and row.pending is not None and waiting is not None:
        verb = _change_at_date(work, waiting)
    grant_due(work)
    return verb


def _change_at_date(work: Work, waiting: PlanTerms) -> str:
    """In a trial it costs nothing; in a pause it waits for the next period."""
    pending = work.row.pending
    assert pending is not None
    if work.row.status == PAUSED:
        work.change(pending=replace(pending, at=None, mode="next_period"))
        return "change_deferred"
    if work.row.status == TRIALING:
        switch_unpaid(work, pending.selection, waiting)
    else:
        make_change(work, pending.selection, waiting, pending.mode)
    return "changed"


def _turn(work: Work, waiting: PlanTerms | None) -> str:
    """The trial, or the period, ends; the next period begins with what was waiting for it."""
    row = work.row
    if row.status == TRIALING:
        if row.pending is not None and waiting is not None and row.change_at == work.at:
            switch(work, row.pending.selection, waiting)
        activate(work)
        return "trial_ended"
    if row.status == PAUSED:
        credit_blocked(work, work.at)
    bill_arrears(work)
    end_metered(work)
    period = _next_period(work, waiting)
    begin_period(work, period, is_billed=work.row.status != PAUSED)
    return "renewed"


def _next_period(work: Work, waiting: PlanTerms | None) -> Period:
    row, at = work.row, work.at
    cycle = row.cycle
    if row.pending is not None and waiting is not None and row.change_at == at:
        mode = row.pending.mode
        switch(work, row.pending.selection, waiting)
        interval = interval_of(waiting)
        if mode == "reset":
            cycle = cycle.restarted(at, interval=interval)
        elif interval != row.interval:
            cycle = cycle.continued(at, interval=interval)
        work.change(
            anchor=cycle.anchor,
            anchor_day=cycle.day,
            cycle_start=cycle.starts_at,
            interval=cycle.interval,
        )
    return cycle.period_at(at)
