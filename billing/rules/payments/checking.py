"""Whether an object of the processor is what we asked for. What is not moves nothing and is a finding. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from billing.rules.payments.row import Payment
from billing.rules.payments.views import DisputeView, PaymentView, RefundView


@dataclass(frozen=True, slots=True)
class Mismatch:
    """What does not fit: the kind of its finding, and what was to be and what is, for a person."""

    kind: str
    field: str
    ours: str
    theirs: str


def payment_mismatch(payment: Payment, view: PaymentView, *, customer: str | None) -> Mismatch | None:
    """Return what of a payment is not as we asked for it; `customer` is our organization's at the processor, where
    that is known."""
    named = view.metadata.get("organization")
    ours = payment.customer or customer
    compared = (
        ("organization", str(payment.organization), named or str(payment.organization)),
        ("currency", payment.currency, view.currency),
        ("amount", str(payment.amount), str(view.amount)),
        ("customer", ours or view.customer or "", view.customer or ""),
    )
    for field, mine, theirs in compared:
        if mine != theirs:
            return Mismatch("payment_mismatch", field, mine, theirs)
    if not 0 <= view.received <= payment.amount:
        return Mismatch("payment_mismatch", "received", f"at most {payment.amount}", str(view.received))
    if payment.received and payment.intent != view.id and view.status == "succeeded":
        return Mismatch("payment_double", "payment_intent", str(payment.intent), view.id)
    return None


def refund_mismatch(payment: Payment, view: RefundView) -> Mismatch | None:
    """Return what of a refund cannot be of this payment. Its metadata, which anybody at the processor may write, may
    name a payment of ours, also one that has no object there yet; the money went back of the processor's own."""
    if view.payment not in (None, payment.intent):
        return Mismatch("refund_mismatch", "payment_intent", str(payment.intent), view.payment)
    if view.payment is None and view.charge not in (None, payment.charge):
        return Mismatch("refund_mismatch", "charge", str(payment.charge), view.charge)
    if view.currency != payment.currency:
        return Mismatch("refund_mismatch", "currency", payment.currency, view.currency)
    if not 0 < view.amount <= payment.amount:
        return Mismatch("refund_mismatch", "amount", f"at most {payment.amount}", str(view.amount))
    known = payment.refunds.get(view.id)
    if known is not None and known["amount"] != view.amount:
        return Mismatch("refund_mismatch", "amount", str(known["amount"]), str(view.amount))
    return None


def dispute_mismatch(payment: Payment, view: DisputeView) -> Mismatch | None:
    """Return what of a dispute cannot be of this payment."""
    if view.currency != payment.currency:
        return Mismatch("dispute_mismatch", "currency", payment.currency, view.currency)
    if not 0 < view.amount <= payment.amount:
        return Mismatch("dispute_mismatch", "amount", f"at most {payment.amount}", str(view.amount))
    return None
