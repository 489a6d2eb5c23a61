"""A customer whose dunning cannot go on: counted, tried again later, parked with one finding, resumed by a person."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final
from uuid import UUID

from billing.operations import parking
from billing.rules.findings import DUNNING_STOPPED
from common.errors import ProblemError
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.operations.facts import Author

logger = logging.getLogger(__name__)

AUTHOR: Final = Author("system:dunning")
JOB: Final = parking.Job(DUNNING_STOPPED, AUTHOR, "POST /v1/dunning-runs/{}/resume")


def note_failure(organization: UUID, error: Exception) -> None:
    """This function will note that a customer's dunning failed; the fifth time in a row it is parked, with a finding.
    What is only busy is not counted: it is due again when its claim has ended."""
    named = {"organization": str(organization)}
    if isinstance(error, ProblemError) and error.retryable:
        logger.info("dunning.busy", extra={**named, "reason": type(error).__name__})
        return
    is_parked = run_in_transaction(
        partial(parking.count_failure, job=JOB, organization=organization, error=error)
    )
    report: Callable[..., None] = logger.error if is_parked else logger.warning
    report("dunning.failed", exc_info=error, extra={**named, "parked": is_parked})


def note_done(organizations: Sequence[UUID]) -> None:
    """This function will give back the claims of customers for whom nothing is due any more. The finding of one that
    had been parked has ended."""
    parking.note_done(JOB, organizations)


def resume_dunning(cur: Cursor, *, organization: UUID) -> None:
    """This function will let a parked or waiting customer's dunning go on at once: its steps are done with their own
    dates. Its finding ends when that went well. Raises NotFound without trouble."""
    parking.resume(cur, job=JOB, organization=organization)


def end_trouble(cur: Cursor, *, organization: UUID) -> None:
    """This function will forget what troubled a customer's dunning, for its case is closed: the next one is none of it.
    The caller holds the organization's lock."""
    parking.forget(cur, job=JOB, organization=organization)
