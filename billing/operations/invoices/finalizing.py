"""Finalization: tax, number, postings, in one short transaction; and what hinders it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from fractions import Fraction
from typing import Any, Final
from uuid import UUID

import msgspec

from billing.operations.invoices.booking import booked, entry_of
from billing.operations.invoices.numbering import next_counter
from billing.operations.invoices.paying import pay_with_credit_of
from billing.operations.invoices.sending import INVOICE, send_by_itself
from billing.operations.invoices.taxing import TaxAnswers
from billing.operations.invoices.waiting import await_tax, end_waiting
from billing.operations.payments.collecting import collect_opened
from billing.operations.revenue.scheduling import opened_schedules
from billing.queries.invoices import LineRow, find_invoice, lines_of
from billing.queries.items import treatments_of_items
from billing.queries.parties import contact_of, seller_named
from billing.queries.progressive import period_statement
from billing.queries.ratedlines import treatment_of_charges
from billing.rules.assembling import rounding_lines
from billing.rules.invoices import (
    FAILED,
    OPEN,
    UNFINISHED,
    Invoice,
    fact,
    finalized,
    line_data,
    moved,
    treatment_data,
)
from billing.rules.numbers import InvoiceNumber, format_number
from billing.rules.parties import Seller, year_of
from billing.rules.postings import invoice_postings
from billing.rules.tax import TaxableLine, TaxPending, Treatment, tax_document
from common.errors import InvalidTransition, ServiceUnavailable
from events.store import Cursor
from ledger.operations.books import Books, lock_books
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization
from orgs.rules.facts import time_text

_ADDRESS: Final = "INSERT INTO invoice_addressees VALUES (%s, %s, %s, %s, %s::jsonb) ON CONFLICT DO NOTHING"


def finalize_invoice(
    cur: Cursor, *, organization: UUID, invoice: UUID, answers: TaxAnswers | None, author: Author
) -> Invoice:
    """This function will give an invoice its number, post it and make it a document for ever (B2, B3, S76).

    An invoice whose tax is still not known becomes tax_pending and is tried again later, without a number. One with
    nothing to pay is paid at once; one below zero becomes credit of the customer, which pays what it owes first.
    The line that brings its total to what can be charged is on it, where its currency needs one (Y4). Its entry is in
    effect at the date that it is for, or where that month is closed at the beginning of the first open one. A payment
    of an open one is asked for, where the customer is charged automatically. Lines that defer revenue open recognition
    schedules. `answers` are of `ask_tax_of_invoice`, asked before the transaction; None: its tax is known. Raises
    NotFound, InvalidTransition (finalised or void), AmountOutOfRange, and ServiceUnavailable when the parties or the
    rates changed since it was asked, or it was not asked about a line that waits.
    """
    return finalize_locked(cur, lock_books(cur, organization), invoice, answers, author=author)


def finalize_locked(
    cur: Cursor, books: Books, invoice: UUID, answers: TaxAnswers | None, *, author: Author
) -> Invoice:
    """This function will do the same with books that the caller has locked."""
    organization = books.organization.id
    found = find_invoice(cur, organization=organization, invoice=invoice)
    if found.is_finalized:
        raise InvalidTransition("The invoice is finalised already.")
    if answers is not None:
        answers.require_same(cur, organization)
    taxed = _taxed(cur, found, lines_of(cur, invoice), answers)
    if taxed is None:
        assert answers is not None  # a line that waits was asked about
        return await_tax(cur, found, books.organization, answers, author=author)
    found, lines, told = taxed
    # Taxed when it was drafted, it names the seller of then: that one's tax needs that one's number.
    seller = answers.seller if told and answers is not None else seller_named(cur, found.legal_entity)
    if books.organization.sandbox:
        seller = seller.for_sandbox()
    found, added = _rounded(found, lines)
    lines, told = [*lines, *added], [*told, *map(_written, added)]
    if found.progressive is not None:  # what became of those before since it was drafted
        found = _restated(cur, found)
    ledger = booked(
        books,
        invoice_postings(lines),
        kind="invoice",
        key=f"invoice:{found.id}",
        source=f"invoice:{found.id}",
        reason="The invoice is below zero." if found.total < 0 else "",
        effective_at=found.dated_at,
    )
    schedules = opened_schedules(books, found, lines)
    done = _numbered(cur, found, seller, entry_of(ledger), books.now)
    record(
        cur,
        [fact(done, "finalized", at=books.now, lines=told, schedules=schedules, ledger=ledger)],
        author=author,
    )
    end_waiting(cur, found, reason="Its tax is known.", author=author)
    _address(cur, done)
    if done.total:
        send_by_itself(cur, books.organization, document=done.id, kind=INVOICE)
    if done.total < 0:
        pay_with_credit_of(cur, organization=organization, credit=done, author=author)
    elif done.status == OPEN:
        collect_opened(cur, organization=organization, invoice=done.id, author=author)
    return done


def fail_invoice(cur: Cursor, *, organization: UUID, invoice: UUID, error: str, author: Author) -> Invoice:
    """This function will note why an invoice cannot be finalised; a person finalises it again. One that somebody
    finalised or voided meanwhile stays as it is. Raises NotFound."""
    locked = lock_organization(cur, organization)
    found = find_invoice(cur, organization=organization, invoice=invoice)
    if found.status not in UNFINISHED:
        return found
    failed = moved(found, FAILED, error=error[:500])
    record(cur, [fact(failed, "failed", at=locked.now)], author=author)
    return failed


def _restated(cur: Cursor, found: Invoice) -> Invoice:
    stated = period_statement(cur, organization=found.organization, start=found.period_start, net=found.net)
    return replace(found, progressive=stated)


def _address(cur: Cursor, done: Invoice) -> None:
    """Keep whom it is addressed to as it is now, apart: it can be erased."""
    contact = contact_of(cur, done.organization)
    address = msgspec.json.encode(contact.address).decode()
    cur.execute(_ADDRESS, (done.id, done.organization, contact.name, contact.email, address))


def _numbered(cur: Cursor, found: Invoice, seller: Seller, entry: UUID | None, now: datetime) -> Invoice:
    year = year_of(seller, found.dated_at)
    counter = next_counter(cur, legal_entity=seller.id, series=seller.series, year=year)
    number = format_number(seller.pattern, InvoiceNumber(seller.series, year, counter))
    found = replace(found, legal_entity=seller.id)
    return finalized(
        found, series=seller.series, year=year, counter=counter, number=number, entry=entry, now=now
    )


def _taxed(
    cur: Cursor, found: Invoice, lines: Sequence[LineRow], answers: TaxAnswers | None
) -> tuple[Invoice, Sequence[LineRow], list[dict[str, Any]]] | None:
    """The invoice with its tax and, where that was not known when it was drafted, its lines anew; None: it waits."""
    if all(line.treatment is not None for line in lines):
        return found, lines, []
    if answers is None:
        raise ServiceUnavailable("The tax of the invoice was not asked for.", retry_after=1)
    taxable = []
    before = _treatments_before(cur, found, lines)
    for line in lines:
        treatment = before.get(line.n) or answers.patient(line.tax_code)
        if isinstance(treatment, TaxPending):
            return None
        taxable.append(TaxableLine(str(line.n), line.net, treatment))
    document = tax_document(taxable, currency=found.currency)
    rows = [
        replace(line, tax=taxed.tax, treatment=treatment_data(taxed.treatment))
        for line, taxed in zip(lines, document.lines, strict=True)
    ]
    taxes = [{**treatment_data(one.treatment), "base": one.base, "tax": one.tax} for one in document.rates]
    changed = replace(
        found,
        tax=document.tax,
        total=found.net + document.tax,
        taxes=taxes,
        seller=dict(answers.seller.data),
        customer=dict(answers.buyer.data),
    )
    return changed, rows, [_written(row) for row in rows]


def _rounded(found: Invoice, lines: Sequence[LineRow]) -> tuple[Invoice, list[LineRow]]:
    """The invoice with the line that rounds its total, where that is not on it since it was drafted: it was not known
    before the tax was."""
    added = rounding_lines(found.total, currency=found.currency, number=len(lines) + 1)
    more = sum(line.net for line in added)
    changed = replace(found, subtotal=found.subtotal + more, net=found.net + more, total=found.total + more)
    owner: dict[str, Any] = {"invoice_id": found.id, "organization": found.organization}
    return changed, [LineRow(**owner, **line_data(line)) for line in added]


def _treatments_before(
    cur: Cursor, found: Invoice, lines: Sequence[LineRow]
) -> dict[int, Treatment | TaxPending]:
    """How lines that take back what other invoices bill are taxed: as those are."""
    named = {line.n: UUID(line.detail["credits"]) for line in lines if line.detail.get("credits")}
    items = treatments_of_items(cur, list(named.values()), but=found.id)
    treatments = {number: items[item] for number, item in named.items() if item in items}
    for line in lines:
        charges = line.detail.get("taxed_as", ())
        treatment = treatment_of_charges(cur, found.organization, charges, but=found.id)
        if treatment is not None:
            treatments[line.n] = treatment
    return treatments


def _written(row: LineRow) -> dict[str, Any]:
    data = asdict(row)
    for name in ("invoice_id", "organization"):
        del data[name]
    for name, value in data.items():
        if isinstance(value, datetime):
            data[name] = time_text(value)
        elif isinstance(value, UUID | Fraction):
            data[name] = str(value)
    return data
