"""Payments that are asked for: the row that says what the money is for, before there is any."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from billing.queries.payments import payment_named
from billing.rules.payments.row import ASSIGNED, INVOICE, MIRRORED, SUCCEEDED, TOP_UP, Payment, fact
from billing.rules.rounding import document_step
from common.errors import CurrencyMismatch, InvalidAmount, InvalidField
from common.ids import new_id
from common.money import checked_units
from events.store import Cursor
from ledger.operations.books import Books
from orgs.operations.facts import Author, record


def new_payment(
    cur: Cursor,
    books: Books,
    *,
    purpose: str,
    invoice: UUID | None,
    amount: int,
    currency: str,
    command: UUID | None,
    author: Author,
    payment: UUID | None = None,
    cause: str = "manual",
) -> UUID:
    """This function will record that a payment (units) is asked for and return its id, which stands in the object's
    `metadata["payment"]`.

    `books` are the organization's under its lock. `payment`: the id that it is to have, where the command was made
    first; `cause`: who asks. Raises InvalidField (unknown purpose, or an invoice where none belongs), CurrencyMismatch
    and InvalidAmount (nothing, or finer than the currency).
    """
    if purpose not in (INVOICE, TOP_UP) or (purpose == INVOICE) != (invoice is not None):
        raise InvalidField("A payment is for an invoice, or for credit.", pointer="/purpose")
    if currency != books.currency:
        raise CurrencyMismatch(f"The organization's currency is {books.currency}.", pointer="/currency")
    if amount <= 0 or amount % document_step(currency):
        raise InvalidAmount(f"Nobody pays a fraction of the smallest coin of {currency}.", pointer="/amount")
    made = Payment(
        id=payment or new_id(),
        organization=books.organization.id,
        purpose=purpose,
        invoice_id=invoice,
        cause=cause,
        amount=checked_units(amount),
        currency=currency,
        command=command,
        status="requested",
        created_at=books.now,
    )
    record(cur, [fact(made, "requested", at=books.now)], author=author)
    return made.id


def mirror_payment(
    cur: Cursor,
    books: Books,
    *,
    invoice: UUID,
    intent: str,
    customer: str,
    amount: int,
    credit: int,
    paid_at: datetime | None,
    author: Author,
) -> None:
    """This function will note the payment of an invoice that lives at the processor, so that its fee, refunds and
    disputes find it. What came (`amount` units, `credit` of it the customer's) is booked by that invoice.

    `books` are the organization's under its lock, which sees to it that a payment is noted once.
    """
    source = f"payment_intent:{intent}"
    made = _came(
        books,
        MIRRORED,
        amount,
        invoice_id=invoice,
        cause="processor",
        intent=intent,
        customer=customer,
        settled=amount - credit,
        excess=credit,
        applied=(source,),
        paid_at=paid_at or books.now,
    )
    record(cur, [fact(made, "mirrored", at=books.now, effects=[[source, source]])], author=author)


def assign_payment(
    cur: Cursor,
    books: Books,
    *,
    invoice: UUID | None,
    intent: str | None,
    charge: str,
    balance: str,
    amount: int,
    fee: int,
    paid_at: datetime,
    author: Author,
) -> None:
    """This function will note the payment of money that nobody asked for and that finance gave an organization: for an
    invoice, or as credit. So refunds and disputes of it find it. What came (`amount` units) and its `fee` (of the
    balance transaction `balance`) stay in the platform's books.

    `books` are the organization's under its lock. A payment that is known here by any other way stays as it is.
    """
    if payment_named(cur, intent=intent, charge=charge) is not None:
        return
    key = f"balance_transaction:{balance}"
    told = {"fee": fee, "currency": books.currency, "told": fee, "category": "charge"}
    made = _came(
        books,
        ASSIGNED,
        amount,
        invoice_id=invoice,
        cause="manual",
        intent=intent,
        charge=charge,
        settled=0 if invoice is None else amount,
        excess=amount if invoice is None else 0,
        fee=fee,
        balances={balance: told},
        applied=(key,),
        paid_at=paid_at,
    )
    record(cur, [fact(made, "assigned", at=books.now, effects=[[key, key]])], author=author)


def _came(books: Books, purpose: str, amount: int, **given: Any) -> Payment:
    """A payment that nobody asked for here, and that has come whole."""
    return Payment(
        id=new_id(),
        organization=books.organization.id,
        purpose=purpose,
        amount=amount,
        currency=books.currency,
        command=None,
        status=SUCCEEDED,
        created_at=books.now,
        received=amount,
        **given,
    )
