"""The coupons of a subscription: in which periods they hold, and what they take off its fees.

Invoicing takes coupons off the lines of a document (house rules 2 and 3). What it will take off the fees of a period
in advance is known when the period begins, and is kept beside each fee: so a credit for unused time gives back no more
than was paid (house rule 25). Prorated charges are net of percentages already, and no invoice discounts them again; a
fixed coupon is for whole periods only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from fractions import Fraction
from uuid import UUID

from billing.rules.coupons import Coupon, DiscountableLine, apply_coupons
from billing.rules.couponterms import Redemption as Redeemed
from billing.rules.couponterms import parse_terms, write_terms
from billing.rules.proration import span_share
from billing.rules.subscriptions.row import Fee, Redemption, Subscription
from common.errors import InvalidTransition


def discounts(
    amounts: Sequence[tuple[str, int]], coupons: Iterable[Redemption], *, start: datetime, currency: str
) -> list[int]:
    """Return what coupons take off the fees of a period from `start` on, as (charge, units), in their order."""
    held = held_coupons(coupons, start=start, currency=currency)
    if not held or not amounts:
        return [0] * len(amounts)
    lines = [DiscountableLine(charge, units) for charge, units in amounts]
    return list(apply_coupons(lines, held, currency=currency).units)


def as_invoiced(fee: Fee, invoiced: Mapping[UUID, tuple[int, int]], *, share: Fraction) -> Fee:
    """Return a fee of a share of its period less what its invoice really took off its item, in units, instead of what
    was expected when the period began: a coupon may have been spread over other lines, or have ended by the draft."""
    amount, taken = (0, fee.discount) if fee.item is None else invoiced.get(fee.item, (0, fee.discount))
    if amount <= 0 or taken == fee.discount or not share:
        return fee
    more = fee.discount - taken
    return replace(
        fee, price=fee.price + Fraction(more) / share, billed=max(fee.billed + more, 0), discount=taken
    )


def fees_as_invoiced(
    row: Subscription, invoiced: Mapping[UUID, tuple[int, int]], *, basis: str
) -> tuple[Fee, ...]:
    """Return the fees of the running period as their invoices say: only that is given back."""
    period = row.period
    return tuple(
        as_invoiced(fee, invoiced, share=span_share(period, fee.start, period.end, basis=basis))
        for fee in row.fees
    )


def percentage_left(
    charge: str, coupons: Iterable[Redemption], *, start: datetime, currency: str
) -> Fraction:
    """Return what share of a prorated charge is left after the percentages that hold from `start` on."""
    left = Fraction(1)
    for coupon in held_coupons(coupons, start=start, currency=currency):
        if coupon.share is not None and coupon.covers(charge):
            left *= 1 - coupon.share
    return left


def held_coupons(coupons: Iterable[Redemption], *, start: datetime, currency: str) -> list[Coupon]:
    """Return the coupons that hold for what is billed from `start` on, in the order in which they were redeemed."""
    return [coupon_of(one, currency=currency) for one in held(coupons, start=start)]


def held(coupons: Iterable[Redemption], *, start: datetime) -> list[Redemption]:
    """Return the redemptions that hold for what is billed from `start` on."""
    return [one for one in coupons if one.covers(start) and (one.left != 0 or one.until is not None)]


def coupon_of(one: Redemption, *, currency: str) -> Coupon:
    """Return what a redemption takes off; in which periods stands in the redemption. Raises CouponNotRedeemable for a
    coupon without an amount in the currency."""
    coupon = parse_terms(one.terms).coupon(one.key, currency)
    return replace(coupon, duration="forever", periods=None)


def kept_redemption(made: Redeemed) -> Redemption:
    """Return a redemption as the subscription's row keeps it."""
    terms = made.terms
    left = {"once": 1, "forever": None}.get(terms.duration, terms.periods)
    return Redemption(made.id, made.coupon_id, made.code, write_terms(terms), made.redeemed_at, left)


def adopted(coupons: tuple[Redemption, ...], active: Sequence[Redemption] | None) -> tuple[Redemption, ...]:
    """Return the coupons that hold for a period that begins: those of the whole organization are taken up, those that
    were ended meanwhile are dropped. `active` None: that is not known."""
    if active is None:
        return coupons
    wanted, known = {one.id for one in active}, {one.id for one in coupons}
    kept = [one for one in coupons if one.id in wanted]
    return (*kept, *(one for one in active if one.id not in known))


def counted(coupons: Iterable[Redemption], *, start: datetime, end: datetime) -> tuple[Redemption, ...]:
    """Return the coupons after a period [start, end) has begun: each that holds in it has one period less; the last one
    ends with it."""
    return tuple(_counted(one, start, end) for one in coupons)


def cut_off(coupons: Iterable[Redemption], start: datetime) -> tuple[Redemption, ...]:
    """Return the coupons when a period begins: one whose last period that cut off lowers no other."""
    return tuple(one if one.until is None else replace(one, until=min(one.until, start)) for one in coupons)


def redeemed(coupons: tuple[Redemption, ...], new: Redemption) -> tuple[Redemption, ...]:
    """Return the coupons with another one. Raises InvalidTransition when the coupon still holds."""
    if any(one.coupon == new.coupon and one.until is None for one in coupons):
        raise InvalidTransition("The subscription has this coupon.")
    return (*coupons, new)


def _counted(one: Redemption, start: datetime, end: datetime) -> Redemption:
    if one.left is None or one.left == 0 or one.since > start:
        return one
    left = one.left - 1
    return replace(one, left=left, until=end if left == 0 else None)
