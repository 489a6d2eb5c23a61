"""Handing out customers for whom something is due, and keeping those with trouble from stopping the others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Final
from uuid import UUID

from celery import current_app, current_task

from billing.operations import parking
from billing.operations.billing import bill_customer
from billing.queries.standing import due_customers
from billing.rules.findings import BILLING_STOPPED
from common.errors import ProblemError
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.operations.facts import Author

logger = logging.getLogger(__name__)

JOB: Final = parking.Job(BILLING_STOPPED, Author("system:billing"), "POST /v1/billing-runs/{}/resume")
CLAIM: Final = timedelta(seconds=60)
AT_ONCE: Final = 500
MOST_OUT: Final = 2_000
"""Customers that are handed out and not done: more would lose their claim before a worker comes to them."""
BATCH: Final = 10
"""Customers of one job: a large one keeps few others waiting."""
OUT: Final = (
    "SELECT count(*) FROM billing_runs WHERE parked_at IS NULL AND claimed_at > clock_timestamp() - %s"
)
_CLAIMED: Final = """
INSERT INTO billing_runs AS r (organization, claimed_at) SELECT unnest(%s::uuid[]), clock_timestamp()
ON CONFLICT (organization) DO UPDATE SET claimed_at = EXCLUDED.claimed_at
WHERE r.parked_at IS NULL AND (r.claimed_at IS NULL OR r.claimed_at <= clock_timestamp() - %s)
RETURNING organization
"""


def bill_due_customers() -> int:
    """This function will have every customer billed for whom something is due, and return how many it handed out.

    In a worker ten are a job, so that many run at once; by hand (`run_due`) one comes after the other. A claim keeps a
    customer from being handed out again for a minute; when its job is lost, it is due again after that. No more are out
    than workers come to in that time: the others are still due at the next beat.
    """
    hand_over = _send if current_task else run_customers
    seen: set[UUID] = set()
    while new := [each for each in run_in_transaction(claim_customers) if each not in seen]:
        for start in range(0, len(new), BATCH):
            hand_over(new[start : start + BATCH])
        seen.update(new)
    return len(seen)


def claim_customers(cur: Cursor) -> list[UUID]:
    """This function will claim up to 500 customers for whom something is due, the longest due first; fewer or none
    while many are handed out."""
    row = cur.execute(OUT, (CLAIM,)).fetchone()
    room = min(AT_ONCE, MOST_OUT - (0 if row is None else int(row[0])))
    due = due_customers(cur, limit=room, claim=CLAIM, longest=parking.LONGEST_PAUSE) if room > 0 else []
    if not due:
        return []
    taken = {row[0] for row in cur.execute(_CLAIMED, (sorted(due), CLAIM)).fetchall()}
    return [organization for organization in due if organization in taken]


def run_customers(organizations: Sequence[UUID]) -> None:
    """This function will bill customers, one after the other, and note how it went with each."""
    parking.note_done(JOB, [organization for organization in organizations if _run(organization)])


def run_customer(organization: UUID) -> bool:
    """This function will bill one customer and note how it went; whether it went well.

    A failure is counted and stops nobody else: the customer is tried again later, and parked after five in a row, with
    a finding, until a person resumes it. What is only busy is tried again and not counted.
    """
    is_well = _run(organization)
    if is_well:
        parking.note_done(JOB, [organization])
    return is_well


def resume_customer(cur: Cursor, *, organization: UUID) -> None:
    """This function will let a parked or waiting customer be billed again at once. Raises NotFound without trouble."""
    parking.resume(cur, job=JOB, organization=organization)


def _run(organization: UUID) -> bool:
    try:
        bill_customer(organization=organization)
    except Exception as error:
        return _fail(organization, error)
    return True


def _fail(organization: UUID, error: Exception) -> bool:
    if isinstance(error, ProblemError) and error.retryable:
        return False  # when its claim has ended it is due again
    counted = partial(parking.count_failure, job=JOB, organization=organization, error=error)
    try:
        is_parked = run_in_transaction(counted)
    except Exception as second:  # it keeps its claim for a minute, and stops nobody else
        logger.error("billing.not_noted", exc_info=second, extra={"organization": str(organization)})
        return False
    report: Callable[..., None] = logger.error if is_parked else logger.warning
    report("billing.failed", exc_info=error, extra={"organization": str(organization), "parked": is_parked})
    return False


def _send(organizations: Sequence[UUID]) -> None:
    names = [str(organization) for organization in organizations]
    current_app.send_task("billing.tasks.bill_customers", kwargs={"organizations": names}, expires=60)
