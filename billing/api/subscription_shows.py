"""Subscriptions as answers show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from typing import Any
from uuid import UUID

from billing.api.catalog import utc
from billing.queries.subscriptions import HistoryRow, funding_words, plan_names
from billing.rules.amounts import exact_text
from billing.rules.charges.definition import write_charge
from billing.rules.items import NewItem
from billing.rules.subscriptions.decision import Decision
from billing.rules.subscriptions.row import Subscription
from common.money import format_amount
from events.store import Cursor

Names = Mapping[UUID, tuple[str, int]]


def show_subscription(cur: Cursor, row: Subscription) -> dict[str, Any]:
    """A subscription."""
    return show_subscriptions(cur, [row])[0]


def show_subscriptions(cur: Cursor, rows: Sequence[Subscription]) -> list[dict[str, Any]]:
    """Subscriptions, in their order."""
    versions = {row.selection.version for row in rows}
    versions |= {row.pending.selection.version for row in rows if row.pending is not None}
    names = plan_names(cur, versions)
    words = funding_words(cur, versions)
    return [{**_shown(row, names), "funding": words[row.selection.version]} for row in rows]


def show_preview(cur: Cursor, row: Subscription, decision: Decision | None, now: datetime) -> dict[str, Any]:
    """What a change would do."""
    made = decision or Decision(row, "none", now)
    pending = made.row.pending
    waits = made.verb == "change_scheduled" and pending is not None
    return {
        "effect": made.verb,
        "mode": pending.mode if waits and pending else made.said.get("mode"),
        "effective_at": utc(made.row.change_at if waits else None if decision is None else made.at),
        "items": [_item(item) for item in made.items],
        "total": format_amount(made.total),
        "credit_granted": format_amount(sum(one.amount for one in made.grants)),
        "credit_taken_back": format_amount(sum(one.amount for one in made.clawbacks)),
        "subscription": show_subscription(cur, made.row),
    }


def show_history(row: HistoryRow) -> dict[str, Any]:
    """An event of a subscription."""
    data = row.data
    return {
        "version": row.version,
        "type": row.type,
        "at": utc(row.occurred_at),
        "recorded_at": utc(row.recorded_at),
        "actor": row.actor,
        "status": data["status"],
        "changes": data.get("changed", {}),
        "items": [
            {
                "kind": item["kind"],
                "description": item["description"],
                "charge": item["charge_key"],
                "amount": format_amount(item["amount"]),
                "service_start": item["service_start"],
                "service_end": item["service_end"],
                "due_at": item["due_at"],
            }
            for item in data.get("items", ())
        ],
        "metered": [one["charge"] for one in data.get("metered", ())],
        "period_start": data["period_start"],
        "period_end": data["period_end"],
    }


def _shown(row: Subscription, names: Names) -> dict[str, Any]:
    plan, number = names[row.selection.version]
    return {
        "id": row.id,
        "organization": row.organization,
        "status": row.status,
        "plan": plan,
        "plan_id": row.selection.plan,
        "number": number,
        "plan_version": row.selection.version,
        "currency": row.currency,
        "quantities": _counts(row.selection.quantities),
        "add_ons": list(row.selection.add_ons),
        "interval": {"unit": row.interval.unit, "count": row.interval.count},
        "time_zone": row.zone,
        "anchor": None if row.anchor is None else row.anchor.isoformat(),
        "starts_at": utc(row.starts_at),
        "trial_end": utc(row.trial_end),
        "period_start": utc(row.period_start),
        "period_end": utc(row.period_end),
        "fees": _fees(row),
        "agreed_prices": _agreed(row),
        "credits": _credits(row),
        "coupons": [
            {
                "redemption": one.id,
                "code": one.key,
                "periods_left": one.left,
                "until": utc(one.until),
            }
            for one in row.coupons
        ],
        "pending_change": _pending(row, names),
        "cancel_at": utc(row.cancel_at),
        "ends_at": utc(row.ends_at),
        "paused_at": utc(row.paused_at),
        "resumes_at": utc(row.resumes_at),
        "ended_at": utc(row.ended_at),
        "next_at": utc(row.next_at),
        "version": row.version,
        "created_at": utc(row.created_at),
    }


def _fees(row: Subscription) -> list[dict[str, Any]]:
    return [
        {
            "charge": fee.charge,
            "billed": format_amount(fee.billed),
            "discount": format_amount(fee.discount),
            "start": utc(fee.start),
            "item": fee.item,
        }
        for fee in row.fees
    ]


def _agreed(row: Subscription) -> list[dict[str, Any]]:
    held = {} if row.agreed is None else row.agreed.charges
    return [
        {
            "charge": key,
            "contract": one.contract,
            "number": one.number,
            "price": write_charge(one.price),
            "included": None if one.included is None else exact_text(one.included),
        }
        for key, one in sorted(held.items())
    ]


def _credits(row: Subscription) -> list[dict[str, Any]]:
    return [
        {
            "source": one.source,
            "amount": format_amount(one.amount),
            "paid": format_amount(one.deferred),
            "taken_back": format_amount(one.clawed),
            "start": utc(one.start),
            "end": utc(one.end),
            "grant": one.grant,
        }
        for one in row.allowances
    ]


def _pending(row: Subscription, names: Names) -> dict[str, Any] | None:
    pending = row.pending
    if pending is None:
        return None
    plan, number = names[pending.selection.version]
    return {
        "at": utc(row.change_at),
        "mode": pending.mode,
        "plan": plan,
        "number": number,
        "quantities": _counts(pending.selection.quantities),
        "add_ons": list(pending.selection.add_ons),
    }


def _item(item: NewItem) -> dict[str, Any]:
    return {
        "kind": item.kind,
        "description": item.description,
        "charge": item.charge_key,
        "amount": format_amount(item.amount),
        "service_start": utc(item.service_start),
        "service_end": utc(item.service_end),
        "due_at": utc(item.due_at),
    }


def _counts(quantities: Mapping[str, Fraction]) -> dict[str, int]:
    return {key: int(held) for key, held in quantities.items()}
