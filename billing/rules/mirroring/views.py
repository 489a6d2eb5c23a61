"""Subscriptions and invoices of the processor's own, as plain values. Amounts are units of 10^-8, times are aware."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class SubscriptionItem:
    """A price of a subscription and how many of it."""

    price: str
    quantity: int


@dataclass(frozen=True, slots=True)
class SubscriptionView:
    """A subscription that lives at the processor. `status` is one of its own words; canceled and incomplete_expired are
    final."""

    id: str
    customer: str
    status: str
    livemode: bool
    created: datetime
    period_start: datetime | None
    period_end: datetime | None
    cancel_at: datetime | None = None
    canceled_at: datetime | None = None
    ended_at: datetime | None = None
    items: tuple[SubscriptionItem, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InvoiceLineView:
    """A line of such an invoice; `price` is None where there is none, `proration` a part of a period."""

    price: str | None
    quantity: int
    amount: int
    proration: bool


@dataclass(frozen=True, slots=True)
class InvoiceView:
    """An invoice that lives at the processor: draft, open, paid, void or uncollectible. `failed`: it was tried, and is
    not paid, nor is a debit on its way; `attempts`: how often it was tried, without such a debit. `payments`: the
    PaymentIntents that paid it, with how much each."""

    id: str
    customer: str
    subscription: str | None
    number: str | None
    status: str
    livemode: bool
    currency: str
    total: int
    paid: int
    remaining: int
    failed: bool
    created: datetime
    due_at: datetime | None
    paid_at: datetime | None
    next_attempt_at: datetime | None = None
    attempts: int = 0
    lines: tuple[InvoiceLineView, ...] = ()
    payments: tuple[tuple[str, int], ...] = ()

    @property
    def came(self) -> int:
        """How much (units) came to the processor's balance for it: by PaymentIntents alone."""
        return sum(amount for _, amount in self.payments)
