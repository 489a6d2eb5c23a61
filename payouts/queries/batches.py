"""Batches of payouts."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from common.errors import NotFound
from events.store import Cursor
from payouts.rules.paying.batches import Batch

_ROW: Final = """SELECT id, organization, state, requested_at, requested_by, made, refused, finished_at, version
FROM payout_batches"""


def find_batch(cur: Cursor, batch: UUID) -> Batch:
    """Return a batch. Raises NotFound."""
    row = cur.execute(f"{_ROW} WHERE id = %s", (batch,)).fetchone()
    if row is None:
        raise NotFound("There is no such batch.")
    return Batch(*row)


def open_batches(cur: Cursor) -> list[Batch]:
    """Return the batches that have not asked every partner yet, oldest first."""
    return [Batch(*row) for row in cur.execute(f"{_ROW} WHERE state = 'open' ORDER BY id").fetchall()]


def made_by_batch(cur: Cursor, batch: UUID) -> int:
    """Return how many payouts a batch made."""
    row = cur.execute("SELECT count(*) FROM payouts WHERE batch = %s", (batch,)).fetchone()
    return 0 if row is None else int(row[0])
