"""Charging a customer's payment method off-session: a payment's row, and the command that makes it at the processor."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from billing.operations.commands.requesting import request
from billing.operations.payments.recording import new_payment
from billing.queries.customers import customer_of
from billing.rules.payments.customers import Customer
from billing.rules.payments.minor import to_minor
from common.errors import ProblemError
from common.ids import new_id
from events.store import Cursor
from ledger.operations.books import Books
from orgs.operations.facts import Author

PAY: Final = "create_payment"
CANCEL: Final = "cancel_payment"


class NoPaymentMethod(ProblemError):
    """The customer has no payment method that could be charged."""

    code = "no_payment_method"
    status = 422


def request_charge(
    cur: Cursor,
    books: Books,
    *,
    purpose: str,
    invoice: UUID | None,
    amount: int,
    cause: str,
    author: Author,
) -> UUID:
    """This function will ask for a payment of `amount` (units) by the customer's own method, and return the id of its
    row; a task makes it at the processor after the commit.

    `purpose`: "invoice" or "top_up"; `books`: the organization's, locked. Raises NoPaymentMethod, FinerThanProcessor
    and what `new_payment` raises.
    """
    organization = books.organization.id
    customer = customer_of(cur, organization)
    if not customer.can_pay or books.organization.sandbox:
        raise NoPaymentMethod
    payment = new_id()
    params = _params(customer, payment, purpose, invoice, amount, books.currency)
    command = request(
        cur,
        organization=organization,
        purpose=PAY,
        business_key=f"payment:{payment}",
        params=params,
        author=author,
        order_key=customer.customer,
    )
    return new_payment(
        cur,
        books,
        purpose=purpose,
        invoice=invoice,
        amount=amount,
        currency=books.currency,
        command=command.id,
        payment=payment,
        cause=cause,
        author=author,
    )


def request_cancellation(
    cur: Cursor, *, organization: UUID, intent: str, customer: str | None, author: Author
) -> None:
    """This function will have a payment that waits for its customer cancelled at the processor, before anything else
    that is asked for of that customer. Raises NotFound."""
    request(
        cur,
        organization=organization,
        purpose=CANCEL,
        business_key=f"cancel:{intent}",
        params={},
        author=author,
        target=intent,
        order_key=customer,
    )


def _params(
    customer: Customer, payment: UUID, purpose: str, invoice: UUID | None, amount: int, currency: str
) -> dict[str, Any]:
    named = {"payment": str(payment), "purpose": purpose}
    return {
        "amount": to_minor(amount, currency=currency),
        "currency": currency.lower(),
        "customer": customer.customer,
        "payment_method": customer.default_method,
        "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
        "confirm": True,
        "off_session": True,
        "metadata": named if invoice is None else {**named, "invoice": str(invoice)},
        "expand": ["latest_charge.balance_transaction"],
    }
