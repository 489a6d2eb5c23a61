"""Coupons by code and id, and who has redeemed them."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import msgspec

from billing.rules.couponterms import CouponRow, Redemption, parse_terms
from common.errors import NotFound
from common.fields import is_id
from events.store import Cursor
from orgs.rules.names import folded

# As text: whether jsonb arrives decoded depends on the connection, Django's or the gate's.
_decode = msgspec.json.Decoder(dict[str, Any]).decode
_COUPON: Final = """
SELECT id, organization, code, name, terms::text, redeem_by, max_redemptions, version, created_at, archived_at
FROM coupons
"""
_REDEMPTION: Final = """
SELECT id, organization, coupon_id, code, subscription_id, terms::text, status, version, redeemed_at, ended_at
FROM coupon_redemptions
"""
_COUNTS: Final = (
    "SELECT coupon_id, count(*) FROM coupon_redemptions WHERE coupon_id = ANY(%s::uuid[]) GROUP BY 1"
)


def find_coupon(cur: Cursor, name: str, *, lock: bool = False, pointer: str | None = None) -> CouponRow:
    """Return a coupon by code or id, also an archived one. Raises NotFound.

    With `lock` nobody else redeems it until the transaction ends: take the organization's lock before, never the
    platform's after it.
    """
    column, value = ("id", UUID(name)) if is_id(name) else ("code", name)
    locking = " FOR NO KEY UPDATE" if lock else ""
    row = cur.execute(_COUPON + f" WHERE {column} = %s{locking}", (value,)).fetchone()
    if row is None:
        raise NotFound("There is no such coupon.", pointer=pointer)
    return _coupon(row)


def code_is_taken(cur: Cursor, code: str) -> bool:
    """Return whether a coupon has this code, or one that looks like it."""
    row = cur.execute("SELECT 1 FROM coupons WHERE code_folded = %s", (folded(code),)).fetchone()
    return row is not None


def list_coupons(cur: Cursor, *, archived: bool | None, before: UUID | None, limit: int) -> list[CouponRow]:
    """Return up to `limit` coupons, newest first, made before `before`."""
    statement = _COUPON + " WHERE true"
    if before is not None:
        statement += " AND id < %(before)s"
    if archived is not None:
        statement += f" AND archived_at IS {'NOT ' if archived else ''}NULL"
    cur.execute(statement + " ORDER BY id DESC LIMIT %(limit)s", {"before": before, "limit": limit})
    return [_coupon(row) for row in cur.fetchall()]


def redemption_counts(cur: Cursor, coupons: list[UUID]) -> Mapping[UUID, int]:
    """Return how often each coupon was redeemed, also where the redemption ended; coupons never redeemed are absent."""
    return dict(cur.execute(_COUNTS, (coupons,)).fetchall())


def find_redemption(cur: Cursor, *, organization: UUID, redemption: UUID) -> Redemption:
    """Return a redemption of the organization. Raises NotFound."""
    statement = _REDEMPTION + " WHERE organization = %s AND id = %s"
    row = cur.execute(statement, (organization, redemption)).fetchone()
    if row is None:
        raise NotFound("There is no such redemption.")
    return _redemption(row)


def organization_of_redemption(cur: Cursor, redemption: UUID) -> UUID:
    """Return whose redemption this is; for the platform's own requests only. Raises NotFound."""
    row = cur.execute("SELECT organization FROM coupon_redemptions WHERE id = %s", (redemption,)).fetchone()
    if row is None:
        raise NotFound("There is no such redemption.")
    owner: UUID = row[0]
    return owner


def list_redemptions(
    cur: Cursor, *, organization: UUID, status: str | None, before: UUID | None, limit: int
) -> list[Redemption]:
    """Return up to `limit` redemptions of the organization, newest first."""
    statement = _REDEMPTION + " WHERE organization = %(organization)s"
    if before is not None:
        statement += " AND id < %(before)s"
    if status is not None:
        statement += " AND status = %(status)s"
    values = {"organization": organization, "before": before, "status": status, "limit": limit}
    cur.execute(statement + " ORDER BY id DESC LIMIT %(limit)s", values)
    return [_redemption(row) for row in cur.fetchall()]


def redemptions_for(cur: Cursor, *, organization: UUID, subscription: UUID | None) -> list[Redemption]:
    """Return the active redemptions that apply to a subscription, the organization's own included, oldest first: the
    order in which they apply. Which period each still holds in is `terms.coupon(...).holds_in`."""
    statement = (
        _REDEMPTION + " WHERE organization = %s AND status = 'active' "
        "AND (subscription_id IS NULL OR subscription_id = %s) ORDER BY redeemed_at, id"
    )
    return [_redemption(row) for row in cur.execute(statement, (organization, subscription)).fetchall()]


def redemptions_of(cur: Cursor, *, organization: UUID, coupon: UUID) -> list[Redemption]:
    """Return what the organization redeemed of a coupon, ended ones included."""
    statement = _REDEMPTION + " WHERE organization = %s AND coupon_id = %s ORDER BY id"
    return [_redemption(row) for row in cur.execute(statement, (organization, coupon)).fetchall()]


def _coupon(row: tuple[Any, ...]) -> CouponRow:
    values = list(row)
    values[4] = parse_terms(_decode(values[4]))
    return CouponRow(*values)


def _redemption(row: tuple[Any, ...]) -> Redemption:
    values = list(row)
    values[5] = parse_terms(_decode(values[5]))
    return Redemption(*values)
