"""Credit notes: what is taken back of a finalised invoice, net and tax, never more than is on it (B4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from billing.operations.dunning.settling import due_changed, payment_settled
from billing.operations.invoices.booking import booked, entry_of
from billing.operations.invoices.numbering import next_counter
from billing.operations.invoices.sending import CREDIT_NOTE, send_by_itself
from billing.operations.revenue.scheduling import credited_schedules
from billing.queries.creditedlines import credited_lines
from billing.queries.invoices import CreditNote, LineRow, find_invoice, find_note, lines_of, notes_of
from billing.queries.parties import seller_named
from billing.rules.assembling import ROUNDING
from billing.rules.creditnotes import (
    CreditExceedsInvoice,
    credit_all,
    credit_amount,
    credit_lines,
    remaining_lines,
)
from billing.rules.invoices import (
    OPEN,
    PAID,
    UNCOLLECTIBLE,
    Invoice,
    fact,
    settled,
    treatment_data,
    treatment_of,
)
from billing.rules.numbers import InvoiceNumber, format_number
from billing.rules.parties import Seller, year_of
from billing.rules.payments.minor import FinerThanProcessor, charged_step
from billing.rules.postings import credit_note_postings
from billing.rules.tax import TaxedDocument, TaxedLine
from common.errors import InvalidAmount, InvalidTransition
from common.ids import new_id
from common.money import format_document_amount, to_document_units
from events.store import Cursor
from ledger.operations.books import Books, lock_books
from ledger.rules.adjustments import require_reason
from orgs.operations.facts import Author, record
from orgs.rules.facts import Fact, time_text


@dataclass(frozen=True, slots=True)
class NewCreditNote:
    """What to take back: `amount` (units) with its tax in proportion over all lines, or `lines` (net units by the
    line's number), or neither: whatever is left. Units at the currency's precision; a line's has the sign of the line.
    The note that takes the last of all lines takes the one that rounds the total with them.
    """

    reason: str
    amount: int | None = None
    lines: Mapping[int, int] | None = None


@dataclass(frozen=True, slots=True)
class _Split:
    """Where a note's total goes: not to be paid any more, and back to the customer as credit."""

    receivable: int
    credit: int


def issue_credit_note(
    cur: Cursor, *, organization: UUID, invoice: UUID, new: NewCreditNote, author: Author
) -> CreditNote:
    """This function will issue a credit note with a gapless number of its own series, and post the reverse (B2, B4).

    What is still due is not due any more; what was paid is paid credit of the customer. The notes of an invoice never
    exceed it, line by line and in all, and the one that takes the last takes the last of the tax, too. The note is of
    the legal entity that the invoice names, whoever invoices the customer now. Raises NotFound, InvalidField without a
    reason, InvalidTransition (not finalised, or void), InvalidAmount (finer than the currency), FinerThanProcessor (an
    amount that can neither be refunded nor leaves what can be charged), and CreditExceedsInvoice.
    """
    reason = require_reason(new.reason)
    books = lock_books(cur, organization)
    found = find_invoice(cur, organization=organization, invoice=invoice)
    if found.status not in (OPEN, PAID, UNCOLLECTIBLE):
        raise InvalidTransition(f"An invoice that is {found.status} has no credit note.")
    lines = lines_of(cur, invoice)
    notes = notes_of(cur, invoice)
    whole = new.amount is None and new.lines is None
    document = _document(found, lines, notes, new, credited_lines(cur, found, lines, whole=whole))
    if document.gross <= 0:
        raise CreditExceedsInvoice("Nothing of the invoice is left to credit.")
    if (
        document.gross > found.total - found.credited
    ):  # lines that are owed back lower what its others come to
        raise CreditExceedsInvoice("The invoice does not come to as much.")
    unpaid = min(document.gross, max(found.unpaid, 0))
    split = _Split(unpaid, document.gross - unpaid)
    identifier = new_id()
    ledger = _ledger(books, found, lines, document, split, identifier, reason)
    seller = seller_named(cur, found.legal_entity)
    if books.organization.sandbox:
        seller = seller.for_sandbox()
    note = _note(cur, found, seller, lines, document, split, identifier, entry_of(ledger), reason, books)
    after = settled(_credited(found, document.gross, split), now=books.now)
    taken = {int(line.key): line.net for line in document.lines}
    schedules = credited_schedules(cur, books, lines, notes, taken)
    credited = fact(after, "credited", at=books.now, credit_note=str(identifier), schedules=schedules)
    issued = Fact(organization, "credit_note", identifier, 1, "issued", {**note, "ledger": ledger}, books.now)
    record(cur, [issued, credited], author=author)
    send_by_itself(cur, books.organization, document=identifier, kind=CREDIT_NOTE)
    due_changed(cur, organization=organization, invoice=found.id, author=author)
    if after.status == PAID:
        payment_settled(cur, organization=organization, author=author)
    return find_note(cur, organization=organization, note=identifier)


def taxed_lines(lines: Sequence[LineRow]) -> list[TaxedLine]:
    """Return an invoice's lines as the rules of tax and credit notes take them; a line's key is its number."""
    return [
        TaxedLine(str(line.n), line.net, line.tax, treatment_of(line.treatment))
        for line in lines
        if line.treatment is not None  # a finalised invoice's never is
    ]


def _document(
    found: Invoice,
    lines: Sequence[LineRow],
    notes: Sequence[CreditNote],
    new: NewCreditNote,
    credited: Mapping[int, int],
) -> TaxedDocument:
    """The note as it is wanted. `credited`: what came back of lines already, which no note gives back again."""
    invoice = taxed_lines(lines)
    treatments = {line.key: line.treatment for line in invoice}
    before = [
        TaxedDocument(
            tuple(
                TaxedLine(str(part["line"]), part["net"], part["tax"], treatments[str(part["line"])])
                for part in note.lines
            )
        )
        for note in notes
    ]
    for amount in (new.amount, *(new.lines or {}).values()):
        if amount is not None and to_document_units(amount, currency=found.currency) != amount:
            raise InvalidAmount(f"A document in {found.currency} is not finer than its coins.")
    open_lines = {
        line.key: line.net - credited.get(int(line.key), 0) for line in remaining_lines(invoice, before)
    }
    if new.lines is not None:
        wanted = {str(number): amount for number, amount in new.lines.items()}
        wanted |= _rounding_too(lines, open_lines, wanted)
        made = credit_lines(invoice, before, wanted, currency=found.currency)
    elif new.amount is not None:
        _require_chargeable(found, new.amount)
        made = credit_amount(invoice, before, new.amount, currency=found.currency, gross=True)
    elif credited:
        wanted = {
            key: net for key, net in open_lines.items() if net and (net > 0 or int(key) not in credited)
        }
        made = credit_lines(invoice, before, wanted, currency=found.currency)
    else:
        made = credit_all(invoice, before)
    if any(line.net > open_lines[line.key] for line in made.lines if int(line.key) in credited):
        raise CreditExceedsInvoice(
            "What of a line was unused or taken back was credited on another invoice already."
        )
    return made


def _require_chargeable(found: Invoice, amount: int) -> None:
    """Refuse an amount with which neither the note nor what is left of the invoice, or due on it, can be charged."""
    step = charged_step(found.currency)
    if all(each % step for each in (amount, found.total - found.credited - amount, found.unpaid - amount)):
        shown = format_document_amount(step, currency=found.currency)
        raise FinerThanProcessor(
            f"Nobody can be charged or given back less than {shown} {found.currency}.", pointer="/amount"
        )


def _rounding_too(
    lines: Sequence[LineRow], left: Mapping[str, int], wanted: Mapping[str, int]
) -> dict[str, int]:
    """What is left of the line that rounds the total, for the note that takes the last of all others: they alone may
    come to more than the invoice."""
    rounding = {str(line.n) for line in lines if line.kind == ROUNDING}
    is_last = all(wanted.get(key, 0) == net for key, net in left.items() if key not in rounding)
    return {key: left[key] for key in rounding if is_last and left[key] and key not in wanted}


def _ledger(
    books: Books,
    found: Invoice,
    lines: Sequence[LineRow],
    document: TaxedDocument,
    split: _Split,
    identifier: UUID,
    reason: str,
) -> dict[str, Any]:
    accounts = {str(line.n): line.account for line in lines}
    return booked(
        books,
        credit_note_postings(
            [(accounts[line.key], line.net, line.tax) for line in document.lines],
            receivable=split.receivable,
            credit=split.credit,
            is_written_off=found.status == UNCOLLECTIBLE,
        ),
        kind="credit_note",
        key=f"credit_note:{identifier}",
        source=f"invoice:{found.id}",
        reason=reason,
    )


def _note(
    cur: Cursor,
    found: Invoice,
    seller: Seller,
    lines: Sequence[LineRow],
    document: TaxedDocument,
    split: _Split,
    identifier: UUID,
    entry: UUID | None,
    reason: str,
    books: Books,
) -> dict[str, Any]:
    """The definition of the note, with its number, which is taken last."""
    accounts = {str(line.n): line.account for line in lines}
    year = year_of(seller, books.now)
    counter = next_counter(cur, legal_entity=seller.id, series=seller.credit_series, year=year)
    return {
        "invoice_id": str(found.id),
        "currency": found.currency,
        "legal_entity": str(seller.id),
        "series": seller.credit_series,
        "year": year,
        "counter": counter,
        "number": format_number(seller.pattern, InvoiceNumber(seller.credit_series, year, counter)),
        "reason": reason,
        "dated_at": time_text(books.now),
        "net": document.net,
        "tax": document.tax,
        "total": document.gross,
        "receivable": split.receivable,
        "credit": split.credit,
        "taxes": [
            {**treatment_data(one.treatment), "base": one.base, "tax": one.tax} for one in document.rates
        ],
        "lines": [
            {"line": int(line.key), "net": line.net, "tax": line.tax, "account": accounts[line.key]}
            for line in document.lines
        ],
        "entry": str(entry),
    }


def _credited(found: Invoice, total: int, split: _Split) -> Invoice:
    """What is given back as credit was paid, and counts as paid no more."""
    loss = min(found.written_off, split.receivable)
    return replace(
        found,
        credited=found.credited + total,
        paid=found.paid - split.credit,
        written_off=found.written_off - loss,
    )
