"""Importing providers' bills, comparing them with our record of calls, and booking them."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Final
from uuid import UUID

from common.clock import wall_now
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs import PLATFORM_ID
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization
from webhooks.operations.reconciling.accounts import platform_ledger
from webhooks.operations.reconciling.noting import end_difference, note_open
from webhooks.queries.reconciling.bills import beside, bill_of_digest, costs, find_bill, open_bills
from webhooks.queries.reconciling.runs import Run, open_not_met
from webhooks.rules.reconciling import bills as rules
from webhooks.rules.reconciling.billfiles import Statement
from webhooks.rules.reconciling.bills import Bill, Compared
from webhooks.rules.reconciling.differences import COST, Difference, Tally

ENTRY: Final = "provider_bill"
LOOKED_AT: Final = timedelta(days=120)
"""Bills that were not booked by then are not compared any more."""


def import_bill(
    cur: Cursor, *, statement: Statement, tolerance_ppm: int, author: Author
) -> tuple[Bill, bool]:
    """This function will import a provider's cost export, once for its content, and say whether it is new.

    `statement` is read before, by `read_statement`: a large file must not keep the platform's lock. `tolerance_ppm`: by
    how much a day of a model may differ, in parts of a million. It locks the platform. Raises InvalidField.
    """
    now = lock_organization(cur, PLATFORM_ID).now
    made = rules.new_bill(statement, tolerance_ppm=tolerance_ppm, by=author.actor, now=now)
    known = bill_of_digest(cur, made.digest)
    if known is not None:
        return known, False
    record(cur, [rules.fact(made, "imported", at=now)], author=author)
    return made, True


def book_bill(cur: Cursor, *, bill: UUID, against: str, author: Author) -> Bill:
    """This function will book a bill in the platform's books, once: `cash` pays it, `provider_payable` takes over the
    difference to our record alone. It locks the platform. Raises NotFound, InvalidField and InvalidTransition."""
    now = lock_organization(cur, PLATFORM_ID).now
    done = rules.booked(find_bill(cur, bill), against=against, now=now)
    ours = rules.recorded(done, costs(cur, done), beside(cur, done))
    ledger = platform_ledger(
        cur,
        rules.postings(done, ours=ours),
        currency=done.currency,
        kind=ENTRY,
        key=f"provider_bill:{done.id}",
        source=f"provider_bill:{done.id}",
        reason=f"Bill of {done.provider}, {done.first_day} to {done.last_day}",
        author=author,
    )
    record(cur, [rules.fact(done, "booked", at=now, ledger=ledger)], author=author)
    return done


def compare_bill(cur: Cursor, bill: Bill) -> list[Compared]:
    """This function will return every day and model of a bill beside our record; other bills of the days are added."""
    return rules.compared(bill, costs(cur, bill), beside(cur, bill))


def compare_bills(run: Run) -> Tally:
    """This function will compare all bills that are not booked, and keep a finding for each day and model that differs
    by more than the bill's tolerance."""
    tally, met = Tally(), set()
    since = run_in_transaction(wall_now).date() - LOOKED_AT
    for bill in run_in_transaction(lambda cur: open_bills(cur, since=since)):
        tally.add(bill.currency, bill.total)
        for each in run_in_transaction(partial(compare_bill, bill=bill)):
            tally.compared += 1
            if not each.is_within(bill.tolerance_ppm):
                found = _difference(bill, each)
                met.add(found.subject)
                run_in_transaction(partial(note_open, run=run.id, found=found))
                tally.open += 1
    for row in run_in_transaction(lambda cur: open_not_met(cur, run.id)):
        if row.kind == ENTRY and row.subject not in met:
            run_in_transaction(partial(end_difference, row=row, reason="The bill agrees, or is booked."))
    return tally


def _difference(bill: Bill, each: Compared) -> Difference:
    change = each.billed - each.ours
    detail = {
        "bill": str(bill.id), "provider": bill.provider, "model": each.model, "day": each.day.isoformat(),
        "billed": each.billed, "ours": each.ours,
    }  # fmt: skip
    proposed = {
        "step": "correct the price or the missing calls, or book the bill with the difference",
        "entry": {"provider_cost": -change, "provider_payable": change},
    }
    subject = f"provider_cost:{bill.provider}:{bill.currency}:{each.day.isoformat()}:{each.model}"[:200]
    return Difference(ENTRY, COST, subject, detail, None, change, bill.currency, proposed)
