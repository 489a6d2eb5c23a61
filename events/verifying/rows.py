"""Compare the facts with what their seals say of them. Rows are streamed as bytes and hashed here."""

import struct
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Final
from uuid import UUID

import psycopg

from events.store import Cursor
from events.tables import DECISIONS, ENTRIES, EVENTS, METER_EVENTS, POSTINGS, USAGE
from events.verifying.chain import SealRow
from events.verifying.report import Finding, Problem, Report

DAMAGED: Final = (psycopg.errors.DataCorrupted, psycopg.errors.IndexCorrupted)

_ROWS_AT_ONCE: Final = 50_000
Item = tuple[bytes, bytes]
"""A key (8 bytes of a number or 16 of an id) and a digest."""

_EVENTS: Final = f"""
COPY (SELECT e.seq, {EVENTS.canonical("e")} FROM events e WHERE e.seq > %s AND e.seq <= %s ORDER BY e.seq)
TO STDOUT (FORMAT BINARY)
"""
_ENTRIES: Final = f"""
COPY (SELECT e.tx::text::bigint, e.id, {ENTRIES.canonical("e")} || COALESCE((SELECT
    string_agg({POSTINGS.canonical("p")}, ''::bytea ORDER BY p.n) FROM postings p WHERE p.entry_id = e.id), ''::bytea)
FROM journal_entries e WHERE e.epoch = %s AND e.tx >= %s::text::xid8 AND e.tx < %s::text::xid8 ORDER BY e.tx)
TO STDOUT (FORMAT BINARY)
"""
_FACTS: Final = """
COPY (SELECT f.tx::text::bigint, f.id, {canonical} FROM {table} f
WHERE f.epoch = %s AND f.tx >= %s::text::xid8 AND f.tx < %s::text::xid8 ORDER BY f.tx) TO STDOUT (FORMAT BINARY)
"""
_STATEMENTS: Final = {
    "journal_entries": _ENTRIES,
    "usage_records": _FACTS.format(canonical=USAGE.canonical("f"), table="usage_records"),
    "decisions": _FACTS.format(canonical=DECISIONS.canonical("f"), table="decisions"),
    "meter_events": _FACTS.format(canonical=METER_EVENTS.canonical("f"), table="meter_events"),
}
_LISTS: Final[dict[str, Callable[[SealRow], bytes]]] = {
    "journal_entries": lambda seal: seal.entries,
    "usage_records": lambda seal: seal.usage,
    "decisions": lambda seal: seal.decisions,
    "meter_events": lambda seal: seal.meter_events,
}


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that is not as it was sealed."""

    table: str
    key: bytes
    problem: Problem


def verify_rows(
    cur: Cursor, seals: Iterable[SealRow], report: Report, is_retired: Callable[[str, bytes, bytes], bool]
) -> None:
    """Report every row that was changed, removed or inserted in what the seals cover.

    `is_retired(table, id, digest)` says whether a missing row stands in the file of a month that was retired.
    """
    for group in _groups(seals):
        with _readable("events", group, report):
            _verify_events(cur, group, report)
        for table in _STATEMENTS:
            with _readable(table, group, report):
                _verify_facts(cur, table, group, report, is_retired)


@contextmanager
def _readable(table: str, group: Sequence[SealRow], report: Report) -> Iterator[None]:
    """A page that the disk gave back otherwise than it was written: the server's checksum says so (F27)."""
    try:
        yield
    except DAMAGED as error:
        key = f"of seals {group[0].number} to {group[-1].number}"
        report.add(Finding(table, key, "broken", f"cannot be read: {error}"))


def _groups(seals: Iterable[SealRow]) -> Iterator[list[SealRow]]:
    group: list[SealRow] = []
    rows = 0
    for seal in seals:
        if group and (rows + seal.row_count > _ROWS_AT_ONCE or seal.epoch != group[0].epoch):
            yield group
            group, rows = [], 0
        group.append(seal)
        rows += seal.row_count
    if group:
        yield group


def _verify_events(cur: Cursor, group: Sequence[SealRow], report: Report) -> None:
    found: list[list[bytes]] = [[] for _ in group]
    ends = [seal.seq_to for seal in group]
    at, end = 0, ends[0]
    pack = struct.Struct(">q16s").pack
    with cur.copy(_EVENTS, (group[0].seq_after, ends[-1])) as copy:
        copy.set_types(["int8", "bytea"])
        for seq, row in copy.rows():
            while seq > end:
                at += 1
                end = ends[at]
            found[at].append(pack(seq, sha256(row).digest()))
    for seal, items in zip(group, found, strict=True):
        report.count("events", len(items))
        if b"".join(items) != seal.events:
            _report_events(_unpacked(seal.events, 8), [(item[:8], item[8:]) for item in items], report)


def _report_events(sealed: list[Item], found: list[Item], report: Report) -> None:
    for difference in differences("events", sealed, found):
        key = str(int.from_bytes(difference.key, "big"))
        report.add(Finding("events", key, difference.problem))


def _verify_facts(
    cur: Cursor,
    table: str,
    group: Sequence[SealRow],
    report: Report,
    is_retired: Callable[[str, bytes, bytes], bool],
) -> None:
    found: list[list[Item]] = [[] for _ in group]
    ends = [seal.hi for seal in group]
    with cur.copy(_STATEMENTS[table], (group[0].epoch, str(group[0].lo), str(ends[-1]))) as copy:
        copy.set_types(["int8", "uuid", "bytea"])
        for tx, key, row in copy.rows():
            found[bisect_right(ends, tx)].append((key.bytes, sha256(row).digest()[:16]))
    for seal, items in zip(group, found, strict=True):
        report.count(table, len(items))
        items.sort()
        sealed = _LISTS[table](seal)
        if b"".join(key + digest for key, digest in items) != sealed:
            _report_facts(table, _unpacked(sealed, 16), items, report, is_retired)


def _report_facts(
    table: str,
    sealed: list[Item],
    found: list[Item],
    report: Report,
    is_retired: Callable[[str, bytes, bytes], bool],
) -> None:
    digests = dict(sealed)
    for difference in differences(table, sealed, found):
        gone = difference.problem == "removed"
        if gone and is_retired(table, difference.key, digests[difference.key]):
            report.count(f"{table} (retired)", 1)
            continue
        report.add(Finding(table, str(UUID(bytes=difference.key)), difference.problem))


def differences(table: str, sealed: Sequence[Item], found: Sequence[Item]) -> Iterator[Difference]:
    """Return what lies between two lists: keys with another digest, keys that are gone, keys that are new."""
    before, now = Counter(sealed), Counter(found)
    gone = {key for key, _ in (before - now)}
    new = {key for key, _ in (now - before)}
    for key in sorted(gone | new):
        problem: Problem = "inserted" if key not in gone else "changed" if key in new else "removed"
        yield Difference(table, key, problem)


def _unpacked(packed: bytes, key_bytes: int) -> list[Item]:
    size = key_bytes + 16
    return [
        (packed[at : at + key_bytes], packed[at + key_bytes : at + size])
        for at in range(0, len(packed), size)
    ]
