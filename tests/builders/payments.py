"""Payments without a processor: views of its objects as it would give them, applied by the operations themselves."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from billing.operations.payments import applying
from billing.operations.payments.recording import new_payment
from billing.queries.customers import customer_of
from billing.queries.findings import list_findings
from billing.queries.payments import find_payment
from billing.rules.findings import Finding
from billing.rules.payments import customers
from billing.rules.payments.applied import Applied
from billing.rules.payments.row import Payment
from billing.rules.payments.views import (
    BalanceView,
    ChargeView,
    DisputeView,
    Failure,
    PaymentView,
    PayoutView,
    RefundView,
    WarningView,
)
from events.store import Cursor
from ledger.operations.books import lock_books
from orgs.operations.facts import record
from orgs.operations.locks import lock_organization
from tests.builders.gate import UNIT
from tests.builders.orgs import AUTHOR, unique, write

DAY = datetime(2026, 3, 1, 12, tzinfo=UTC)


def dollars(text: str) -> int:
    """Units of a decimal."""
    whole, _, cents = text.partition(".")
    return int(whole) * UNIT + int(cents.ljust(2, "0") or 0) * (UNIT // 100)


@dataclass
class Paying:
    """A payment that was asked for, and what its object at the processor says, one method for each thing that happens.

    Nothing is applied by itself: `apply` takes any view, in any order.
    """

    organization: UUID
    payment: UUID
    amount: int
    currency: str = "USD"
    intent: str = ""
    customer: str = "cus_1"

    def __post_init__(self) -> None:
        self.intent = self.intent or unique("pi_")
        self.charge = self.intent.replace("pi_", "ch_")
        self.number = 0

    def _next(self) -> datetime:
        self.number += 1
        return DAY + timedelta(minutes=self.number)

    def view(self, status: str = "succeeded", **given: Any) -> PaymentView:
        """The payment as it is in a status; received in full when it succeeded."""
        received = self.amount if status == "succeeded" else 0
        values: dict[str, Any] = {
            "id": self.intent,
            "customer": self.customer,
            "amount": self.amount,
            "received": received,
            "currency": self.currency,
            "status": status,
            "livemode": False,
            "created": DAY,
            "method": "pm_1",
            "metadata": {"payment": str(self.payment), "organization": str(self.organization)},
            **given,
        }
        if values["status"] == "succeeded" and "charge" not in values:
            values["charge"] = self.charged(captured=values["received"])
        return PaymentView(**values)

    def charged(self, *, captured: int | None = None, balance: BalanceView | None = None) -> ChargeView:
        """Its charge; without a balance the fee is not known yet."""
        return ChargeView(
            id=self.charge,
            payment=self.intent,
            customer=self.customer,
            amount=self.amount,
            captured=self.amount if captured is None else captured,
            refunded=0,
            currency=self.currency,
            status="succeeded",
            disputed=False,
            created=DAY,
            balance=balance,
        )

    def declined(self, code: str = "card_declined") -> PaymentView:
        """It failed."""
        return self.view("requires_payment_method", failure=Failure(code, "insufficient_funds"))

    def fee(self, fee: int, **given: Any) -> BalanceView:
        """The balance transaction of its charge."""
        return balance(self.amount, fee, source=self.charge, **given)

    def refund(self, amount: int, status: str = "succeeded", **given: Any) -> RefundView:
        """A refund of a part."""
        values: dict[str, Any] = {
            "id": unique("re_"),
            "payment": self.intent,
            "charge": self.charge,
            "amount": amount,
            "currency": self.currency,
            "status": status,
            "created": self._next(),
            **given,
        }
        return RefundView(**values)

    def dispute(self, amount: int, fee: int = 15 * UNIT, status: str = "needs_response") -> DisputeView:
        """A dispute that withdrew its amount and cost a fee."""
        taken = balance(-amount, fee, created=self._next(), reporting_category="dispute")
        return DisputeView(
            id=unique("dp_"),
            charge=self.charge,
            payment=self.intent,
            amount=amount,
            currency=self.currency,
            status=status,
            reason="fraudulent",
            created=taken.created,
            evidence_due_by=DAY + timedelta(days=7),
            balance=(taken,),
        )

    def won(self, dispute: DisputeView) -> DisputeView:
        """The dispute as it is after it was won: what was withdrawn is back."""
        back = balance(dispute.amount, 0, created=self._next(), reporting_category="dispute_reversal")
        return replace(dispute, status="won", balance=(*dispute.balance, back))

    def lost(self, dispute: DisputeView) -> DisputeView:
        """The dispute as it is after it was lost."""
        return replace(dispute, status="lost")

    def warning(self) -> WarningView:
        """An early fraud warning."""
        return WarningView(unique("issfr_"), self.charge, self.intent, "made_with_stolen_card", True, DAY)

    def apply(self, view: Any) -> Applied:
        """Apply any view of this payment's objects."""
        return apply(view, charge=self.charge)

    @property
    def row(self) -> Payment:
        """The payment as it stands."""
        return write(lambda cur: find_payment(cur, organization=self.organization, payment=self.payment))


def balance(amount: int, fee: int, **given: Any) -> BalanceView:
    """A balance transaction."""
    values: dict[str, Any] = {
        "id": unique("txn_"),
        "amount": amount,
        "fee": fee,
        "net": amount - fee,
        "currency": "USD",
        "type": "charge",
        "reporting_category": "charge",
        "status": "pending",
        "source": None,
        "created": DAY,
        "available_on": DAY + timedelta(days=2),
        **given,
    }
    return BalanceView(**values)


def apply(view: Any, *, charge: str = "") -> Applied:
    """Apply a view by the operation for its kind, in a transaction of its own."""
    operations: dict[type, Callable[..., Applied]] = {
        PaymentView: lambda cur: applying.apply_payment(cur, view, author=AUTHOR),
        RefundView: lambda cur: applying.apply_refund(cur, view, None, author=AUTHOR),
        DisputeView: lambda cur: applying.apply_dispute(cur, view, author=AUTHOR),
        WarningView: lambda cur: applying.apply_warning(cur, view, author=AUTHOR),
        BalanceView: lambda cur: applying.apply_balance(cur, view, charge, author=AUTHOR),
        PayoutView: lambda cur: applying.apply_payout(cur, view, author=AUTHOR),
    }
    return write(operations[type(view)])


def asked(
    organization: UUID,
    amount: int,
    *,
    invoice: UUID | None = None,
    cause: str = "manual",
    currency: str = "USD",
) -> Paying:
    """A payment that was asked for: of an invoice, else a top-up."""
    payment = write(
        lambda cur: new_payment(
            cur,
            lock_books(cur, organization),
            purpose="top_up" if invoice is None else "invoice",
            invoice=invoice,
            amount=amount,
            currency=currency,
            command=None,
            author=AUTHOR,
            cause=cause,
        )
    )
    return Paying(organization, payment, amount, currency)


def with_method(organization: UUID) -> str:
    """Let the organization be a customer at the processor with a method that pays, and return the customer's id."""
    name = unique("cus_")

    def operation(cur: Cursor) -> None:
        now = lock_organization(cur, organization).now
        made = customers.created(customer_of(cur, organization), name, livemode=False, at=now)
        record(cur, [customers.fact(made, "created", at=now)], author=AUTHOR)
        paying = customers.attached(made, unique("pm_"))
        record(cur, [customers.fact(paying, "method_attached", at=now)], author=AUTHOR)

    write(operation)
    return name


def findings(organization: UUID, status: str | None = "open") -> list[Finding]:
    """An organization's findings, oldest first."""
    found = write(
        lambda cur: list_findings(
            cur, organization=organization, status=status, kind=None, subject=None, before=None, limit=100
        )
    )
    return found[::-1]


def kinds(organization: UUID) -> list[str]:
    """The kinds of an organization's open findings."""
    return sorted(finding.kind for finding in findings(organization))


def payout(amount: int, status: str = "pending", **given: Any) -> PayoutView:
    """A payout of the platform."""
    values: dict[str, Any] = {
        "id": unique("po_"),
        "amount": amount,
        "currency": "USD",
        "status": status,
        "created": DAY,
        "arrival": DAY + timedelta(days=2),
        "automatic": True,
        "reconciliation": "not_applicable",
        **given,
    }
    return PayoutView(**values)
