"""Letting time pass for a sandbox organization: from one due moment to the next, with the work of each done at it.

A clock that is moved over a month at once would have the month's work done afterwards, all of it on one day: credit
that expires on the tenth would still pay for the eleventh. So the clock stops at every moment at which something
falls due, and what a year brings is the same whether it is passed in one call or day by day.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final
from uuid import UUID

from billing.operations.billing import bill_customer
from billing.operations.dunning.advancing import advance_customer
from billing.operations.entitling import entitle_customer
from billing.operations.revenue.recognising import recognise_revenue
from billing.queries.moments import due_work, next_moment
from common.errors import InvalidPeriod, ProblemError
from common.transactions import run_in_transaction
from events.queries.log import last_number
from events.store import Cursor
from ledger.operations.expiry import expire_grants_of
from orgs.operations.clock import LONGEST_STEP, advance_locked_to, locked_sandbox
from orgs.operations.facts import Author
from spend.operations.gate.sweeping import sweep_organization

AUTHOR: Final = Author("system:simulation")


class SimulationStuck(ProblemError):
    """Something stays due although its work was done: time cannot pass over it."""

    code = "simulation_stuck"
    status = 409
    title = "The simulation is stuck"


@dataclass(frozen=True, slots=True)
class Simulated:
    """How far time passed: what the clock showed before and after, whether that is where it was to go, at how many
    moments something was done, and the numbers of the last event before and after."""

    organization: UUID
    started_at: datetime
    reached_at: datetime
    is_finished: bool
    moments: int
    after: int
    last: int


@dataclass(frozen=True, slots=True)
class _Turn:
    """What the clock shows, and what is to be done then: work, that of `due` where it was due before the clock was
    looked at, or nothing any more (`is_there`)."""

    now: datetime
    due: datetime | None = None
    has_work: bool = True
    is_there: bool = False


def simulate(
    *, organization: UUID, until: datetime, author: Author = AUTHOR, most_seconds: float | None = None
) -> Simulated:
    """This function will move a sandbox organization's clock to `until`, never over a moment at which something falls
    due, and do at each what the jobs would do: expire reservations, bill, finalise, dun, recognise revenue, expire
    grants.

    A clock that shows `until` or later already is not moved; what is due by it is done. With `most_seconds` (of the
    wall clock) it stops after the moment at which they are over: the same call goes on from there, as it does after
    a crash. Whoever else works on the organization meanwhile disturbs nothing: each thing is done once. Raises
    NotFound, NotASandbox, InvalidPeriod (more than ten years ahead), SimulationStuck, and what the work raises.
    """
    started = run_in_transaction(partial(_now, organization=organization))
    if until > started + LONGEST_STEP:
        raise InvalidPeriod("A simulation passes at most ten years.", pointer="/until")
    after = run_in_transaction(partial(last_number, organization=organization))
    end, moments, done = None if most_seconds is None else time.monotonic() + most_seconds, 0, None
    while True:
        turn = run_in_transaction(
            partial(_turn, organization=organization, until=until, is_new=moments == 0, author=author)
        )
        if turn.is_there or (end is not None and moments and time.monotonic() >= end):
            break
        if turn.due is not None and turn.due == done:
            raise SimulationStuck(f"What is due at {turn.due.isoformat()} stays due.")
        if turn.has_work:
            _work(organization)
            done, moments = turn.due, moments + 1
    last = run_in_transaction(partial(last_number, organization=organization))
    return Simulated(organization, started, turn.now, turn.is_there, moments, after, last)


def _now(cur: Cursor, *, organization: UUID) -> datetime:
    return locked_sandbox(cur, organization).now


def _turn(cur: Cursor, *, organization: UUID, until: datetime, is_new: bool, author: Author) -> _Turn:
    """Move the clock to the next moment, unless something is due already. Looking and moving are one transaction, so
    what another call makes meanwhile cannot be jumped over; the clock, which goes on by itself, is read once in it. The
    first turn moves nothing: a threshold that was reached is due without a moment of its own."""
    locked = locked_sandbox(cur, organization)
    at = next_moment(cur, organization)
    if at is not None and at <= locked.now:
        return _Turn(locked.now, at)
    if is_new:
        return _Turn(locked.now)
    target = until if at is None else min(at, until)
    if target <= locked.now:
        return _Turn(locked.now, is_there=True)
    shown = advance_locked_to(cur, locked, to=target, author=author)
    return _Turn(shown, has_work=at is not None and at <= shown)


def _work(organization: UUID) -> None:
    """What the jobs do, for one organization: first what frees held money, last what takes credit away. As with the
    jobs, what has no row that is due does nothing: to lock and read the books for it is most of a year's work."""
    look = partial(run_in_transaction, partial(due_work, organization=organization))
    if look().holds:
        sweep_organization(organization)
    bill_customer(organization=organization)
    if look().entitlements:
        run_in_transaction(partial(entitle_customer, organization=organization))
    run_in_transaction(partial(advance_customer, organization=organization))
    due = look()
    if due.revenue:
        run_in_transaction(partial(recognise_revenue, organization=organization))
    if due.grants:
        expire_grants_of(organization)
