"""What a coupon takes off, as it is stated and stored; its life, and who has it. Pure.

What it takes off never changes; its name, its last day and how often it can be redeemed may. A redemption keeps the
terms as they were, so archiving a coupon takes it from nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from typing import Any, Final, cast
from uuid import UUID

from billing.rules.amounts import PERCENT, exact_text
from billing.rules.charges import reading
from billing.rules.coupons import DURATIONS, Coupon, Duration
from billing.rules.plans import MAX_CHARGES, MAX_CURRENCIES
from common import fields
from common.bodies import BodyReader
from common.errors import InvalidField, InvalidTransition, ProblemError
from common.money import format_amount
from common.strictjson import child_pointer
from orgs.rules.facts import Fact, id_text, time_text, with_changes
from orgs.rules.names import folded

MAX_PERIODS: Final = 120
CHANGEABLE: Final = ("name", "redeem_by", "max_redemptions")
_FIELDS: Final = frozenset("percent amounts duration periods charges".split())


class CouponNotRedeemable(ProblemError):
    """The coupon cannot be redeemed: it ended, is used up, is redeemed already, or has no amount in the currency."""

    code = "coupon_not_redeemable"
    status = 409


@dataclass(frozen=True, slots=True)
class CouponTerms:
    """What is taken off: `share` of 1, or `amounts` in units by currency. `charges`: the keys of the charges that it is
    for; None: all that take coupons."""

    share: Fraction | None = None
    amounts: Mapping[str, int] | None = None
    duration: str = "once"
    periods: int | None = None
    charges: frozenset[str] | None = None

    def coupon(self, code: str, currency: str) -> Coupon:
        """Return the coupon as documents in this currency apply it. Raises CouponNotRedeemable."""
        units = None
        if self.amounts is not None:
            units = self.amounts.get(currency)
            if units is None:
                raise CouponNotRedeemable(f"The coupon has no amount in {currency}.")
        duration = cast(Duration, self.duration)
        return Coupon(code, self.share, units, self.charges, duration, self.periods)


@dataclass(frozen=True, slots=True)
class CouponRow:
    """A coupon as it is offered. `redeem_by`: until then, exclusive."""

    id: UUID
    organization: UUID
    code: str
    name: str
    terms: CouponTerms
    redeem_by: datetime | None
    max_redemptions: int | None
    version: int
    created_at: datetime
    archived_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Redemption:
    """An organization has a coupon: for everything, or for one subscription."""

    id: UUID
    organization: UUID
    coupon_id: UUID
    code: str
    subscription_id: UUID | None
    terms: CouponTerms
    status: str
    version: int
    redeemed_at: datetime
    ended_at: datetime | None = None


def parse_terms(document: Mapping[str, Any], pointer: str = "") -> CouponTerms:
    """Return the terms that a JSON object states: `percent` or `amounts` by currency (as fine as it, S71), `duration`
    once, periods or forever. Raises one error with everything wrong (InvalidField, InvalidAmount, InvalidCurrency)."""
    reader = BodyReader(document, allowed=_FIELDS, pointer=pointer)
    terms = CouponTerms(
        share=reader.optional("percent", _share),
        amounts=reader.optional("amounts", _amounts),
        duration=reader.defaulted("duration", fields.choice, "once", options=DURATIONS),
        periods=reader.optional("periods", fields.integer, minimum=1, maximum=MAX_PERIODS),
        charges=reader.optional("charges", _charges),
    )
    given = [name for name in ("percent", "amounts") if document.get(name) is not None]
    if len(given) != 1:
        detail = "A coupon takes off either a percentage or an amount."
        reader.refuse(InvalidField(detail, pointer=reader.pointer(given[-1] if given else "percent")))
    if (terms.duration == "periods") != (document.get("periods") is not None):
        detail = "A coupon of duration periods says for how many, and no other does."
        reader.refuse(InvalidField(detail, pointer=reader.pointer("periods")))
    reader.check()
    return terms


def write_terms(terms: CouponTerms) -> dict[str, Any]:
    """Return terms as JSON; reading it gives the same terms."""
    amounts = terms.amounts
    return {
        "percent": None if terms.share is None else exact_text(terms.share * PERCENT),
        "amounts": None
        if amounts is None
        else {name: format_amount(units) for name, units in amounts.items()},
        "duration": terms.duration,
        "periods": terms.periods,
        "charges": None if terms.charges is None else sorted(terms.charges),
    }


def coupon_created(coupon: CouponRow) -> Fact:
    """Return the fact that makes a coupon."""
    return _fact(coupon, "created", _data(coupon), coupon.created_at)


def coupon_changed(
    coupon: CouponRow, changes: Mapping[str, Any], *, at: datetime
) -> tuple[CouponRow, Fact | None]:
    """Return the coupon with another name, last day or number of redemptions; no fact when nothing differs. Who has
    it keeps it. Raises InvalidTransition for an archived one."""
    if coupon.archived_at is not None:
        raise InvalidTransition("The coupon is archived.")
    return _next(coupon, replace(coupon, **changes), "changed", at)


def coupon_archived(coupon: CouponRow, *, at: datetime) -> tuple[CouponRow, Fact | None]:
    """Return the coupon as nobody can redeem it any more; no fact when it is archived already."""
    if coupon.archived_at is not None:
        return coupon, None
    return _next(coupon, replace(coupon, archived_at=at), "archived", at)


def redeemed(
    coupon: CouponRow,
    held: list[Redemption],
    *,
    identifier: UUID,
    organization: UUID,
    subscription: UUID | None,
    currency: str,
    count: int,
    at: datetime,
) -> tuple[Redemption, Fact]:
    """Return the redemption of a coupon that was redeemed `count` times so far, and the fact of it. `held`: what the
    organization redeemed of it, ended ones included: for everything or for some subscriptions, never both, for that of
    the organization lowers each of its subscriptions, too. Raises CouponNotRedeemable."""
    _require_redeemable(coupon, count=count, at=at)
    coupon.terms.coupon(coupon.code, currency)
    taken = {row.subscription_id for row in held}
    if taken & {None, subscription} or (taken and subscription is None):
        raise CouponNotRedeemable("The coupon is redeemed already.")
    made = Redemption(
        identifier, organization, coupon.id, coupon.code, subscription, coupon.terms, "active", 1, at
    )
    return made, _redemption_fact(made, "redeemed", _redemption_data(made), at)


def redemption_ended(redemption: Redemption, *, at: datetime) -> tuple[Redemption, Fact | None]:
    """Return the redemption as it applies to nothing any more; no fact when it ended already."""
    if redemption.status == "ended":
        return redemption, None
    ended = replace(redemption, status="ended", ended_at=at, version=redemption.version + 1)
    data = with_changes(_redemption_data(ended), _redemption_data(redemption))
    return ended, _redemption_fact(ended, "ended", data, at)


def _require_redeemable(coupon: CouponRow, *, count: int, at: datetime) -> None:
    if coupon.archived_at is not None:
        raise CouponNotRedeemable("The coupon is no longer offered.")
    if coupon.redeem_by is not None and at >= coupon.redeem_by:
        raise CouponNotRedeemable("The coupon could be redeemed until its last day only.")
    if coupon.max_redemptions is not None and count >= coupon.max_redemptions:
        raise CouponNotRedeemable("The coupon was redeemed as often as it can be.")


def _share(value: object, *, pointer: str = "") -> Fraction:
    share = reading.percent(value, pointer=pointer)
    if not share:
        raise InvalidField("A percentage lies above 0.", pointer=pointer)
    return share


def _amounts(value: object, *, pointer: str = "") -> dict[str, int]:
    if not isinstance(value, dict) or not 1 <= len(value) <= MAX_CURRENCIES:
        raise InvalidField(f"This is no object with 1 to {MAX_CURRENCIES} currencies.", pointer=pointer)
    for name in value:
        fields.currency(name, pointer=child_pointer(pointer, name))
    return {
        name: fields.amount(amount, currency=name, document=True, pointer=child_pointer(pointer, name))
        for name, amount in value.items()
    }


def _charges(value: object, *, pointer: str = "") -> frozenset[str]:
    keys = fields.text_list(value, pointer=pointer, max_items=MAX_CHARGES)
    if not keys:
        raise InvalidField("The list is empty.", pointer=pointer)
    return frozenset(fields.key(key, pointer=child_pointer(pointer, n)) for n, key in enumerate(keys))


def _next(old: CouponRow, new: CouponRow, verb: str, at: datetime) -> tuple[CouponRow, Fact | None]:
    before, data = _data(old), _data(new)
    if before == data:
        return old, None
    new = replace(new, version=old.version + 1)
    return new, _fact(new, verb, with_changes(data, before), at)


def _fact(coupon: CouponRow, verb: str, data: Mapping[str, Any], at: datetime) -> Fact:
    return Fact(coupon.organization, "coupon", coupon.id, coupon.version, verb, data, at)


def _data(coupon: CouponRow) -> dict[str, Any]:
    return {
        "code": coupon.code,
        "code_folded": folded(coupon.code),
        "name": coupon.name,
        "terms": write_terms(coupon.terms),
        "redeem_by": time_text(coupon.redeem_by),
        "max_redemptions": coupon.max_redemptions,
        "created_at": time_text(coupon.created_at),
        "archived_at": time_text(coupon.archived_at),
    }


def _redemption_fact(row: Redemption, verb: str, data: Mapping[str, Any], at: datetime) -> Fact:
    return Fact(row.organization, "coupon_redemption", row.id, row.version, verb, data, at)


def _redemption_data(row: Redemption) -> dict[str, Any]:
    return {
        "coupon_id": str(row.coupon_id),
        "code": row.code,
        "subscription_id": id_text(row.subscription_id),
        "terms": write_terms(row.terms),
        "status": row.status,
        "redeemed_at": time_text(row.redeemed_at),
        "ended_at": time_text(row.ended_at),
    }
