"""Collecting invoices: our invoice is the document, a payment off-session pays it (ADR 0016).

Never two payments are under way for one invoice, and none is over more than what is due when it is asked for. What
comes twice nevertheless (somebody paid by bank meanwhile) becomes the customer's credit, with a finding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from billing.operations.findings import open_finding
from billing.operations.payments.charging import (
    CANCEL,
    NoPaymentMethod,
    request_cancellation,
    request_charge,
)
from billing.operations.payments.topups import reason_not_to_buy
from billing.queries.customers import customer_of
from billing.queries.invoices import find_invoice
from billing.queries.payments import find_payment, list_payments
from billing.queries.profiles import billing_profile
from billing.rules.findings import NOT_CHARGEABLE
from billing.rules.invoices import OPEN, Invoice
from billing.rules.payments.commands import Command
from billing.rules.payments.minor import FinerThanProcessor, charged_step
from billing.rules.payments.row import FAILED, INVOICE, Payment
from common.errors import InvalidTransition, ProblemError
from events.store import Cursor
from ledger.operations.books import Books, lock_books
from orgs.operations.facts import Author

AUTHENTICATE: Final = "authentication_required"
"""The failure of a payment that its customer may still complete."""
_REFUSED_TO_END: Final = """
SELECT 1 FROM (
    SELECT DISTINCT ON (target) state FROM outbound_commands
    WHERE organization = %s AND purpose = %s AND target = ANY(%s) ORDER BY target, generation DESC
) newest WHERE state = 'refused' LIMIT 1
"""
"""Whether the processor did not end one of these payments when it was asked to last."""
_MOST: Final = 100


class PaymentUnderWay(ProblemError):
    """A payment of this is under way already; wait for what becomes of it."""

    code = "payment_under_way"
    status = 409
    retryable = True


def request_collection(
    cur: Cursor, *, organization: UUID, invoice: UUID, cause: str, author: Author
) -> Payment | None:
    """This function will ask for a payment of what is due on an open invoice by the customer's method, and return it.

    None: nothing can be collected now (it is not open, nothing is due, there is no method, a payment is under way, the
    processor cannot move such an amount, which is a finding, the organization is a sandbox). `cause`: who asks. Raises
    NotFound.
    """
    books = lock_books(cur, organization)
    found = find_invoice(cur, organization=organization, invoice=invoice)
    payments = _payments(cur, found)
    if _is_hindered(cur, books, found, payments, author):
        return None
    return _collect(cur, books, found, payments, cause, author)


def collect_again(
    cur: Cursor, *, organization: UUID, invoice: UUID, cause: str, author: Author
) -> Payment | None:
    """This function will ask for a payment as `request_collection` does, and return the one that is under way then,
    also one from before: dunning waits for its outcome. None: there is nothing to collect with. Raises NotFound."""
    books = lock_books(cur, organization)
    found = find_invoice(cur, organization=organization, invoice=invoice)
    payments = _payments(cur, found)
    under_way = next((one for one in payments if one.is_under_way), None)
    if under_way is not None or _is_hindered(cur, books, found, payments, author):
        return under_way
    return _collect(cur, books, found, payments, cause, author)


def collect_invoice(cur: Cursor, *, organization: UUID, invoice: UUID, author: Author) -> Payment:
    """This function will ask for a payment of an invoice as `request_collection` does, and say why when it cannot.

    Raises NotFound, InvalidTransition (not open), PaymentUnderWay, NoPaymentMethod and FinerThanProcessor.
    """
    books = lock_books(cur, organization)
    found = find_invoice(cur, organization=organization, invoice=invoice)
    payments = _payments(cur, found)
    obstacle = _obstacle(cur, books, found, payments)
    if obstacle is not None:
        raise obstacle
    return _collect(cur, books, found, payments, "manual", author)


def collect_opened(cur: Cursor, *, organization: UUID, invoice: UUID, author: Author) -> Payment | None:
    """This function will collect an invoice that has just opened, if its customer is charged automatically. Raises
    NotFound."""
    row = customer_of(cur, organization)
    if not billing_profile(cur, organization).charges(has_method=row.can_pay):
        return None
    return request_collection(
        cur, organization=organization, invoice=invoice, cause="collection", author=author
    )


def reason_not_to_pay(cur: Cursor, command: Command) -> str | None:
    """This function will say why a payment is not wanted any more, before it is sent: its invoice is paid, or less is
    due by now, or an earlier payment of it turns out to have gone through; of credit, `reason_not_to_buy` says it."""
    payment = find_payment(cur, organization=command.organization, payment=payment_of(command))
    if not payment.is_under_way:
        return f"The payment is {payment.status}."
    if payment.invoice_id is None:
        return reason_not_to_buy(cur, payment)
    found = find_invoice(cur, organization=command.organization, invoice=payment.invoice_id)
    if found.status != OPEN or found.due < payment.amount:
        return f"The invoice is {found.status}, {found.due} units are due."
    earlier = [one.intent for one in _payments(cur, found) if one.intent and one.status == FAILED]
    refused = cur.execute(_REFUSED_TO_END, (command.organization, CANCEL, earlier)).fetchone()
    return "An earlier payment could not be ended: it may have gone through." if refused else None


def note_not_chargeable(cur: Cursor, found: Invoice, code: str, *, author: Author) -> None:
    """This function will open the finding that what is due on an invoice (`code`: finer, less or more than the
    processor moves) can be charged to nobody. While it is open the invoice comes into no dunning case. Raises
    NotFound."""
    open_finding(
        cur,
        organization=found.organization,
        kind=NOT_CHARGEABLE,
        subject=f"invoice:{found.id}",
        detail={"invoice": str(found.id), "due": found.due, "currency": found.currency, "code": code},
        proposed={"step": "take it by bank, or credit what cannot be charged; resolved, it is dunned for"},
        author=author,
        once=True,
    )


def payment_of(command: Command) -> UUID:
    """This function will return which payment of ours a command is for."""
    return UUID(command.params["metadata"]["payment"])


def _collect(
    cur: Cursor, books: Books, found: Invoice, payments: Sequence[Payment], cause: str, author: Author
) -> Payment:
    # Whoever has the secret of a failed payment may still complete it, also after its bank debit came back.
    for earlier in payments:
        if earlier.status == FAILED and earlier.intent is not None:
            request_cancellation(
                cur,
                organization=found.organization,
                intent=earlier.intent,
                customer=earlier.customer,
                author=author,
            )
    payment = request_charge(
        cur, books, purpose=INVOICE, invoice=found.id, amount=found.due, cause=cause, author=author
    )
    return find_payment(cur, organization=found.organization, payment=payment)


def _is_hindered(
    cur: Cursor, books: Books, found: Invoice, payments: Sequence[Payment], author: Author
) -> bool:
    """Whether an invoice cannot be collected now; where that is for its amount, nobody else would tell."""
    obstacle = _obstacle(cur, books, found, payments)
    if isinstance(obstacle, FinerThanProcessor):
        note_not_chargeable(cur, found, obstacle.code, author=author)
    return obstacle is not None


def _obstacle(cur: Cursor, books: Books, found: Invoice, payments: Sequence[Payment]) -> ProblemError | None:
    """What keeps an invoice, of which these are the payments, from being collected now."""
    if found.status != OPEN or found.due <= 0:
        return InvalidTransition(f"An invoice that is {found.status} is not collected.")
    if any(one.is_under_way for one in payments):
        return PaymentUnderWay(retry_after=60)
    if books.organization.sandbox or not customer_of(cur, found.organization).can_pay:
        return NoPaymentMethod()
    if found.currency != books.currency or found.due % charged_step(found.currency):
        return FinerThanProcessor()
    return None


def _payments(cur: Cursor, found: Invoice) -> list[Payment]:
    return list_payments(cur, organization=found.organization, invoice=found.id, limit=_MOST)
