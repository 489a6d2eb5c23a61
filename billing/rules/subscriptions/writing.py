"""A subscription's row as JSON, as events and the table hold it, and back."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any, TypeVar
from uuid import UUID

from billing.rules.agreed import read_agreed, write_agreed
from billing.rules.periods import Interval
from billing.rules.subscriptions.row import (
    Allowance,
    Ending,
    Fee,
    Move,
    Part,
    PendingChange,
    Redemption,
    Selection,
    Subscription,
)
from orgs.rules.facts import id_text, time_text

Json = Mapping[str, Any]
_T = TypeVar("_T")


def write_subscription(row: Subscription) -> dict[str, Any]:
    """Return the row as an event holds it; without id, organization and version, which the event has itself."""
    return {
        "status": row.status,
        "currency": row.currency,
        "funding": row.funding,
        **write_selection(row.selection),
        "zone": row.zone,
        "starts_at": time_text(row.starts_at),
        "interval_unit": row.interval.unit,
        "interval_count": row.interval.count,
        "anchor": None if row.anchor is None else row.anchor.isoformat(),
        "anchor_day": row.anchor_day,
        "cycle_start": time_text(row.cycle_start),
        "trial_days": row.trial_days,
        "trial_end": time_text(row.trial_end),
        "period_start": time_text(row.period_start),
        "period_end": time_text(row.period_end),
        "agreed": write_agreed(row.agreed),
        "fees": [_fee(fee) for fee in row.fees],
        "allowances": [_allowance(one) for one in row.allowances],
        "metered_since": {charge: time_text(since) for charge, since in sorted(row.metered.items())},
        "set_up": list(row.set_up),
        "coupons": [_redemption(one) for one in row.coupons],
        "pending": _pending(row.pending),
        "ending": _ending(row.ending),
        "ends_at": time_text(row.ends_at),
        "paused_at": time_text(row.paused_at),
        "resumes_at": time_text(row.resumes_at),
        "blocks": [[time_text(start), time_text(end)] for start, end in row.blocks],
        "ended_at": time_text(row.ended_at),
        "change_at": time_text(row.change_at),
        "cancel_at": time_text(row.cancel_at),
        "next_at": time_text(row.next_at),
        "created_at": time_text(row.created_at),
    }


def read_subscription(data: Json) -> Subscription:
    """Return the row of such JSON with `id`, `organization` and `version`; times may be in any notation of ISO 8601."""
    return Subscription(
        id=UUID(data["id"]),
        organization=UUID(data["organization"]),
        status=data["status"],
        currency=data["currency"],
        funding=data["funding"],
        selection=read_selection(data),
        zone=data["zone"],
        starts_at=_instant(data["starts_at"]),
        interval=Interval(data["interval_unit"], data["interval_count"]),
        anchor=None if data["anchor"] is None else datetime.fromisoformat(data["anchor"]),
        anchor_day=data["anchor_day"],
        cycle_start=_maybe(_instant, data["cycle_start"]),
        trial_days=data["trial_days"],
        trial_end=_maybe(_instant, data["trial_end"]),
        period_start=_maybe(_instant, data["period_start"]),
        period_end=_maybe(_instant, data["period_end"]),
        fees=tuple(_read_fee(fee) for fee in data["fees"]),
        allowances=tuple(_read_allowance(one) for one in data["allowances"]),
        metered={charge: _instant(since) for charge, since in data["metered_since"].items()},
        set_up=tuple(data["set_up"]),
        coupons=tuple(_read_redemption(one) for one in data["coupons"]),
        pending=_maybe(_read_pending, data["pending"]),
        ending=_maybe(_read_ending, data["ending"]),
        ends_at=_maybe(_instant, data["ends_at"]),
        paused_at=_maybe(_instant, data["paused_at"]),
        resumes_at=_maybe(_instant, data["resumes_at"]),
        blocks=tuple((_instant(start), _instant(end)) for start, end in data["blocks"]),
        ended_at=_maybe(_instant, data["ended_at"]),
        version=data["version"],
        created_at=_instant(data["created_at"]),
        agreed=read_agreed(data.get("agreed")),
    )


def write_selection(selection: Selection) -> dict[str, Any]:
    """Return what is subscribed to as JSON."""
    return {
        "plan": str(selection.plan),
        "plan_version": str(selection.version),
        "quantities": {charge: str(quantity) for charge, quantity in sorted(selection.quantities.items())},
        "add_ons": list(selection.add_ons),
    }


def read_selection(data: Json) -> Selection:
    """Return what such JSON subscribes to."""
    return Selection(
        UUID(data["plan"]),
        UUID(data["plan_version"]),
        {charge: Fraction(quantity) for charge, quantity in data["quantities"].items()},
        tuple(data["add_ons"]),
    )


def _fee(fee: Fee) -> dict[str, Any]:
    return {
        "charge": fee.charge,
        "timing": fee.timing,
        "price": str(fee.price),
        "quantity": None if fee.quantity is None else str(fee.quantity),
        "start": time_text(fee.start),
        "billed": fee.billed,
        "discount": fee.discount,
        "worth": fee.worth,
        "item": id_text(fee.item),
        **(_held(fee) if fee.moves else {}),
    }


def _held(fee: Fee) -> dict[str, Any]:
    """What only a fee of a quantity with tiers has."""
    return {
        "moves": [[time_text(move.at), str(move.quantity)] for move in fee.moves],
        "source": fee.source,
        "parts": [
            {
                "item": id_text(part.item),
                "gross": part.gross,
                "billed": part.billed,
                "left": str(part.left),
            }
            for part in fee.parts
        ],
        "kept": fee.kept,
        "left": str(fee.left),
    }


def _read_fee(data: Json) -> Fee:
    return Fee(
        charge=data["charge"],
        timing=data["timing"],
        price=Fraction(data["price"]),
        quantity=_maybe(Fraction, data["quantity"]),
        start=_instant(data["start"]),
        billed=data["billed"],
        discount=data["discount"],
        worth=data["worth"],
        item=_maybe(UUID, data["item"]),
        moves=tuple(Move(_instant(at), Fraction(quantity)) for at, quantity in data.get("moves", ())),
        source=data.get("source"),
        parts=tuple(_read_part(part) for part in data.get("parts", ())),
        kept=data.get("kept", 0),
        left=Fraction(data.get("left", 1)),
    )


def _read_part(data: Json) -> Part:
    return Part(_maybe(UUID, data["item"]), data["gross"], data["billed"], Fraction(data["left"]))


def _allowance(one: Allowance) -> dict[str, Any]:
    return {
        "credit": one.credit,
        "start": time_text(one.start),
        "end": time_text(one.end),
        "amount": one.amount,
        "deferred": one.deferred,
        "source": one.source,
        "priority": one.priority,
        "expires": one.expires,
        "grant": id_text(one.grant),
        "clawed": one.clawed,
        "clawed_deferred": one.clawed_deferred,
        "closed": one.closed,
    }


def _read_allowance(data: Json) -> Allowance:
    times = {"start": _instant(data["start"]), "end": _instant(data["end"])}
    return Allowance(**{**data, **times, "grant": _maybe(UUID, data["grant"])})


def _redemption(one: Redemption) -> dict[str, Any]:
    return {
        "id": str(one.id),
        "coupon": str(one.coupon),
        "key": one.key,
        "terms": dict(one.terms),
        "since": time_text(one.since),
        "left": one.left,
        "until": time_text(one.until),
    }


def _read_redemption(data: Json) -> Redemption:
    return Redemption(
        id=UUID(data["id"]),
        coupon=UUID(data["coupon"]),
        key=data["key"],
        terms=data["terms"],
        since=_instant(data["since"]),
        left=data["left"],
        until=_maybe(_instant, data["until"]),
    )


def _pending(pending: PendingChange | None) -> dict[str, Any] | None:
    if pending is None:
        return None
    return {"at": time_text(pending.at), "mode": pending.mode, **write_selection(pending.selection)}


def _read_pending(data: Json) -> PendingChange:
    return PendingChange(_maybe(_instant, data["at"]), data["mode"], read_selection(data))


def _ending(ending: Ending | None) -> dict[str, Any] | None:
    if ending is None:
        return None
    return {
        "at": time_text(ending.at),
        "credit_unused": ending.credit_unused,
        "reason": ending.reason,
    }


def _read_ending(data: Json) -> Ending:
    return Ending(_maybe(_instant, data["at"]), data["credit_unused"], data["reason"])


def _maybe(read: Callable[[Any], _T], value: Any) -> _T | None:
    return None if value is None else read(value)


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
