"""Balance transactions that no object of ours explains: which account stands against the processor's balance. Pure.

Booked on `reporting_category`, which is an open set: what is not known here goes to suspense.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, Final
from uuid import NAMESPACE_OID, UUID, uuid5

from billing.rules.payments.views import BalanceView
from common.errors import InvalidField, InvalidTransition
from orgs import PLATFORM_ID
from orgs.rules.facts import Fact, id_text, time_text

BOOKED, SUSPENSE, ASSIGNED, FOREIGN, RELEASED = "booked", "suspense", "assigned", "foreign", "released"
STATUSES: Final = (BOOKED, SUSPENSE, ASSIGNED, FOREIGN, RELEASED)
UNEXPLAINED: Final = (SUSPENSE, FOREIGN)
"""What stands in suspense, whether somebody was asked about it or has answered."""
SALES: Final = frozenset({
    "charge", "charge_failure", "partial_capture_reversal", "refund", "refund_failure", "dispute",
    "dispute_reversal", "unreconciled_customer_funds",
})  # fmt: skip
PAYOUTS: Final = frozenset({"payout", "payout_reversal"})
OWN_MONEY: Final = frozenset({"topup", "topup_reversal"})
COSTS: Final = frozenset({
    "fee", "network_cost", "tax", "contribution", "climate_order_purchase", "climate_order_refund",
})  # fmt: skip
TRANSFERS: Final = frozenset({
    "transfer", "transfer_reversal", "connect_collection_transfer", "connect_reserved_funds", "platform_earning",
    "platform_earning_refund",
})  # fmt: skip
MIRRORED: Final = "mirrored_invoice"
"""What its invoice's credit has booked already: only the fee is left."""
_ACCOUNTS: Final[Mapping[str, str]] = {
    **dict.fromkeys(OWN_MONEY, "cash"), **dict.fromkeys(COSTS, "processor_fees"),
}  # fmt: skip
MAX_REASON: Final = 500


@dataclass(frozen=True, slots=True)
class Item:
    """A balance transaction in the platform's books. Amounts in units; `booked_to` stands against the balance."""

    id: UUID
    balance_transaction: str
    subject: str
    category: str
    amount: int
    fee: int
    currency: str
    booked_to: str
    status: str
    created_at: datetime
    booked_at: datetime
    assigned_to: UUID | None = None
    assigned_invoice: UUID | None = None
    reason: str | None = None
    ended_at: datetime | None = None
    version: int = 1


_TIMES: Final = ("created_at", "booked_at", "ended_at")
_IDS: Final = ("assigned_to", "assigned_invoice")
_APART: Final = frozenset({"id", "version", *_TIMES, *_IDS})
_PLAIN: Final = tuple(field.name for field in fields(Item) if field.name not in _APART)


def is_known(category: str) -> bool:
    """Whether we know what a reporting category means."""
    return category in SALES | PAYOUTS | OWN_MONEY | COSTS | TRANSFERS


def new_item(view: BalanceView, *, subject: str, booked_to: str | None, now: datetime) -> Item:
    """Return the item of a balance transaction; without an account that is said, by its category, else suspense."""
    account = booked_to or _ACCOUNTS.get(view.reporting_category, "suspense")
    return Item(
        id=uuid5(NAMESPACE_OID, f"processor_item:{view.id}"),
        balance_transaction=view.id,
        subject=subject,
        category=view.reporting_category,
        amount=view.amount,
        fee=view.fee,
        currency=view.currency,
        booked_to=account,
        status=SUSPENSE if account == "suspense" else BOOKED,
        created_at=view.created,
        booked_at=now,
    )


def postings(item: Item) -> dict[str, int]:
    """Return what an item books in the platform's accounts, by kind: the net is the processor's, the fee a cost."""
    if item.booked_to == MIRRORED:
        made = {"processor_clearing": item.fee, "processor_fees": -item.fee}
    else:
        made = {"processor_clearing": item.fee - item.amount}
        for kind, amount in (("processor_fees", -item.fee), (item.booked_to, item.amount)):
            made[kind] = made.get(kind, 0) + amount
    return {kind: amount for kind, amount in made.items() if amount}


def reversed_postings(item: Item) -> dict[str, int]:
    """Return what takes an item out of the books again."""
    return {kind: -amount for kind, amount in postings(item).items()}


def ended(item: Item, status: str, *, at: datetime, reason: str, **more: Any) -> Item:
    """Return an item whose money has left suspense. Raises InvalidTransition, and InvalidField without a reason."""
    text = reason.strip()
    if not text or len(text) > MAX_REASON:
        raise InvalidField(f"It is said in 1 to {MAX_REASON} characters.", pointer="/reason")
    if item.status != SUSPENSE:
        raise InvalidTransition(f"This money is {item.status}, and not in suspense.")
    return replace(item, status=status, ended_at=at, reason=text, version=item.version + 1, **more)


def released(item: Item, *, at: datetime, reason: str) -> Item:
    """Return an item whose object is in the books itself. That finance has called it foreign meanwhile makes no
    difference: it would be there twice."""
    return replace(item, status=RELEASED, ended_at=at, reason=reason, version=item.version + 1)


def is_fee_alone(item: Item) -> bool:
    """Whether an invoice's credit has booked what came, and the item stands for its fee until its payment is told."""
    return item.status == BOOKED and item.booked_to == MIRRORED


def as_mirrored(item: Item) -> Item:
    """Return an item that was in suspense and that a mirrored invoice explains now: its fee alone stays with it."""
    return replace(item, booked_to=MIRRORED, status=BOOKED, version=item.version + 1)


def as_foreign(item: Item, *, at: datetime, reason: str) -> Item:
    """Return a new item of something that finance has said not to be ours: nobody is asked again."""
    return replace(item, status=FOREIGN, ended_at=at, reason=reason)


def fact(item: Item, verb: str, *, at: datetime, ledger: Mapping[str, Any] | None = None) -> Fact:
    """Return what happened to an item: its whole new row, and the entry beside it."""
    data = {
        **{name: getattr(item, name) for name in _PLAIN},
        **{name: time_text(getattr(item, name)) for name in _TIMES},
        **{name: id_text(getattr(item, name)) for name in _IDS},
        **({"ledger": dict(ledger)} if ledger else {}),
    }
    return Fact(PLATFORM_ID, "processor_item", item.id, item.version, verb, data, at)
