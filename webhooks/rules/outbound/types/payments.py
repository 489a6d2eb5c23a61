"""Payments, top-ups, refunds, disputes and dunning, as customers are told. What Stripe said in words stays inside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from common.money import format_document_amount
from events.publictypes import PublicType
from events.rules.facts import Event

Data = Mapping[str, Any]
_ID: Final = "01990a4c-7b1e-7cc3-9d52-0f6b8d5b1d01"
_OTHER: Final = "01990a4c-7b1e-7cc3-9d52-0f6b8d5b1d02"
TOP_UP: Final = "top_up"


def _shown(units: int, currency: str) -> str:
    return format_document_amount(units, currency=currency)


def _of(event: Event) -> dict[str, Any]:
    """What a payment is."""
    data = event.data
    failure = data["failure"] or {}
    amounts = {name: _shown(data[name], data["currency"]) for name in ("amount", "received", "refunded")}
    return {
        "payment": str(event.stream_id),
        "purpose": data["purpose"],
        "invoice": data["invoice_id"],
        "status": data["status"],
        "currency": data["currency"],
        **amounts,
        "failure_code": failure.get("code"),
        "decline_code": failure.get("decline_code"),
    }


def _payment(event: Event) -> Data | None:
    return None if event.data["purpose"] == TOP_UP else _of(event)


def _top_up(event: Event) -> Data | None:
    if event.data["purpose"] != TOP_UP:
        return None
    made = {name: value for name, value in _of(event).items() if name not in ("purpose", "invoice")}
    return {**made, "automatic": event.data["cause"] == "automatic"}


def _named(event: Event, kind: str) -> tuple[str, Data]:
    """The refund or dispute whose effect an event is: its id, and what is known of it."""
    ((source, _),) = event.data["effects"]
    name = source.removeprefix(f"{kind}:")
    return name, event.data[f"{kind}s"][name]


def _refund(event: Event) -> Data:
    name, row = _named(event, "refund")
    currency = event.data["currency"]
    return {
        "refund": name,
        "payment": str(event.stream_id),
        "invoice": event.data["invoice_id"],
        "currency": currency,
        "amount": _shown(row["amount"], currency),
    }


def _dispute(event: Event) -> Data:
    name, row = _named(event, "dispute")
    return {
        "dispute": name,
        "payment": str(event.stream_id),
        "invoice": event.data["invoice_id"],
        "status": row["status"],
        "reason": row["reason"],
        "currency": row["currency"],
        "amount": _shown(row["amount"], row["currency"]),
        "evidence_due_by": row["evidence_due_by"],
    }


def _stopped(event: Event) -> Data:
    data = event.data
    return {
        "reason": data["stopped_reason"],
        "failures": data["failures"],
        "currency": data["currency"],
        "amount": _shown(data["amount"], data["currency"]),
        "threshold": _shown(data["threshold"], data["currency"]),
    }


def _case(event: Event) -> Data:
    data = event.data
    return {
        "case": str(event.stream_id),
        "state": data["state"],
        "invoices": data["invoices"],
        "opened_at": data["opened_at"],
        "changed_at": data["changed_at"],
        "next_step_at": data["next_at"],
        "closing": data["closing"],
    }


_PAYMENT: Final = {
    "payment": _ID,
    "purpose": "invoice",
    "invoice": _OTHER,
    "status": "succeeded",
    "currency": "EUR",
    "amount": "119.00",
    "received": "119.00",
    "refunded": "0.00",
    "failure_code": None,
    "decline_code": None,
}
_FAILED: Final = {
    "received": "0.00",
    "status": "failed",
    "failure_code": "card_declined",
    "decline_code": "insufficient_funds",
}
_TOP_UP: Final = {
    **{name: value for name, value in _PAYMENT.items() if name not in ("purpose", "invoice")},
    "automatic": True,
}
_REFUND: Final = {
    "refund": "re_3SAbCdEfGh",
    "payment": _ID,
    "invoice": _OTHER,
    "currency": "EUR",
    "amount": "19.00",
}
_DISPUTE: Final = {
    "dispute": "du_1SAbCdEfGh",
    "payment": _ID,
    "invoice": _OTHER,
    "status": "needs_response",
    "reason": "fraudulent",
    "currency": "EUR",
    "amount": "119.00",
    "evidence_due_by": "2026-03-20T23:59:59Z",
}
_STOPPED: Final = {
    "reason": "card_declined",
    "failures": 3,
    "currency": "EUR",
    "amount": "50.00",
    "threshold": "10.00",
}
_CASE: Final = {
    "case": _ID,
    "state": "suspended",
    "invoices": [_OTHER],
    "opened_at": "2026-03-15T00:00:00Z",
    "changed_at": "2026-03-29T00:00:00Z",
    "next_step_at": "2026-04-05T00:00:00Z",
    "closing": None,
}
_CLOSED: Final = {**_CASE, "state": "closed", "next_step_at": None, "closing": "settled"}


def _type(
    name: str, text: str, source: str, build: Callable[[Event], Data | None], example: Data
) -> PublicType:
    return PublicType(name, text, example, {source: build})


PAYMENT_TYPES: Final[tuple[PublicType, ...]] = (
    PublicType(
        "payment.succeeded",
        "Money for an invoice came.",
        _PAYMENT,
        {"payment.received": _payment, "payment.mirrored": _payment},
    ),
    _type(
        "payment.failed", "It did not, and why.", "payment.failed", _payment, {**_PAYMENT, **_FAILED}
    ),
    _type(
        "payment.canceled", "It will not come any more.", "payment.canceled", _payment,
        {**_PAYMENT, **_FAILED, "status": "canceled", "failure_code": None, "decline_code": None},
    ),
    _type(
        "payment.requires_action", "The payer has to confirm it with the bank.", "payment.requires_action", _payment,
        {**_PAYMENT, "received": "0.00", "status": "requires_action"},
    ),
    _type("top_up.succeeded", "Credit was bought.", "payment.received", _top_up, _TOP_UP),
    _type("top_up.failed", "It was not, and why.", "payment.failed", _top_up, {**_TOP_UP, **_FAILED}),
    _type(
        "auto_top_up.stopped",
        "Nothing is bought automatically any more: three failures in a row, or money went back.",
        "auto_top_up.stopped", _stopped, _STOPPED,
    ),
    _type("refund.succeeded", "Money went back to the payer.", "payment.refunded", _refund, _REFUND),
    _type("refund.failed", "It came back from there.", "payment.refund_failed", _refund, _REFUND),
    _type("dispute.opened", "The payer's bank took money back.", "payment.disputed", _dispute, _DISPUTE),
    _type(
        "dispute.won", "It gave that back.", "payment.reinstated", _dispute, {**_DISPUTE, "status": "won"}
    ),
    _type(
        "dispute.lost", "It is gone for good.", "payment.dispute_lost", _dispute, {**_DISPUTE, "status": "lost"}
    ),
    _type(
        "dunning.past_due", "An invoice is overdue: a dunning case began.", "dunning_case.opened", _case,
        {**_CASE, "state": "past_due"},
    ),
    _type(
        "dunning.reminded", "A reminder between the stages.", "dunning_case.reminded", _case,
        {**_CASE, "state": "past_due"},
    ),
    _type(
        "dunning.throttled", "So many new calls a minute, in all.", "dunning_case.grace", _case,
        {**_CASE, "state": "grace"},
    ),
    _type("dunning.suspended", "No new calls.", "dunning_case.suspended", _case, _CASE),
    _type(
        "dunning.canceled", "Every subscription has ended.", "dunning_case.canceled", _case,
        {**_CASE, "state": "canceled"},
    ),
    _type(
        "dunning.written_off", "What is unpaid is given up; still no new calls.", "dunning_case.written_off", _case,
        {**_CASE, "state": "written_off", "next_step_at": None},
    ),
    _type(
        "dunning.closed",
        "All is settled, no overdue balance is at its threshold, or finance let it be (`closing`): the gate is open.",
        "dunning_case.closed", _case, _CLOSED,
    ),
)  # fmt: skip
