"""What the sealer reads and writes: digests made by the database, one statement per table."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from events.rules.chain import FIRST_PREVIOUS, SealedLists, SealHeader
from events.store import Cursor
from events.tables import DECISIONS, ENTRIES, EVENTS, METER_EVENTS, POSTINGS, USAGE, FactTable

ROWS_PER_SEAL: Final = 20_000
LOCK: Final = "SELECT pg_try_advisory_xact_lock(hashtext('counterfoil sealer'))"

_EVENTS: Final = f"""
SELECT string_agg(int8send(e.seq) || substr(sha256({EVENTS.canonical("e")}), 1, 16), ''::bytea ORDER BY e.seq)
FROM events e WHERE e.seq > %(seq_after)s AND e.seq <= %(seq_to)s
"""
# Postings have no index on tx: they are found by their entry, in the partitions around its time. A posting that
# stands elsewhere is one that the verifier, which looks everywhere, reports.
_ENTRIES: Final = f"""
SELECT string_agg(uuid_send(e.id) || substr(sha256({ENTRIES.canonical("e")} || COALESCE(p.lines, ''::bytea)), 1, 16),
    ''::bytea ORDER BY e.id)
FROM journal_entries e CROSS JOIN LATERAL (
    SELECT string_agg({POSTINGS.canonical("p")}, ''::bytea ORDER BY p.n) AS lines FROM postings p
    WHERE p.entry_id = e.id
        AND p.recorded_at BETWEEN e.recorded_at - interval '1 day' AND e.recorded_at + interval '1 day'
) AS p
WHERE e.epoch = %(epoch)s AND e.tx >= %(lo)s::text::xid8 AND e.tx < %(hi)s::text::xid8
"""
_FACTS: Final = """
SELECT string_agg(uuid_send(f.id) || substr(sha256({canonical}), 1, 16), ''::bytea ORDER BY f.id) FROM {table} f
WHERE f.epoch = %(epoch)s AND f.tx >= %(lo)s::text::xid8 AND f.tx < %(hi)s::text::xid8
"""
# Where a window must be cut so that no seal holds many more than ROWS_PER_SEAL rows of a table.
_CUT_SEQ: Final = """
SELECT max(seq) FROM (
    SELECT seq FROM events WHERE seq > %(seq_after)s AND seq <= %(seq_to)s ORDER BY seq LIMIT %(rows)s
) AS first HAVING count(*) = %(rows)s
"""
_CUT_TX: Final = (
    "SELECT min(last)::text FROM ("
    + " UNION ALL ".join(
        f"""
    SELECT max(tx::text::numeric) AS last FROM (
        SELECT tx FROM {table.name} WHERE epoch = %(epoch)s AND tx >= %(lo)s::text::xid8 AND tx < %(hi)s::text::xid8
        ORDER BY tx LIMIT %(rows)s
    ) AS first HAVING count(*) = %(rows)s
    """
        for table in (ENTRIES, USAGE, DECISIONS, METER_EVENTS)
    )
    + ") AS cuts"
)
_LAST: Final = "SELECT number, epoch, hi::text, seq_to, hash FROM seals ORDER BY number DESC LIMIT 1"
_INSERT: Final = """
INSERT INTO seals (number, format, epoch, lo, hi, seq_after, seq_to, event_count, events, entries, usage, decisions,
    meter_events, root, previous, hash, sealed_at)
VALUES (%(number)s, %(format)s, %(epoch)s, %(lo)s::text::xid8, %(hi)s::text::xid8, %(seq_after)s, %(seq_to)s,
    %(event_count)s, %(events)s, %(entries)s, %(usage)s, %(decisions)s, %(meter_events)s, %(root)s,
    %(previous)s, %(hash)s, %(sealed_at)s)
"""


@dataclass(frozen=True, slots=True)
class Range:
    """The facts of a batch: events with seq_after < seq <= seq_to, others of the epoch with lo <= tx < hi."""

    epoch: int
    lo: int
    hi: int
    seq_after: int
    seq_to: int

    def parameters(self) -> Mapping[str, Any]:
        """Return the parameters of the statements above."""
        return {
            "epoch": self.epoch, "lo": str(self.lo), "hi": str(self.hi), "seq_after": self.seq_after,
            "seq_to": self.seq_to, "rows": ROWS_PER_SEAL,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class LastSeal:
    """The end of the chain; before the first seal, all is zero."""

    number: int = 0
    epoch: int = 0
    hi: int = 0
    seq_to: int = 0
    hash: bytes = FIRST_PREVIOUS


def last_seal(cur: Cursor) -> LastSeal:
    """This function will return the newest seal."""
    row = cur.execute(_LAST).fetchone()
    return LastSeal() if row is None else LastSeal(row[0], row[1], int(row[2]), row[3], bytes(row[4]))


def cut(cur: Cursor, window: Range) -> Range:
    """This function will return the first part of a window that is small enough for one seal."""
    given = window.parameters()
    seq = cur.execute(_CUT_SEQ, given).fetchone()
    transaction = cur.execute(_CUT_TX, given).fetchone()
    hi = window.hi
    if transaction and transaction[0] is not None:
        # A transaction is never split. The one at the cut comes whole when it is the first, else next time.
        hi = max(int(transaction[0]), window.lo + 1)
    return Range(window.epoch, window.lo, hi, window.seq_after, seq[0] if seq else window.seq_to)


def digests(cur: Cursor, batch: Range) -> SealedLists:
    """This function will return the keys and digests of all facts of a batch."""
    given = batch.parameters()
    return SealedLists(
        events=_packed(cur, _EVENTS, given),
        entries=_packed(cur, _ENTRIES, given),
        usage=_packed(cur, _statement(USAGE), given),
        decisions=_packed(cur, _statement(DECISIONS), given),
        meter_events=_packed(cur, _statement(METER_EVENTS), given),
    )


def insert(cur: Cursor, header: SealHeader, lists: SealedLists) -> None:
    """This function will write a seal."""
    cur.execute(
        _INSERT,
        {
            "number": header.number, "format": header.format, "epoch": header.epoch, "lo": str(header.lo),
            "hi": str(header.hi), "seq_after": header.seq_after, "seq_to": header.seq_to,
            "event_count": header.event_count, "events": lists.events, "entries": lists.entries,
            "usage": lists.usage, "decisions": lists.decisions, "meter_events": lists.meter_events, "root": header.root, "previous": header.previous,
            "hash": header.hash(), "sealed_at": header.sealed_at,
        },
    )  # fmt: skip


def _statement(table: FactTable) -> str:
    return _FACTS.format(canonical=table.canonical("f"), table=table.name)


def _packed(cur: Cursor, sql: str, given: Mapping[str, Any]) -> bytes:
    row = cur.execute(sql, given).fetchone()
    return b"" if row is None or row[0] is None else bytes(row[0])
