"""Customers whose billing run or dunning meets trouble, and figures of both."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from common.errors import NotFound
from events.store import Cursor

BILLING, DUNNING = "billing_runs", "dunning_claims"
"""The tables of the two: who is in work, and who meets trouble."""
_RUNS: Final = """
SELECT r.organization, o.name, r.failures, r.last_error, r.failed_at, r.parked_at
FROM {table} r JOIN organizations o ON o.id = r.organization
"""
_LIST: Final = f"""
{_RUNS} WHERE r.failures > 0 AND (%(parked)s::boolean IS NULL OR (r.parked_at IS NOT NULL) = %(parked)s)
    AND (%(after)s::uuid IS NULL OR r.organization > %(after)s)
ORDER BY r.organization LIMIT %(limit)s
"""
_COUNTS: Final = """
SELECT count(*) FILTER (WHERE parked_at IS NULL), count(*) FILTER (WHERE parked_at IS NOT NULL)
FROM {table} WHERE failures > 0
"""


@dataclass(frozen=True, slots=True)
class TroubledRun:
    """How often a customer's run failed in a row, why, and since when it waits for a person."""

    organization: UUID
    name: str
    failures: int
    last_error: str | None
    failed_at: datetime | None
    parked_at: datetime | None


def list_runs(
    cur: Cursor, *, table: str = BILLING, is_parked: bool | None, after: UUID | None, limit: int
) -> list[TroubledRun]:
    """Return customers whose last run failed, by their ids."""
    given = {"parked": is_parked, "after": after, "limit": limit}
    found = cur.execute(_LIST.format(table=table), given).fetchall()
    return [TroubledRun(*row) for row in found]


def find_run(cur: Cursor, organization: UUID, *, table: str = BILLING) -> TroubledRun:
    """Return the state of a customer's run. Raises NotFound where nothing was noted."""
    row = cur.execute(f"{_RUNS} WHERE r.organization = %s".format(table=table), (organization,)).fetchone()
    if row is None:
        raise NotFound("Nothing went wrong with this customer's run.")
    return TroubledRun(*row)


def troubled_customers(cur: Cursor) -> dict[str, tuple[int, int]]:
    """Return how many customers' billing and dunning is tried again later, and how many wait for a person."""
    return {"billing": _troubled(cur, BILLING), "dunning": _troubled(cur, DUNNING)}


def _troubled(cur: Cursor, table: str) -> tuple[int, int]:
    row = cur.execute(_COUNTS.format(table=table)).fetchone()
    return (0, 0) if row is None else (int(row[0]), int(row[1]))
