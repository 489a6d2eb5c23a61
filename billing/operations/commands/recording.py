"""What became of a command that was sent: its outcome, and what follows from it, in one transaction."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

from billing.operations.commands.purposes import purpose_of
from billing.operations.commands.requesting import next_generation
from billing.operations.findings import open_finding, resolve_open
from billing.queries.commands import find_command
from billing.rules.findings import COMMAND_STOPPED
from billing.rules.payments.commands import (
    ASKED_TO_LOOK,
    LOOK_APART,
    LOOKS,
    REFUSED,
    SUCCEEDED,
    WRONG,
    Command,
    asked_to_look,
    ended,
    fact,
    lapsed,
    pause_after,
    says_nothing_new,
    withdrawn,
)
from billing.rules.payments.outcomes import Busy, Outcome, Refused, Succeeded, Unknown
from common.errors import InvalidTransition
from events.store import Cursor
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization

logger = logging.getLogger(__name__)

Clock = Callable[[Cursor], datetime]
_LATER: Final = """
UPDATE outbound_commands SET lease = NULL, lease_until = NULL, next_try_at = %s, note = %s WHERE id = %s
"""
_LOOKED: Final = """
UPDATE outbound_commands SET lease = NULL, lease_until = NULL, next_try_at = %(next)s, looks = looks + 1,
    looked_at = %(now)s, note = 'looked, found nothing' WHERE id = %(id)s RETURNING looks
"""
_AT_ONCE: Final = """
UPDATE outbound_commands SET next_try_at = %s, looks = 0, looked_at = NULL, lease = NULL, lease_until = NULL
WHERE id = %s
"""
_VERBS: Final = {SUCCEEDED: "succeeded", REFUSED: "refused", WRONG: "stopped"}


def record_outcome(
    cur: Cursor,
    *,
    command: Command,
    outcome: Outcome,
    clock: Clock,
    jitter: int,
    author: Author,
) -> Command:
    """This function will record how a call ended and do what follows; one that has ended meanwhile stays as it is.

    A call that met a busy processor is made again later, under the same key; so is one whose outcome is unknown.
    `jitter`: 0 to 999. Raises what the purpose's `settle` raises: then nothing is recorded.
    """
    locked = lock_organization(cur, command.organization)
    found = find_command(cur, command.id)
    if not found.is_open:
        return found
    now = clock(cur)
    if isinstance(outcome, (Busy, Unknown)):
        pause = pause_after(outcome, attempts=found.attempts, jitter=jitter)
        cur.execute(_LATER, (now + pause, outcome.reason[:500], found.id))
    if isinstance(outcome, Busy) or says_nothing_new(found, outcome):
        return found
    done = ended(found, outcome, at=now)
    record(cur, [fact(done, _VERBS.get(done.state, "doubted"), at=locked.now)], author=author)
    _alert(cur, found, done, author)
    if isinstance(outcome, (Succeeded, Refused)):
        purpose_of(done.purpose).settle(cur, done, outcome)
    else:
        purpose_of(done.purpose).doubt(cur, done)
    return done


def record_look(cur: Cursor, *, command: Command, clock: Clock, author: Author) -> Command:
    """This function will note that a command's object was looked for and not found. Two such looks an hour apart: it
    was never done, and the next generation begins. Returns the command that is to be done now."""
    locked = lock_organization(cur, command.organization)
    found = find_command(cur, command.id)
    if not found.is_open:
        return found
    now = clock(cur)
    if found.looked_at is not None and now - found.looked_at < LOOK_APART:
        cur.execute(_LATER, (found.looked_at + LOOK_APART, "looked too soon", found.id))
        return found
    row = cur.execute(_LOOKED, {"next": now + LOOK_APART, "now": now, "id": found.id}).fetchone()
    if row is None or row[0] < LOOKS:
        return found
    gone = lapsed(found, at=now)
    record(cur, [fact(gone, "lapsed", at=locked.now)], author=author)
    return next_generation(cur, gone, at=locked.now, author=author)


def withdraw(cur: Cursor, command: Command, reason: str, *, at: datetime, author: Author) -> Command:
    """This function will end a command that was never sent and is not wanted any more. The caller holds the lock."""
    gone = withdrawn(command, reason, at=at)
    record(cur, [fact(gone, "withdrawn", at=at)], author=author)
    purpose_of(gone.purpose).settle(cur, gone, Refused("withdrawn", None, reason))
    return gone


def look_again(cur: Cursor, *, command: UUID, clock: Clock, author: Author) -> Command:
    """This function will have a command that is in doubt, or was stopped, looked for at the processor now.

    What is found is taken over; what is not found twice is asked for anew. Raises NotFound and InvalidTransition."""
    owner = find_command(cur, command).organization
    locked = lock_organization(cur, owner)
    asked = asked_to_look(find_command(cur, command))
    record(cur, [fact(asked, "reviewed", at=locked.now)], author=author)
    now = clock(cur)
    cur.execute(_AT_ONCE, (now, command))
    return replace(asked, next_try_at=now)


def send_again(cur: Cursor, *, command: UUID, clock: Clock, author: Author) -> Command:
    """This function will have a command that waits sent at once, under its own key: nothing is done twice. Raises
    NotFound, and InvalidTransition for one that has ended or was stopped."""
    owner = find_command(cur, command).organization
    lock_organization(cur, owner)
    found = find_command(cur, command)
    if not found.is_open:
        raise InvalidTransition(f"A command that is {found.state} is not sent.")
    now = clock(cur)
    cur.execute("UPDATE outbound_commands SET next_try_at = %s WHERE id = %s", (now, command))
    return replace(found, next_try_at=now)


def _alert(cur: Cursor, before: Command, done: Command, author: Author) -> None:
    """A command that stopped is a finding until it has ended after all."""
    subject = f"command:{done.id}"
    if done.state == WRONG:
        logger.error("command stopped", extra={"command": str(done.id), "reason": done.error})
        open_finding(
            cur,
            organization=done.organization,
            kind=COMMAND_STOPPED,
            subject=subject,
            detail={"purpose": done.purpose, "code": done.error_code, "error": done.error},
            proposed={"step": "look at the processor what became of it: POST /v1/payment-commands/{id}/look"},
            author=author,
        )
    elif before.error_code == ASKED_TO_LOOK and done.state in (SUCCEEDED, REFUSED):
        resolve_open(
            cur,
            organization=done.organization,
            kind=COMMAND_STOPPED,
            subject=subject,
            reason=f"The command {done.state}.",
            author=author,
        )
