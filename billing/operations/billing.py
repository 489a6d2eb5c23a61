"""The billing run of one customer: boundary after boundary, each in its own transactions, until nothing is due.

A transaction does one step and looks for the next under the same lock.

What is due stands in the database; a run that dies leaves the rest due, and one that is repeated finds nothing. After
standstill the same loop catches up, each invoice with the date that it is for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final
from uuid import UUID

from billing.operations.invoices.drafting import Boundary, Seen, draft, with_cut
from billing.operations.invoices.finalizing import fail_invoice, finalize_locked
from billing.operations.invoices.previewing import read_boundary
from billing.operations.invoices.taxing import TaxAnswers, ask_tax_of_invoice
from billing.operations.turns import next_boundary, next_turn, pass_turn
from billing.queries.standing import Waiting, dues_of, standing_of
from common.errors import ProblemError
from common.transactions import run_in_transaction
from events.store import Cursor
from ledger.operations.books import lock_books
from orgs.operations.facts import Author
from orgs.operations.locks import lock_organization
from orgs.rules.rows import LockedOrganization

AUTHOR: Final = Author("system:billing")
MOST_STEPS: Final = 10_000
"""More than a customer's hundred years of months: a run that goes on longer turns in circles."""


@dataclass(frozen=True, slots=True)
class Run:
    """Whose billing runs, up to when, and who says so."""

    organization: UUID
    until: datetime | None
    author: Author


@dataclass(frozen=True, slots=True)
class Step:
    """What a customer's run does next: it moves subscriptions over their boundary, finalises an invoice, or bills a
    boundary."""

    at: datetime
    waiting: Waiting | None = None
    boundary: Boundary | None = None


Work = Callable[[Cursor, Run], LockedOrganization]
"""What a step writes, under the customer's lock, which it takes and returns."""


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
    run = Run(organization, until, author)
    step = _after(run, _lock)
    for done in range(MOST_STEPS):
        if step is None:
            return done
        step = _do(run, step)
    raise RunsInCircles(f"{organization} after {MOST_STEPS} steps")


def _do(run: Run, step: Step) -> Step | None:
    if step.waiting is not None:
        return _finalize(run, step.waiting)
    if step.boundary is not None:
        seen = read_boundary(run.organization, step.boundary)
        return _after(run, partial(_draft, boundary=step.boundary, seen=seen))
    return _after(run, partial(_advance, until=step.at))


def _after(run: Run, work: Work) -> Step | None:
    """Do a step and look for the next one, in one transaction."""

    def operation(cur: Cursor) -> Step | None:
        return _next_step(cur, work(cur, run), run)

    return run_in_transaction(operation, prepared=True)


def _next_step(cur: Cursor, locked: LockedOrganization, run: Run) -> Step | None:
    """What is due first. Use is cut off here, under the lock. What an earlier step made waits in rows, so that a crash
    after it loses nothing."""
    limit = locked.now if run.until is None else min(run.until, locked.now)
    dues = dues_of(cur, locked.id)
    waiting = dues.waiting if dues.waiting is not None and dues.waiting.at <= limit else None
    boundary = next_boundary(cur, locked, dues, limit)
    first = min((found.at for found in (waiting, boundary) if found is not None), default=limit)
    turn = next_turn(cur, locked, dues)
    if turn is not None and turn <= first:
        return Step(turn)
    if waiting is not None and (boundary is None or waiting.at <= boundary.at):
        return Step(waiting.at, waiting=waiting)
    if boundary is None:
        return None
    return Step(boundary.at, boundary=with_cut(cur, boundary))


def _lock(cur: Cursor, run: Run) -> LockedOrganization:
    return lock_organization(cur, run.organization)


def _advance(cur: Cursor, run: Run, *, until: datetime) -> LockedOrganization:
    locked = _lock(cur, run)
    pass_turn(cur, locked, until=until, author=run.author)
    return locked


def _draft(cur: Cursor, run: Run, *, boundary: Boundary, seen: Seen) -> LockedOrganization:
    locked = _lock(cur, run)
    if standing_of(cur, run.organization).version == boundary.standing.version:  # else another run was faster
        draft(cur, locked, boundary, seen, author=run.author)
    return locked


def _finalize(run: Run, waiting: Waiting) -> Step | None:
    """An invoice that cannot be finalised waits for a person; what may work later is raised."""
    try:
        answers = None
        if waiting.lacks_tax:
            answers = ask_tax_of_invoice(organization=run.organization, invoice=waiting.invoice)
        return _after(run, partial(_number, invoice=waiting.invoice, answers=answers))
    except ProblemError as error:
        if error.retryable:
            raise
        return _after(run, partial(_fail, invoice=waiting.invoice, error=f"{error.code}: {error.detail}"))


def _number(cur: Cursor, run: Run, *, invoice: UUID, answers: TaxAnswers | None) -> LockedOrganization:
    books = lock_books(cur, run.organization)
    finalize_locked(cur, books, invoice, answers, author=run.author)
    return books.organization


def _fail(cur: Cursor, run: Run, *, invoice: UUID, error: str) -> LockedOrganization:
    locked = _lock(cur, run)
    fail_invoice(cur, organization=run.organization, invoice=invoice, error=error, author=run.author)
    return locked
