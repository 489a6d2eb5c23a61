"""Letters that go out once: made with no transaction open, marked under the customer's lock if they are still so, sent,
and then noted.

One process sends at a time, by one connection for a round. What a mail server refused is tried again eight times, at
growing pauses; while there is no server all wait, and that is no try. Where nobody knows whether a letter was sent, as
after a crash between or a server that took it and fell silent, it is not sent again: it is `unknown`, and a person
looks. Each kind of letter has a table of its own, with the columns id, organization, status, attempts, next_try_at and
done_at.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final, NamedTuple
from uuid import UUID

from django.core.mail import EmailMessage
from django.core.mail.message import sanitize_address
from django.template.loader import render_to_string

from billing.rules.wording import document_language
from common.errors import ProblemError
from common.mailing import Mailbox, MessageRefused, NoMailServer, OutcomeUnknown
from common.transactions import run_in_transaction
from events.database import own_session
from events.store import Cursor
from orgs.operations.locks import lock_organization

logger = logging.getLogger(__name__)

MOST_ATTEMPTS: Final = 8
FIRST_PAUSE: Final = timedelta(minutes=1)
NO_SERVER_PAUSE: Final = timedelta(minutes=1)
UNKNOWN_AFTER: Final = timedelta(minutes=10)
AT_ONCE: Final = 500
ROUND_SECONDS: Final = 10
"""A round takes no new letter after this. A month's invoices take an hour, and a worker does all else, too: payments,
dunning and payouts would wait for the last of them."""
WAITING, SENDING, FAILED, UNKNOWN = "waiting", "sending", "failed", "unknown"

_ALONE: Final = "SELECT pg_try_advisory_lock(hashtext('counterfoil letters'))"
_DUE: Final = """
SELECT next_try_at, id, organization, attempts FROM {table} WHERE status = %s AND next_try_at <= clock_timestamp()
ORDER BY next_try_at, id LIMIT %s
"""
_SENDING: Final = """
UPDATE {table} SET status = 'sending', attempts = attempts + 1, next_try_at = clock_timestamp() + %s WHERE id = %s
"""
_DONE: Final = """
UPDATE {table} SET status = %s, done_at = clock_timestamp(), next_try_at = NULL WHERE id = %s
"""
_PUT_OFF: Final = "UPDATE {table} SET next_try_at = clock_timestamp() + %s WHERE id = %s"
_PUT_OFF_ALL: Final = """
UPDATE {table} SET next_try_at = clock_timestamp() + %s
WHERE status = 'waiting' AND next_try_at < clock_timestamp() + %s
"""
_AGAIN: Final = """
UPDATE {table} SET status = 'waiting', attempts = %s, next_try_at = clock_timestamp() + %s WHERE id = %s AND status = %s
"""
_LOST: Final = """
UPDATE {table} SET status = %s, attempts = coalesce(%s, attempts), done_at = clock_timestamp(), next_try_at = NULL
WHERE id = %s AND status = %s
"""


@dataclass(frozen=True, slots=True)
class Letter:
    """What is sent to whom: a template, whose first paragraph is the subject, with its values. `attach` makes the file
    that goes with it, its name and content, with no transaction open; `sent` is what else is noted when it went out."""

    address: str
    template: str
    context: Mapping[str, object]
    attach: Callable[[], tuple[str, bytes]] | None = field(default=None, compare=False)
    sent: Callable[[Cursor], object] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of letter: its table, and what reads one: given the organization and the letter's id, it locks the
    organization, and returns the letter if it waits and is still so, else None. `lost` is what else is noted when one
    has `failed` or is `unknown`, given the organization, the letter's id and that word."""

    table: str
    read: Callable[[Cursor, UUID, UUID], Letter | None]
    lost: Callable[[Cursor, UUID, UUID, str], object] | None = None


class Due(NamedTuple):
    """A letter whose time has come; `attempts` are those before."""

    at: datetime
    id: UUID
    organization: UUID
    attempts: int
    kind: Kind


def send_due(kinds: Sequence[Kind]) -> int:
    """This function will send letters that wait, whatever their kind the oldest first, and return how many it sent:
    none while another process sends.

    One that cannot be sent stops no other. A round ends after ROUND_SECONDS, and where the mail server does not answer
    or falls silent: then all that waits is put off once.
    """
    with own_session() as session:
        if session.execute(_ALONE).fetchone() != (True,):
            return 0
        for each in run_in_transaction(partial(_due, kinds=kinds, status=SENDING)):
            _attempted(each, partial(_end, each, status=UNKNOWN, was=SENDING))
        with Mailbox() as mailbox:
            return _send_round(kinds, mailbox)


def mark(cur: Cursor, *, table: str, letter: UUID, status: str) -> None:
    """This function will note what became of a letter."""
    cur.execute(_DONE.format(table=table), (status, letter))


def put_off(cur: Cursor, *, table: str, letter: UUID, by: timedelta) -> None:
    """This function will let a letter wait that is not to be sent now."""
    cur.execute(_PUT_OFF.format(table=table), (by, letter))


def template_of(name: str, *, language: str | None) -> str:
    """Return the template of a letter for who reads a language; English where there is none in it."""
    return f"billing/mail/{document_language(language)}/{name}.txt"


def message_of(letter: Letter) -> EmailMessage:
    """Return a letter as the mail server takes it: PDF files alone go with it.

    Whatever could fail in writing it down fails here. Raises what its template, its file or its address raise.
    """
    text = render_to_string(letter.template, dict(letter.context))
    subject, _, body = text.partition("\n\n")
    message = EmailMessage(" ".join(subject.split()), body, to=[letter.address])
    if letter.attach is not None:
        message.attach(*letter.attach(), "application/pdf")
    sanitize_address(letter.address, "utf-8")
    message.message().as_bytes()
    return message


def _due(cur: Cursor, *, kinds: Sequence[Kind], status: str) -> list[Due]:
    found = [
        Due(row[0], row[1], row[2], row[3], kind)
        for kind in kinds
        for row in cur.execute(_DUE.format(table=kind.table), (status, AT_ONCE)).fetchall()
    ]
    return sorted(found, key=lambda each: each[:2])


def _send_round(kinds: Sequence[Kind], mailbox: Mailbox) -> int:
    sent, stop_at = 0, time.monotonic() + ROUND_SECONDS
    try:
        for each in run_in_transaction(partial(_due, kinds=kinds, status=WAITING)):
            if time.monotonic() >= stop_at:
                break
            sent += _attempted(each, partial(_send, each, mailbox))
    except NoMailServer as error:
        logger.warning("letters.no_server", exc_info=error)
        run_in_transaction(partial(_put_off_all, kinds=kinds))
    return sent


def _put_off_all(cur: Cursor, *, kinds: Sequence[Kind]) -> None:
    for kind in kinds:
        cur.execute(_PUT_OFF_ALL.format(table=kind.table), (NO_SERVER_PAUSE, NO_SERVER_PAUSE))


def _attempted(each: Due, operation: Callable[[], bool]) -> bool:
    """What cannot even be noted waits, or is unknown in the end, and stops no other."""
    try:
        return operation()
    except NoMailServer:
        raise
    except Exception as error:
        logger.error("letter.not_noted", exc_info=error, extra=_named(each))
        return False


def _send(each: Due, mailbox: Mailbox) -> bool:
    """Raises NoMailServer where no other can be sent now."""
    begun = _begun(each, mailbox)
    if begun is None:
        return False
    letter, message = begun
    try:
        mailbox.send(message)
    except OutcomeUnknown as error:
        logger.warning("letter.unknown", exc_info=error, extra=_named(each))
        _end(each, status=UNKNOWN, was=SENDING)
        raise NoMailServer from error
    except (MessageRefused, NoMailServer) as error:
        _again(each, error, was=SENDING)
        if isinstance(error, NoMailServer):
            raise
        return False
    run_in_transaction(partial(_note_sent, each=each, letter=letter))
    return True


def _begun(each: Due, mailbox: Mailbox) -> tuple[Letter, EmailMessage] | None:
    """The letter, made, with the server there to take it, and marked as on its way. None: not now."""
    try:
        letter = run_in_transaction(lambda cur: each.kind.read(cur, each.organization, each.id))
        if letter is None:
            return None
        message = message_of(letter)
        mailbox.open()
        is_begun = run_in_transaction(partial(_begin, each=each, letter=letter))
    except NoMailServer:
        raise
    except Exception as error:
        _again(each, error, was=WAITING)
        return None
    return (letter, message) if is_begun else None


def _begin(cur: Cursor, *, each: Due, letter: Letter) -> bool:
    """Whether it waits still and says the same, as it was made before the lock was taken; else it is made anew."""
    if each.kind.read(cur, each.organization, each.id) != letter:
        return False
    cur.execute(_SENDING.format(table=each.kind.table), (UNKNOWN_AFTER, each.id))
    return True


def _note_sent(cur: Cursor, *, each: Due, letter: Letter) -> None:
    if letter.sent is not None:
        letter.sent(cur)
    mark(cur, table=each.kind.table, letter=each.id, status="sent")


def _again(each: Due, error: Exception, *, was: str) -> None:
    """Put a letter off that was not sent. A database that is busy is no try."""
    logger.warning("letter.failed", exc_info=error, extra=_named(each))
    attempts = each.attempts + (not (isinstance(error, ProblemError) and error.retryable))
    if attempts >= MOST_ATTEMPTS:
        _end(each, status=FAILED, was=was, attempts=attempts)
        return
    # Without the organization's lock, for which it may have waited in vain just now.
    values = (attempts, FIRST_PAUSE * 2**each.attempts, each.id, was)
    run_in_transaction(lambda cur: cur.execute(_AGAIN.format(table=each.kind.table), values))


def _end(each: Due, *, status: str, was: str, attempts: int | None = None) -> bool:
    """Note that a letter did not arrive, or that nobody knows, and say whether it was still open."""

    def end(cur: Cursor) -> bool:
        lock_organization(cur, each.organization)
        found = cur.execute(_LOST.format(table=each.kind.table), (status, attempts, each.id, was)).rowcount
        if found and each.kind.lost is not None:
            each.kind.lost(cur, each.organization, each.id, status)
        return bool(found)

    return run_in_transaction(end)


def _named(each: Due) -> dict[str, str]:
    return {"kind": each.kind.table, "letter": str(each.id)}
