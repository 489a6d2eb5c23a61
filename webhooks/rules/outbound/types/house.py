"""Credit, and outbound webhooks themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from common.money import format_amount
from events.publictypes import PublicType
from events.rules.facts import Event

_ID: Final = "01990a4c-7b1e-7cc3-9d52-0f6b8d5b1c01"


def _disabled(event: Event) -> Mapping[str, Any]:
    return {
        "endpoint": str(event.stream_id),
        "reason": event.data["disabled_reason"],
        "disabled_at": event.data["disabled_at"],
    }


def _granted(event: Event) -> Mapping[str, Any] | None:
    made = (event.data.get("ledger") or {}).get("granted") or []
    if len(made) != 1:
        return None
    grant = made[0]
    return {
        "grant": grant["id"],
        "kind": grant["kind"],
        "source": grant.get("funding_source", "credit"),
        "currency": grant["currency"],
        "amount": format_amount(grant["amount"]),
        "effective_at": grant["effective_at"],
        "expires_at": grant.get("expires_at"),
    }


HOUSE_TYPES: Final[tuple[PublicType, ...]] = (
    PublicType(
        "credit.granted",
        "Credit was given: bought, promised by a plan or contract (`source`), or a gift.",
        {
            "grant": _ID,
            "kind": "paid",
            "source": "credit",
            "currency": "USD",
            "amount": "100",
            "effective_at": "2026-03-01T09:30:00Z",
            "expires_at": None,
        },
        {"grant.granted": _granted},
    ),
    PublicType(
        "credit.low",
        "What the gate may still reserve of the credit fell below one of the endpoint's `low_credit` amounts.",
        {"currency": "USD", "available": "9.87", "threshold": "10"},
    ),
    PublicType(
        "webhook.endpoint_disabled",
        "An endpoint is told of nothing any more: it answered 410 (`gone`) or failed for 5 days (`failing`). Other "
        "endpoints of the organization are told.",
        {"endpoint": _ID, "reason": "failing", "disabled_at": "2026-03-01T09:30:00Z"},
        {"webhook_endpoint.disabled": _disabled},
    ),
    PublicType("webhook.test", "A test that somebody asked for.", {"endpoint": _ID}),
)
