"""An invoice whose tax nobody knows: it is tried again ever more rarely, and at once when the customer's profile says
more."""

from __future__ import annotations

from typing import Final

from billing.queries.invoices import invoices_waiting_for_tax
from billing.rules.invoices import FAILED, TAX_PENDING, Invoice, fact, moved, pause_of_tax
from events.store import Cursor
from orgs.operations.facts import Author, record
from orgs.rules.rows import LockedOrganization

TAX_UNKNOWN: Final = (
    "The tax is not known yet: the billing profile has no tax.country, or its VAT id waits for an answer."
)


def await_tax(cur: Cursor, invoice: Invoice, locked: LockedOrganization, *, author: Author) -> Invoice:
    """This function will let an invoice wait for its tax: an hour, then twice as long each time, a day at most. One
    that waited for a month is failed: a person, or another billing profile, has it tried again."""
    pause = pause_of_tax(invoice)
    if pause is None:
        waiting, verb = moved(invoice, FAILED, error=TAX_UNKNOWN), "failed"
    else:
        due = locked.now + pause
        waiting, verb = moved(invoice, TAX_PENDING, finalize_at=due, error=TAX_UNKNOWN), "tax_awaited"
    record(cur, [fact(waiting, verb, at=locked.now)], author=author)
    return waiting


def try_tax_again(cur: Cursor, locked: LockedOrganization, *, author: Author) -> None:
    """This function will make due at once whatever of a customer waits for its tax, because its profile says more now,
    also what was given up. The caller holds the lock."""
    found = invoices_waiting_for_tax(cur, locked.id, error=TAX_UNKNOWN)
    waiting = [moved(each, TAX_PENDING, finalize_at=locked.now) for each in found]
    record(cur, [fact(each, "tax_awaited", at=locked.now) for each in waiting], author=author)
