"""Customers with whom a job meets trouble: tried again after a growing pause, at last parked for a person to resume.

One row for each customer that is in work or in trouble, in the job's own table (`billing_runs`, `dunning_claims`),
which is operational: no fact and no projection. While one is parked there is a finding; resolving it resumes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final
from uuid import UUID

from billing.operations.findings import open_finding, resolve_open
from billing.rules.findings import PARKED_IN
from common.errors import NotFound
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.operations.facts import Author
from orgs.operations.locks import lock_organization

FAILURES_BEFORE_PARKING: Final = 5
LONGEST_PAUSE: Final = timedelta(minutes=10)
_FAILED: Final = f"""
INSERT INTO {{table}} AS r (organization, failures, failed_at, last_error) VALUES (%s, 1, clock_timestamp(), %s)
ON CONFLICT (organization) DO UPDATE SET failures = r.failures + 1, failed_at = EXCLUDED.failed_at, claimed_at = NULL,
    last_error = EXCLUDED.last_error,
    parked_at = CASE WHEN r.failures + 1 >= {FAILURES_BEFORE_PARKING} THEN clock_timestamp() END
RETURNING parked_at IS NOT NULL
"""
_RESUME: Final = """
UPDATE {table} SET failures = 0, failed_at = NULL, parked_at = NULL, claimed_at = NULL
WHERE organization = %s AND failures > 0
"""
_DONE: Final = """
DELETE FROM {table} WHERE organization = ANY(%s::uuid[]) AND parked_at IS NULL
RETURNING organization, last_error IS NOT NULL
"""
_FORGET: Final = "DELETE FROM {table} WHERE organization = %s AND last_error IS NOT NULL"


@dataclass(frozen=True, slots=True)
class Job:
    """A job that parks customers: the kind of the finding about one, who says so, and where a person resumes it (with
    `{}` for the organization)."""

    finding: str
    author: Author
    resume: str

    @property
    def table(self) -> str:
        """Where its customers stand that are in work or in trouble."""
        return PARKED_IN[self.finding]


def count_failure(cur: Cursor, *, job: Job, organization: UUID, error: Exception) -> bool:
    """This function will note that a customer's run failed and give its claim back; whether it is parked now, which it
    is after five failures in a row, with a finding. Raises NotFound."""
    lock_organization(cur, organization)  # before the row, as who resolves the finding does
    text = f"{type(error).__name__}: {error}"[:2_000]
    row = cur.execute(_FAILED.format(table=job.table), (organization, text)).fetchone()
    if row != (True,):
        return False
    open_finding(
        cur,
        organization=organization,
        kind=job.finding,
        subject=str(organization),
        detail={"last_error": text, "failures": FAILURES_BEFORE_PARKING},
        proposed={"do": f"{job.resume.format(organization)} once the cause is mended"},
        author=job.author,
    )
    return True


def note_done(job: Job, organizations: Sequence[UUID]) -> None:
    """This function will give back the claims of customers with whom all went well. The finding of one that had been
    parked has ended."""
    statement = _DONE.format(table=job.table)
    rows = run_in_transaction(lambda cur: cur.execute(statement, (list(organizations),)).fetchall())
    for organization, had_trouble in rows:
        if had_trouble:
            run_in_transaction(partial(_end, job=job, organization=organization, reason="It goes on."))


def resume(cur: Cursor, *, job: Job, organization: UUID) -> None:
    """This function will forget a customer's failures, so that it is due again at once. Its finding ends when that went
    well. Raises NotFound without any."""
    if not cur.execute(_RESUME.format(table=job.table), (organization,)).rowcount:
        raise NotFound("Nothing went wrong with this customer's run.")


def forget(cur: Cursor, *, job: Job, organization: UUID) -> None:
    """This function will forget a customer's trouble with its finding, for what was to be done is over. The caller
    holds the organization's lock."""
    if cur.execute(_FORGET.format(table=job.table), (organization,)).rowcount:
        _end(cur, job=job, organization=organization, reason="What was to be done is over.")


def _end(cur: Cursor, *, job: Job, organization: UUID, reason: str) -> None:
    resolve_open(
        cur,
        organization=organization,
        kind=job.finding,
        subject=str(organization),
        reason=reason,
        author=job.author,
    )
