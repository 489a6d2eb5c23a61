"""A payment's row: the facts that the processor told, and how much of them is booked. Pure (ADR 0016).

Facts only grow: a view that is older than what is known already adds nothing. So it does not matter in which order
views come, nor how often (W2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from orgs.rules.facts import Fact, id_text, time_text

INVOICE, TOP_UP, MIRRORED, ASSIGNED = "invoice", "top_up", "mirrored", "assigned"
PURPOSES: Final = (INVOICE, TOP_UP, MIRRORED, ASSIGNED)
"""What a payment is for: an invoice of ours, credit, an invoice that lives at the processor, or what finance said."""
REQUESTED, REQUIRES_ACTION, PROCESSING = "requested", "requires_action", "processing"
FAILED, CANCELED, SUCCEEDED = "failed", "canceled", "succeeded"
STATUSES: Final = (REQUESTED, REQUIRES_ACTION, PROCESSING, FAILED, CANCELED, SUCCEEDED)
"""In the order in which they win: what came later in a payment's life is never taken back by a view from before."""
UNDER_WAY: Final = frozenset({REQUESTED, REQUIRES_ACTION, PROCESSING})
AUTOMATIC: Final = "automatic"
"""The cause of a payment that nobody asked for: credit fell below a threshold."""


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment; amounts in units of its currency. Money in: received = settled + excess. Money out again:
    refunded + disputed = credit_back + invoice_back + beyond, of which `reopened` is owed on the invoice now. Of a
    `mirrored` one its invoice booked what came: `excess` is the credit that it gave, `settled` what is in suspense.
    What came of an `assigned` one, and its fee, stand in the platform's books."""

    id: UUID
    organization: UUID
    purpose: str
    invoice_id: UUID | None
    cause: str
    amount: int
    currency: str
    command: UUID | None
    status: str
    created_at: datetime
    intent: str | None = None
    charge: str | None = None
    customer: str | None = None
    method: str | None = None
    failure: Mapping[str, Any] | None = None
    received: int = 0
    settled: int = 0
    excess: int = 0
    refunded: int = 0
    disputed: int = 0
    credit_back: int = 0
    note_taken: int = 0
    invoice_back: int = 0
    reopened: int = 0
    beyond: int = 0
    fee: int = 0
    refunds: Mapping[str, Mapping[str, Any]] = None  # type: ignore[assignment]
    disputes: Mapping[str, Mapping[str, Any]] = None  # type: ignore[assignment]
    balances: Mapping[str, Mapping[str, Any]] = None  # type: ignore[assignment]
    warnings: Mapping[str, Mapping[str, Any]] = None  # type: ignore[assignment]
    applied: tuple[str, ...] = ()
    paid_at: datetime | None = None
    version: int = 1

    def __post_init__(self) -> None:
        for name in ("refunds", "disputes", "balances", "warnings"):
            if getattr(self, name) is None:
                object.__setattr__(self, name, {})

    @property
    def is_under_way(self) -> bool:
        """Whether it may still bring money by itself."""
        return self.status in UNDER_WAY

    @property
    def pays_invoice(self) -> bool:
        """Whether what came settled an invoice of ours, which money that goes back opens again."""
        return self.invoice_id is not None and self.purpose != MIRRORED

    @property
    def pending(self) -> int:
        """What disputes have taken of its invoice's payment and may bring back."""
        return self.invoice_back - self.reopened


_TIMES: Final = ("created_at", "paid_at")
_IDS: Final = ("invoice_id", "command")
_APART: Final = frozenset({"id", "organization", "version", *_TIMES, *_IDS})
PLAIN: Final = tuple(field.name for field in fields(Payment) if field.name not in _APART)


def data_of(payment: Payment) -> dict[str, Any]:
    """Return the row as events hold it."""
    return {
        **{name: getattr(payment, name) for name in PLAIN},
        **{name: time_text(getattr(payment, name)) for name in _TIMES},
        **{name: id_text(getattr(payment, name)) for name in _IDS},
    }


def fact(payment: Payment, verb: str, *, at: datetime, **more: Any) -> Fact:
    """Return what happened to it: its whole new row, and with `more` what moves beside it."""
    kept = {name: value for name, value in more.items() if value}
    return Fact(
        payment.organization, "payment", payment.id, payment.version, verb, {**data_of(payment), **kept}, at
    )


def next_version(payment: Payment, **changes: Any) -> Payment:
    """Return the row as its next event writes it."""
    return replace(payment, version=payment.version + 1, **changes)
