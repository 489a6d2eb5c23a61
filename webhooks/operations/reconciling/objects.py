"""Objects of one kind compared in both directions: what the processor has, then what only we have (S87).

What differs is applied again by the ordinary operation and judged anew; what is left differing is a finding. So an
object that changes while it is compared is no false finding.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from billing import stripe_gateway
from billing.stripe_gateway.lists import pages
from common.errors import ProblemError
from common.transactions import run_in_transaction
from events.store import Cursor
from webhooks.operations.inbound.handlers import handler_of
from webhooks.operations.reconciling.kinds import Foreign, Judged, Kind, kind_of_subject
from webhooks.operations.reconciling.noting import AUTHOR, end_difference, note_open, note_repaired
from webhooks.queries.reconciling.ours import Ours
from webhooks.queries.reconciling.runs import DifferenceRow, Run, repaired_in
from webhooks.rules.reconciling.comparing import missing_there
from webhooks.rules.reconciling.differences import MISSING_THERE, Difference, Tally


def compare_kind(run: Run, kind: Kind) -> Tally:
    """This function will compare all objects of a kind in the run's window, repair what is safe, and keep the rest.

    Raises ProcessorUnavailable, ProcessorRejected and Unreadable; what was done stays, and the step is done again.
    """
    tally, seen = Tally(), set()
    for page in pages(kind.listing(run.since, run.until)):
        judged = run_in_transaction(partial(_judge, kind=kind, page=page))
        for view, found in zip(page, judged, strict=True):
            seen.add(view.id)
            _count(tally, kind, view)
            _settle(run, kind, view.id, found, tally)
    ours = run_in_transaction(lambda cur: kind.expected(cur, run.since, run.until))
    for each in ours:
        if each.name not in seen:
            tally.compared += 1
            _look_up(run, kind, each, tally)
    # From the rows: what this run repaired before it was killed was repaired by it, too.
    tally.repaired = run_in_transaction(lambda cur: repaired_in(cur, run.id, kind=kind.name))
    return tally


def recheck(run: Run, row: DifferenceRow) -> None:
    """This function will look at an open difference of an object again, which the run has not met, and end it when it
    is gone."""
    named = kind_of_subject(row.subject)
    if named is None:
        return
    kind, name = named
    found = _judged_now(kind, name)
    if isinstance(found, Difference) and found.name == row.name:
        run_in_transaction(lambda cur: note_open(cur, run.id, found))
        return
    run_in_transaction(lambda cur: end_difference(cur, row, reason="It does not differ any more."))


def _judge(cur: Cursor, *, kind: Kind, page: Sequence[Any]) -> list[Judged]:
    return [kind.judge(cur, view) for view in page]


def _count(tally: Tally, kind: Kind, view: Any) -> None:
    tally.compared += 1
    worth = kind.worth(view)
    if worth is not None:
        tally.add(*worth)


def _settle(run: Run, kind: Kind, name: str, found: Judged, tally: Tally) -> None:
    if found is None:
        return
    if isinstance(found, Foreign):
        tally.foreign += 1
        return
    if found.name == MISSING_THERE:  # neither listed nor there by its id: nothing can be applied
        run_in_transaction(partial(note_open, run=run.id, found=found))
        tally.open += 1
        return
    left = _applied(run, kind, name, found)
    if isinstance(left, Difference):
        run_in_transaction(partial(note_open, run=run.id, found=left))
        tally.open += 1


def _look_up(run: Run, kind: Kind, ours: Ours, tally: Tally) -> None:
    """It was not listed: made outside the window, or not there at all."""
    _settle(run, kind, ours.name, _judged_now(kind, ours.name), tally)


def _judged_now(kind: Kind, name: str) -> Judged:
    """How an object differs at this moment."""
    try:
        view = kind.fetch(name)
    except stripe_gateway.NotAtProcessor:
        return run_in_transaction(lambda cur: _missing(cur, kind, name))
    return run_in_transaction(lambda cur: kind.judge(cur, view))


def _missing(cur: Cursor, kind: Kind, name: str) -> Difference | None:
    ours = kind.find(cur, name)
    if ours is None:
        return None
    return missing_there(
        kind.name,
        f"{kind.prefix}:{name}",
        organization=ours.organization,
        amount=ours.amount,
        currency=ours.currency,
        state=ours.state,
    )


def _applied(run: Run, kind: Kind, name: str, found: Difference) -> Judged:
    """Apply an object as it is now, by the ordinary operation, and note in the same transaction that it is repaired:
    who is killed after it has told it. Returns how it differs still, and why it was refused, if it was."""
    handler = handler_of(kind.source, kind.handler)
    if handler is None:
        return _with_reason(found, "nobody applies such objects")
    try:
        fetched, view = handler.fetch(name, kind.account), kind.fetch(name)
    except stripe_gateway.NotAtProcessor:
        return run_in_transaction(lambda cur: _missing(cur, kind, name))

    def apply(cur: Cursor) -> Judged:
        handler.apply(cur, fetched, AUTHOR)
        left = kind.judge(cur, view)
        if not isinstance(left, Difference):
            note_repaired(cur, run.id, found)
        return left

    try:
        return run_in_transaction(apply)
    except ProblemError as error:
        if error.retryable:
            raise
        refused = f"{error.code}: {error.detail}"
    left = run_in_transaction(lambda cur: kind.judge(cur, view))
    return _with_reason(left, refused) if isinstance(left, Difference) else left


def _with_reason(found: Difference, refused: str) -> Difference:
    return Difference(
        found.kind, found.name, found.subject, {**found.detail, "refused": refused}, found.organization,
        found.amount, found.currency, found.proposed,
    )  # fmt: skip
