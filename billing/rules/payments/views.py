"""What the processor's objects say, as plain values (ADR 0016). Amounts are units of 10^-8 of the major unit, never
Stripe's minor units; times are aware; `metadata` is ours. The gateways make them, everything else takes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a payment did not go: Stripe's `code` (card_declined, authentication_required ...) and, of a decline, its
    `decline_code`; `message` is for staff."""

    code: str
    decline_code: str | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class BalanceView:
    """A balance transaction: `net = amount - fee`, in the balance's currency. `reporting_category` is an open set."""

    id: str
    amount: int
    fee: int
    net: int
    currency: str
    type: str
    reporting_category: str
    status: str
    source: str | None
    created: datetime
    available_on: datetime
    exchange_rate: str | None = None


@dataclass(frozen=True, slots=True)
class ChargeView:
    """A charge. `captured` and `refunded` are amounts; `balance` is None while its fee is not known yet."""

    id: str
    payment: str | None
    customer: str | None
    amount: int
    captured: int
    refunded: int
    currency: str
    status: str
    disputed: bool
    created: datetime
    balance: BalanceView | None = None
    failure: Failure | None = None
    method: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PaymentView:
    """A PaymentIntent with its latest charge. `received` is what came, which may be less than `amount` (captured in
    part). `status` is one of Stripe's seven."""

    id: str
    customer: str | None
    amount: int
    received: int
    currency: str
    status: str
    livemode: bool
    created: datetime
    method: str | None = None
    charge: ChargeView | None = None
    failure: Failure | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RefundView:
    """A refund; `status` is pending, requires_action, succeeded, failed or canceled."""

    id: str
    payment: str | None
    charge: str | None
    amount: int
    currency: str
    status: str
    created: datetime
    reason: str | None = None
    failure_reason: str | None = None
    balance: BalanceView | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DisputeView:
    """A dispute; each row of `balance` takes the disputed amount or brings it back, with a fee of its own."""

    id: str
    charge: str
    payment: str | None
    amount: int
    currency: str
    status: str
    reason: str
    created: datetime
    evidence_due_by: datetime | None = None
    balance: tuple[BalanceView, ...] = ()


@dataclass(frozen=True, slots=True)
class WarningView:
    """An early fraud warning about a charge."""

    id: str
    charge: str
    payment: str | None
    fraud_type: str
    actionable: bool
    created: datetime


@dataclass(frozen=True, slots=True)
class MethodView:
    """A payment method. `customer` is None while it is attached to nobody."""

    id: str
    customer: str | None
    kind: str
    brand: str | None = None
    last4: str | None = None
    exp_month: int | None = None
    exp_year: int | None = None
    fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class CustomerView:
    """A customer at the processor; `default_method` pays off-session."""

    id: str
    deleted: bool
    livemode: bool
    default_method: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SetupView:
    """A SetupIntent: how a customer leaves a payment method."""

    id: str
    customer: str | None
    status: str
    method: str | None
    failure: Failure | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PayoutView:
    """Money that leaves a balance for a bank account: the platform's, or a connected account's."""

    id: str
    amount: int
    currency: str
    status: str
    created: datetime
    arrival: datetime
    automatic: bool
    reconciliation: str
    destination: str | None = None
    failure: Failure | None = None
    balance: BalanceView | None = None
    failure_balance: BalanceView | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TransferView:
    """Money that went from the platform to a connected account; `reversed` is the sum that came back, `reversals` what
    each reversal brought, by its id."""

    id: str
    amount: int
    reversed: int
    currency: str
    destination: str
    created: datetime
    group: str | None = None
    balance: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    reversals: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AccountView:
    """A connected account, and what it may do now."""

    id: str
    country: str
    currency: str
    payouts_enabled: bool
    charges_enabled: bool
    transfers_active: bool
    details_submitted: bool
    currently_due: tuple[str, ...] = ()
    past_due: tuple[str, ...] = ()
    disabled_reason: str | None = None
    external_account: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
