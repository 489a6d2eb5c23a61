"""Payouts as partners are told of them. Who decided and why stays inside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from common.money import format_amount, format_document_amount
from events.publictypes import PublicType, register
from events.rules.facts import Event
from payouts.rules.paying.row import STREAM

_EXAMPLE: Final[Mapping[str, Any]] = {
    "payout": "01990a4c-7b1e-7cc3-9d52-0f6b8d5b1b05",
    "status": "paid",
    "amount": "49.00",
    "currency": "USD",
    "failure_code": None,
    "requested_at": "2027-01-04T09:00:00Z",
    "arrives_at": "2027-01-06T00:00:00Z",
    "paid_at": "2027-01-06T08:12:00Z",
}
_WORDS: Final = {
    "requested": "It was requested; its amount is in transit.",
    "held": "It waits for a review, or for its account.",
    "pending_approval": "It waits for a second person's approval.",
    "approved": "It is about to be sent; again, where the platform had too little for it.",
    "processing": "It was sent.",
    "paid": "The bank has it. It may still come back days later.",
    "failed": "It did not reach the bank, or came back; its amount can be withdrawn again.",
    "reversed": "It was taken back; its amount can be withdrawn again.",
    "canceled": "It was never sent; its amount can be withdrawn again.",
}


def _payout(event: Event) -> Mapping[str, Any]:
    data = event.data
    return {
        "payout": str(event.stream_id),
        "status": data["state"],
        "amount": format_document_amount(data["amount"], currency=data["currency"]),
        "currency": data["currency"],
        "failure_code": None if data["failure"] is None else data["failure"]["code"],
        "requested_at": data["requested_at"],
        "arrives_at": data["arrival"],
        "paid_at": data["paid_at"],
    }


def register_all() -> None:
    """This function will register the public types of payouts."""
    for verb, words in _WORDS.items():
        is_paid = verb in ("paid", "reversed")
        dates = {} if is_paid else {"arrives_at": None, "paid_at": None}
        code = {"failure_code": "account_closed"} if verb == "failed" else {}
        example = {**_EXAMPLE, "status": verb, **dates, **code}
        register(PublicType(f"payout.{verb}", words, example, {f"{STREAM}.{verb}": _payout}))
    register(
        PublicType(
            "partner_statement.made",
            "The month is over; the statement can be fetched.",
            {
                "number": "SB-8D5B1B05-0001",
                "month": "2027-01",
                "currency": "USD",
                "opening": "0",
                "earned": "120.5",
                "clawed_back": "0",
                "paid_out": "100",
                "closing": "20.5",
            },
            {"partner_statement.made": _statement},
        )
    )


def _statement(event: Event) -> Mapping[str, Any]:
    data = event.data
    return {
        "number": data["number"],
        "month": data["month"][:7],
        "currency": data["currency"],
        **{
            name: format_amount(data[name])
            for name in ("opening", "earned", "clawed_back", "paid_out", "closing")
        },
    }
