"""The upcoming invoice: made by the code that makes the real one, and not written (S80)."""

from __future__ import annotations

from functools import partial
from uuid import UUID

from billing.operations.invoices.drafting import Boundary, Drafted, locked_standing, prepare, with_cut
from billing.queries.usage import usage_sums
from common.transactions import run_in_transaction
from events.store import Cursor


def upcoming_invoice(*, organization: UUID) -> Drafted | None:
    """This function will return the invoice of the customer's next boundary as it would be if nothing were used any
    more; None when nothing would be owed.

    Nothing is written. The customer is locked twice for a moment, as for the invoice itself; its use is summed between.
    Raises NotFound and ServiceUnavailable.
    """
    boundary = run_in_transaction(partial(_boundary, organization=organization))
    sums = run_in_transaction(lambda cur: usage_sums(cur, organization=organization, ranges=boundary.ranges))

    def prepared(cur: Cursor) -> Drafted | None:
        locked, _ = locked_standing(cur, organization)
        return prepare(cur, locked, boundary, sums)

    return run_in_transaction(prepared)


def _boundary(cur: Cursor, *, organization: UUID) -> Boundary:
    _, standing = locked_standing(cur, organization)
    cycle = Boundary(standing.next_at, "cycle", cuts=True, ends_cycle=True, standing=standing)
    return with_cut(cur, cycle)
