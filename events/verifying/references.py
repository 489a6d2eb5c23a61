"""What no single row shows: references (there are no foreign keys to partitioned tables), sums, versions without
gaps, default partitions that must be empty, a sequence that must be ahead."""

from collections.abc import Iterator
from typing import Any, Final

from events.store import Cursor
from events.verifying.report import Finding

# Each gives (table, key, problem, detail).
_CHECKS: Final = (
    """
    SELECT 'postings', p.entry_id || '/' || p.n, 'inserted', 'there is no such entry' FROM postings p
    WHERE NOT EXISTS (SELECT FROM journal_entries e WHERE e.id = p.entry_id AND e.organization = p.organization)
    """,
    """
    SELECT 'postings', p.entry_id || '/' || p.n, 'changed', 'there is no such account' FROM postings p
    WHERE NOT EXISTS (SELECT FROM accounts a
        WHERE a.id = p.account_id AND a.organization = p.organization AND a.currency = p.currency)
    """,
    """
    SELECT 'journal_entries', e.id::text, 'broken', 'it has no postings' FROM journal_entries e
    WHERE NOT EXISTS (SELECT FROM postings p WHERE p.entry_id = e.id)
    """,
    """
    SELECT 'journal_entries', e.id::text, 'broken', 'it reverses an entry that does not exist' FROM journal_entries e
    WHERE e.reverses IS NOT NULL AND NOT EXISTS (SELECT FROM journal_entries r WHERE r.id = e.reverses)
    """,
    """
    SELECT 'journal_entries', entry_id::text, 'violated', 'L1: its postings sum to ' || sum(amount) || ' ' || currency
    FROM postings GROUP BY entry_id, currency HAVING sum(amount) <> 0
    """,
    """
    SELECT 'events', stream_id::text, 'broken', 'it has ' || count(*) || ' events up to version ' || max(version)
    FROM events GROUP BY stream_id HAVING count(*) <> max(version) OR count(DISTINCT version) <> max(version)
    """,
    """
    SELECT 'event_seq', last_value::text, 'violated', 'there are events with higher numbers' FROM event_seq
    WHERE last_value < (SELECT max(seq) FROM events)
    """,
    """
    SELECT 'events', seq::text, 'inserted', 'no event has such a number or epoch' FROM events
    WHERE seq < 1 OR epoch NOT BETWEEN 1 AND (SELECT epoch FROM event_store)
    """,
)
_DEFAULTS: Final = "SELECT part, row_count FROM default_partition_rows() WHERE row_count > 0"

# Between the last seal of an older epoch and the first of the next, and in epochs that never were.
_BETWEEN: Final = """
SELECT id::text FROM {table} f WHERE epoch NOT BETWEEN 1 AND (SELECT epoch FROM event_store)
    OR (epoch < %(epoch)s AND tx >= COALESCE((SELECT max(hi) FROM seals s WHERE s.epoch = f.epoch), '0'::xid8))
"""
_TAIL_EVENTS: Final = "SELECT count(*), min(recorded_at) FROM events WHERE seq > %(seq)s"
_TAIL: Final = """
SELECT count(*), min(recorded_at) FROM {table}
WHERE epoch > %(epoch)s OR (epoch = %(epoch)s AND tx >= %(hi)s::text::xid8)
"""
_LAST: Final = "SELECT epoch, hi::text, seq_to FROM seals ORDER BY number DESC LIMIT 1"
_WITHOUT_NUMBER: Final = ("journal_entries", "usage_records", "decisions", "meter_events")


def reference_findings(cur: Cursor) -> Iterator[Finding]:
    """Return what is wrong between rows, and every default partition that holds some."""
    for statement in _CHECKS:
        yield from (Finding(*row) for row in cur.execute(statement).fetchall())
    for part, rows in cur.execute(_DEFAULTS).fetchall():
        yield Finding(part, f"{rows} rows", "violated", "a month's partition was missing")


def out_of_range_findings(cur: Cursor) -> Iterator[Finding]:
    """Return rows that stand where no seal looks: in closed epochs behind their last seal."""
    epoch = _last(cur)["epoch"]
    for table in _WITHOUT_NUMBER:
        rows = cur.execute(_BETWEEN.format(table=table), {"epoch": epoch}).fetchall()
        yield from (Finding(table, key, "inserted", "outside of every seal") for (key,) in rows)


def unsealed_tail(cur: Cursor) -> dict[str, Any]:
    """Return how many facts no seal covers yet, by table, and the age of the oldest in seconds (0 without any)."""
    last = _last(cur)
    found = {"events": cur.execute(_TAIL_EVENTS, last).fetchone()}
    for table in _WITHOUT_NUMBER:
        found[table] = cur.execute(_TAIL.format(table=table), last).fetchone()
    now = cur.execute("SELECT clock_timestamp()").fetchone()
    times = [row[1] for row in found.values() if row and row[1]]
    age = (now[0] - min(times)).total_seconds() if now and times else 0.0
    return {**{table: row[0] if row else 0 for table, row in found.items()}, "oldest_seconds": round(age, 3)}


def _last(cur: Cursor) -> dict[str, Any]:
    row = cur.execute(_LAST).fetchone() or (0, "0", 0)
    return {"epoch": row[0], "hi": row[1], "seq": row[2]}
