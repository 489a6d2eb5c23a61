"""Customers whose billing run meets trouble, and figures of all runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from common.errors import NotFound
from events.store import Cursor

_RUNS: Final = """
SELECT r.organization, o.name, r.failures, r.last_error, r.failed_at, r.parked_at
FROM billing_runs r JOIN organizations o ON o.id = r.organization
"""
_LIST: Final = f"""
{_RUNS} WHERE r.failures > 0 AND (%(parked)s::boolean IS NULL OR (r.parked_at IS NOT NULL) = %(parked)s)
    AND (%(after)s::uuid IS NULL OR r.organization > %(after)s)
ORDER BY r.organization LIMIT %(limit)s
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


def list_runs(cur: Cursor, *, is_parked: bool | None, after: UUID | None, limit: int) -> list[TroubledRun]:
    """Return customers whose last billing run failed, by their ids."""
    found = cur.execute(_LIST, {"parked": is_parked, "after": after, "limit": limit}).fetchall()
    return [TroubledRun(*row) for row in found]


def find_run(cur: Cursor, organization: UUID) -> TroubledRun:
    """Return the state of a customer's run. Raises NotFound where nothing was noted."""
    row = cur.execute(f"{_RUNS} WHERE r.organization = %s", (organization,)).fetchone()
    if row is None:
        raise NotFound("Nothing went wrong with this customer's billing run.")
    return TroubledRun(*row)


def troubled_customers(cur: Cursor) -> tuple[int, int]:
    """Return how many customers' billing is tried again later, and how many wait for a person."""
    row = cur.execute(
        "SELECT count(*) FILTER (WHERE parked_at IS NULL), count(*) FILTER (WHERE parked_at IS NOT NULL)"
        " FROM billing_runs WHERE failures > 0"
    ).fetchone()
    return (0, 0) if row is None else (int(row[0]), int(row[1]))
