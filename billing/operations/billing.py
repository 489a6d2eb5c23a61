"""The billing run of one customer: boundary after boundary, each in its own transactions, until nothing is due.

What is due stands in the database; a run that dies leaves the rest due, and one that is repeated finds nothing. After
standstill the same loop catches up, each invoice with the date that it is for.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final
from uuid import UUID

from billing.operations.invoices.drafting import Boundary, Seen, draft, locked_standing, with_cut
from billing.operations.invoices.finalizing import fail_invoice, finalize_invoice
from billing.operations.invoices.previewing import read_boundary
from billing.operations.invoices.taxing import ask_tax_of_invoice
from billing.operations.subscriptions.advance import advance
from billing.queries.due import next_boundary
from billing.queries.ratedlines import first_metered_due
from billing.queries.standing import Standing, first_item_due, first_waiting, unbilled_of
from common.errors import ProblemError
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.operations.facts import Author
from orgs.rules.rows import LockedOrganization

AUTHOR: Final = Author("system:billing")
MOST_STEPS: Final = 10_000
"""More than a customer's hundred years of months: a run that goes on longer turns in circles."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a customer's run did, or does next: it moved subscriptions over their boundary, it finalises an invoice, or
    bills a boundary."""

    at: datetime
    invoice: UUID | None = None
    boundary: Boundary | None = None


class RunsInCircles(RuntimeError):
    """A customer's billing run finds something due for ever."""


def bill_customer(*, organization: UUID, author: Author = AUTHOR, until: datetime | None = None) -> int:
    """This function will do whatever is due in a customer's billing, in the order of its dates, and return how many
    steps that were.

    A boundary (the end of a cycle or of a subscription's period, an item that falls due, a threshold that is reached)
    makes a draft where something is owed; a draft whose grace period ended is finalised. Due is what the customer's
    clock says, at most `until`. An invoice that cannot be finalised is marked failed and stops nothing else. Two runs
    at once do each step once. Raises NotFound, ServiceUnavailable (the customer is locked: later), and whatever else
    stands in the way of a draft.
    """
    for done in range(MOST_STEPS):
        step = run_in_transaction(partial(_next_step, organization=organization, until=until, author=author))
        if step is None:
            return done
        if step.invoice is not None:
            _finalize(organization, step.invoice, author)
        elif step.boundary is not None:
            _bill(organization, step.boundary, author)
    raise RunsInCircles(f"{organization} after {MOST_STEPS} steps")


def _next_step(cur: Cursor, *, organization: UUID, until: datetime | None, author: Author) -> Step | None:
    """What is due first. Subscriptions are moved over their boundary here, and use is cut off, under the lock: what the
    boundary makes waits in rows, so that a crash after it loses nothing."""
    locked, standing = locked_standing(cur, organization)
    limit = locked.now if until is None else min(until, locked.now)
    waiting = first_waiting(cur, organization, limit)
    boundary = _boundary(cur, locked, standing, limit)
    turn = next_boundary(cur, organization)
    first = min((at for at in (waiting and waiting[1], boundary and boundary.at) if at), default=limit)
    if turn is not None and turn <= first:
        advance(cur, locked, until=turn, author=author)
        return Step(turn)
    if waiting is not None and (boundary is None or waiting[1] <= boundary.at):
        return Step(waiting[1], invoice=waiting[0])
    if boundary is None:
        return None
    return Step(boundary.at, boundary=with_cut(cur, boundary))


def _boundary(
    cur: Cursor, locked: LockedOrganization, standing: Standing, limit: datetime
) -> Boundary | None:
    """The next moment that makes an invoice. That of an item is when it is due, of metered use the end of its period,
    but never before a boundary that has passed."""
    waiting = (first_item_due(cur, locked.id, limit), first_metered_due(cur, locked.id, limit))
    due = min((at for at in waiting if at is not None), default=None)
    if standing.next_at <= limit and (due is None or standing.next_at <= due):
        return Boundary(standing.next_at, "cycle", cuts=True, ends_cycle=True, standing=standing)
    if due is not None:
        at = max(due, standing.cycle_start)
        return Boundary(at, "items", cuts=False, ends_cycle=False, standing=standing)
    if standing.threshold is not None and unbilled_of(cur, locked.id) >= standing.threshold:
        return Boundary(limit, "threshold", cuts=True, ends_cycle=False, standing=standing)
    return None


def _bill(organization: UUID, boundary: Boundary, author: Author) -> None:
    seen = read_boundary(organization, boundary)
    run_in_transaction(
        partial(_draft, organization=organization, boundary=boundary, seen=seen, author=author)
    )


def _draft(cur: Cursor, *, organization: UUID, boundary: Boundary, seen: Seen, author: Author) -> None:
    locked, standing = locked_standing(cur, organization)
    if standing.version == boundary.standing.version:  # else another run was faster
        draft(cur, locked, boundary, seen, author=author)


def _finalize(organization: UUID, invoice: UUID, author: Author) -> None:
    """An invoice that cannot be finalised waits for a person; what may work later is raised."""
    try:
        answers = ask_tax_of_invoice(organization=organization, invoice=invoice)
        run_in_transaction(
            partial(
                finalize_invoice,
                organization=organization,
                invoice=invoice,
                answers=answers,
                author=author,
            )
        )
    except ProblemError as error:
        if error.retryable:
            raise
        run_in_transaction(
            partial(
                fail_invoice,
                organization=organization,
                invoice=invoice,
                error=f"{error.code}: {error.detail}",
                author=author,
            )
        )
