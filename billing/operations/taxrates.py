"""Entering and ending tax rates, and trying again what waited for one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from functools import partial
from typing import Final
from uuid import UUID

from billing.operations.findings import resolve_open
from billing.operations.invoices.waiting import try_tax_again
from billing.queries.taxrates import answered_findings, closed_for_tax, find_tax_rate, rates_of
from billing.rules.findings import RATE_MISSING
from billing.rules.tax import TaxRate, tax_area
from billing.rules.taxrates import NewTaxRate, rate_added, rate_ended
from common.errors import ServiceUnavailable
from common.ids import new_id
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs import PLATFORM_ID
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization

AUTHOR: Final = Author("system:tax_rates")
AT_ONCE: Final = 1_000


def add_tax_rate(cur: Cursor, new: NewTaxRate, *, author: Author) -> TaxRate:
    """This function will enter a tax rate. What is drafted from then on is taxed with it where it covers the day;
    drafts and invoices that have their tax keep it.

    Raises InvalidField, InvalidPeriod, TaxRateConflict (one begins on that day already) and PeriodClosed (it would
    change a rate in a month that a seller of the country's tax area has closed).
    """
    locked = lock_organization(cur, PLATFORM_ID)
    closed_until = closed_for_tax(cur, tax_area(new.country))
    known = rates_of(cur, new.country)
    made, fact = rate_added(new, known=known, closed_until=closed_until, rate=new_id(), at=locked.now)
    record(cur, [fact], author=author)
    return made


def end_tax_rate(cur: Cursor, *, rate: UUID, valid_to: date | None = None, author: Author) -> TaxRate:
    """This function will end a rate before `valid_to`, by default before today, or before it begins. An end that lies
    ahead may be moved, and the same end again changes nothing. Raises NotFound, InvalidTransition and InvalidPeriod."""
    locked = lock_organization(cur, PLATFORM_ID)
    ended, fact = rate_ended(find_tax_rate(cur, rate), valid_to, at=locked.now)
    record(cur, [fact], author=author)
    return ended


def try_invoices_again() -> int:
    """This function will let the billing run try at once what waits for a tax rate, also what was given up, of every
    customer for whose country one was entered since; and return how many customers that were. Whoever is locked comes
    the next time."""
    done = 0
    for organization, subjects in run_in_transaction(partial(answered_findings, limit=AT_ONCE)):
        with suppress(ServiceUnavailable):
            run_in_transaction(partial(_try_again, organization=organization, subjects=subjects))
            done += 1
    return done


def _try_again(cur: Cursor, *, organization: UUID, subjects: Sequence[str]) -> None:
    """Without the findings, so that a rate is answered once: what still lacks one opens its finding anew."""
    locked = lock_organization(cur, organization)
    found = [
        resolve_open(
            cur,
            organization=organization,
            kind=RATE_MISSING,
            subject=subject,
            reason="A rate was entered; the invoice is tried again.",
            author=AUTHOR,
        )
        for subject in subjects
    ]
    if any(found):  # else another run was faster
        try_tax_again(cur, locked, author=AUTHOR)
