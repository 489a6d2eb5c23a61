"""Partners, listings, shares and earnings as answers show them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from common.money import format_amount
from payouts.queries.earnings import Earned
from payouts.rules.listings import Listing
from payouts.rules.partners import Partner
from payouts.rules.references import AGENT, CUSTOMER, References
from payouts.rules.shares import RevenueShare
from payouts.rules.sharetexts import rate_text
from payouts.rules.withdrawing import Withdrawable


def utc(moment: datetime | None) -> datetime | None:
    """A time of an answer, in UTC."""
    return None if moment is None else moment.astimezone(UTC)


def show_partner(partner: Partner) -> dict[str, Any]:
    """A partner; its bank account stays at the processor."""
    terms = partner.terms
    return {
        "organization": partner.organization,
        "status": partner.status,
        "currency": partner.currency,
        "country": partner.country,
        "minimum": None if terms.minimum is None else format_amount(terms.minimum),
        "schedule": terms.schedule,
        "holdback_days": terms.holdback_days,
        "reserve_rate": rate_text(terms.reserve_rate),
        "hold_reason": terms.hold_reason,
        "stripe_account": partner.stripe_account,
        "payouts_enabled": partner.payouts_enabled,
        "disabled_reason": partner.disabled_reason,
        "requirements": list(partner.requirements),
        "destination_changed_at": utc(partner.destination_changed_at),
        "created_at": utc(partner.created_at),
        "version": partner.version,
    }


def show_listing(listing: Listing) -> dict[str, Any]:
    """A listing."""
    return {
        "id": listing.id,
        "partner": listing.organization,
        "key": listing.key,
        "name": listing.name,
        "description": listing.description,
        "status": "active" if listing.archived_at is None else "archived",
        "created_at": utc(listing.created_at),
        "archived_at": utc(listing.archived_at),
    }


def show_share(share: RevenueShare, *, key: str | None, now: datetime) -> dict[str, Any]:
    """A revenue share; `key` is that of its listing."""
    terms = share.terms
    begun = "in_effect" if share.valid_from <= now else "scheduled"
    tiers = [
        {
            "up_to": None if tier.up_to is None else format_amount(tier.up_to),
            "fee_rate": rate_text(tier.fee_rate),
        }
        for tier in terms.tiers
    ]
    return {
        "id": share.id,
        "organization": share.organization,
        "listing": key,
        "plan": share.plan,
        "valid_from": utc(share.valid_from),
        "fee_rate": None if terms.fee_rate is None else rate_text(terms.fee_rate),
        "fixed": None if terms.fixed is None else format_amount(terms.fixed),
        "tiers": tiers or None,
        "minimum_fee": format_amount(terms.minimum_fee),
        "splits": [{"partner": name, "weight": weight} for name, weight in terms.splits] or None,
        "promotional": terms.promotional,
        "status": begun if share.withdrawn_at is None else "withdrawn",
        "created_at": utc(share.created_at),
    }


def show_balance(found: Withdrawable) -> dict[str, Any]:
    """What can be withdrawn now, and why not the rest."""
    names = ("earned", "collected", "past_holdback", "balance", "held", "reserved", "withdrawable")
    return {
        "currency": found.currency,
        **{name: format_amount(getattr(found, name)) for name in names},
        "reasons": [
            {"code": one.code, "amount": format_amount(one.amount), "detail": one.detail}
            for one in found.reasons
        ],
    }


def show_earned(names: References, groups: Sequence[str], row: Earned) -> dict[str, Any]:
    """A group of earnings; who called is shown under a reference of this partner's alone."""
    named = {name: _shown(names, name, value) for name, value in zip(groups, row.key, strict=True)}
    return {
        **named,
        "gross": format_amount(row.gross),
        "earned": format_amount(row.share),
        "calls": row.calls,
    }


def _shown(names: References, name: str, value: Any) -> Any:
    if name in (CUSTOMER, AGENT):
        return str(names.of(name, value))
    if isinstance(value, date):
        return value.isoformat()[:7] if name == "month" else value.isoformat()
    return value
