"""Bills, credit notes, subscriptions and contracts, as customers are told. Names, addresses and reasons stay inside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from common.money import format_document_amount
from events.publictypes import PublicType
from events.rules.facts import Event
from orgs.rules.facts import time_text

Data = Mapping[str, Any]
_ID: Final = "01990a4c-7b1e-7cc3-9d52-0f6b8d5b1b01"
_OTHER: Final = "01990a4c-7b1e-7cc3-9d52-0f6b8d5b1b02"


def _due(data: Mapping[str, Any]) -> int:
    if data["status"] == "void":
        return 0
    return max(0, int(data["total"] - data["paid"] - data["credited"] - data["written_off"]))


def _invoice(event: Event) -> Data:
    data = event.data
    amounts = {"total": data["total"], "tax": data["tax"], "paid": data["paid"], "credited": data["credited"]}
    return {
        "invoice": str(event.stream_id),
        "number": data["number"],
        "status": data["status"],
        "currency": data["currency"],
        **{name: format_document_amount(units, currency=data["currency"]) for name, units in amounts.items()},
        "due": format_document_amount(_due(data), currency=data["currency"]),
        "dated_at": data["dated_at"],
        "due_at": data["due_at"],
        "period_start": data["period_start"],
        "period_end": data["period_end"],
    }


def _opened(event: Event) -> Data | None:
    return _invoice(event) if event.data["status"] == "open" else None


def _paid(event: Event) -> Data | None:
    """The event that made it paid: what happens to a paid invoice later does not make it paid again."""
    is_now = event.data["paid_at"] == time_text(event.occurred_at)
    return _invoice(event) if event.data["status"] == "paid" and is_now else None


def _credit_note(event: Event) -> Data:
    data = event.data
    amounts = {"net": data["net"], "tax": data["tax"], "total": data["total"]}
    return {
        "credit_note": str(event.stream_id),
        "invoice": data["invoice_id"],
        "number": data["number"],
        "currency": data["currency"],
        **{name: format_document_amount(units, currency=data["currency"]) for name, units in amounts.items()},
        "dated_at": data["dated_at"],
    }


def _subscription(event: Event) -> Data:
    data = event.data
    names = ("status", "currency", "plan", "period_start", "period_end", "trial_end", "cancel_at", "ended_at")
    return {"subscription": str(event.stream_id), **{name: data.get(name) for name in names}}


def _contract(event: Event) -> Data:
    data = event.data
    names = ("status", "currency", "starts_at", "ends_at", "terminates_at", "ended_at")
    return {"contract": str(event.stream_id), **{name: data.get(name) for name in names}}


_INVOICE: Final = {
    "invoice": _ID,
    "number": "INV-2026-000017",
    "status": "open",
    "currency": "EUR",
    "total": "119.00",
    "tax": "19.00",
    "paid": "0.00",
    "credited": "0.00",
    "due": "119.00",
    "dated_at": "2026-03-01T00:00:00Z",
    "due_at": "2026-03-15T00:00:00Z",
    "period_start": "2026-02-01T00:00:00Z",
    "period_end": "2026-03-01T00:00:00Z",
}
_PAID: Final = {**_INVOICE, "status": "paid", "paid": "119.00", "due": "0.00"}
_NOTE: Final = {
    "credit_note": _ID,
    "invoice": _OTHER,
    "number": "CN-2026-000003",
    "currency": "EUR",
    "net": "10.00",
    "tax": "1.90",
    "total": "11.90",
    "dated_at": "2026-03-02T08:00:00Z",
}
_SUBSCRIPTION: Final = {
    "subscription": _ID,
    "status": "active",
    "currency": "EUR",
    "plan": _OTHER,
    "period_start": "2026-03-01T00:00:00Z",
    "period_end": "2026-04-01T00:00:00Z",
    "trial_end": None,
    "cancel_at": None,
    "ended_at": None,
}
_CONTRACT: Final = {
    "contract": _ID,
    "status": "active",
    "currency": "EUR",
    "starts_at": "2026-01-01T00:00:00Z",
    "ends_at": "2027-01-01T00:00:00Z",
    "terminates_at": None,
    "ended_at": None,
}
_SUBSCRIPTION_VERBS: Final = {
    "scheduled": "It will start.",
    "started": "Its trial or first period began.",
    "trial_ended": "Its first paid period began.",
    "renewed": "A period ended and the next began.",
    "changed": "Another plan, quantities or add-ons.",
    "change_scheduled": "Such a change waits.",
    "paused": "Periods that begin from now on are not billed.",
    "resumed": "It goes on.",
    "past_due": "An invoice is overdue.",
    "recovered": "Nothing is overdue any more.",
    "cancellation_scheduled": "It will end.",
    "uncanceled": "It will not.",
    "canceled": "It ended.",
    "expired": "It reached its end.",
}
_CONTRACT_VERBS: Final = {
    "activated": "It holds.",
    "amended": "There is another version.",
    "termination_scheduled": "It will end before its term.",
    "terminated": "It ended before its term.",
    "ended": "Its term is over.",
}


def _each(
    stream: str, verbs: Mapping[str, str], build: Callable[[Event], Data | None], example: Data
) -> tuple[PublicType, ...]:
    return tuple(
        PublicType(f"{stream}.{verb}", text, example, {f"{stream}.{verb}": build})
        for verb, text in verbs.items()
    )


BILLING_TYPES: Final[tuple[PublicType, ...]] = (
    PublicType(
        "invoice.opened",
        "It has its number and is to be paid.",
        _INVOICE,
        {"invoice.finalized": _opened},
    ),
    PublicType(
        "invoice.paid",
        "Nothing of it is left to pay.",
        _PAID,
        {
            "invoice.finalized": _paid,
            "invoice.payment_recorded": _paid,
            "invoice.credited": _paid,
        },
    ),
    PublicType(
        "invoice.payment_received",
        "A payment for it came.",
        {**_INVOICE, "paid": "50.00", "due": "69.00"},
        {"invoice.payment_recorded": _invoice},
    ),
    PublicType(
        "invoice.voided",
        "It was taken back.",
        {**_INVOICE, "status": "void", "due": "0.00"},
        {"invoice.voided": _invoice},
    ),
    PublicType(
        "invoice.uncollectible",
        "What is due is given up.",
        {**_INVOICE, "status": "uncollectible", "due": "0.00"},
        {"invoice.written_off": _invoice},
    ),
    PublicType("invoice.sent", "It was sent by e-mail.", _INVOICE, {"invoice.sent": _invoice}),
    PublicType(
        "credit_note.issued", "Something was taken back of it.", _NOTE, {"credit_note.issued": _credit_note}
    ),
    *_each("subscription", _SUBSCRIPTION_VERBS, _subscription, _SUBSCRIPTION),
    *_each("contract", _CONTRACT_VERBS, _contract, _CONTRACT),
)
