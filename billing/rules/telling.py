"""What an event of billing or of the books says to finance staff: one sentence, and the lines below it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from common.money import format_amount

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """A sentence, and what it is made of."""

    text: str
    details: tuple[str, ...] = ()


SILENT: Final = frozenset({"organization.clock_advanced", "billing_cycle.advanced"})
"""How a simulation and the billing run get on: nothing that anybody is owed."""
_OF_SUBSCRIPTION: Final[Mapping[str, str]] = {
    "started": "Subscription starts",
    "trial_ended": "Trial ends, the first paid period begins",
    "renewed": "A period ends and the next one begins",
    "credited": "Credit of the running period",
    "canceled": "Subscription is canceled",
    "expired": "Subscription reaches its end",
    "resumed": "Subscription goes on after its pause",
    "changed": "Subscription is changed",
    "change_deferred": "A change that fell into a pause waits for the next period",
    "past_due": "An invoice is overdue",
    "recovered": "Nothing is overdue any more",
}
_OF_INVOICE: Final[Mapping[str, str]] = {
    "tax_awaited": "waits for its tax",
    "failed": "cannot be finalised",
    "sent": "is sent",
    "voided": "is void",
    "written_off": "is written off",
    "payment_recorded": "is paid in part or whole",
    "credited": "is corrected by a credit note",
}


_OF_DUNNING: Final[Mapping[str, str]] = {
    "opened": "Dunning begins: an invoice is overdue",
    "joined": "Dunning: further invoices are overdue",
    "retried": "Dunning asks for the payment",
    "retry_skipped": "Dunning does not ask for the payment",
    "payment_failed": "Dunning: a payment failed",
    "grace": "Dunning: the customer works slower from now on",
    "suspended": "Dunning: the customer makes no new calls from now on",
    "canceled": "Dunning: the customer's subscriptions end",
    "written_off": "Dunning: what is unpaid is given up",
    "closed": "Dunning ends",
    "extended": "Dunning is put off",
    "exempted": "Dunning is held off",
    "exemption_ended": "Dunning is held off no more",
}


def tell(kind: str, data: Json) -> Told | None:
    """Return what an event of a type says; None for one that is silent. A type that nothing is known of is told by its
    name."""
    if kind in SILENT:
        return None
    stream, _, verb = kind.partition(".")
    teller = _TELLERS.get(stream)
    return Told(_in_words(kind)) if teller is None else teller(verb, data)


def signed(units: int) -> str:
    """Return an amount of either sign as a decimal text."""
    return f"-{format_amount(-units)}" if units < 0 else format_amount(units)


def _invoice(verb: str, data: Json) -> Told:
    amount = f"{signed(data['total'])} {data['currency']}"
    day = data["dated_at"][:10]
    if verb == "drafted":
        return Told(f"Draft of an invoice over {amount}, dated {day}", _invoice_details(data))
    named = f"Invoice {data['number']}" if data["number"] else "The draft"
    if verb == "finalized":
        due = f", due {data['due_at'][:10]}" if data["due_at"] else ""
        paid = ", nothing to pay" if data["status"] == "paid" else due
        return Told(f"{named} over {amount}, dated {day}{paid}")
    return Told(f"{named} over {amount} {_OF_INVOICE.get(verb, verb.replace('_', ' '))}")


def _invoice_details(data: Json) -> tuple[str, ...]:
    told = [f"{line['description']}: {signed(line['amount'])}" for line in data.get("lines", ())]
    told += [f"Coupon {one['coupon']}: -{signed(one['amount'])}" for one in data["discounts"]]
    told += [
        f"Tax {one['percent']} % of {signed(one['base'])}: {signed(one['tax'])}" for one in data["taxes"]
    ]
    return tuple(told)


def _subscription(verb: str, data: Json) -> Told:
    period = f" ({data['period_start'][:10]} to {data['period_end'][:10]})" if data.get("period_end") else ""
    items = tuple(
        f"{item['description']}: {signed(item['amount'])} {item['currency']}"
        for item in data.get("items", ())
    )
    words = _OF_SUBSCRIPTION.get(verb) or f"Subscription {verb.replace('_', ' ')}"
    return Told(words + period, items)


def _grant(verb: str, data: Json) -> Told:
    ledger = data["ledger"]
    if verb == "granted":
        (made,) = ledger["granted"]
        ends = f", good until {made['expires_at'][:10]}" if made.get("expires_at") else ""
        source = {"credit": "Credit", "commitment": "Commitment"}.get(
            made.get("funding_source", "credit"), "Allowance"
        )
        return Told(f"{source} of {signed(made['amount'])} {made['currency']}{ends}")
    broken = sum(amount for _, amount in ledger.get("burned", ()))
    return Told(f"A grant ends; {signed(broken)} of it was not used")


def _usage(verb: str, data: Json) -> Told:
    charge = data.get("charge")
    if verb == "charged" and charge is not None:
        return Told(f"Metered use is charged: {signed(int(charge))}")
    return Told(_in_words(f"usage.{verb}"))


def _dunning(verb: str, data: Json) -> Told:
    why = data.get("why") or data.get("reason")
    return Told(_OF_DUNNING.get(verb, _in_words(f"dunning.{verb}")) + (f" ({why})" if why else ""))


_TELLERS: Final[Mapping[str, Callable[[str, Json], Told]]] = {
    "invoice": _invoice,
    "subscription": _subscription,
    "grant": _grant,
    "usage": _usage,
    "dunning_case": _dunning,
}


def _in_words(kind: str) -> str:
    return kind.replace(".", " ").replace("_", " ").capitalize()
