"""Folding the postings of accounts without a limit into snapshots, so that reading a balance costs the same for ever.

Only postings below a safe horizon are folded: `pg_snapshot_xmin` is the oldest transaction that still runs, so
all below it have ended and are seen. A slow transaction holds the horizon back and is never skipped. Nobody who
posts is locked or waits.
"""

from typing import Final

from common.transactions import run_in_transaction
from events.store import Cursor

ENTRIES_AT_ONCE: Final = 20_000
# xid8 has no end of its own; a closed epoch is folded up to the largest one.
_LAST: Final = "18446744073709551615"
_LOCK: Final = """
SELECT h.epoch, h.horizon::text, e.epoch, pg_snapshot_xmin(pg_current_snapshot())::text
FROM snapshot_horizon h CROSS JOIN event_store e FOR NO KEY UPDATE OF h SKIP LOCKED
"""
# The transaction of a chunk's last entry; all of its entries are folded together.
_CHUNK_END: Final = """
SELECT tx::text FROM journal_entries WHERE epoch = %(epoch)s AND tx >= %(lo)s::text::xid8 AND tx < %(hi)s::text::xid8
ORDER BY tx OFFSET %(skip)s LIMIT 1
"""
_FOLD: Final = """
INSERT INTO account_snapshots AS s (account_id, balance, epoch, horizon)
SELECT p.account_id, sum(p.amount), %(epoch)s, %(hi)s::text::xid8
FROM journal_entries e JOIN postings p ON p.entry_id = e.id JOIN accounts a ON a.id = p.account_id AND NOT a.live
WHERE e.epoch = %(epoch)s AND e.tx >= %(lo)s::text::xid8 AND e.tx < %(hi)s::text::xid8
GROUP BY p.account_id ORDER BY p.account_id
ON CONFLICT (account_id) DO UPDATE SET balance = s.balance + EXCLUDED.balance, epoch = EXCLUDED.epoch,
    horizon = EXCLUDED.horizon
"""
_MOVE: Final = """
UPDATE snapshot_horizon SET epoch = %s, horizon = %s::text::xid8, folded_at = clock_timestamp()
"""


def snapshot_accounts() -> int:
    """This function will fold what is final into the snapshots, and return how many accounts moved (L3).

    Balances are the same before and after. Each transaction folds up to 20,000 entries; another process that
    folds already is left alone. Safe to run twice, late or never.
    """
    moved = 0
    while True:
        count, more = run_in_transaction(fold_once)
        moved += count
        if not more:
            return moved


def fold_once(cur: Cursor, *, entries_at_once: int = ENTRIES_AT_ONCE) -> tuple[int, bool]:
    """This function will fold one chunk and return (accounts moved, whether there is more)."""
    row = cur.execute(_LOCK).fetchone()
    if row is None:
        return 0, False
    epoch, lo, now_epoch, safe = row
    closed = epoch < now_epoch
    limit = _LAST if closed else safe
    if not closed and int(limit) <= int(lo):
        return 0, False
    chunk = {"epoch": epoch, "lo": lo, "hi": limit, "skip": entries_at_once - 1}
    last = cur.execute(_CHUNK_END, chunk).fetchone()
    if last is not None:
        chunk["hi"] = str(int(last[0]) + 1)
    moved = cur.execute(_FOLD, chunk).rowcount
    done = chunk["hi"] == limit
    cur.execute(_MOVE, (epoch + 1, "0") if closed and done else (epoch, chunk["hi"]))
    return moved, closed or not done
