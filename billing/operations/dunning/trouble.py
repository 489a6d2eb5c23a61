"""A customer whose dunning cannot go on: counted, tried again later, parked with one finding, resumed by a person."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final
from uuid import UUID

from billing.operations import parking
from billing.operations.dunning.advancing import AUTHOR
from billing.operations.findings import open_finding, resolve_open
from common.errors import ProblemError
from common.transactions import run_in_transaction
from events.store import Cursor

logger = logging.getLogger(__name__)

TABLE: Final = "dunning_claims"
STOPPED: Final = "dunning_stopped"
_DONE: Final = """
DELETE FROM dunning_claims WHERE organization = ANY(%s::uuid[]) AND parked_at IS NULL
RETURNING organization, last_error IS NOT NULL
"""


def note_failure(organization: UUID, error: Exception) -> None:
    """This function will note that a customer's dunning failed; the fifth time in a row it is parked, with a finding.
    What is only busy is not counted: it is due again when its claim has ended."""
    named = {"organization": str(organization)}
    if isinstance(error, ProblemError) and error.retryable:
        logger.info("dunning.busy", extra={**named, "reason": type(error).__name__})
        return
    is_parked = run_in_transaction(partial(_count, organization=organization, text=parking.text_of(error)))
    report: Callable[..., None] = logger.error if is_parked else logger.warning
    report("dunning.failed", exc_info=error, extra={**named, "parked": is_parked})


def note_done(organizations: Sequence[UUID]) -> None:
    """This function will give back the claims of customers for whom nothing is due any more. The finding of one that
    had been parked has ended."""
    rows = run_in_transaction(lambda cur: cur.execute(_DONE, (list(organizations),)).fetchall())
    for organization, had_trouble in rows:
        if had_trouble:
            run_in_transaction(partial(_end, organization=organization))


def resume_dunning(cur: Cursor, *, organization: UUID) -> None:
    """This function will let a parked or waiting customer's dunning go on at once: its steps are done with their own
    dates. Its finding ends when that went well. Raises NotFound without trouble."""
    parking.resume(cur, table=TABLE, organization=organization)


def _count(cur: Cursor, *, organization: UUID, text: str) -> bool:
    is_parked = parking.count_failure(cur, table=TABLE, organization=organization, text=text)
    if is_parked:
        open_finding(
            cur,
            organization=organization,
            kind=STOPPED,
            subject=str(organization),
            detail={"last_error": text, "failures": parking.FAILURES_BEFORE_PARKING},
            proposed={"do": f"POST /v1/dunning-runs/{organization}/resume once the cause is mended"},
            author=AUTHOR,
        )
    return is_parked


def _end(cur: Cursor, *, organization: UUID) -> None:
    resolve_open(
        cur,
        organization=organization,
        kind=STOPPED,
        subject=str(organization),
        reason="Its dunning goes on.",
        author=AUTHOR,
    )
