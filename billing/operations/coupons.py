"""Making, changing and archiving coupons, and redeeming them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from billing.queries.coupons import (
    code_is_taken,
    find_coupon,
    find_redemption,
    redemption_counts,
    redemptions_of,
)
from billing.rules.couponterms import (
    CouponRow,
    CouponTerms,
    Redemption,
    coupon_archived,
    coupon_changed,
    coupon_created,
    redeemed,
    redemption_ended,
)
from common.errors import NameConflict
from common.ids import new_id
from events.store import Cursor
from orgs import PLATFORM_ID
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization
from orgs.rules.organizations import require_customer, require_open


@dataclass(frozen=True, slots=True)
class NewCoupon:
    """What a new coupon is to be; its code and terms stay for ever."""

    code: str
    name: str
    terms: CouponTerms
    redeem_by: datetime | None = None
    max_redemptions: int | None = None


def create_coupon(cur: Cursor, new: NewCoupon, *, author: Author) -> CouponRow:
    """This function will make a coupon. Raises NameConflict for a code that is taken, or looks like one that is."""
    locked = lock_organization(cur, PLATFORM_ID)
    if code_is_taken(cur, new.code):
        raise NameConflict("There is a coupon with this code.", pointer="/code")
    coupon = CouponRow(
        id=new_id(),
        organization=PLATFORM_ID,
        code=new.code,
        name=new.name,
        terms=new.terms,
        redeem_by=new.redeem_by,
        max_redemptions=new.max_redemptions,
        version=1,
        created_at=locked.now,
    )
    record(cur, [coupon_created(coupon)], author=author)
    return coupon


def change_coupon(cur: Cursor, *, coupon: str, changes: Mapping[str, Any], author: Author) -> CouponRow:
    """This function will give a coupon another `name`, `redeem_by` or `max_redemptions` (None: no end, no maximum).

    A maximum below what was redeemed stops new redemptions only. Raises NotFound and InvalidTransition (archived).
    """
    locked = lock_organization(cur, PLATFORM_ID)
    changed, fact = coupon_changed(find_coupon(cur, coupon, lock=True), changes, at=locked.now)
    record(cur, [fact], author=author)
    return changed


def archive_coupon(cur: Cursor, *, coupon: str, author: Author) -> CouponRow:
    """This function will end a coupon: nobody redeems it any more, who has it keeps it. Raises NotFound."""
    locked = lock_organization(cur, PLATFORM_ID)
    ended, fact = coupon_archived(find_coupon(cur, coupon, lock=True), at=locked.now)
    record(cur, [fact], author=author)
    return ended


def redeem_coupon(
    cur: Cursor, organization: UUID, coupon: str, *, author: Author, subscription: UUID | None = None
) -> Redemption:
    """This function will redeem a coupon, named by code or id, for the organization or one of its subscriptions.

    Once each; never more often in all than the coupon allows, whoever redeems it at the same moment: its row is locked
    after the organization's. Raises NotFound, CouponNotRedeemable, InvalidTransition and OrganizationClosed.
    """
    locked = lock_organization(cur, organization)
    require_customer(locked)
    found = find_coupon(cur, coupon, lock=True, pointer="/coupon")
    made, fact = redeemed(
        found,
        redemptions_of(cur, organization=organization, coupon=found.id),
        identifier=new_id(),
        organization=organization,
        subscription=subscription,
        currency=locked.currency,
        count=redemption_counts(cur, [found.id]).get(found.id, 0),
        at=locked.now,
    )
    record(cur, [fact], author=author)
    return made


def end_redemption(cur: Cursor, organization: UUID, redemption: UUID, *, author: Author) -> Redemption:
    """This function will end a redemption: the coupon applies to no later invoice, and counts as redeemed.

    An ended one stays as it is. Raises NotFound and OrganizationClosed.
    """
    locked = lock_organization(cur, organization)
    require_open(locked)
    found = find_redemption(cur, organization=organization, redemption=redemption)
    ended, fact = redemption_ended(found, at=locked.now)
    record(cur, [fact], author=author)
    return ended
