"""What follows from the processor's answers to payments, cancellations and refunds, in the transaction that records
them: the same operations that webhooks and reconciliation use (ADR 0016)."""

from __future__ import annotations

from billing.operations.commands.sending import AUTHOR
from billing.operations.dunning import notice
from billing.operations.findings import open_finding
from billing.operations.payments import applying
from billing.operations.payments.collecting import note_not_chargeable, payment_of, request_collection
from billing.queries.invoices import find_invoice
from billing.queries.payments import find_payment
from billing.rules.invoices import OPEN
from billing.rules.payments.commands import WITHDRAWN, Command
from billing.rules.payments.minor import REFUSED_AMOUNTS
from billing.rules.payments.outcomes import Outcome, Refused, Succeeded
from billing.rules.payments.views import PaymentView, RefundView
from events.store import Cursor


def settle_payment(cur: Cursor, command: Command, outcome: Outcome) -> None:
    """This function will apply the payment that a command made, or note why there is none. A decline is both."""
    if isinstance(outcome, (Succeeded, Refused)) and isinstance(outcome.view, PaymentView):
        applying.apply_payment(cur, outcome.view, author=AUTHOR)
    if isinstance(outcome, Refused):
        applying.refuse_payment(
            cur,
            organization=command.organization,
            payment=payment_of(command),
            failure=outcome.failure,
            author=AUTHOR,
        )
        if outcome.code == WITHDRAWN:
            _ask_for_the_rest(cur, command)
        if outcome.code in REFUSED_AMOUNTS:
            _note_amount(cur, command, outcome.code)


def _ask_for_the_rest(cur: Cursor, command: Command) -> None:
    """A payment was withdrawn because less is due by now: that is asked for. Where as much is due as before, an earlier
    payment may have gone through, and what becomes of that is waited for."""
    payment = find_payment(cur, organization=command.organization, payment=payment_of(command))
    if payment.invoice_id is None:
        return
    found = find_invoice(cur, organization=payment.organization, invoice=payment.invoice_id)
    if found.status != OPEN or found.due >= payment.amount:
        return
    asked = request_collection(
        cur, organization=found.organization, invoice=found.id, cause=payment.cause, author=AUTHOR
    )
    if asked is None:
        notice.payment_withdrawn(cur, organization=found.organization, invoice=found.id, author=AUTHOR)


def _note_amount(cur: Cursor, command: Command, code: str) -> None:
    payment = find_payment(cur, organization=command.organization, payment=payment_of(command))
    if payment.invoice_id is None:
        return
    found = find_invoice(cur, organization=payment.organization, invoice=payment.invoice_id)
    note_not_chargeable(cur, found, code, author=AUTHOR)
    notice.payment_withdrawn(cur, organization=found.organization, invoice=found.id, author=AUTHOR)


def settle_cancellation(cur: Cursor, command: Command, outcome: Outcome) -> None:
    """This function will apply a payment that was cancelled. One that could not be went through, or was cancelled
    before: its own event tells."""
    if isinstance(outcome, Succeeded) and isinstance(outcome.view, PaymentView):
        applying.apply_payment(cur, outcome.view, author=AUTHOR)


def settle_refund(cur: Cursor, command: Command, outcome: Outcome) -> None:
    """This function will apply the refund that a command made; a refusal opens a finding: somebody was promised
    money."""
    if isinstance(outcome, Succeeded) and isinstance(outcome.view, RefundView):
        applying.apply_refund(cur, outcome.view, None, author=AUTHOR)
    if isinstance(outcome, Refused):
        payment = find_payment(cur, organization=command.organization, payment=payment_of(command))
        open_finding(
            cur,
            organization=command.organization,
            kind="refund_refused",
            subject=f"command:{command.id}",
            detail={
                "payment": str(payment.id),
                "payment_intent": payment.intent,
                "amount": command.params["amount"],
                "code": outcome.code,
                "message": outcome.message,
            },
            proposed={"step": "look at the payment at the processor; refund what is left, or pay by bank"},
            author=AUTHOR,
        )
