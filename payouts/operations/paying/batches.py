"""Paying all partners at once: the batch is recorded, then each partner is asked in a transaction of its own."""

from __future__ import annotations

import logging
from functools import partial
from typing import Final
from uuid import UUID

from billing import stripe_gateway
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
    return sum(
        attempted(partial(run_batch, batch), subject=batch.id) for batch in run_in_transaction(open_batches)
    )


def run_batch(batch: Batch) -> int:
    """This function will ask every partner that a batch has not asked yet; how many payouts that made. A partner that
    fails is reported, counts as refused, and stops no other."""
    done, refused, after = 0, 0, None
    while found := run_in_transaction(partial(_page, batch=batch.id, after=after)):
        for organization in found:
            is_made = attempted(partial(_asked, organization, batch), subject=organization)
            done, refused = done + is_made, refused + (not is_made)
        after = found[-1]
    run_in_transaction(partial(_finish, batch=batch.id, refused=refused))
    return done


def _page(cur: Cursor, *, batch: UUID, after: UUID | None) -> list[UUID]:
    return partners_payable(cur, batch=batch, after=after, limit=AT_ONCE)


def _asked(organization: UUID, batch: Batch) -> bool:
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
        logger.info("payouts.batch_refused", extra={"organization": str(organization), "code": error.code})
        return False
    return True


def _finish(cur: Cursor, *, batch: UUID, refused: int) -> None:
    now = lock_organization(cur, PLATFORM_ID).now
    found = find_batch(cur, batch)
    if found.state == OPEN:
        done = finished(found, made=made_by_batch(cur, batch), refused=refused, at=now)
        record(cur, [fact(done, "finished", at=now)], author=AUTHOR)
