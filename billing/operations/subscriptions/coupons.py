"""Redeeming a coupon for a subscription."""

from dataclasses import replace
from uuid import UUID

from billing.operations.coupons import redeem_coupon
from billing.operations.subscriptions.opening import open_subscription
from billing.operations.subscriptions.recording import record_decision
from billing.queries.coupons import find_coupon
from billing.queries.subscriptions import had_coupon
from billing.rules.couponterms import CouponNotRedeemable
from billing.rules.subscriptions.couponing import kept_redemption
from billing.rules.subscriptions.ending import decide_coupon
from billing.rules.subscriptions.row import Redemption, Subscription
from common.errors import NotFound
from events.store import Cursor
from orgs.operations.facts import Author
from orgs.rules.rows import LockedOrganization


def apply_coupon(
    cur: Cursor,
    organization: UUID,
    subscription: UUID,
    code: str,
    *,
    is_bound: bool = False,
    author: Author,
) -> Subscription:
    """This function will redeem a coupon for the periods that begin from now on; what is billed stays as it is.

    Who `is_bound` redeems it for one of the organization's subscriptions only. Raises NotFound, CouponNotRedeemable,
    InvalidTransition (the subscription has ended) and OrganizationClosed.
    """
    opened = open_subscription(cur, organization, subscription)
    kept = redeem(
        cur,
        opened.locked,
        code,
        subscription=subscription,
        pointer="/coupon",
        is_bound=is_bound,
        author=author,
    )
    decision = decide_coupon(opened.row, opened.known, kept, at=opened.locked.now)
    record_decision(cur, opened.locked, decision, before=opened.row, author=author)
    return decision.row


def redeem(
    cur: Cursor,
    locked: LockedOrganization,
    code: str,
    *,
    subscription: UUID,
    pointer: str,
    is_bound: bool,
    author: Author,
) -> Redemption:
    """This function will redeem a coupon, by code or id, and return it as the subscription's row keeps it. Raises
    NotFound and CouponNotRedeemable.

    Nobody has a coupon again by ending a subscription and beginning another; who `is_bound`, not by beginning another
    beside it either. It holds from the moment of the decision on: the redemption's own is read a little later.
    """
    try:
        coupon = find_coupon(cur, code).id
        if had_coupon(cur, organization=locked.id, coupon=coupon, has_it=is_bound):
            raise CouponNotRedeemable("A subscription has or had this coupon.", pointer=pointer)
        made = redeem_coupon(cur, locked.id, code, author=author, subscription=subscription)
    except NotFound as error:
        raise NotFound(error.detail, pointer=pointer) from None
    return replace(kept_redemption(made), since=locked.now)
