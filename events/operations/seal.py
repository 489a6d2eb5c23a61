"""Seal closed batches of facts. After the fact, by one sealer: a chain made while writing would break by itself."""

import time
from dataclasses import replace
from typing import Final

from common.clock import wall_now
from common.transactions import run_in_transaction
from events.headfile import Head, append_heads, last_head
from events.queries.health import SEALER
from events.reader import Position, advance, finished, lock_position, open_window, wait_until_final
from events.rules.chain import EVENT_ITEM_BYTES, FORMAT, SealedLists, SealHeader, merkle_root
from events.sealing import LOCK, LastSeal, Range, cut, digests, insert, last_seal
from events.store import Cursor

CURSOR: Final = SEALER
_WORKING_SECONDS: Final = 4.0
# Of a database that the head file does not know, only the newest seal: the file vouches for what it saw being made.
_HEADS: Final = """
SELECT number, epoch, seq_to, encode(hash, 'hex'), sealed_at FROM seals
WHERE number > COALESCE(%s, (SELECT max(number) - 1 FROM seals)) ORDER BY number LIMIT 10000
"""


def seal_facts() -> int:
    """This function will seal what is final and not sealed yet, for about four seconds, write the chain's new head
    to the head file and return how many seals it made.

    Only one sealer works at a time; another one returns 0. Repeating it is harmless. Upholds E2.
    """
    made, deadline = 0, time.monotonic() + _WORKING_SECONDS
    while time.monotonic() < deadline:
        is_done, sealed = run_in_transaction(_seal_next)
        made += sealed
        if is_done:
            break
    run_in_transaction(_write_heads)
    return made


def _seal_next(cur: Cursor) -> tuple[bool, int]:
    """Make at most one seal; say whether nothing more can be sealed now, and how many seals were made."""
    row = cur.execute(LOCK).fetchone()
    position = lock_position(cur, CURSOR) if row and row[0] else None
    if position is None:
        return True, 0
    position = open_window(cur, position)
    if not wait_until_final(cur, position, patience_seconds=0.5):
        advance(cur, CURSOR, position)
        return True, 0
    last = last_seal(cur)
    batch = cut(cur, _unsealed(position, last))
    sealed = _seal(cur, batch, last)
    is_whole = batch.hi == position.hi and batch.seq_to == position.ceiling
    behind = finished(position) if is_whole else replace(position, lo=batch.hi, seq=batch.seq_to)
    advance(cur, CURSOR, behind)
    return is_whole and behind.epoch == position.epoch, sealed


def _unsealed(position: Position, last: LastSeal) -> Range:
    """From the end of the chain, so that seals leave no gap between them where a row could hide."""
    lo = last.hi if last.epoch == position.epoch else 0
    return Range(position.epoch, lo, position.hi, last.seq_to, position.ceiling)


def _seal(cur: Cursor, batch: Range, last: LastSeal) -> int:
    lists = digests(cur, batch)
    if lists.is_empty:
        return 0
    insert(cur, _header(cur, batch, last, lists), lists)
    return 1


def _header(cur: Cursor, batch: Range, last: LastSeal, lists: SealedLists) -> SealHeader:
    return SealHeader(
        number=last.number + 1,
        format=FORMAT,
        epoch=batch.epoch,
        lo=batch.lo,
        hi=batch.hi,
        seq_after=batch.seq_after,
        seq_to=batch.seq_to,
        event_count=len(lists.events) // EVENT_ITEM_BYTES,
        root=merkle_root(lists.leaves()),
        previous=last.hash,
        sealed_at=wall_now(cur),
    )


def _write_heads(cur: Cursor) -> None:
    database = cur.connection.info.dbname
    known = last_head(database)
    rows = cur.execute(_HEADS, (known.number if known else None,)).fetchall()
    if rows:
        append_heads(
            Head(
                database=database, number=number, epoch=epoch, seq=seq, hash=digest, sealed_at=at.isoformat()
            )
            for number, epoch, seq, digest, at in rows
        )
