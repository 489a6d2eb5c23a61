"""Which coupons lower an invoice, and how often each did before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

from billing.queries.coupons import redemptions_for
from billing.rules.assembling import Owed
from billing.rules.coupons import Coupon
from billing.rules.couponterms import CouponNotRedeemable, Redemption
from events.store import Cursor

_USED: Final = """
SELECT count(*) FROM invoices WHERE organization = %s AND status <> 'void' AND discounts @> %s::jsonb
"""


def coupons_for(
    cur: Cursor, *, organization: UUID, owed: Sequence[Owed], currency: str
) -> tuple[list[Coupon], dict[str, str]]:
    """Return the coupons that lower these lines, in the order in which they apply, named by their redemption; and the
    code of each.

    A redemption counts invoices: `once` lowers one, `periods` as many as it says, and a void one does not count.
    """
    found: list[Coupon] = []
    codes: dict[str, str] = {}
    for redemption in _redemptions(cur, organization, owed):
        coupon = _coupon(redemption, owed, currency)
        if coupon is None or not coupon.holds_in(_used(cur, organization, redemption.id)):
            continue
        found.append(coupon)
        codes[coupon.code] = redemption.code
    return found, codes


def _redemptions(cur: Cursor, organization: UUID, owed: Sequence[Owed]) -> list[Redemption]:
    subscriptions = {one.subscription for one in owed if one.subscription is not None}
    found = {
        each.id: each
        for subscription in (None, *sorted(subscriptions))
        for each in redemptions_for(cur, organization=organization, subscription=subscription)
    }
    return sorted(found.values(), key=lambda each: (each.redeemed_at, each.id))


def _coupon(redemption: Redemption, owed: Sequence[Owed], currency: str) -> Coupon | None:
    try:
        coupon = redemption.terms.coupon(str(redemption.id), currency)
    except CouponNotRedeemable:
        return None
    targets = frozenset(
        one.key
        for one in owed
        if redemption.subscription_id in (None, one.subscription)
        and (redemption.terms.charges is None or one.charge_key in redemption.terms.charges)
    )
    return replace(coupon, targets=targets) if targets else None


def _used(cur: Cursor, organization: UUID, redemption: UUID) -> int:
    row = cur.execute(_USED, (organization, f'[{{"redemption": "{redemption}"}}]')).fetchone()
    return 0 if row is None else int(row[0])
