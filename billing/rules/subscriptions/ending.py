"""Canceling a subscription now, at the end of its period or at a date; taking that back; and coupons."""

from datetime import datetime

from billing.rules.subscriptions.changing import leave_allowances
from billing.rules.subscriptions.couponing import coupon_of, redeemed
from billing.rules.subscriptions.crediting import credit_blocked, credit_unused
from billing.rules.subscriptions.decision import Decision
from billing.rules.subscriptions.row import Ending, Redemption, Subscription
from billing.rules.subscriptions.states import (
    CANCELED,
    SCHEDULED,
    TRIALING,
    require_follower,
    require_live,
)
from billing.rules.subscriptions.work import (
    Known,
    Work,
    bill_arrears,
    end_metered,
)
from common.errors import InvalidField, InvalidTransition


def decide_cancel_now(
    row: Subscription, known: Known, *, at: datetime, credit_unused_part: bool = False, reason: str = ""
) -> Decision:
    """Return the subscription as it ends now. What is unused of it is credited only if that is asked for; the day of
    the end counts as used where days are counted (house rule 22). Raises InvalidTransition."""
    require_live(row.status)
    work = Work(row, known, at)
    finish(work, CANCELED, credits=credit_unused_part)
    return work.decided("canceled", reason=reason)


def decide_cancel_later(row: Subscription, known: Known, ending: Ending, *, at: datetime) -> Decision | None:
    """Return the subscription as it will be canceled, at the end of its period or trial, or at a date; None when that
    was asked for already. Raises InvalidTransition, and InvalidField for a date that is not to come."""
    require_live(row.status)
    if ending.at is not None and ending.at <= at:
        raise InvalidField("A cancellation at a date lies in the future.", pointer="/at")
    if row.status == SCHEDULED and ending.at is None:
        raise InvalidTransition("The subscription has no period yet; cancel it now, or at a date.")
    if ending == row.ending:
        return None
    work = Work(row, known, at)
    work.change(ending=ending)
    return work.decided("cancellation_scheduled")


def decide_uncancel(row: Subscription, known: Known, *, at: datetime) -> Decision:
    """Return the subscription as it goes on after all. Raises InvalidTransition when no cancellation waits."""
    require_live(row.status)
    if row.ending is None:
        raise InvalidTransition("No cancellation waits.")
    work = Work(row, known, at)
    work.change(ending=None)
    return work.decided("uncanceled")


def decide_coupon(row: Subscription, known: Known, coupon: Redemption, *, at: datetime) -> Decision:
    """Return the subscription with a coupon for the periods that begin from now on; what is billed stays as it is.

    Raises InvalidTransition (ended, or it has this coupon) and CurrencyMismatch.
    """
    require_live(row.status)
    coupon_of(coupon, currency=row.currency)
    work = Work(row, known, at)
    work.change(coupons=redeemed(row.coupons, coupon))
    return work.decided("coupon_applied", coupon=coupon.key)


def finish(work: Work, status: str, *, credits: bool = False) -> None:
    """End the subscription now: what is owed in arrears is billed, metered periods end, the period is cut off."""
    row = work.row
    require_follower(row.status, status)
    if row.status in (SCHEDULED, TRIALING):
        work.change(metered={})
    else:
        _settle(work, credits)
    leave_allowances(work)
    end = row.period_end
    work.change(
        status=status,
        ended_at=work.at,
        period_end=None if end is None else min(end, work.at),
        fees=(),
        pending=None,
        ending=None,
        paused_at=None,
        resumes_at=None,
    )


def _settle(work: Work, credits: bool) -> None:
    is_inside = work.row.period_end is not None and work.at < work.row.period_end
    if work.row.paused_at is not None:
        credit_blocked(work, work.at)
    bill_arrears(work, day_is_used=is_inside)
    end_metered(work, left=work.row.metered if credits else ())
    if credits and is_inside:
        credit_unused(work, due_at=work.at, day_is_used=True)
