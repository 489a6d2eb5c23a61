"""Which coupons lower which lines of an invoice.

A line of a subscription takes the coupons that the subscription counts for the period in which the line's time began:
what a credit for unused time gives back was worked out with these (house rule 25). Of anything else a coupon of the
whole customer lowers as many invoices as it says.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from billing.queries.coupons import redemptions_for
from billing.queries.subscriptions import find_subscription
from billing.rules.assembling import Owed, net_amounts
from billing.rules.coupons import Coupon
from billing.rules.couponterms import CouponNotRedeemable, parse_terms
from billing.rules.subscriptions.couponing import held, kept_redemption
from billing.rules.subscriptions.row import Redemption, Subscription
from events.store import Cursor

# Before there were several of one boundary, nothing said which belong together.
_USED: Final = """
SELECT count(DISTINCT COALESCE(d->>'together', i.id::text)) FROM invoices i, jsonb_array_elements(i.discounts) d
WHERE i.organization = %(organization)s AND i.status <> 'void' AND d->>'redemption' = %(redemption)s
"""
Group = tuple[UUID | None, datetime | None]
"""Lines of a subscription whose time begins together; (None, None): what is not a subscription's."""
OTHERS: Final[Group] = (None, None)


@dataclass(frozen=True, slots=True)
class _Lowered:
    """A redemption, and the lines that it may lower by their group."""

    redemption: Redemption
    groups: dict[Group, list[Owed]]


def coupons_for(
    cur: Cursor, *, organization: UUID, owed: Sequence[Owed], currency: str, at: datetime
) -> tuple[list[Coupon], dict[str, str]]:
    """Return the coupons that lower the lines of an invoice dated `at`, in the order in which they apply, named by
    their redemption; and the code of each.

    An amount is taken off once for each period in advance. Off what is billed after its time it is taken while fewer
    invoices than the coupon's periods were lowered: else a period would have it twice, with its fee and with its use.
    Invoices of one boundary, where a customer has several, count once.
    """
    names = sorted({one.subscription for one in owed if one.subscription is not None})
    rows = [find_subscription(cur, organization=organization, subscription=name) for name in names]
    whole = redemptions_for(cur, organization=organization, subscription=None)
    found: list[Coupon] = []
    codes: dict[str, str] = {}
    for lowered in _lowered(owed, rows, [kept_redemption(one) for one in whole]):
        made = _coupons(cur, organization, lowered, currency, at)
        found += made
        codes |= {coupon.code: lowered.redemption.key for coupon in made}
    return found, codes


def nets_of(
    cur: Cursor, *, organization: UUID, owed: Sequence[Owed], currency: str, at: datetime
) -> dict[str, int]:
    """Return what each line of an invoice dated `at` has to pay after its coupons, in units by its key."""
    coupons, _ = coupons_for(cur, organization=organization, owed=owed, currency=currency, at=at)
    return net_amounts(owed, currency=currency, coupons=coupons)


def _lowered(
    owed: Sequence[Owed], rows: Iterable[Subscription], whole: Iterable[Redemption]
) -> list[_Lowered]:
    by_row = {row.id: row for row in rows}
    found = {one.id: _Lowered(one, {}) for one in whole}
    for row in by_row.values():
        for one in row.coupons:
            found.setdefault(one.id, _Lowered(one, {}))
    for line in owed:
        if line.subscription is None or line.service_start is None:
            holding = [] if line.subscription is not None else list(whole)
            group = OTHERS
        else:
            holding = held(by_row[line.subscription].coupons, start=line.service_start)
            group = (line.subscription, line.service_start)
        for one in holding:
            found[one.id].groups.setdefault(group, []).append(line)
    return sorted(found.values(), key=lambda each: (each.redemption.since, each.redemption.id))


def _coupons(cur: Cursor, organization: UUID, lowered: _Lowered, currency: str, at: datetime) -> list[Coupon]:
    terms = parse_terms(lowered.redemption.terms)
    try:
        coupon = terms.coupon(str(lowered.redemption.id), currency)
    except CouponNotRedeemable:
        return []
    groups = {
        group: [line for line in lines if terms.charges is None or line.charge_key in terms.charges]
        for group, lines in lowered.groups.items()
    }
    groups = {group: lines for group, lines in groups.items() if lines}
    advance = [group for group, lines in groups.items() if _is_in_advance(group, lines, at)]
    counted = [
        group for group in groups if group not in advance and (coupon.share is None or group == OTHERS)
    ]
    chosen = [group for group in groups if group not in counted]
    used = _used(cur, organization, lowered.redemption.id) if counted else 0
    for group in counted:
        if coupon.holds_in(used if group == OTHERS else used + len(advance)):
            chosen.append(group)
            used += coupon.share is None and group != OTHERS
    if coupon.share is not None:
        targets = frozenset(line.key for group in chosen for line in groups[group])
        return [replace(coupon, targets=targets)] if targets else []
    return [_on(coupon, groups[group]) for group in chosen]


def _on(coupon: Coupon, lines: Iterable[Owed]) -> Coupon:
    return replace(coupon, targets=frozenset(line.key for line in lines))


def _is_in_advance(group: Group, lines: Iterable[Owed], at: datetime) -> bool:
    return group != OTHERS and any(line.service_end is not None and line.service_end > at for line in lines)


def _used(cur: Cursor, organization: UUID, redemption: UUID) -> int:
    row = cur.execute(_USED, {"organization": organization, "redemption": str(redemption)}).fetchone()
    return 0 if row is None else int(row[0])
