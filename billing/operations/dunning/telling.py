"""The letters of dunning: each notice of a case goes out once, and never one that is not so any more (S92).

A letter is claimed in one transaction, under the customer's lock, if its case is still in the state that it tells of;
then it is sent, with no transaction open; then that is noted. What a mail server refused is tried again. Where nobody
knows whether it was sent, as after a crash between, it is not sent again: it is `unknown`, and a person looks.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID

from django.core.mail import EmailMessage
from django.template.loader import render_to_string

from billing.queries.dunning import Unpaid, find_case, find_open_case, unpaid_of
from billing.queries.parties import contact_of
from billing.rules.dunning.case import Case
from billing.rules.dunning.machine import RECOVERED, REMINDER
from billing.rules.dunning.states import CLOSED
from common.money import format_document_amount
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.operations.locks import lock_organization

logger = logging.getLogger(__name__)

MOST_ATTEMPTS: Final = 8
FIRST_PAUSE: Final = timedelta(minutes=1)
UNKNOWN_AFTER: Final = timedelta(minutes=10)
AT_ONCE: Final = 500
_DUE: Final = """
SELECT id, organization FROM dunning_notices WHERE status = 'waiting' AND next_try_at <= clock_timestamp()
ORDER BY next_try_at, id LIMIT %s
"""
_LOST: Final = """
UPDATE dunning_notices SET status = 'unknown', done_at = clock_timestamp()
WHERE status = 'sending' AND next_try_at <= clock_timestamp()
"""
_CLAIM: Final = """
SELECT case_id, notice, state, attempts FROM dunning_notices
WHERE id = %s AND organization = %s AND status = 'waiting' AND next_try_at <= clock_timestamp() FOR NO KEY UPDATE
"""
_SENDING: Final = """
UPDATE dunning_notices SET status = 'sending', attempts = attempts + 1, next_try_at = clock_timestamp() + %s
WHERE id = %s
"""
_DONE: Final = """
UPDATE dunning_notices SET status = %s, done_at = clock_timestamp(), next_try_at = NULL WHERE id = %s
"""
_AGAIN: Final = """
UPDATE dunning_notices SET status = CASE WHEN attempts >= %s THEN 'failed' ELSE 'waiting' END,
    done_at = CASE WHEN attempts >= %s THEN clock_timestamp() END,
    next_try_at = CASE WHEN attempts < %s THEN clock_timestamp() + %s END WHERE id = %s AND status = 'sending'
"""


@dataclass(frozen=True, slots=True)
class Letter:
    """What is sent to whom."""

    address: str
    notice: str
    attempts: int
    context: dict[str, object]


def send_due_notices() -> int:
    """This function will send every letter that waits, and return how many it sent. One that cannot be sent stops no
    other, and is tried again eight times, at growing pauses."""
    run_in_transaction(lambda cur: cur.execute(_LOST))
    due = run_in_transaction(lambda cur: cur.execute(_DUE, (AT_ONCE,)).fetchall())
    return sum(send_notice(organization=organization, notice=notice) for notice, organization in due)


def send_notice(*, organization: UUID, notice: UUID) -> bool:
    """This function will send one letter if it waits and is still so, and return whether it was sent."""
    letter = run_in_transaction(partial(_claim, organization=organization, notice=notice))
    if letter is None:
        return False
    try:
        _message(letter).send()
    except OSError as error:
        logger.warning("dunning.mail_failed", exc_info=error, extra={"notice": str(notice)})
        pause = FIRST_PAUSE * 2**letter.attempts
        run_in_transaction(lambda cur: cur.execute(_AGAIN, (*[MOST_ATTEMPTS] * 3, pause, notice)))
        return False
    run_in_transaction(lambda cur: cur.execute(_DONE, ("sent", notice)))
    return True


def _claim(cur: Cursor, *, organization: UUID, notice: UUID) -> Letter | None:
    locked = lock_organization(cur, organization)
    row = cur.execute(_CLAIM, (notice, organization)).fetchone()
    if row is None:
        return None
    case = find_case(cur, organization=organization, case=row[0])
    unpaid = unpaid_of(cur, case)
    if not _is_so(cur, case, unpaid, notice=row[1], state=row[2]):
        cur.execute(_DONE, ("superseded", notice))
        return None
    contact = contact_of(cur, organization)
    if not contact.email:
        cur.execute(_DONE, ("no_address", notice))
        return None
    cur.execute(_SENDING, (UNKNOWN_AFTER, notice))
    return Letter(contact.email, row[1], row[3], _context(case, unpaid, contact.name or locked.name, row[1]))


def _is_so(cur: Cursor, case: Case, unpaid: list[Unpaid], *, notice: str, state: str) -> bool:
    """Whether what a letter says still holds: its state, and that something is owed; or that nothing is."""
    if notice == RECOVERED:
        return case.state == CLOSED and find_open_case(cur, case.organization) is None
    return case.state == state and bool(unpaid) and case.exempt_until is None


def _context(case: Case, unpaid: list[Unpaid], name: str, notice: str) -> dict[str, object]:
    return {
        "customer": name,
        "notice": "reminder" if notice.startswith(REMINDER) else notice,
        "case": case,
        "next_at": _worse_at(case),
        "per_minute": case.policy.throttle_per_minute,
        "invoices": [
            {
                "number": each.number,
                "amount": format_document_amount(each.due, currency=each.currency),
                "currency": each.currency,
                "due_at": each.due_at,
            }
            for each in unpaid
        ],
    }


def _worse_at(case: Case) -> datetime | None:
    for place, step in enumerate(case.policy.steps[case.step :], case.step):
        if step.action in ("throttle", "suspend", "cancel"):
            return case.moment(place)
    return None


def _message(letter: Letter) -> EmailMessage:
    text = render_to_string("billing/dunning_mail.txt", letter.context)
    subject, _, body = text.partition("\n\n")
    return EmailMessage(" ".join(subject.split()), body, to=[letter.address])
