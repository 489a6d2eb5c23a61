"""Voiding: an invoice that should not have been made is taken back whole, and what it took waits for the next one."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from billing.operations.dunning.settling import due_changed, payment_settled
from billing.operations.findings import resolve_open
from billing.operations.invoices.booking import booked
from billing.operations.invoices.drafting import standing_fact
from billing.operations.invoices.waiting import end_waiting
from billing.operations.revenue.scheduling import voided_schedules
from billing.queries.invoices import find_invoice, lines_of
from billing.queries.items import items_of
from billing.queries.standing import Standing, read_range, standing_of
from billing.rules.findings import DOCUMENT_NOT_SENT
from billing.rules.invoices import VOID, Invoice, fact, moved
from billing.rules.postings import invoice_postings
from billing.rules.progressive import THRESHOLD, used_units
from common.errors import InvalidTransition
from events.store import Cursor
from ledger.operations.books import lock_books
from ledger.rules.adjustments import require_reason
from orgs.operations.facts import Author, record
from orgs.rules.facts import Fact, time_text


def void_invoice(cur: Cursor, *, organization: UUID, invoice: UUID, reason: str, author: Author) -> Invoice:
    """This function will void a draft, or an open invoice on which nothing was paid or credited.

    Its number stays used. Its entry is reversed; its items and its use are due again at the customer's next boundary,
    so each is on one living invoice at most (B1). A debt that is forgiven is not voided: that is a credit note.
    Raises NotFound, InvalidField without a reason, and InvalidTransition.
    """
    text = require_reason(reason)
    books = lock_books(cur, organization)
    found = find_invoice(cur, organization=organization, invoice=invoice)
    if found.paid or found.credited:
        raise InvalidTransition(
            "Something was paid or credited on this invoice; correct it by a credit note."
        )
    void = moved(found, VOID, voided_at=books.now)
    ledger = {}
    if found.entry is not None:
        postings = invoice_postings(lines_of(cur, invoice))
        ledger = booked(
            books,
            {kind: -amount for kind, amount in postings.items()},
            kind="invoice_void",
            key=f"invoice_void:{found.id}",
            source=f"invoice:{found.id}",
            reason=text,
            reverses=found.entry,
        )
    schedules = voided_schedules(cur, books, found)
    standing = standing_of(cur, organization)
    given_back = [[str(item.id), time_text(standing.next_at)] for item in items_of(cur, invoice)]
    facts: list[Fact | None] = [
        fact(
            void,
            "voided",
            at=books.now,
            reason=text,
            given_back=given_back,
            schedules=schedules,
            ledger=ledger,
        )
    ]
    if found.usage:
        facts.append(standing_fact(books.organization, _with_ranges(cur, standing, found), "gave_back"))
    record(cur, facts, author=author)
    end_waiting(cur, found, reason="The invoice is void.", author=author)
    if found.is_finalized:
        due_changed(cur, organization=organization, invoice=found.id, author=author)
        payment_settled(cur, organization=organization, author=author)
        resolve_open(
            cur,
            organization=organization,
            kind=DOCUMENT_NOT_SENT,
            subject=f"invoice:{found.id}",
            reason="It is void.",
            author=author,
        )
    return void


def _with_ranges(cur: Cursor, standing: Standing, found: Invoice) -> Standing:
    """Its use waits; of a progressive invoice of the running period no threshold fires again for it."""
    ranges = (*standing.open_ranges, *(read_range(each) for each in found.usage or ()))
    progress = standing.progress
    if found.cause == THRESHOLD and found.period_start == standing.cycle_start:
        lines = lines_of(cur, found.id)
        progress = progress.taken_back(used_units((one.kind, one.amount - one.remainder) for one in lines))
    return replace(standing, open_ranges=ranges, progress=progress, version=standing.version + 1)
