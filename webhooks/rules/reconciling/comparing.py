"""One object at the processor beside what we have of it: the same, or which difference. Pure.

What is further on there is a state that we have not heard of; what is further on here, or another amount, is for a
person. Each returns None when nothing differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from billing.rules.mirroring.rows import MirroredInvoice, MirroredSubscription
from billing.rules.mirroring.views import InvoiceView, SubscriptionView
from billing.rules.payments.checking import dispute_mismatch, payment_mismatch, refund_mismatch
from billing.rules.payments.customers import Customer
from billing.rules.payments.facts import told, with_dispute, with_payment, with_refund
from billing.rules.payments.payouts import Payout, moved
from billing.rules.payments.row import ASSIGNED, Payment
from billing.rules.payments.views import CustomerView, DisputeView, PaymentView, PayoutView, RefundView
from orgs import PLATFORM_ID
from webhooks.rules.reconciling.differences import (
    AMOUNT,
    DOUBLE,
    MISSING_HERE,
    MISSING_THERE,
    STATE,
    Difference,
)

_ENDED: Final = frozenset({"canceled", "incomplete_expired"})


def payment_difference(row: Payment, view: PaymentView, *, customer: str | None) -> Difference | None:
    """Compare a payment of ours with its object; `customer` is its organization's at the processor."""
    if row.purpose == ASSIGNED and row.intent == view.id:
        return None  # nobody asked for it, so there is nothing that it should be
    came = told(view)
    if row.intent not in (None, view.id):
        if not came:
            return None  # another attempt at the same payment, which brought nothing
        wrong = payment_mismatch(row, view, customer=customer)
        name = AMOUNT if wrong is not None and wrong.kind == "payment_mismatch" else DOUBLE
        return _of_payment(row, "payment", f"payment_intent:{view.id}", name, row.received, came, "succeeded")
    subject = f"payment_intent:{view.id}"
    if payment_mismatch(row, view, customer=customer) is not None:
        return _of_payment(row, "payment", subject, AMOUNT, row.amount, view.amount, view.status)
    if row.intent is None:
        return _of_payment(row, "payment", subject, MISSING_HERE, 0, came, view.status)
    if came != row.received:
        name = AMOUNT if row.received else STATE
        return _of_payment(row, "payment", subject, name, row.received, came, view.status)
    merged = with_payment(row, view)
    if (merged.status, merged.charge, merged.balances) != (row.status, row.charge, row.balances):
        return _of_payment(row, "payment", subject, STATE, row.received, came, view.status)
    return None


def refund_difference(row: Payment, view: RefundView) -> Difference | None:
    """Compare a refund of a payment of ours."""
    known, subject = row.refunds.get(view.id), f"refund:{view.id}"
    ours = 0 if known is None else int(known["amount"])
    if refund_mismatch(row, view) is not None:
        return _of_payment(row, "refund", subject, AMOUNT, ours, view.amount, view.status)
    if known is None:
        return _of_payment(row, "refund", subject, MISSING_HERE, 0, view.amount, view.status)
    if with_refund(row, view) != row or known["status"] != view.status:
        return _of_payment(row, "refund", subject, STATE, ours, view.amount, view.status)
    return None


def dispute_difference(row: Payment, view: DisputeView) -> Difference | None:
    """Compare a dispute of a payment of ours."""
    known, subject = row.disputes.get(view.id), f"dispute:{view.id}"
    ours = 0 if known is None else int(known["amount"])
    if dispute_mismatch(row, view) is not None or (known is not None and ours != view.amount):
        return _of_payment(row, "dispute", subject, AMOUNT, ours, view.amount, view.status)
    if known is None:
        return _of_payment(row, "dispute", subject, MISSING_HERE, 0, view.amount, view.status)
    if with_dispute(row, view) != row or known["status"] != view.status:
        return _of_payment(row, "dispute", subject, STATE, ours, view.amount, view.status)
    return None


def payout_difference(row: Payout | None, view: PayoutView) -> Difference | None:
    """Compare a payout of the platform."""
    detail = _sides(0 if row is None else row.amount, view.amount, view.status)
    subject = f"payout:{view.id}"

    def found(name: str, amount: int) -> Difference:
        return Difference("payout", name, subject, detail, None, amount, view.currency)

    if row is None:
        return found(MISSING_HERE, view.amount)
    if (row.amount, row.currency) != (view.amount, view.currency):
        return found(AMOUNT, view.amount - row.amount)
    if row.status != view.status or moved(row, view, platform=PLATFORM_ID) is not None:
        return found(STATE, 0)
    return None


def customer_difference(
    row: Customer | None, named: Customer | None, view: CustomerView
) -> Difference | None:
    """Compare a customer: `row` is who it is here; `named` whom its metadata names, if that is one of ours."""
    subject = f"customer:{view.id}"
    if row is not None:
        if view.deleted and row.status != "deleted":
            return Difference("customer", STATE, subject, {"theirs": "deleted"}, row.organization)
        return None
    if named is None or view.deleted:
        return None
    detail = {"customer": view.id, "ours": named.customer}
    name = MISSING_HERE if named.customer is None else DOUBLE
    return Difference("customer", name, subject, detail, named.organization)


def subscription_difference(
    organization: UUID, row: MirroredSubscription | None, view: SubscriptionView
) -> Difference | None:
    """Compare a subscription that lives at the processor with its mirror."""
    if row is not None and (row.status in _ENDED or row.status == view.status):
        return None
    name = MISSING_HERE if row is None else STATE
    detail = {"ours": None if row is None else row.status, "theirs": view.status}
    return Difference("subscription", name, f"subscription:{view.id}", detail, organization)


def invoice_difference(
    organization: UUID, row: MirroredInvoice | None, view: InvoiceView
) -> Difference | None:
    """Compare an invoice that lives at the processor with its mirror."""
    subject = f"invoice:{view.id}"
    detail = _sides(0 if row is None else row.paid, view.paid, view.status)
    amount = view.paid - (0 if row is None else row.paid)
    if row is None:
        return Difference("invoice", MISSING_HERE, subject, detail, organization, amount, view.currency)
    if row.status == "paid" and (view.status != "paid" or view.paid != row.paid):
        return Difference("invoice", AMOUNT, subject, detail, organization, amount, view.currency)
    if row.status != view.status or row.paid != view.paid:
        return Difference("invoice", STATE, subject, detail, organization, amount, view.currency)
    return None


def missing_there(
    kind: str, subject: str, *, organization: UUID | None, amount: int, currency: str | None, state: str
) -> Difference:
    """Return what is in our books and not at the processor."""
    detail = {"ours": amount, "theirs": None, "state": state}
    return Difference(kind, MISSING_THERE, subject, detail, organization, -amount, currency)


def _of_payment(
    row: Payment, kind: str, subject: str, name: str, ours: int, theirs: int, state: str
) -> Difference:
    detail = {"payment": str(row.id), **_sides(ours, theirs, state), "our_state": row.status}
    return Difference(kind, name, subject, detail, row.organization, theirs - ours, row.currency)


def _sides(ours: int, theirs: int, state: str) -> Mapping[str, Any]:
    return {"ours": ours, "theirs": theirs, "state": state}
