"""Paying all partners at once: the batch is recorded, then each partner is asked in a transaction of its own."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Final
from uuid import UUID

from billing import stripe_gateway
from billing.operations.findings import open_finding, resolve_open
from common.errors import ProblemError
from common.ids import new_id
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs import PLATFORM_ID
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization
from payouts.operations.attempting import attempted
from payouts.operations.paying.requesting import request_payout
from payouts.queries.batches import find_batch, made_by_batch, open_batches
from payouts.queries.schedules import partners_payable
from payouts.rules.paying.batches import OPEN, Batch, fact, finished
from payouts.rules.paying.row import BATCH

logger = logging.getLogger(__name__)

AUTHOR: Final = Author("system:payouts.batch")
AT_ONCE: Final = 500
WAITS: Final = "payout_batch_waits"
"""The kind of the finding about a batch that cannot ask everybody."""
ROUNDS_BEFORE_FINDING: Final = 5
LONGER_PAUSE: Final = timedelta(minutes=10)
NAMED: Final = 100
_MADE, _REFUSED = 1, 2
_NOT_ALL: Final = """
INSERT INTO payout_batch_rounds AS r (batch, rounds, next_at) VALUES (%(batch)s, 1, clock_timestamp())
ON CONFLICT (batch) DO UPDATE SET rounds = r.rounds + 1, next_at = clock_timestamp()
    + CASE WHEN r.rounds + 1 >= %(found)s THEN %(pause)s ELSE interval '0' END
RETURNING rounds
"""
_ENDED: Final = "DELETE FROM payout_batch_rounds WHERE batch = %s"


def request_batch(cur: Cursor, *, author: Author) -> Batch:
    """This function will have every partner paid what it can withdraw, and return the batch; the job `payouts.batches`
    makes the payouts. Raises NotConfigured."""
    stripe_gateway.require_configured()
    now = lock_organization(cur, PLATFORM_ID).now
    made = Batch(new_id(), PLATFORM_ID, OPEN, now, author.actor)
    record(cur, [fact(made, "requested", at=now)], author=author)
    return made


def run_batches() -> int:
    """This function will finish every batch that is open, and return how many payouts those made now.

    A partner has one payout of a batch, however often it is begun anew. A partner whose account is closed in the middle
    has its payout held; the others go on. What stands in one batch's way is reported and stops no other.
    """
    if not stripe_gateway.is_configured():
        return 0
    return sum(
        attempted(partial(run_batch, batch), subject=batch.id) for batch in run_in_transaction(open_batches)
    )


def run_batch(batch: Batch) -> int:
    """This function will ask every partner that a batch has not paid yet; how many payouts that made. A refusal is an
    answer. A partner that is busy, or fails, is reported and stops no other, and the batch stays open for it."""
    answers: Counter[int] = Counter()
    left, after = list[UUID](), None
    while found := run_in_transaction(partial(_page, batch=batch.id, after=after)):
        for organization in found:
            answer = attempted(partial(_asked, organization, batch), subject=organization)
            answers[answer] += 1
            left += [] if answer else [organization]
        after = found[-1]
    if left:
        run_in_transaction(partial(_wait, batch=batch.id, left=left))
    else:
        run_in_transaction(partial(_finish, batch=batch.id, refused=answers[_REFUSED]))
    return answers[_MADE]


def _page(cur: Cursor, *, batch: UUID, after: UUID | None) -> list[UUID]:
    return partners_payable(cur, batch=batch, after=after, limit=AT_ONCE)


def _asked(organization: UUID, batch: Batch) -> int:
    """Whether a payout was made or refused. What may be otherwise in a moment is no answer, and is raised."""
    try:
        run_in_transaction(
            partial(
                request_payout,
                organization=organization,
                amount=None,
                cause=BATCH,
                author=AUTHOR,
                requested_by=batch.requested_by,
                batch=batch.id,
            ),
            prepared=True,
        )
    except ProblemError as error:
        if error.retryable:
            raise
        logger.info("payouts.batch_refused", extra={"organization": str(organization), "code": error.code})
        return _REFUSED
    return _MADE


def _wait(cur: Cursor, *, batch: UUID, left: Sequence[UUID]) -> None:
    """The batch asks all again that it has not paid: first at once, in time more rarely, when a person was told."""
    lock_organization(cur, PLATFORM_ID)
    if find_batch(cur, batch).state != OPEN:
        return
    given = {"batch": batch, "found": ROUNDS_BEFORE_FINDING, "pause": LONGER_PAUSE}
    row = cur.execute(_NOT_ALL, given).fetchone()
    if row is None or row[0] < ROUNDS_BEFORE_FINDING:
        return
    open_finding(
        cur,
        organization=None,
        kind=WAITS,
        subject=_subject(batch),
        detail={"count": len(left), "partners": [str(one) for one in left[:NAMED]]},
        proposed={"step": "mend what stands in their way, or hold the partners: the batch ends without them"},
        author=AUTHOR,
        once=True,
    )


def _finish(cur: Cursor, *, batch: UUID, refused: int) -> None:
    now = lock_organization(cur, PLATFORM_ID).now
    found = find_batch(cur, batch)
    if found.state == OPEN:
        if cur.execute(_ENDED, (batch,)).rowcount:
            why = "Every partner was asked."
            resolve_open(
                cur, organization=None, kind=WAITS, subject=_subject(batch), reason=why, author=AUTHOR
            )
        done = finished(found, made=made_by_batch(cur, batch), refused=refused, at=now)
        record(cur, [fact(done, "finished", at=now)], author=AUTHOR)


def _subject(batch: UUID) -> str:
    return f"payout_batch:{batch}"
