"""Payouts, batches and accounts as answers show them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings

from billing.api.catalog import utc
from common.money import format_document_amount
from payouts.rules.partners import Partner
from payouts.rules.paying.batches import Batch
from payouts.rules.paying.row import Payout


def show_payout(row: Payout) -> dict[str, Any]:
    """A payout as answers show it."""
    failure = row.failure
    return {
        "id": row.id,
        "organization": row.organization,
        "status": row.state,
        "amount": format_document_amount(row.amount, currency=row.currency),
        "currency": row.currency,
        "cause": row.cause,
        "batch": row.batch,
        "hold": None
        if row.hold is None
        else {"code": row.hold, "detail": row.hold_note, "until": utc(row.next_at)},
        "waits_for": row.waits_for,
        "failure": None
        if failure is None
        else {"code": failure["code"], "message": failure.get("message", "")},
        "transfer": row.transfer,
        "payout": row.payout,
        "destination": row.destination,
        "requested_at": utc(row.requested_at),
        "approved_at": utc(row.approved_at),
        "sent_at": utc(row.sent_at),
        "arrives_at": utc(row.arrival),
        "paid_at": utc(row.paid_at),
        "ended_at": utc(row.ended_at),
    }


def show_batch(row: Batch) -> dict[str, Any]:
    """A batch as answers show it."""
    return {
        "id": row.id,
        "status": row.state,
        "requested_at": utc(row.requested_at),
        "finished_at": utc(row.finished_at),
        "made": row.made,
        "refused": row.refused,
    }


def show_account(row: Partner, *, url: str | None = None) -> dict[str, Any]:
    """A partner's account as answers show it."""
    changed = row.destination_changed_at
    wait = timedelta(hours=settings.PAYOUT_DESTINATION_WAIT_HOURS)
    return {
        "organization": row.organization,
        "status": row.status,
        "account": row.stripe_account,
        "country": row.country,
        "currency": row.currency,
        "destination": row.destination,
        "destination_usable_at": utc(None if changed is None else changed + wait),
        "requirements": list(row.requirements),
        "disabled_reason": row.disabled_reason,
        "onboarding_url": url,
    }
