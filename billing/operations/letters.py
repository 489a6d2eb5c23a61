"""Letters that go out once: claimed under the customer's lock, sent with no transaction open, and then noted.

What a mail server refused is tried again eight times, at growing pauses. Where nobody knows whether a letter was sent,
as after a crash between, it is not sent again: it is `unknown`, and a person looks. Each kind of letter has a table of
its own, with the columns id, organization, status, attempts, next_try_at and done_at.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final
from uuid import UUID

from django.core.mail import EmailMessage
from django.template.loader import render_to_string

from billing.rules.wording import document_language
from common.transactions import run_in_transaction
from events.store import Cursor

logger = logging.getLogger(__name__)

MOST_ATTEMPTS: Final = 8
FIRST_PAUSE: Final = timedelta(minutes=1)
UNKNOWN_AFTER: Final = timedelta(minutes=10)
AT_ONCE: Final = 500
_DUE: Final = """
SELECT id, organization FROM {table} WHERE status = 'waiting' AND next_try_at <= clock_timestamp()
ORDER BY next_try_at, id LIMIT %s
"""
_LOST: Final = """
UPDATE {table} SET status = 'unknown', done_at = clock_timestamp()
WHERE status = 'sending' AND next_try_at <= clock_timestamp()
"""
_SENDING: Final = """
UPDATE {table} SET status = 'sending', attempts = attempts + 1, next_try_at = clock_timestamp() + %s
WHERE id = %s
"""
_DONE: Final = """
UPDATE {table} SET status = %s, done_at = clock_timestamp(), next_try_at = NULL WHERE id = %s
"""
_PUT_OFF: Final = "UPDATE {table} SET next_try_at = clock_timestamp() + %s WHERE id = %s"
_AGAIN: Final = """
UPDATE {table} SET status = CASE WHEN attempts >= %s THEN 'failed' ELSE 'waiting' END,
    done_at = CASE WHEN attempts >= %s THEN clock_timestamp() END,
    next_try_at = CASE WHEN attempts < %s THEN clock_timestamp() + %s END WHERE id = %s AND status = 'sending'
"""


@dataclass(frozen=True, slots=True)
class Letter:
    """What is sent to whom: a template, whose first paragraph is the subject, with its values. `attempts`: before.
    `attach` makes the file that goes with it, its name and content, with no transaction open; `sent` is what else is
    noted when it went out."""

    address: str
    template: str
    context: Mapping[str, object]
    attempts: int = 0
    attach: Callable[[], tuple[str, bytes]] | None = None
    sent: Callable[[Cursor], object] | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of letter: its table, and what claims one: given the organization and the letter's id, it locks the
    organization, and marks and returns the letter if it waits and is still so, else None."""

    table: str
    claim: Callable[[Cursor, UUID, UUID], Letter | None]


def send_due(kind: Kind) -> int:
    """This function will send every letter of a kind that waits, and return how many it sent. One that cannot be sent
    stops no other."""
    run_in_transaction(lambda cur: cur.execute(_LOST.format(table=kind.table)))
    statement = _DUE.format(table=kind.table)
    due = run_in_transaction(lambda cur: cur.execute(statement, (AT_ONCE,)).fetchall())
    return sum(send_letter(kind, organization=organization, letter=letter) for letter, organization in due)


def send_letter(kind: Kind, *, organization: UUID, letter: UUID) -> bool:
    """This function will send one letter if it waits and is still so, and return whether it was sent."""
    claimed = run_in_transaction(lambda cur: kind.claim(cur, organization, letter))
    if claimed is None:
        return False
    try:
        message_of(claimed).send()
    except OSError as error:
        logger.warning("letter.failed", exc_info=error, extra={"kind": kind.table, "letter": str(letter)})
        values = (*[MOST_ATTEMPTS] * 3, FIRST_PAUSE * 2**claimed.attempts, letter)
        run_in_transaction(lambda cur: cur.execute(_AGAIN.format(table=kind.table), values))
        return False
    run_in_transaction(partial(_note_sent, kind=kind, letter=letter, claimed=claimed))
    return True


def _note_sent(cur: Cursor, *, kind: Kind, letter: UUID, claimed: Letter) -> None:
    if claimed.sent is not None:
        claimed.sent(cur)
    mark(cur, table=kind.table, letter=letter, status="sent")


def mark(cur: Cursor, *, table: str, letter: UUID, status: str) -> None:
    """This function will note what became of a letter."""
    cur.execute(_DONE.format(table=table), (status, letter))


def put_off(cur: Cursor, *, table: str, letter: UUID, by: timedelta) -> None:
    """This function will let a letter wait that is not to be sent now."""
    cur.execute(_PUT_OFF.format(table=table), (by, letter))


def mark_sending(cur: Cursor, *, table: str, letter: UUID) -> None:
    """This function will note that a letter is about to be sent."""
    cur.execute(_SENDING.format(table=table), (UNKNOWN_AFTER, letter))


def template_of(name: str, *, language: str | None) -> str:
    """Return the template of a letter for who reads a language; English where there is none in it."""
    return f"billing/mail/{document_language(language)}/{name}.txt"


def message_of(letter: Letter) -> EmailMessage:
    """Return a letter as the mail server takes it: PDF files alone go with it."""
    text = render_to_string(letter.template, dict(letter.context))
    subject, _, body = text.partition("\n\n")
    message = EmailMessage(" ".join(subject.split()), body, to=[letter.address])
    if letter.attach is not None:
        message.attach(*letter.attach(), "application/pdf")
    return message
