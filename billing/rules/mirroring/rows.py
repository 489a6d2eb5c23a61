"""What is kept of the processor's own subscriptions and invoices, and what a paid invoice is worth. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import NAMESPACE_OID, UUID, uuid5

from billing.rules.mirroring.views import InvoiceLineView, InvoiceView, SubscriptionView
from orgs.rules.facts import Fact, id_text, time_text

SUBSCRIPTION: Final = "mirrored_subscription"
INVOICE: Final = "mirrored_invoice"
CUSTOMER: Final = "mirrored_customer"
PRICE: Final = "credit_price"
ENDED: Final = frozenset({"canceled", "incomplete_expired"})
"""A subscription in one of these never comes back (S84)."""


def stream_of(kind: str, name: str) -> UUID:
    """Return the id of the row and stream of an object of the processor."""
    return uuid5(NAMESPACE_OID, f"{kind}:{name}")


@dataclass(frozen=True, slots=True)
class MirroredSubscription:
    """A subscription that lives at the processor, as it was when it was last fetched."""

    organization: UUID
    subscription: str
    customer: str
    status: str
    items: tuple[tuple[str, int], ...]
    period_start: datetime | None
    period_end: datetime | None
    cancel_at: datetime | None
    ended_at: datetime | None
    created_at: datetime
    version: int = 0


@dataclass(frozen=True, slots=True)
class MirroredInvoice:
    """An invoice that lives at the processor; `grant` is the credit that its payment gave, of `credit` units.
    `attempts`: how often its payment was tried; None: it was last seen before that was kept."""

    organization: UUID
    invoice: str
    subscription: str | None
    customer: str
    number: str | None
    status: str
    currency: str
    total: int
    paid: int
    remaining: int
    failed: bool
    due_at: datetime | None
    paid_at: datetime | None
    created_at: datetime
    grant: UUID | None = None
    credit: int = 0
    attempts: int | None = None
    version: int = 0


@dataclass(frozen=True, slots=True)
class CreditPrice:
    """How much credit (units) each of a price's quantity on a paid invoice gives, and for how many days."""

    price: str
    name: str
    credit: int
    currency: str
    lifetime_days: int | None
    created_at: datetime
    archived_at: datetime | None = None
    version: int = 0


def seen_subscription(organization: UUID, view: SubscriptionView) -> MirroredSubscription:
    """Return the row that a subscription comes to."""
    return MirroredSubscription(
        organization, view.id, view.customer, view.status, tuple((each.price, each.quantity) for each in view.items),
        view.period_start, view.period_end, view.cancel_at, view.ended_at or view.canceled_at, view.created,
    )  # fmt: skip


def seen_invoice(organization: UUID, view: InvoiceView, *, before: MirroredInvoice | None) -> MirroredInvoice:
    """Return the row that an invoice comes to; what its payment gave stays."""
    seen = MirroredInvoice(
        organization, view.id, view.subscription, view.customer, view.number, view.status, view.currency, view.total,
        view.paid, view.remaining, view.failed, view.due_at, view.paid_at, view.created, attempts=view.attempts,
    )  # fmt: skip
    if before is None:
        return seen
    return replace(seen, grant=before.grant, credit=before.credit, version=before.version)


def failures_since(before: MirroredInvoice | None, after: MirroredInvoice) -> int:
    """Return how many attempts to collect an invoice have failed since it was last seen: each counts once, in whatever
    number of looks they were seen."""
    if not after.failed:
        return 0
    seen = 0 if before is None else before.attempts or int(before.failed)
    return max((after.attempts or 1) - seen, 0)


def credit_of(lines: Sequence[InvoiceLineView], prices: Mapping[str, CreditPrice]) -> int:
    """Return the credit (units) that a paid invoice gives: for each whole line that costs something, its quantity
    times its price's credit. Prorations, trials and lines of other prices give none."""
    return sum(
        line.quantity * prices[line.price].credit
        for line in lines
        if line.price is not None and line.price in prices and line.amount > 0 and not line.proration
    )


def lifetime_of(lines: Sequence[InvoiceLineView], prices: Mapping[str, CreditPrice]) -> int | None:
    """Return for how many days that credit is good: the longest of its prices; None: without an end."""
    found = [prices[line.price].lifetime_days for line in lines if line.price and line.price in prices]
    days = [each for each in found if each is not None]
    return max(days) if found and len(days) == len(found) else None


def subscription_fact(row: MirroredSubscription, *, at: datetime) -> Fact:
    """Return the fact that a subscription is as the row says."""
    data = {
        "subscription": row.subscription, "customer": row.customer, "status": row.status,
        "items": [list(each) for each in row.items], "period_start": time_text(row.period_start),
        "period_end": time_text(row.period_end), "cancel_at": time_text(row.cancel_at),
        "ended_at": time_text(row.ended_at), "created_at": time_text(row.created_at),
    }  # fmt: skip
    return _fact(SUBSCRIPTION, row.subscription, row.organization, row.version, data, at)


def invoice_fact(row: MirroredInvoice, *, is_given: bool, at: datetime) -> Fact:
    """Return the fact that an invoice is as the row says; `is_given`: with it, its credit is given."""
    data = {
        "invoice": row.invoice, "subscription": row.subscription, "customer": row.customer, "number": row.number,
        "status": row.status, "currency": row.currency, "total": row.total, "paid": row.paid,
        "remaining": row.remaining, "failed": row.failed, "due_at": time_text(row.due_at),
        "paid_at": time_text(row.paid_at), "created_at": time_text(row.created_at), "grant_id": id_text(row.grant),
        "credit": row.credit, "attempts": row.attempts,
        **({"effects": [[f"invoice:{row.invoice}", f"invoice:{row.invoice}"]]} if is_given else {}),
    }  # fmt: skip
    return _fact(INVOICE, row.invoice, row.organization, row.version, data, at)


def customer_fact(organization: UUID, customer: str, *, version: int, at: datetime) -> Fact:
    """Return the fact that a customer of the processor's is this organization."""
    data = {"customer": customer, "linked_at": time_text(at)}
    return _fact(CUSTOMER, customer, organization, version, data, at, verb="linked")


def price_fact(row: CreditPrice, platform: UUID, *, verb: str, at: datetime) -> Fact:
    """Return the fact that a price gives what the row says."""
    data = {
        "price": row.price, "name": row.name, "credit": row.credit, "currency": row.currency,
        "lifetime_days": row.lifetime_days, "created_at": time_text(row.created_at),
        "archived_at": time_text(row.archived_at),
    }  # fmt: skip
    return _fact(PRICE, row.price, platform, row.version, data, at, verb=verb)


def _fact(
    kind: str, name: str, organization: UUID, version: int, data: Mapping[str, Any], at: datetime, verb: str = "seen"
) -> Fact:  # fmt: skip
    return Fact(organization, kind, stream_of(kind, name), version + 1, verb, data, at)
