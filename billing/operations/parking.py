"""Customers with whom a job meets trouble: tried again after a growing pause, at last parked for a person to resume.

One row for each customer that is in work or in trouble, in the job's own table (`billing_runs`, `dunning_claims`),
which is operational: no fact and no projection.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID

from common.errors import NotFound
from events.store import Cursor

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


def text_of(error: Exception) -> str:
    """This function will say an error in words that fit into the row."""
    return f"{type(error).__name__}: {error}"[:2_000]


def count_failure(cur: Cursor, *, table: str, organization: UUID, text: str) -> bool:
    """This function will note that a customer's run failed and give its claim back; whether it is parked now, which it
    is after five failures in a row."""
    return cur.execute(_FAILED.format(table=table), (organization, text)).fetchone() == (True,)


def resume(cur: Cursor, *, table: str, organization: UUID) -> None:
    """This function will forget a customer's failures, so that it is due again at once. Raises NotFound without any."""
    if not cur.execute(_RESUME.format(table=table), (organization,)).rowcount:
        raise NotFound("Nothing went wrong with this customer's run.")
