"""The upcoming invoice: made by the code that makes the real one, and not written (S80)."""

from __future__ import annotations

from functools import partial
from uuid import UUID

from billing.operations.invoices.drafting import Boundary, Drafted, locked_standing, prepare, with_cut
from billing.operations.invoices.taxing import TaxAnswers, ask_tax
from billing.queries.items import open_items
from billing.queries.usage import usage_sums
from billing.rules.usagelines import UsageSum
from common.transactions import run_in_transaction
from events.store import Cursor


def upcoming_invoice(*, organization: UUID) -> Drafted | None:
    """This function will return the invoice of the customer's next boundary as it would be if nothing were used any
    more; None when nothing would be owed.

    Nothing is written. The customer is locked twice for a moment, as for the invoice itself; its use is summed between.
    Raises NotFound and ServiceUnavailable.
    """
    boundary = run_in_transaction(partial(_boundary, organization=organization))
    sums, answers = read_boundary(organization, boundary)

    def prepared(cur: Cursor) -> Drafted | None:
        locked, _ = locked_standing(cur, organization)
        return prepare(cur, locked, boundary, sums, answers)

    return run_in_transaction(prepared)


def read_boundary(organization: UUID, boundary: Boundary) -> tuple[list[UsageSum], TaxAnswers]:
    """This function will return what was used in a boundary's ranges, and how what is owed then is taxed: without any
    lock, and the tax asked outside of any transaction. Raises NotFound."""

    def read(cur: Cursor) -> tuple[list[UsageSum], set[str]]:
        sums = usage_sums(cur, organization=organization, ranges=boundary.ranges)
        return sums, {item.tax_code for item in open_items(cur, organization, boundary.at)}

    sums, codes = run_in_transaction(read)
    answers = ask_tax(organization=organization, codes={*codes, "standard"}, at=boundary.at)
    return sums, answers


def _boundary(cur: Cursor, *, organization: UUID) -> Boundary:
    _, standing = locked_standing(cur, organization)
    cycle = Boundary(standing.next_at, "cycle", cuts=True, ends_cycle=True, standing=standing)
    return with_cut(cur, cycle)
