"""What a view of the processor's adds to the facts of a payment. Pure: merging is commutative and repeats add nothing.

Of two views of one object the one that is further on in the object's life wins, whichever came first (W2, S84).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from fractions import Fraction
from typing import Any, Final

from billing.rules.payments.row import (
    CANCELED,
    FAILED,
    PROCESSING,
    REQUESTED,
    REQUIRES_ACTION,
    STATUSES,
    SUCCEEDED,
    Payment,
)
from billing.rules.payments.views import (
    BalanceView,
    DisputeView,
    Failure,
    PaymentView,
    RefundView,
    WarningView,
)
from common.money import round_half_up
from orgs.rules.facts import time_text

_STATUS_OF: Final[Mapping[str, str]] = {
    "requires_payment_method": REQUESTED,
    "requires_confirmation": REQUESTED,
    "requires_action": REQUIRES_ACTION,
    "processing": PROCESSING,
    "requires_capture": PROCESSING,
    "canceled": CANCELED,
    "succeeded": SUCCEEDED,
}
REFUND_STATUSES: Final = ("requires_action", "pending", "succeeded", "canceled", "failed")
DISPUTE_STATUSES: Final = (
    "warning_needs_response", "warning_under_review", "needs_response", "under_review", "prevented",
    "warning_closed", "lost", "won",
)  # fmt: skip
OPEN_DISPUTES: Final = frozenset({"needs_response", "under_review"})


def status_of(view: PaymentView) -> str:
    """Return our status of a payment: without a method and with a failure it has failed."""
    found = _STATUS_OF.get(view.status, REQUESTED)
    failure = view.failure or (view.charge.failure if view.charge else None)
    return FAILED if found == REQUESTED and failure is not None else found


def with_payment(payment: Payment, view: PaymentView) -> Payment:
    """Return the row with what the view says, nothing of it booked; what came stands in `told(view)`."""
    status = max(payment.status, status_of(view), key=STATUSES.index)
    failure = view.failure or (view.charge.failure if view.charge else None)
    charge = view.charge
    known = replace(
        payment,
        status=status,
        intent=payment.intent or view.id,
        customer=payment.customer or view.customer,
        method=payment.method or view.method,
        failure=_failure(payment, failure, status),
    )
    if charge is None:
        return known
    if charge.status == "succeeded" or known.charge is None:
        known = replace(known, charge=charge.id)
    return with_balance(known, charge.balance, of=charge.amount) if charge.balance else known


def _failure(payment: Payment, failure: Failure | None, status: str) -> Mapping[str, Any] | None:
    if status == SUCCEEDED:
        return None
    return payment.failure if failure is None else asdict(failure)


def told(view: PaymentView) -> int:
    """Return what a view says has come, in units; nothing before it succeeded."""
    return view.received if view.status == "succeeded" else 0


def with_refund(payment: Payment, view: RefundView) -> Payment:
    """Return the row with a refund as it is now."""
    known = payment.refunds.get(view.id)
    if known is not None and _rank(REFUND_STATUSES, known["status"]) >= _rank(REFUND_STATUSES, view.status):
        return payment
    row = {
        "amount": view.amount,
        "status": view.status,
        "reason": view.reason,
        "failure_reason": view.failure_reason,
        "created_at": time_text(view.created),
        "left": view.balance is not None or bool(known and known["left"]),
        "note": view.metadata.get("credit_note"),
    }
    return replace(payment, refunds={**payment.refunds, view.id: row})


def with_dispute(payment: Payment, view: DisputeView) -> Payment:
    """Return the row with a dispute as it is now; of its money every row of the balance that was ever seen."""
    known = payment.disputes.get(view.id, {})
    status = max(known.get("status", view.status), view.status, key=lambda one: _rank(DISPUTE_STATUSES, one))
    rows = dict(known.get("rows", {}))
    for row in view.balance:
        if row.id not in rows:
            rows[row.id] = _dispute_row(payment, view, row)
    made = {
        "amount": view.amount,
        "currency": view.currency,
        "status": status,
        "reason": view.reason,
        "evidence_due_by": time_text(view.evidence_due_by) or known.get("evidence_due_by"),
        "created_at": time_text(view.created),
        "rows": dict(sorted(rows.items(), key=lambda one: (one[1]["created_at"], one[0]))),
    }
    return payment if made == known else replace(payment, disputes={**payment.disputes, view.id: made})


def _dispute_row(payment: Payment, view: DisputeView, row: BalanceView) -> dict[str, Any]:
    """In the payment's currency: of a balance in another one the disputed amount itself, its fee at the same rate."""
    amount, fee = -row.amount, row.fee
    if row.currency != payment.currency:
        amount = view.amount if row.amount < 0 else -view.amount
        fee = converted(row.fee, of=view.amount, at=abs(row.amount))
    return {"amount": amount, "fee": fee, "created_at": time_text(row.created)}


def with_balance(payment: Payment, view: BalanceView, *, of: int) -> Payment:
    """Return the row with a balance transaction of its charge; `of` is the charge's amount, in its
    payment's currency."""
    if view.id in payment.balances:
        return payment
    fee = view.fee if view.currency == payment.currency else converted(view.fee, of=of, at=abs(view.amount))
    row = {"fee": fee, "currency": view.currency, "told": view.fee, "category": view.reporting_category}
    return replace(payment, balances={**payment.balances, view.id: row})


def converted(fee: int, *, of: int, at: int) -> int:
    """Return a fee of a balance in another currency at the rate that the processor itself used: `of` units of ours
    became `at` units of the balance. Half up, to whole units; nothing where no rate can be told."""
    if at == 0:
        return 0
    exact = Fraction(fee * of, at)
    return round_half_up(exact.numerator, exact.denominator)


def with_warning(payment: Payment, view: WarningView) -> Payment:
    """Return the row with an early fraud warning."""
    row = {"fraud_type": view.fraud_type, "created_at": time_text(view.created)}
    return replace(payment, warnings={**payment.warnings, view.id: row})


def _rank(order: tuple[str, ...], status: str) -> int:
    return order.index(status) if status in order else -1
