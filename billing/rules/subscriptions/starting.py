"""Starting a subscription, now or at a date to come; a trial, and what follows it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from billing.rules.agreed import agreed_at, priced
from billing.rules.periods import Cycle
from billing.rules.subscriptions.couponing import coupon_of, redeemed
from billing.rules.subscriptions.decision import Decision
from billing.rules.subscriptions.fees import checked_selection, interval_of
from billing.rules.subscriptions.row import Redemption, Selection, Subscription
from billing.rules.subscriptions.states import ACTIVE, SCHEDULED, TRIALING, require_follower
from billing.rules.subscriptions.work import Known, Work, begin_metered, begin_period
from common.errors import InvalidField, InvalidPeriod
from common.localtime import boundary_instant, local_time


@dataclass(frozen=True, slots=True)
class NewSubscription:
    """What a subscription is to be. `anchor`: a local wall time that one boundary falls on; None: that of the start, or
    of the trial's end. `starts_at` None: now. `ends_at`: when it expires by itself."""

    id: UUID
    organization: UUID
    currency: str
    selection: Selection
    zone: str
    trial_days: int = 0
    starts_at: datetime | None = None
    anchor: datetime | None = None
    ends_at: datetime | None = None
    coupons: tuple[Redemption, ...] = ()


def decide_start(new: NewSubscription, known: Known, *, at: datetime) -> Decision:
    """Return the subscription that starts at `at`, or is scheduled to start later.

    Raises InvalidField (a start in the past), InvalidPeriod (it would end before it starts), CurrencyMismatch, and what
    `checked_selection` raises.
    """
    if new.starts_at is not None and new.starts_at < at:
        raise InvalidField("A subscription does not start in the past.", pointer="/start_at")
    starts_at = new.starts_at or at
    if new.ends_at is not None and new.ends_at <= starts_at:
        raise InvalidPeriod(pointer="/ends_at")
    agreed = agreed_at(known.agreed, new.selection.plan, starts_at, by=at)
    selection = checked_selection(priced(known.terms, agreed), new.selection, currency=new.currency)
    row = replace(_scheduled(new, selection, known, starts_at, at), agreed=agreed)
    work = Work(row, known, at)
    work.change(coupons=_redeemed(new.coupons, new.currency))
    if starts_at > at:
        return work.decided("scheduled")
    begin(work)
    return work.decided("started")


def begin(work: Work) -> None:
    """Let a scheduled subscription begin now: with its trial, or with its first period."""
    row, at = work.row, work.at
    if row.trial_days == 0:
        activate(work)
        return
    require_follower(row.status, TRIALING)
    end = trial_end(at, row.trial_days, zone=row.zone)
    work.change(status=TRIALING, trial_end=end, period_start=at, period_end=end)
    begin_metered(work, at)


def trial_end(start: datetime, days: int, *, zone: str) -> datetime:
    """Return when a trial of so many days ends that began at `start`: at the same local time."""
    return boundary_instant(local_time(start, zone=zone) + timedelta(days=days), zone=zone)


def activate(work: Work) -> None:
    """Begin the first period that is paid for, now: the anchor is that of the subscription, else this moment.

    What was metered in a trial is not billed.
    """
    row, at = work.row, work.at
    require_follower(row.status, ACTIVE)
    anchor = row.anchor or local_time(at, zone=row.zone)
    cycle = Cycle(anchor, interval_of(work.terms), row.zone, starts_at=at)
    work.change(status=ACTIVE, anchor=anchor, cycle_start=at, interval=cycle.interval, metered={})
    begin_period(work, cycle.period(0))


def _scheduled(
    new: NewSubscription, selection: Selection, known: Known, starts_at: datetime, at: datetime
) -> Subscription:
    return Subscription(
        id=new.id,
        organization=new.organization,
        status=SCHEDULED,
        currency=new.currency,
        funding=known.terms.funding,
        selection=selection,
        zone=new.zone,
        starts_at=starts_at,
        interval=interval_of(known.terms),
        anchor=new.anchor,
        anchor_day=None,
        cycle_start=None,
        trial_days=new.trial_days,
        trial_end=None,
        period_start=None,
        period_end=None,
        fees=(),
        allowances=(),
        metered={},
        set_up=(),
        coupons=(),
        pending=None,
        ending=None,
        ends_at=new.ends_at,
        paused_at=None,
        resumes_at=None,
        blocks=(),
        ended_at=None,
        version=0,
        created_at=at,
    )


def _redeemed(coupons: Iterable[Redemption], currency: str) -> tuple[Redemption, ...]:
    found: tuple[Redemption, ...] = ()
    for one in coupons:
        coupon_of(one, currency=currency)
        found = redeemed(found, one)
    return found
