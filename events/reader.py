"""The one reader of the event table: every committed event once, in the order of `seq`, none skipped.

A transaction takes numbers long before it commits, so an event with a low number may appear after one with a high
number was read: a cursor that only remembers a number skips it. And the order of transaction ids is not the order
of a stream: a transaction may get its id early and write to the stream late, after one with a higher id.

So a reader works through windows. It notes the last number given out (`ceiling`) and then the next transaction id
(`hi`). Whoever takes a number has its transaction id already, hence all numbers up to the ceiling belong to
transactions below `hi`. As soon as none of these runs any more, every event up to the ceiling is there or will
never be, and they are read in the order of `seq`, which inside a stream and an organization is the order of
commits. Other facts, which have no number, are final in lo <= tx < hi at the same moment.

A restored dump starts transaction ids anew; `after_restore` then raises the epoch. Rows of an older epoch have no
running transactions: what is left of them is one last window.
"""

import time
from dataclasses import dataclass, replace
from typing import Final

from events.reading import COLUMNS, StoredEvent, stored_events
from events.store import Cursor

LAST_TRANSACTION: Final = 2**64 - 1
_POLL_SECONDS: Final = 0.005


@dataclass(frozen=True, slots=True)
class Position:
    """How far a reader is: events up to `seq` are done; the window ends at `ceiling` and `hi`.

    lo = hi: there is no open window.
    """

    epoch: int
    lo: int
    hi: int
    seq: int
    ceiling: int

    @property
    def is_between_windows(self) -> bool:
        """Whether all that was final at the last look has been read."""
        return self.lo == self.hi


@dataclass(frozen=True, slots=True)
class Batch:
    """What `read_batch` found. `position` is what `advance` stores; None: another reader of the name is at work."""

    events: list[StoredEvent]
    position: Position | None

    @property
    def is_last(self) -> bool:
        """Whether nothing more can be read at this moment."""
        return self.position is None or not self.events


_MAKE: Final = "INSERT INTO event_cursors (name) VALUES (%s) ON CONFLICT DO NOTHING"
_LOCK: Final = """
SELECT epoch, lo::text, hi::text, seq, ceiling FROM event_cursors WHERE name = %s FOR NO KEY UPDATE SKIP LOCKED
"""
_STORE: Final = """
UPDATE event_cursors SET epoch = %(epoch)s, lo = %(lo)s::text::xid8, hi = %(hi)s::text::xid8, seq = %(seq)s,
    ceiling = %(ceiling)s, moved_at = clock_timestamp(),
    opened_at = CASE WHEN hi = %(hi)s::text::xid8 THEN opened_at ELSE clock_timestamp() END
WHERE name = %(name)s
"""
_LAST_NUMBER: Final = "SELECT last_value - CASE WHEN is_called THEN 0 ELSE 1 END FROM event_seq"
# A snapshot knows no transaction above the last one that is over: its xmax is not the next id, and later ones may run.
# Everyone who has an id holds the lock on it until after it has become visible. Locks name the lower 32 bits.
_RUNNING: Final = """
SELECT me + mod(mod(transactionid::text::bigint - me, 4294967296) + 6442450944, 4294967296) - 2147483648 AS id
FROM pg_locks, (SELECT pg_current_xact_id()::text::bigint AS me) AS own
WHERE locktype = 'transactionid' AND mode = 'ExclusiveLock' AND granted AND pid IS DISTINCT FROM pg_backend_pid()
"""
_LAST_RUNNING: Final = f"SELECT COALESCE(max(id), 0) FROM ({_RUNNING}) AS running"
_LAST_ENDED: Final = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text"
_ARE_OVER: Final = f"SELECT NOT EXISTS (SELECT FROM ({_RUNNING}) AS running WHERE id < %s::text::bigint)"
_SELECT: Final = f"SELECT {COLUMNS} FROM events WHERE seq > %s AND seq <= %s ORDER BY seq LIMIT %s"


def read_batch(cur: Cursor, name: str, limit: int, *, patience_seconds: float = 0.2) -> Batch:
    """This function will return the next events of a reader, at most `limit`, under its cursor's lock.

    The caller handles them and calls `advance` in the same transaction, also when there are none: the open window
    is then looked at again next time. It waits up to `patience_seconds` for transactions that could still add to
    the window. A reader whose cursor another one holds gets nothing.
    """
    position = lock_position(cur, name)
    if position is None:
        return Batch([], None)
    position = open_window(cur, position)
    if not wait_until_final(cur, position, patience_seconds=patience_seconds):
        return Batch([], position)
    rows = cur.execute(_SELECT, (position.seq, position.ceiling, limit)).fetchall()
    events = list(stored_events(rows))
    if len(events) < limit:
        return Batch(events, finished(position))
    return Batch(events, replace(position, seq=events[-1].seq))


def advance(cur: Cursor, name: str, position: Position) -> None:
    """This function will store how far a reader is."""
    given = {"lo": str(position.lo), "hi": str(position.hi), "seq": position.seq, "ceiling": position.ceiling}
    cur.execute(_STORE, {**given, "epoch": position.epoch, "name": name})


def lock_position(cur: Cursor, name: str) -> Position | None:
    """This function will lock a reader's cursor (a new name begins at the first event); None when it is held."""
    row = cur.execute(_LOCK, (name,)).fetchone()
    if row is None:
        cur.execute(_MAKE, (name,))
        row = cur.execute(_LOCK, (name,)).fetchone()
    return None if row is None else Position(row[0], int(row[1]), int(row[2]), row[3], row[4])


def open_window(cur: Cursor, position: Position) -> Position:
    """This function will return the position with an open window: the one it has, or a new one.

    The number is read first, then who runs, then who is over: see above.
    """
    if position.epoch < _value(cur, "SELECT epoch FROM event_store"):
        last = _value(cur, "SELECT max(seq) FROM events WHERE epoch = %s", position.epoch) or 0
        return replace(position, hi=LAST_TRANSACTION, ceiling=max(int(last), position.seq))
    if not position.is_between_windows:
        return position
    ceiling = _value(cur, _LAST_NUMBER)
    running = int(_value(cur, _LAST_RUNNING))  # who is over before this look is below the xmax of a later one
    hi = max(running + 1, int(_value(cur, _LAST_ENDED)))
    return replace(position, hi=hi, ceiling=max(ceiling, position.seq))


def wait_until_final(cur: Cursor, position: Position, *, patience_seconds: float) -> bool:
    """This function will wait until no transaction can add to the window any more, and say whether that is so."""
    if position.hi == LAST_TRANSACTION:
        return True
    deadline = time.monotonic() + patience_seconds
    while not _value(cur, _ARE_OVER, str(position.hi)):
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def finished(position: Position) -> Position:
    """Return the position behind its window; behind the last window of an older epoch, the next one begins."""
    if position.hi == LAST_TRANSACTION:
        return Position(position.epoch + 1, 0, 0, position.ceiling, position.ceiling)
    return replace(position, lo=position.hi, seq=position.ceiling)


def _value(cur: Cursor, sql: str, *parameters: object) -> int:
    row = cur.execute(sql, parameters).fetchone()
    assert row is not None
    value: int = row[0]
    return value
