"""What of the marketplace may be told outside: to the partner itself, with nothing that names a customer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from common.money import format_amount
from events.publictypes import PublicType, register
from events.rules.facts import Event

Data = Mapping[str, Any]
_NAMES: Final = (
    "status", "currency", "country", "schedule", "holdback_days", "payouts_enabled", "requirements",
)  # fmt: skip
_PARTNER: Final = {
    "status": "active",
    "currency": "EUR",
    "country": "DE",
    "schedule": "weekly",
    "holdback_days": 7,
    "payouts_enabled": True,
    "requirements": [],
    "held": False,
}
_MOVED: Final = {
    "move": "01990a4c-7b1e-7cc3-9d52-0f6b8d5b1b01",
    "customer": "6a3c1f4e-8f0d-5a55-9a3e-2f5a4f0f9b10",
    "amount": "12.34567891",
    "currency": "EUR",
}


def _partner(event: Event) -> Data:
    return {
        **{name: event.data.get(name) for name in _NAMES},
        "held": event.data.get("hold_reason") is not None,
    }


def _moved(event: Event, sign: int) -> Data | None:
    data = event.data
    if data["amount"] * sign <= 0:
        return None
    return {
        "move": data["move"],
        "customer": data["customer"],
        "amount": format_amount(data["amount"] * sign),
        "currency": data["currency"],
    }


TYPES: Final = (
    PublicType(
        "partner.updated",
        "What is agreed with a partner changed, or what its payout account may do, or its payouts are held or go on.",
        _PARTNER,
        {"partner.changed": _partner, "partner.account_changed": _partner},
    ),
    PublicType(
        "earnings.available",
        "Earnings of a customer were collected and are past the holdback.",
        _MOVED,
        {"earning.received": lambda event: _moved(event, 1)},
    ),
    PublicType(
        "earnings.taken_back",
        "Earnings went back, because what paid for them did.",
        _MOVED,
        {"earning.received": lambda event: _moved(event, -1)},
    ),
)


def register_all() -> None:
    """This function will register these types."""
    for kind in TYPES:
        register(kind)
