"""Applying what the processor says of its own subscriptions and invoices: mirrored; a paid one gives credit once.

What is kept of an object is what it is now, so that order and number of events do not matter (W2). The credit of a paid
invoice is given in the transaction that keeps the invoice as paid, and the row says that it was (W1, S83).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final
from uuid import UUID

from billing.operations.dunning import notice
from billing.operations.findings import open_finding
from billing.operations.payments.recording import mirror_payment
from billing.queries.mirroring import find_invoice, find_subscription, linked_customer, live_prices
from billing.queries.payments import payment_named
from billing.rules.mirroring.rows import (
    ENDED,
    INVOICE,
    MirroredInvoice,
    credit_of,
    failures_since,
    invoice_fact,
    lifetime_of,
    seen_invoice,
    seen_subscription,
    stream_of,
    subscription_fact,
)
from billing.rules.mirroring.views import InvoiceView, SubscriptionView
from billing.rules.payments.applied import APPLIED, PARKED, UNCHANGED, Applied
from billing.rules.payments.views import Failure
from events.store import Cursor
from ledger.operations.books import Books, lock_books
from ledger.operations.grants import NewGrant, grant_credit
from ledger.operations.posting import NewEntry, post_entry
from orgs.operations.facts import Author, record

_NOBODY: Final = Applied(PARKED, "no organization is this customer")


def apply_subscription(cur: Cursor, view: SubscriptionView, *, author: Author) -> Applied:
    """This function will keep a subscription as the processor says that it is. One that has ended stays ended (S84)."""
    organization = _organization_of(cur, view.customer)
    if organization is None:
        return _NOBODY
    books = lock_books(cur, organization)
    before = find_subscription(cur, view.id)
    after = seen_subscription(organization, view)
    if before is not None:
        if before.organization != organization:
            return Applied(PARKED, "it was mirrored for another organization")
        if before.status in ENDED and after.status not in ENDED:
            return Applied(UNCHANGED, "it has ended")
        after = replace(after, version=before.version)
    if after == before:
        return Applied(UNCHANGED)
    record(cur, [subscription_fact(after, at=books.now)], author=author)
    return Applied(APPLIED, after.status)


def apply_invoice(cur: Cursor, view: InvoiceView, *, is_placed: bool = False, author: Author) -> Applied:
    """This function will keep an invoice as the processor says that it is, and give the credit of a paid one, once.

    In another currency than the organization's, or where none of its prices gives credit, nothing is given: it is
    parked, and given when the price has its credit and the invoice is applied again. `is_placed`: finance has assigned
    the money that paid it already; it is kept as paid, and parked without credit.
    """
    organization = _organization_of(cur, view.customer)
    if organization is None:
        return _NOBODY
    books = lock_books(cur, organization)
    before = find_invoice(cur, view.id)
    if before is not None and before.organization != organization:
        return Applied(PARKED, "it was mirrored for another organization")
    if before is not None and before.status == "paid" and view.status != "paid":
        return Applied(UNCHANGED, "it is paid")
    seen = seen_invoice(organization, view, before=before)
    if is_placed and seen.grant is None:
        after, said = seen, Applied(PARKED, "the money that paid it was assigned already")
    else:
        after, said = _with_credit(cur, books, seen, view, author)
    if after == before:
        return Applied(UNCHANGED, said.detail) if said.outcome != PARKED else said
    is_given = after.grant is not None and (before is None or before.grant is None)
    record(cur, [invoice_fact(after, is_given=is_given, at=books.now)], author=author)
    if is_given:
        _note_payments(cur, books, after, view, author)
    _tell_dunning(cur, before, after, author)
    return said


def _tell_dunning(
    cur: Cursor, before: MirroredInvoice | None, after: MirroredInvoice, author: Author
) -> None:
    """The processor's own retries are input of the one machine: each failure is told, and the end of it."""
    organization, had_failed = after.organization, before if before is not None and before.failed else None
    identifier = stream_of(INVOICE, after.invoice)
    failure = Failure("payment_failed", message=f"invoice {after.invoice} at the processor")
    for _ in range(failures_since(before, after)):
        notice.payment_failed(
            cur, organization=organization, invoice=identifier, failure=failure, author=author
        )
    if had_failed is not None and (not after.failed or after.remaining < had_failed.remaining):
        notice.payment_settled(cur, organization=organization, author=author)


def _with_credit(
    cur: Cursor, books: Books, row: MirroredInvoice, view: InvoiceView, author: Author
) -> tuple[MirroredInvoice, Applied]:
    if view.status != "paid" or row.grant is not None:
        return row, Applied(APPLIED, row.status)
    if view.currency != books.currency:
        return row, Applied(
            PARKED, f"it is in {view.currency}, the organization's currency is {books.currency}"
        )
    prices = live_prices(cur, [line.price for line in view.lines if line.price])
    foreign = [price.price for price in prices.values() if price.currency != books.currency]
    if foreign:
        return row, Applied(PARKED, f"the credit of {foreign[0]} is in another currency")
    credit = credit_of(view.lines, prices)
    if not credit:
        paid_for = [line for line in view.lines if line.amount > 0]
        said = Applied(PARKED, "none of its prices gives credit") if paid_for and view.paid else None
        return row, said or Applied(APPLIED, row.status)
    days = lifetime_of(view.lines, prices)
    return _given(cur, books, replace(row, credit=credit), view, days, author), Applied(
        APPLIED, "its credit was given"
    )


def _given(
    cur: Cursor, books: Books, row: MirroredInvoice, view: InvoiceView, days: int | None, author: Author
) -> MirroredInvoice:
    """The credit stands against what the processor holds for it; what was paid elsewhere is in suspense until finance
    says where it is, and what the credit is worth above both was given away. What was paid besides (a fee, tax) is in
    suspense until finance says what it is."""
    held, elsewhere = min(row.credit, view.came), _elsewhere(row, view)
    parts = (
        ("processor_clearing", held),
        ("suspense", elsewhere),
        ("promotional_expense", row.credit - held - elsewhere),
    )
    grant = grant_credit(
        cur,
        NewGrant(
            organization=books.organization.id,
            amount=row.credit,
            currency=row.currency,
            reason=f"Invoice {row.number or row.invoice} of the processor",
            lifetime=None if days is None else timedelta(days=days),
            contra=tuple((kind, amount) for kind, amount in parts if amount),
        ),
        author=author,
    )
    if rest := view.came - held:
        entry = NewEntry(
            kind="mirrored_invoice",
            key=f"mirrored_invoice:{row.invoice}",
            source=f"mirrored_invoice:{row.invoice}",
            lines=[("processor_clearing", -rest), ("suspense", rest)],
            reason="Paid to the processor besides credit",
        )
        post_entry(cur, organization=books.organization.id, entry=entry, author=author)
    return replace(row, grant=grant)


def _elsewhere(row: MirroredInvoice, view: InvoiceView) -> int:
    """How much (units) of the credit was paid past the processor's balance: out of band, or by an older charge."""
    return max(0, min(row.credit, row.paid) - view.came)


def _note_payments(
    cur: Cursor, books: Books, row: MirroredInvoice, view: InvoiceView, author: Author
) -> None:
    """Its fee, and what goes back of it, comes by its payment; what it was paid besides credit, a person places."""
    credit = min(row.credit, view.came)
    for intent, amount in view.payments:
        if payment_named(cur, intent=intent) is None:
            mirror_payment(
                cur,
                books,
                invoice=stream_of(INVOICE, row.invoice),
                intent=intent,
                customer=row.customer,
                amount=amount,
                credit=min(credit, amount),
                paid_at=row.paid_at,
                author=author,
            )
            credit -= min(credit, amount)
    detail = {"invoice": row.invoice, "paid": row.paid, "came": view.came, "currency": row.currency}
    for kind, amount, proposed in (
        (
            "paid_besides_credit",
            view.came - min(row.credit, view.came),
            ("suspense", "revenue or tax_payable"),
        ),
        ("paid_elsewhere", _elsewhere(row, view), ("cash", "suspense")),
    ):
        if amount:
            open_finding(
                cur,
                organization=row.organization,
                kind=kind,
                subject=f"mirrored_invoice:{row.invoice}",
                detail={**detail, "in_suspense": amount},
                proposed={"debit": proposed[0], "credit": proposed[1], "amount": amount},
                author=author,
            )


def _organization_of(cur: Cursor, customer: str) -> UUID | None:
    linked = linked_customer(cur, customer)
    return None if linked is None else linked[0]
