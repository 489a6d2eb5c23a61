"""Sending commands: claim, call, record. A crash between any two steps leaves the command to be sent again under the
same key, which the processor does once; no transaction is open while it is called (ADR 0016).
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID, uuid4

from celery import current_app, current_task

from billing import stripe_gateway
from billing.operations.commands.purposes import purpose_of
from billing.operations.commands.recording import record_look, record_outcome, withdraw
from billing.queries.commands import due_commands, find_command, is_first_of_object
from billing.rules.payments.commands import PENDING, Command, fact, must_look, started
from billing.rules.payments.outcomes import Busy, Outcome, Unknown
from billing.stripe_gateway import pacing
from billing.stripe_gateway.client import LONGEST_CALL_SECONDS
from common.clock import wall_now
from common.errors import ProblemError
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization

logger = logging.getLogger(__name__)

Clock = Callable[[Cursor], datetime]
AUTHOR: Final = Author("system:billing.send_commands")
LEASE: Final = timedelta(seconds=LONGEST_CALL_SECONDS + 15)
HANDED_OUT: Final = timedelta(seconds=60)
AT_ONCE: Final = 200
BATCH: Final = 10
"""Commands of one job: a slow call keeps few others waiting."""
_HAND_OUT: Final = "UPDATE outbound_commands SET lease = %s, lease_until = %s WHERE id = ANY(%s)"
_CLAIM: Final = """
UPDATE outbound_commands SET lease = %s, lease_until = %s, attempts = attempts + 1 WHERE id = %s
"""
_PUT_OFF: Final = """
UPDATE outbound_commands SET lease = NULL, lease_until = NULL, note = %s,
    next_try_at = %s::timestamptz + least(interval '10 minutes', interval '2 seconds' * 2 ^ least(attempts, 12))
WHERE id = %s
"""
_LEASE: Final = "SELECT lease, lease_until FROM outbound_commands WHERE id = %s FOR UPDATE"


def send_due() -> int:
    """This function will have every command sent that is due, and return how many it handed out.

    In a worker ten are a job; by hand (`run_due`) one goes after the other. What was handed out and lost is due again
    after a minute. Nothing is sent while there is no key for the processor.
    """
    if not stripe_gateway.is_configured():
        return 0
    count = 0
    while handed := run_in_transaction(_hand_out):
        lease, commands = handed
        count += len(commands)
        for start in range(0, len(commands), BATCH):
            _deliver_batch(commands[start : start + BATCH], lease)
    return count


def send_commands(commands: Sequence[UUID], *, lease: UUID | None = None, clock: Clock = wall_now) -> None:
    """This function will send commands one after the other. One that cannot be sent now stays due; one that meets an
    error of ours is reported, put off, and keeps no other waiting."""
    for command in commands:
        try:
            deliver(command, lease=lease, clock=clock)
        except Exception as error:
            _put_off(command, error, clock)


def deliver(command: UUID, *, lease: UUID | None = None, clock: Clock = wall_now) -> Command:
    """This function will send one command, if it is due and nobody else is at it, and return it as it is then.

    `lease`: under which it was handed out. `clock`: the wall clock, which judges how long a key is good. Raises
    NotFound, ServiceUnavailable, and what a purpose's `settle` raises: then the command is sent again later.
    """
    if stripe_gateway.is_configured() and pacing.take():
        claimed = run_in_transaction(lambda cur: _claim(cur, command, lease, clock))
        if claimed is not None:
            _finish(*claimed, clock)
    return run_in_transaction(lambda cur: find_command(cur, command))


def _put_off(command: UUID, error: Exception, clock: Clock) -> None:
    is_expected = isinstance(error, ProblemError) and error.retryable
    report = logger.warning if is_expected else logger.error
    report("payment command failed", exc_info=error, extra={"command": str(command)})
    note = f"{type(error).__name__}: {error}"[:500]
    run_in_transaction(lambda cur: cur.execute(_PUT_OFF, (note, clock(cur), command)))


def _finish(claimed: Command, is_looked_up: bool, clock: Clock) -> None:
    outcome = _look(claimed) if is_looked_up else stripe_gateway.send(claimed)
    if isinstance(outcome, Busy) and outcome.is_limit:
        pacing.slow_down(outcome.retry_after or 1)
    if outcome is None:
        run_in_transaction(partial(record_look, command=claimed, clock=clock, author=AUTHOR))
        return
    run_in_transaction(
        partial(
            record_outcome,
            command=claimed,
            outcome=outcome,
            clock=clock,
            jitter=secrets.randbelow(1000),
            author=AUTHOR,
        )
    )


def _look(command: Command) -> Outcome | None:
    try:
        return stripe_gateway.look_up(command)
    except stripe_gateway.ProcessorUnavailable as error:
        return Busy(error.retry_after, "unavailable")
    except (
        stripe_gateway.ProcessorRejected,
        stripe_gateway.Unreadable,
        stripe_gateway.NotAtProcessor,
    ) as error:
        return Unknown(f"It could not be looked up: {error}")


def _claim(cur: Cursor, identifier: UUID, lease: UUID | None, clock: Clock) -> tuple[Command, bool] | None:
    """Take the command for this process, under its organization's lock; None: it is not to be sent now."""
    locked = lock_organization(cur, find_command(cur, identifier).organization)
    row = cur.execute(_LEASE, (identifier,)).fetchone()
    assert row is not None
    now = clock(cur)
    command = find_command(cur, identifier)
    is_held = row[1] is not None and row[1] > now and (lease is None or row[0] != lease)
    is_due = command.next_try_at is None or command.next_try_at <= now
    if not command.is_open or is_held or not is_due or not is_first_of_object(cur, identifier):
        return None
    looked_up = must_look(command, now=now)
    if command.state == PENDING:
        reason = purpose_of(command.purpose).check(cur, command)
        if reason is not None:
            withdraw(cur, command, reason, at=locked.now, author=AUTHOR)
            return None
        command = started(command, at=now)
        record(cur, [fact(command, "started", at=locked.now)], author=AUTHOR)
    cur.execute(_CLAIM, (uuid4(), now + LEASE, identifier))
    return command, looked_up


def _hand_out(cur: Cursor) -> tuple[UUID, list[UUID]] | None:
    now = wall_now(cur)
    commands = due_commands(cur, now=now, limit=AT_ONCE)
    if not commands:
        return None
    lease = uuid4()
    cur.execute(_HAND_OUT, (lease, now + HANDED_OUT, commands))
    return lease, commands


def _deliver_batch(commands: Sequence[UUID], lease: UUID) -> None:
    if not current_task:
        send_commands(commands, lease=lease)
        return
    names = [str(command) for command in commands]
    current_app.send_task(
        "billing.tasks.send_commands", kwargs={"commands": names, "lease": str(lease)}, expires=60
    )
