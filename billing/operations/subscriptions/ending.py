"""Canceling a subscription and taking that back; pausing and resuming; falling behind and recovering."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from billing.operations.subscriptions.opening import Opened, open_subscription
from billing.operations.subscriptions.recording import record_decision
from billing.rules.subscriptions import pausing
from billing.rules.subscriptions.decision import Decision
from billing.rules.subscriptions.ending import (
    decide_cancel_later,
    decide_cancel_now,
    decide_uncancel,
)
from billing.rules.subscriptions.row import Ending, Subscription
from events.store import Cursor
from orgs.operations.facts import Author

WHEN = ("now", "period_end", "at")


@dataclass(frozen=True, slots=True)
class Cancellation:
    """When a subscription is to end: "now", at "period_end", or "at" a date; and whether what is unused is credited."""

    when: str = "period_end"
    at: datetime | None = None
    credit_unused: bool = False
    reason: str = ""


def cancel_subscription(
    cur: Cursor, organization: UUID, subscription: UUID, wanted: Cancellation, *, author: Author
) -> Subscription:
    """This function will end a subscription now, or let it end later; another cancellation that waits is replaced.

    Raises NotFound, InvalidTransition (it has ended), InvalidField (a date that is not to come) and
    OrganizationClosed.
    """

    def decide(opened: Opened) -> Decision | None:
        row, known, now = opened.row, opened.known, opened.locked.now
        if wanted.when == "now":
            return decide_cancel_now(
                row, known, at=now, credit_unused_part=wanted.credit_unused, reason=wanted.reason
            )
        ending = Ending(wanted.at, wanted.credit_unused, wanted.reason)
        return decide_cancel_later(row, known, ending, at=now)

    return _decided(cur, organization, subscription, decide, author)


def uncancel_subscription(
    cur: Cursor, organization: UUID, subscription: UUID, *, author: Author
) -> Subscription:
    """This function will let a subscription go on whose cancellation waits. Raises NotFound, InvalidTransition and
    OrganizationClosed."""
    return _decided(
        cur,
        organization,
        subscription,
        lambda opened: decide_uncancel(opened.row, opened.known, at=opened.locked.now),
        author,
    )


def pause_subscription(
    cur: Cursor,
    organization: UUID,
    subscription: UUID,
    *,
    resumes_at: datetime | None = None,
    author: Author,
) -> Subscription:
    """This function will pause an active subscription until it is resumed, or `resumes_at`. Raises NotFound,
    InvalidTransition, InvalidField (a date that is not to come) and OrganizationClosed."""
    return _decided(
        cur,
        organization,
        subscription,
        lambda opened: pausing.decide_pause(
            opened.row, opened.known, at=opened.locked.now, resumes_at=resumes_at
        ),
        author,
    )


def resume_subscription(
    cur: Cursor, organization: UUID, subscription: UUID, *, author: Author
) -> Subscription:
    """This function will end a pause: what was not billed meanwhile is billed from now on. Raises NotFound,
    InvalidTransition and OrganizationClosed."""
    return _decided(
        cur,
        organization,
        subscription,
        lambda opened: pausing.decide_resume(opened.row, opened.known, at=opened.locked.now),
        author,
    )


def mark_past_due(cur: Cursor, organization: UUID, subscription: UUID, *, author: Author) -> Subscription:
    """This function will note that an invoice of a subscription is overdue; what that means for its benefits is
    dunning's matter, and repeated it changes nothing. Raises NotFound, InvalidTransition and OrganizationClosed."""
    return _decided(
        cur,
        organization,
        subscription,
        lambda opened: pausing.decide_past_due(opened.row, opened.known, at=opened.locked.now),
        author,
    )


def mark_recovered(cur: Cursor, organization: UUID, subscription: UUID, *, author: Author) -> Subscription:
    """This function will note that nothing is overdue any more; repeated it changes nothing. Raises NotFound,
    InvalidTransition and OrganizationClosed."""
    return _decided(
        cur,
        organization,
        subscription,
        lambda opened: pausing.decide_recover(opened.row, opened.known, at=opened.locked.now),
        author,
    )


def _decided(
    cur: Cursor,
    organization: UUID,
    subscription: UUID,
    decide: Callable[[Opened], Decision | None],
    author: Author,
) -> Subscription:
    opened = open_subscription(cur, organization, subscription)
    decision = decide(opened)
    record_decision(cur, opened.locked, decision, before=opened.row, author=author)
    return opened.row if decision is None else decision.row
