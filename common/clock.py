"""Two clocks, and which one to ask.

The business clock is `now(organization)`: the database's `clock_timestamp()`, read once per transaction
after the organization's row is locked, plus that organization's offset (0 outside a sandbox). It comes with
the lock, is passed into rules as an argument and judges windows, holds, grants, prices and periods.

The wall clock, `wall_now`, judges what has nothing to do with a customer's time: `recorded_at`, leases, API
keys, idempotency keys, the tolerance of signatures. Both are the database's, never this machine's.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg


def wall_now(cur: psycopg.Cursor[Any]) -> dt.datetime:
    """The database's wall clock at this moment (not at the start of the transaction), in UTC."""
    row = cur.execute("SELECT clock_timestamp()").fetchone()
    if row is None:
        raise RuntimeError("clock_timestamp() gave no row")
    moment: dt.datetime = row[0]
    return moment.astimezone(dt.UTC)
