"""Deleting what is too old to matter: minutes of spend after eight days, by the wall clock and the organization's."""

from typing import Final

from common.transactions import run_in_transaction
from events.store import Cursor
from spend.projections.minutes import KEPT_DAYS

AT_ONCE: Final = 10_000
_DELETE: Final = f"""
DELETE FROM usage_by_minute m USING (
    SELECT u.ctid FROM usage_by_minute u JOIN organizations o ON o.id = u.organization
    WHERE u.minute < clock_timestamp() + o.clock_offset - interval '{KEPT_DAYS} days' LIMIT {AT_ONCE}
) old WHERE m.ctid = old.ctid
"""


def forget_minutes() -> int:
    """This function will delete the minutes that are older than eight days, in small transactions, and return how
    many rows those were. The usage records and the hourly sums stay."""
    total = 0
    while deleted := run_in_transaction(_delete):
        total += deleted
    return total


def _delete(cur: Cursor) -> int:
    return cur.execute(_DELETE).rowcount
