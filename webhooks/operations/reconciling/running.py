"""Runs of reconciliation: one at a time, step by step, each step recorded when it is done, so that a run which was
killed goes on where it was (S89). Every step may be done twice.

A run holds an advisory lock of a session of its own: who is killed loses it at once.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID

from django.conf import settings

from billing import stripe_gateway
from billing.operations.commands import send_commands
from billing.stripe_gateway.pacing import not_paced, paced
from common.clock import wall_now
from common.errors import InvalidField, ProblemError
from common.ids import new_id
from common.transactions import run_in_transaction
from events.database import own_session
from events.store import Cursor
from webhooks.operations.inbound.catching_up import catch_up
from webhooks.operations.inbound.processing import process_due
from webhooks.operations.reconciling import balances, bills, books, objects, partners
from webhooks.operations.reconciling.kinds import kinds
from webhooks.operations.reconciling.noting import AUTHOR, note_open, note_repaired
from webhooks.queries.reconciling.ours import overdue_commands, still_open
from webhooks.queries.reconciling.runs import (
    DifferenceRow,
    Run,
    find_run,
    met_by_class,
    newest_period,
    open_by_class,
    open_not_met,
    running,
)
from webhooks.rules.reconciling.differences import MISSING_HERE, STATE, Difference, Tally
from webhooks.rules.reconciling.periods import bounds, periods_due

logger = logging.getLogger(__name__)

NIGHTLY, MANUAL = "nightly", "manual"
_LOCK: Final = "SELECT pg_try_advisory_lock(hashtext('counterfoil reconciliation'))"
_BEGIN: Final = """
INSERT INTO reconciliations
    (id, period, cause, status, since, until, steps, done, differences, balances, author, started_at)
VALUES (%s, %s, %s, 'running', %s, %s, %s::jsonb, '{}', '{}', '{}', %s, %s) ON CONFLICT DO NOTHING
"""
_STEP: Final = "UPDATE reconciliations SET done = done || %s::jsonb, error = NULL WHERE id = %s"
_TRIED: Final = "UPDATE reconciliations SET attempts = attempts + 1 WHERE id = %s"
_FAILED: Final = "UPDATE reconciliations SET error = %s WHERE id = %s"
_FINISH: Final = """
UPDATE reconciliations SET status = 'finished', finished_at = clock_timestamp(), differences = %s::jsonb, is_clean = %s
WHERE id = %s AND status = 'running'
"""
_MOST_COMMANDS: Final = 500

Step = Callable[[Run], Tally]


class ReconciliationRuns(ProblemError):
    """A reconciliation is on its way already; it goes on by itself."""

    code = "reconciliation_runs"
    status = 409


def steps() -> dict[str, Step]:
    """Return all steps by name, in their order: what is missing is fetched first, then objects, then the balance that
    they made, then the books themselves."""
    return {
        "catch_up": _catch_up,
        "commands": _send_lost,
        **{name: partial(_compare, name=name) for name in kinds()},
        "partner_payouts": partners.compare_partner_payouts,
        "balance_rows": balances.read_rows,
        "items": balances.place_rows,
        "payout_items": balances.compare_payout_items,
        "sums": balances.compare_sums,
        "roll_forward": balances.roll_forward,
        "bills": bills.compare_bills,
        "books": books.verify_books,
        "projections": books.compare_projections,
        "recheck": _recheck,
    }


AT_PROCESSOR: Final = frozenset(
    {"catch_up", "commands", "partner_payouts", "balance_rows", "items", "payout_items", "roll_forward"}
)
"""Steps, besides those of kinds, that ask the processor: without one they are left out."""


def reconcile_due() -> int:
    """This function will run every period's reconciliation that is due, once, and return how many it finished.

    A run that was begun and not finished goes on first. Does nothing while another process is at it.
    """
    with _alone() as is_alone:
        if not is_alone:
            return 0
        finished = 0
        while (run := run_in_transaction(_next)) is not None:
            _work(run)
            finished += 1
        return finished


def reconcile(
    *, period: date | None = None, author_name: str = AUTHOR.actor, only: Sequence[str] = ()
) -> Run:
    """This function will reconcile now, and return the run's report.

    `period`: of which day; None: up to now. A run that was begun and not finished is finished first. `only`: these
    steps (for parts of it). Raises ReconciliationRuns while another process is at it, InvalidField for a day to come,
    and what keeps the processor from answering; then what was done stays, and the next run goes on.
    """
    with _alone() as is_alone:
        if not is_alone:
            raise ReconciliationRuns
        begun = run_in_transaction(running)
        if begun is not None:
            _work(begun)
        run = run_in_transaction(
            lambda cur: _begin_manual(cur, period=period, author_name=author_name, only=only)
        )
        return _work(run)


def resume() -> Run | None:
    """This function will finish the run that was begun and return it; None: there is none. Raises as `reconcile`."""
    with _alone() as is_alone:
        if not is_alone:
            raise ReconciliationRuns
        begun = run_in_transaction(running)
        return None if begun is None else _work(begun)


@contextmanager
def _alone() -> Iterator[bool]:
    with own_session() as session:
        yield session.execute(_LOCK).fetchone() == (True,)


def _next(cur: Cursor) -> Run | None:
    """The run that was begun, else that of the next period that is due."""
    begun = running(cur)
    if begun is not None:
        return begun
    now = wall_now(cur)
    due = periods_due(now, newest=newest_period(cur))
    return _begin(cur, due[0], NIGHTLY, now=now, author_name=AUTHOR.actor, only=()) if due else None


def _begin_manual(cur: Cursor, *, period: date | None, author_name: str, only: Sequence[str]) -> Run:
    now = wall_now(cur)
    if period is not None and period > now.date():
        raise InvalidField("This day has not begun.", pointer="/period")
    made = _begin(cur, period or now.date(), MANUAL, now=now, author_name=author_name, only=only)
    assert made is not None
    return made


def _begin(
    cur: Cursor, period: date, cause: str, *, now: datetime, author_name: str, only: Sequence[str]
) -> Run | None:
    grace = timedelta(seconds=settings.RECONCILIATION_GRACE_SECONDS)
    since, until = bounds(period, now=now, grace=grace)
    chosen = [name for name in steps() if not only or name in only]
    if not stripe_gateway.is_configured():
        chosen = [name for name in chosen if name not in AT_PROCESSOR and name not in kinds()]
    run = new_id()
    cur.execute(_BEGIN, (run, period, cause, since, until, json.dumps(chosen), author_name, now))
    return find_run(cur, run) if cur.rowcount else None


def _work(run: Run) -> Run:
    run_in_transaction(lambda cur: cur.execute(_TRIED, (run.id,)))
    known = steps()
    for name in run.steps:
        if name not in run.done and name in known:
            _do(run, name, known[name])
    return run_in_transaction(lambda cur: _finish(cur, run.id))


def _do(run: Run, name: str, step: Step) -> None:
    began = time.monotonic()
    try:
        tally = _done(run, name, step)
    except Exception as error:
        text = f"{name}: {type(error).__name__}: {error}"[:2_000]
        run_in_transaction(lambda cur: cur.execute(_FAILED, (text, run.id)))
        raise
    told = {name: {**tally.as_dict(), "seconds": round(time.monotonic() - began, 3)}}
    run_in_transaction(lambda cur: cur.execute(_STEP, (json.dumps(told), run.id)))
    logger.info("reconciliation.step", extra={"step": name, "run": str(run.id)})


def _done(run: Run, name: str, step: Step) -> Tally:
    """What the processor says and nobody here can read, or will not say to our key, is a finding: it keeps no other
    step from its work."""
    try:
        with paced():
            return step(run)
    except (stripe_gateway.Unreadable, stripe_gateway.ProcessorRejected) as error:
        what = {"step": name, "error": f"{type(error).__name__}: {error}"[:500]}
        proposed = {"step": "give the key the right, or teach this version the object"}
        found = Difference("step", MISSING_HERE, f"step:{name}", what, proposed=proposed)
        run_in_transaction(partial(note_open, run=run.id, found=found))
        return Tally(open=1)


def _finish(cur: Cursor, run: UUID) -> Run:
    still = open_by_class(cur)
    met = met_by_class(cur, run)
    told = {
        name: {**met.get(name, {"found": 0, "repaired": 0, "new": 0}), "open": still.get(name, 0)}
        for name in sorted({*still, *met})
    }
    cur.execute(_FINISH, (json.dumps(told), not still, run))
    return find_run(cur, run)


def _catch_up(run: Run) -> Tally:
    """Events that were never delivered take the ordinary way; workers may do them meanwhile."""
    tally = Tally(compared=catch_up())
    process_due()
    return tally


def _send_lost(run: Run) -> Tally:
    """Commands that were due and that nobody sent go out again under their keys."""
    grace = timedelta(seconds=settings.RECONCILIATION_GRACE_SECONDS)
    before = run_in_transaction(wall_now) - grace
    lost = run_in_transaction(lambda cur: overdue_commands(cur, before=before, limit=_MOST_COMMANDS))
    with not_paced():  # each takes its turn itself
        send_commands(lost)
    left = run_in_transaction(lambda cur: still_open(cur, lost))
    tally = Tally(compared=len(lost), repaired=len(lost) - len(left))
    for command in lost:
        if command not in left:
            found = Difference("command", STATE, f"command:{command}", {"step": "it was sent"})
            run_in_transaction(partial(note_repaired, run=run.id, found=found))
    return tally


def _compare(run: Run, *, name: str) -> Tally:
    return objects.compare_kind(run, kinds()[name])


def _recheck(run: Run) -> Tally:
    """What was open and was not met again may be gone."""
    left = run_in_transaction(lambda cur: open_not_met(cur, run.id))
    for row in left:
        _recheck_one(run, row)
    return Tally(compared=len(left))


def _recheck_one(run: Run, row: DifferenceRow) -> None:
    if row.kind in kinds():
        if row.kind in run.steps:
            objects.recheck(run, row)
    elif _was_looked_at(run, row.kind):
        balances.recheck(run, row)


def _was_looked_at(run: Run, kind: str) -> bool:
    """Whether the step that finds such differences was part of the run."""
    if kind == "step":
        return True
    finder = {
        "balance": "roll_forward", "held": "roll_forward", "entry": "roll_forward", "sum": "sums",
        "payout_items": "payout_items", "suspense": "items",
    }.get(kind)  # fmt: skip
    return finder in run.steps
