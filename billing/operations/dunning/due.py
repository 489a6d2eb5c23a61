"""The timer of dunning: it hands every customer whose time has come to the machine, and finds what nobody told it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

from celery import current_app, current_task

from billing.operations.dunning.advancing import advance_customer
from billing.operations.dunning.trouble import note_done, note_failure
from billing.operations.parking import LONGEST_PAUSE
from billing.queries.dunning import organizations_due, organizations_settled
from common.transactions import run_in_transaction
from events.store import Cursor

logger = logging.getLogger(__name__)

AT_ONCE: Final = 1_000
MOST_OUT: Final = 4_000
"""Customers that are handed out and not done: more would lose their claim before a worker comes to them."""
BATCH: Final = 20
CLAIM: Final = timedelta(seconds=60)
_OUT: Final = (
    "SELECT count(*) FROM dunning_claims WHERE parked_at IS NULL AND claimed_at > clock_timestamp() - %s"
)
_CLAIMED: Final = """
INSERT INTO dunning_claims AS g (organization, claimed_at) SELECT unnest(%s::uuid[]), clock_timestamp()
ON CONFLICT (organization) DO UPDATE SET claimed_at = EXCLUDED.claimed_at
WHERE g.parked_at IS NULL AND (g.claimed_at IS NULL OR g.claimed_at <= clock_timestamp() - %s)
RETURNING organization
"""


def advance_due() -> int:
    """This function will have what is due in every customer's dunning done, each in a transaction of its own, and
    return how many customers it handed out.

    In a worker some are a job, so that many run at once; by hand (`run_due`) one comes after the other. A claim keeps a
    customer from being handed out again for a minute; when its job is lost, it is due again after that.
    """
    hand_over = _send if current_task else advance_customers
    seen: set[UUID] = set()
    while new := [each for each in run_in_transaction(claim_due) if each not in seen]:
        for start in range(0, len(new), BATCH):
            hand_over(new[start : start + BATCH])
        seen.update(new)
    return len(seen)


def claim_due(cur: Cursor) -> list[UUID]:
    """This function will claim customers whose time has come; fewer or none while many are handed out."""
    row = cur.execute(_OUT, (CLAIM,)).fetchone()
    room = min(AT_ONCE, MOST_OUT - (0 if row is None else int(row[0])))
    due = organizations_due(cur, limit=room, claim=CLAIM, longest=LONGEST_PAUSE) if room > 0 else []
    if not due:
        return []
    return [row[0] for row in cur.execute(_CLAIMED, (due, CLAIM)).fetchall()]


def advance_customers(organizations: Sequence[UUID]) -> int:
    """This function will do what is due in these customers' dunning, and return for how many that was something.

    One that fails stops nobody else: it is tried again after a growing pause, and parked after five failures in a row.
    """
    done = [(each, _attempted(each)) for each in organizations]
    note_done([each for each, found in done if found is not None])
    return sum(bool(found) for _, found in done)


def close_settled() -> int:
    """This function will close cases whose invoices are settled although nobody said so, and return how many."""
    due = run_in_transaction(partial(organizations_settled, limit=AT_ONCE))
    return sum(bool(_attempted(each)) for each in due)


def _attempted(organization: UUID) -> bool | None:
    operation: Callable[[Cursor], Any] = partial(advance_customer, organization=organization)
    try:
        return bool(run_in_transaction(operation, prepared=True))
    except Exception as error:
        _noted(organization, error)
        return None


def _noted(organization: UUID, error: Exception) -> None:
    """What cannot even be noted keeps its claim for a minute, and stops nobody else."""
    try:
        note_failure(organization, error)
    except Exception as second:
        logger.error("dunning.not_noted", exc_info=second, extra={"organization": str(organization)})


def _send(organizations: Sequence[UUID]) -> None:
    names = [str(organization) for organization in organizations]
    current_app.send_task("billing.tasks.advance_dunning", kwargs={"organizations": names}, expires=60)
