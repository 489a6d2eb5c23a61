"""Which coupons lower an invoice, and how often each did before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

from billing.queries.coupons import redemptions_for
from billing.queries.subscriptions import coupons_holding
from billing.rules.assembling import Owed
from billing.rules.coupons import Coupon
from billing.rules.couponterms import CouponNotRedeemable, Redemption
from common.errors import NotFound
from events.store import Cursor

_USED: Final = """
SELECT count(*) FROM invoices WHERE organization = %s AND status <> 'void' AND discounts @> %s::jsonb
"""


def coupons_for(
    cur: Cursor, *, organization: UUID, owed: Sequence[Owed], currency: str
) -> tuple[list[Coupon], dict[str, str]]:
    """Return the coupons that lower these lines, in the order in which they apply, named by their redemption; and the
    code of each.

    A redemption counts invoices: `once` lowers one, `periods` as many as it says, and a void one does not count. Off a
    subscription's fee comes what the subscription noted when the period began, neither more nor less: its credits for
    unused time go by that (house rule 25).
    """
    held = _held(cur, organization, owed)
    found: list[Coupon] = []
    codes: dict[str, str] = {}
    for redemption in _redemptions(cur, organization, owed):
        coupon = _coupon(redemption, currency)
        if coupon is None:
            continue
        counts = coupon.holds_in(_used(cur, organization, redemption.id))
        targets = frozenset(
            one.key
            for one in owed
            if _covers(redemption, one) and (redemption.id in held[one.key] if one.key in held else counts)
        )
        if not targets:
            continue
        found.append(replace(coupon, targets=targets))
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


def _coupon(redemption: Redemption, currency: str) -> Coupon | None:
    try:
        return redemption.terms.coupon(str(redemption.id), currency)
    except CouponNotRedeemable:
        return None


def _covers(redemption: Redemption, one: Owed) -> bool:
    return redemption.subscription_id in (None, one.subscription) and (
        redemption.terms.charges is None or one.charge_key in redemption.terms.charges
    )


def _held(cur: Cursor, organization: UUID, owed: Sequence[Owed]) -> Mapping[str, Sequence[UUID]]:
    """Of each fee that a subscription billed for a time: the redemptions that it has for that time."""
    found: dict[str, Sequence[UUID]] = {}
    for one in owed:
        if one.item is None or one.subscription is None or one.service_start is None:
            continue
        try:
            found[one.key] = coupons_holding(
                cur, organization=organization, subscription=one.subscription, start=one.service_start
            )
        except NotFound:
            continue  # no subscription noted anything
    return found


def _used(cur: Cursor, organization: UUID, redemption: UUID) -> int:
    row = cur.execute(_USED, (organization, f'[{{"redemption": "{redemption}"}}]')).fetchone()
    return 0 if row is None else int(row[0])
