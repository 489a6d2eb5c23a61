"""Payments that finance records, and debts that are written off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from billing.operations.dunning.settling import due_changed, payment_settled
from billing.operations.invoices.booking import booked, burned, entry_of, payable
from billing.queries.invoices import find_invoice, is_known_payment, unpaid_invoices
from billing.rules.invoices import OPEN, PAID, UNCOLLECTIBLE, Invoice, fact, moved, settled
from billing.rules.payments.minor import charged_step
from billing.rules.postings import payment_postings, write_off_postings
from common.errors import (
    AmountExceedsAvailable,
    CurrencyMismatch,
    InvalidAmount,
    InvalidField,
    InvalidTransition,
    NameConflict,
)
from common.ids import new_id
from common.money import checked_units, to_document_units
from events.store import Cursor
from ledger.operations.books import Books, lock_books
from ledger.rules.adjustments import require_reason
from orgs.operations.facts import Author, record
from orgs.rules.facts import time_text

CREDIT: Final = "credit"
PROCESSOR: Final = "processor"
"""Money that the payment processor holds for us. Nobody records that by hand: it comes with the processor's objects."""
ASSIGNED: Final = "assigned"
"""Money that nobody could place, in the platform's books, until finance said whose it is."""
METHODS: Final = ("bank_transfer", "card", "cash", "cheque", CREDIT, "other")
CONTRA: Final[Mapping[str, str]] = {
    CREDIT: "customer_credit",
    PROCESSOR: "processor_clearing",
    ASSIGNED: "intercompany_clearing",
}


@dataclass(frozen=True, slots=True)
class NewPayment:
    """Money that came for an invoice: `amount` in units at the currency's precision. `reference` is what the bank or
    the till calls it, and is recorded once for each method. `paid_at`: when it came; None: now."""

    amount: int
    currency: str
    method: str
    reference: str
    paid_at: datetime | None = None


def record_payment(
    cur: Cursor, *, organization: UUID, invoice: UUID, payment: NewPayment, author: Author
) -> Invoice:
    """This function will record a payment; the invoice is paid when nothing of it is left.

    A part lowers what is due, what is over becomes paid credit of the customer. A payment on an uncollectible invoice
    takes back its loss. With the method `credit` the customer's own credit pays, as far as it reaches and is due.
    Raises NotFound, InvalidTransition (neither open nor uncollectible), CurrencyMismatch, InvalidAmount (finer than the
    currency), InvalidField (it comes in the future), NameConflict (this reference was recorded before) and
    AmountExceedsAvailable.
    """
    books = lock_books(cur, organization)
    found = find_invoice(cur, organization=organization, invoice=invoice)
    _check(cur, found, payment)
    if payment.paid_at is not None and payment.paid_at > books.now:
        raise InvalidField("A payment is recorded when it has come.", pointer="/paid_at")
    left = found.unpaid
    applied = min(payment.amount, left)
    if payment.method == CREDIT and payment.amount > left:
        raise AmountExceedsAvailable("Credit pays what is due, no more.", pointer="/amount")
    identifier = new_id()
    ledger = _ledger(cur, books, found, payment, applied, identifier)
    checked_units(found.paid + payment.amount)
    done = settled(_with_payment(found, applied), now=books.now)
    told = {
        "id": str(identifier),
        "amount": payment.amount,
        "applied": applied,
        "method": payment.method,
        "reference": payment.reference,
        "paid_at": time_text(payment.paid_at or books.now),
        "entry": str(entry_of(ledger)),
    }
    record(cur, [fact(done, "payment_recorded", at=books.now, payments=[told], ledger=ledger)], author=author)
    due_changed(cur, organization=organization, invoice=found.id, author=author)
    if done.status == PAID:
        payment_settled(cur, organization=organization, author=author)
    return done


def pay_with_credit_of(cur: Cursor, *, organization: UUID, credit: Invoice, author: Author) -> None:
    """This function will pay what the customer owes, also what was written off, with what an invoice below zero
    brought, the longest due first: nobody spends credit for a fee that was never paid. What it
    leaves of one can be charged, and what is left of it stays credit."""
    left, step = -credit.total, charged_step(credit.currency)
    for found in unpaid_invoices(cur, organization=organization):
        amount = min(left, found.unpaid, payable(cur, lock_books(cur, organization)))
        amount -= (amount - found.unpaid) % step
        if amount <= 0:
            return
        reference = f"{credit.number} for {found.number}"
        payment = NewPayment(amount, credit.currency, CREDIT, reference)
        record_payment(cur, organization=organization, invoice=found.id, payment=payment, author=author)
        left -= amount


def write_off(cur: Cursor, *, organization: UUID, invoice: UUID, reason: str, author: Author) -> Invoice:
    """This function will give up what is still due on an open invoice: it is uncollectible, and what is due a loss.

    Raises NotFound, InvalidField without a reason, and InvalidTransition.
    """
    text = require_reason(reason)
    books = lock_books(cur, organization)
    found = find_invoice(cur, organization=organization, invoice=invoice)
    if found.status != OPEN:
        raise InvalidTransition(f"An invoice that is {found.status} is not written off.")
    due = found.due
    ledger = booked(
        books,
        write_off_postings(due),
        kind="write_off",
        key=f"write_off:{found.id}",
        source=f"invoice:{found.id}",
        reason=text,
    )
    done = moved(found, UNCOLLECTIBLE, written_off=due, uncollectible_at=books.now)
    record(cur, [fact(done, "written_off", at=books.now, reason=text, ledger=ledger)], author=author)
    due_changed(cur, organization=organization, invoice=found.id, author=author)
    payment_settled(cur, organization=organization, author=author)
    return done


def _check(cur: Cursor, found: Invoice, payment: NewPayment) -> None:
    if found.status not in (OPEN, UNCOLLECTIBLE):
        raise InvalidTransition(f"An invoice that is {found.status} takes no payment.")
    if payment.currency != found.currency:
        raise CurrencyMismatch(f"The invoice is in {found.currency}.", pointer="/currency")
    if payment.amount <= 0 or to_document_units(payment.amount, currency=found.currency) != payment.amount:
        raise InvalidAmount(
            f"Nobody pays a fraction of the smallest coin of {found.currency}.", pointer="/amount"
        )
    known = is_known_payment(
        cur, organization=found.organization, method=payment.method, reference=payment.reference
    )
    if known:
        raise NameConflict(
            "A payment with this method and reference is recorded already.", pointer="/reference"
        )


def _ledger(
    cur: Cursor, books: Books, found: Invoice, payment: NewPayment, applied: int, identifier: UUID
) -> dict[str, Any]:
    postings = payment_postings(
        amount=payment.amount,
        applied=applied,
        was_written_off=found.status == UNCOLLECTIBLE,
        contra=CONTRA.get(payment.method, "cash"),
    )
    ledger = booked(
        books,
        postings,
        kind="payment",
        key=f"payment:{identifier}",
        source=f"invoice:{found.id}",
        reason=f"Payment of invoice {found.number}, {payment.reference}",
        effective_at=payment.paid_at,
    )
    if payment.method == CREDIT:
        ledger |= burned(cur, books, payment.amount)
    return ledger


def _with_payment(found: Invoice, applied: int) -> Invoice:
    """A loss that is paid after all is none any more."""
    recovered = min(found.written_off, applied)
    return replace(found, paid=found.paid + applied, written_off=found.written_off - recovered)
