"""Batches of payouts."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from common.errors import NotFound
from events.store import Cursor
from payouts.rules.paying.batches import Batch

_ROW: Final = """SELECT id, organization, state, requested_at, requested_by, made, refused, finished_at, version
FROM payout_batches"""
_OPEN: Final = """
WHERE state = 'open' AND NOT EXISTS (
    SELECT FROM payout_batch_rounds r WHERE r.batch = payout_batches.id AND r.next_at > clock_timestamp())
ORDER BY id
"""


def find_batch(cur: Cursor, batch: UUID) -> Batch:
    """Return a batch. Raises NotFound."""
    row = cur.execute(f"{_ROW} WHERE id = %s", (batch,)).fetchone()
    if row is None:
        raise NotFound("There is no such batch.")
    return Batch(*row)


def open_batches(cur: Cursor) -> list[Batch]:
    """Return the batches that have not asked every partner yet and do not rest, oldest first."""
    return [Batch(*row) for row in cur.execute(f"{_ROW} {_OPEN}").fetchall()]


def made_by_batch(cur: Cursor, batch: UUID) -> int:
    """Return how many payouts a batch made."""
    row = cur.execute("SELECT count(*) FROM payouts WHERE batch = %s", (batch,)).fetchone()
    return 0 if row is None else int(row[0])
