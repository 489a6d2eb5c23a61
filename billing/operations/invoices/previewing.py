"""The upcoming invoice: made by the code that makes the real one, and rolled back (S80)."""

from __future__ import annotations

from functools import partial
from typing import Final
from uuid import UUID

from billing.operations.boundaries import advance
from billing.operations.invoices.drafting import Boundary, Drafted, Seen, locked_standing, prepare, with_cut
from billing.operations.invoices.rating import rate_metered
from billing.operations.invoices.taxing import TaxAnswers, ask_between, ask_tax, parties_of
from billing.queries.committeduse import committed_use
from billing.queries.items import open_items
from billing.queries.usage import usage_sums
from billing.rules.contracts.lines import CommittedUse
from billing.rules.meteredlines import RatedUse
from billing.rules.parties import Buyer, Seller
from billing.rules.usagelines import UsageSum
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.operations.facts import Author
from orgs.queries.organizations import find_organization

AUTHOR: Final = Author("system:preview")
_CODES: Final = ("exempt", "standard")


class _Undone(Exception):
    """Carries a preview out of its transaction, which is rolled back."""

    def __init__(self, drafted: Drafted | None) -> None:
        super().__init__()
        self.drafted = drafted


def upcoming_invoice(*, organization: UUID) -> Drafted | None:
    """This function will return the invoice of the end of the customer's cycle as it would be if nothing were used any
    more; None when nothing would be owed.

    Use of the gate is summed without a lock. Then, in a transaction that is rolled back, subscriptions are moved over
    their boundaries until then, metered use is rated and charged, and the draft is made as it will be. Raises NotFound
    and ServiceUnavailable.
    """
    boundary = run_in_transaction(partial(_boundary, organization=organization))
    sums = run_in_transaction(partial(usage_sums, organization=organization, ranges=boundary.ranges))
    answers = ask_tax(organization=organization, codes=_CODES, at=boundary.at)
    try:
        run_in_transaction(
            partial(_undone, organization=organization, boundary=boundary, sums=sums, answers=answers)
        )
    except _Undone as made:
        return made.drafted
    raise AssertionError("a preview is always rolled back")


def read_boundary(organization: UUID, boundary: Boundary) -> Seen:
    """This function will return what a boundary's draft is made of besides items: without any lock, and the tax asked
    outside of any transaction. Raises NotFound, NotPriced and PeriodRetired."""

    def read(
        cur: Cursor,
    ) -> tuple[list[UsageSum], list[RatedUse], list[CommittedUse], set[str], Seller, Buyer]:
        sums = usage_sums(cur, organization=organization, ranges=boundary.ranges)
        currency = find_organization(cur, organization=organization).currency
        rated = _rated(cur, organization, boundary, currency)
        committed = _committed(cur, organization, boundary, currency)
        codes = {item.tax_code for item in open_items(cur, organization, boundary.at)}
        codes |= {"standard", *(one.period.charge.tax_code for one in rated)}
        return sums, rated, committed, codes, *parties_of(cur, organization=organization)

    sums, rated, committed, codes, seller, buyer = run_in_transaction(read, prepared=True)
    answers = ask_between(seller, buyer, codes=codes, at=boundary.at)
    return Seen(sums, rated, answers, committed)


def _undone(
    cur: Cursor, *, organization: UUID, boundary: Boundary, sums: list[UsageSum], answers: TaxAnswers
) -> None:
    locked, _ = locked_standing(cur, organization)
    advance(cur, locked, until=boundary.at, author=AUTHOR)
    rated = _rated(cur, organization, boundary, locked.currency)
    committed = _committed(cur, organization, boundary, locked.currency)
    seen = Seen(sums, rated, answers, committed)
    raise _Undone(prepare(cur, locked, boundary, seen, author=AUTHOR))


def _rated(cur: Cursor, organization: UUID, boundary: Boundary, currency: str) -> list[RatedUse]:
    assert boundary.cut is not None
    return rate_metered(
        cur, organization=organization, currency=currency, cut=boundary.cut, last=boundary.standing.cut
    )


def _committed(cur: Cursor, organization: UUID, boundary: Boundary, currency: str) -> list[CommittedUse]:
    """What was drawn from commitments is billed where use is."""
    if not boundary.cuts or boundary.cut is None:
        return []
    return committed_use(cur, organization=organization, currency=currency, cut=boundary.cut)


def _boundary(cur: Cursor, *, organization: UUID) -> Boundary:
    _, standing = locked_standing(cur, organization)
    cycle = Boundary(standing.next_at, "cycle", cuts=True, ends_cycle=True, standing=standing)
    return with_cut(cur, cycle)
