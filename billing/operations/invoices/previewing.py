"""The upcoming invoice: made by the code that makes the real one, and rolled back (S80)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Final, TypeVar
from uuid import UUID

from billing.operations.invoices.drafting import Boundary, Drafted, Seen, locked_standing, prepare, with_cut
from billing.operations.invoices.rating import rate_metered
from billing.operations.invoices.taxing import TaxAnswers, ask_between, ask_tax, parties_of
from billing.operations.turns import pass_turns_to_boundary
from billing.queries.committeduse import committed_use
from billing.queries.items import open_items
from billing.queries.usage import usage_sums
from billing.rules.contracts.lines import CommittedUse
from billing.rules.meteredlines import RatedUse
from billing.rules.parties import Buyer, Seller
from billing.rules.usagelines import UsageSum
from common.errors import ServiceUnavailable
from common.transactions import run_in_transaction, sqlstate_of
from events.store import Cursor
from orgs.operations.facts import Author
from orgs.operations.locks import lock_organization

AUTHOR: Final = Author("system:preview")
SUM_SECONDS: Final = 20.0
"""How long each statement that sums a preview's use may take. A million records take five to ten seconds; whoever waits
for an answer of the web waits for 60 at most."""
RETRY_SECONDS: Final = 60
_CANCELED: Final = "57014"


class PreviewTimeout(ServiceUnavailable):
    """The customer used so much that its next invoice could not be worked out in time; the invoice itself will be."""

    code = "preview_timeout"


Found = TypeVar("Found")


class _Undone(Exception):
    """Carries what was found out of its transaction, which is rolled back."""


def upcoming_invoices(*, organization: UUID) -> list[Drafted]:
    """This function will return the next invoice as it would be if nothing were used any more: that of the boundary
    at which the billing run makes one, at the latest the end of the customer's cycle. None when nothing would be owed
    until then, several where the customer wants them apart.

    The boundary is found in a transaction that is rolled back, which moves subscriptions and contracts over their
    turns. Use of the gate is summed without a lock, for SUM_SECONDS at most, and tax is asked outside of transactions.
    Then, in another one that is rolled back, metered use is rated and charged, and the draft is made as it will be;
    that one holds the customer's lock, so it has no more time than any other. Raises NotFound, PreviewTimeout (nothing
    is wrong with the invoice itself, whose run has more time) and ServiceUnavailable.
    """
    try:
        return _upcoming(organization)
    except ServiceUnavailable as error:
        if error.__cause__ is not None and sqlstate_of(error.__cause__) == _CANCELED:
            raise PreviewTimeout(retry_after=RETRY_SECONDS) from error
        raise


def _upcoming(organization: UUID) -> list[Drafted]:
    boundary, limit, codes = _rolled_back(partial(_boundary, organization=organization))
    sums = run_in_transaction(partial(_sums, organization=organization, boundary=boundary))
    while True:
        answers = ask_tax(organization=organization, codes=codes, at=boundary.at)
        drafted = _rolled_back(
            partial(
                _drafted,
                organization=organization,
                boundary=boundary,
                limit=limit,
                sums=sums,
                answers=answers,
            )
        )
        more = {line.owed.tax_code for one in drafted for line in one.document.lines} - codes
        if not more:
            return drafted
        codes |= more  # of metered charges, which nobody knows before they are rated


def _rolled_back(operation: Callable[[Cursor], Found]) -> Found:
    """Return what an operation found; whatever it wrote never was."""

    def undone(cur: Cursor) -> None:
        raise _Undone(operation(cur))

    try:
        run_in_transaction(undone)
    except _Undone as made:
        found: Found = made.args[0]
        return found
    raise AssertionError("a preview is always rolled back")


def _sums(cur: Cursor, *, organization: UUID, boundary: Boundary) -> list[UsageSum]:
    """What waits for nobody and holds no lock may take longer than a request's other statements."""
    cur.execute("SELECT set_config('statement_timeout', %s, true)", (str(round(SUM_SECONDS * 1_000)),))
    return usage_sums(cur, organization=organization, ranges=boundary.ranges)


def read_boundary(organization: UUID, boundary: Boundary) -> Seen:
    """This function will return what a boundary's draft is made of besides items: without any lock, and the tax asked
    outside of any transaction. Raises NotFound, NotPriced and PeriodRetired."""

    def read(
        cur: Cursor,
    ) -> tuple[list[UsageSum], list[RatedUse], list[CommittedUse], set[str], Seller, Buyer]:
        sums = usage_sums(cur, organization=organization, ranges=boundary.ranges)
        rated = _rated(cur, organization, boundary)
        committed = _committed(cur, organization, boundary)
        codes = {item.tax_code for item in open_items(cur, organization, boundary.at)}
        codes |= {"standard", *(one.period.charge.tax_code for one in rated)}
        return sums, rated, committed, codes, *parties_of(cur, organization=organization)

    sums, rated, committed, codes, seller, buyer = run_in_transaction(read, prepared=True)
    answers = ask_between(seller, buyer, codes=codes, at=boundary.at)
    return Seen(sums, rated, answers, committed)


def _drafted(
    cur: Cursor,
    *,
    organization: UUID,
    boundary: Boundary,
    limit: datetime,
    sums: list[UsageSum],
    answers: TaxAnswers,
) -> list[Drafted]:
    locked = lock_organization(cur, organization)
    pass_turns_to_boundary(cur, locked, limit, author=AUTHOR)
    rated = _rated(cur, organization, boundary)
    committed = _committed(cur, organization, boundary)
    seen = Seen(sums, rated, answers, committed)
    return prepare(cur, locked, boundary, seen, author=AUTHOR)


def _rated(cur: Cursor, organization: UUID, boundary: Boundary) -> list[RatedUse]:
    assert boundary.cut is not None
    return rate_metered(
        cur,
        organization=organization,
        currency=boundary.currency,
        cut=boundary.cut,
        last=boundary.standing.cut,
    )


def _committed(cur: Cursor, organization: UUID, boundary: Boundary) -> list[CommittedUse]:
    """What was drawn from commitments is billed where use is."""
    if not boundary.cuts or boundary.cut is None:
        return []
    return committed_use(cur, organization=organization, currency=boundary.currency, cut=boundary.cut)


def _boundary(cur: Cursor, *, organization: UUID) -> tuple[Boundary, datetime, set[str]]:
    """The boundary of the next invoice, up to when turns were passed for it (a contract's window is settled days after
    the date of what it makes owed), and the tax codes of what is owed by then. What is due now comes first, also by a
    threshold that is reached."""
    locked, standing = locked_standing(cur, organization)
    limit = locked.now
    boundary = pass_turns_to_boundary(cur, locked, limit, author=AUTHOR)
    if boundary is None:
        limit = standing.next_at
        boundary = pass_turns_to_boundary(cur, locked, limit, author=AUTHOR)
    assert boundary is not None  # at the latest the end of the cycle
    codes = {item.tax_code for item in open_items(cur, organization, boundary.at)}
    return with_cut(cur, boundary), limit, {"standard", *codes}
