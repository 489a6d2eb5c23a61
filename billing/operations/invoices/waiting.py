"""An invoice whose tax nobody knows: it is tried again ever more rarely, and at once when the customer's profile says
more or a rate was entered."""

from __future__ import annotations

from typing import Final

from billing.operations.findings import open_finding, resolve_open
from billing.operations.invoices.taxing import TaxAnswers
from billing.queries.invoices import invoices_waiting_for_tax
from billing.rules.findings import RATE_MISSING
from billing.rules.invoices import FAILED, TAX_PENDING, Invoice, fact, moved, pause_of_tax
from billing.rules.tax import TaxRateUnknown
from events.store import Cursor
from orgs.operations.facts import Author, record
from orgs.rules.rows import LockedOrganization

TAX_UNKNOWN: Final = (
    "The tax is not known yet: the billing profile has no tax.country, or its VAT id waits for an answer."
)
RATE_UNKNOWN: Final = f"{TaxRateUnknown.code}: "
"""What the error begins with of an invoice whose tax has no rate."""


def await_tax(
    cur: Cursor, invoice: Invoice, locked: LockedOrganization, answers: TaxAnswers, *, author: Author
) -> Invoice:
    """This function will let an invoice wait for its tax: an hour, then twice as long each time, a day at most. One
    that waited for a month is failed: a person, another billing profile or a new rate has it tried again. Of a rate
    that is missing there is a finding."""
    pause = pause_of_tax(invoice)
    details = sorted({refusal.detail for refusal in answers.refusals.values()})
    error = RATE_UNKNOWN + " ".join(details) if details else TAX_UNKNOWN
    if pause is None:
        waiting, verb = moved(invoice, FAILED, error=error[:500]), "failed"
    else:
        due = locked.now + pause
        waiting, verb = moved(invoice, TAX_PENDING, finalize_at=due, error=error[:500]), "tax_awaited"
    record(cur, [fact(waiting, verb, at=locked.now)], author=author)
    if details:
        _note_missing_rate(cur, invoice, answers, author=author)
    else:
        end_waiting(cur, invoice, reason="It waits for something else by now.", author=author)
    return waiting


def end_waiting(cur: Cursor, invoice: Invoice, *, reason: str, author: Author) -> None:
    """This function will settle the finding that the tax of an invoice has no rate, if it waited. The caller holds the
    lock."""
    if invoice.status in (TAX_PENDING, FAILED):
        resolve_open(
            cur,
            organization=invoice.organization,
            kind=RATE_MISSING,
            subject=f"invoice:{invoice.id}",
            reason=reason,
            author=author,
        )


def try_tax_again(cur: Cursor, locked: LockedOrganization, *, author: Author) -> None:
    """This function will make due at once whatever of a customer waits for its tax, because more is known now, also
    what was given up. The caller holds the lock."""
    found = invoices_waiting_for_tax(cur, locked.id, error=TAX_UNKNOWN, prefix=RATE_UNKNOWN)
    waiting = [moved(each, TAX_PENDING, finalize_at=locked.now) for each in found]
    record(cur, [fact(each, "tax_awaited", at=locked.now) for each in waiting], author=author)


def _note_missing_rate(cur: Cursor, invoice: Invoice, answers: TaxAnswers, *, author: Author) -> None:
    country = answers.buyer.data.get("country")
    day = invoice.dated_at.date().isoformat()
    open_finding(
        cur,
        organization=invoice.organization,
        kind=RATE_MISSING,
        subject=f"invoice:{invoice.id}",
        detail={
            "invoice": str(invoice.id),
            "country": country,
            "tax_codes": sorted(answers.refusals),
            "on": day,
            "rates": len(answers.buyer.rates),
        },
        proposed={"step": f"POST /v1/tax-rates for {country}, valid from {day} or before"},
        author=author,
        once=True,
    )
