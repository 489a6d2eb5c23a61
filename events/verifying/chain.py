"""Recompute the chain of seals. Shares no code with the sealer, only the definition of a seal."""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from events.headfile import Head, heads
from events.store import Cursor
from events.verifying.report import Finding, Report

_SEALS: Final = """
SELECT number, format, epoch, lo::text, hi::text, seq_after, seq_to, event_count, events, entries, usage, decisions,
    meter_events, root, previous, hash, to_char(sealed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), sealed_at
FROM seals WHERE number > %s ORDER BY number LIMIT %s
"""
_PAGE: Final = 200


@dataclass(slots=True)
class SealRow:
    """A seal as it stands in the database."""

    number: int
    format: int
    epoch: int
    lo: int
    hi: int
    seq_after: int
    seq_to: int
    event_count: int
    events: bytes
    entries: bytes
    usage: bytes
    decisions: bytes
    meter_events: bytes
    root: bytes
    previous: bytes
    hash: bytes
    sealed_text: str
    sealed_at: datetime

    @property
    def row_count(self) -> int:
        """How many rows the seal covers."""
        others = len(self.entries) + len(self.usage) + len(self.decisions) + len(self.meter_events)
        return len(self.events) // 24 + others // 32


def read_seals(cur: Cursor) -> Iterator[SealRow]:
    """Return all seals in order, in pages, so that no snapshot grows old."""
    last = -1
    while rows := cur.execute(_SEALS, (last, _PAGE)).fetchall():
        for row in rows:
            yield _seal(row)
        last = rows[-1][0]


def verify_chain(seals: Iterable[SealRow], report: Report, database: str) -> Iterator[SealRow]:
    """Pass the seals on, and report every one that is not what was made: its root over its own lists, its hash, its
    link to the one before, gaps in numbers and ranges, and its line in the head file."""
    known = {head.number: head for head in heads(database)}
    previous: SealRow | None = None
    for seal in seals:
        for problem in _problems(seal, previous, known.get(seal.number)):
            report.add(Finding("seals", str(seal.number), "changed", problem))
        for number in range(previous.number + 1 if previous else 1, seal.number):
            report.add(Finding("seals", str(number), "removed"))
        report.seals += 1
        report.head = seal.hash.hex()
        previous = seal
        yield seal
    _check_tail(previous.number if previous else 0, known, report)


def _check_tail(last: int, known: dict[int, Head], report: Report) -> None:
    for number in sorted(number for number in known if number > last):
        made = known[number].sealed_at
        report.add(Finding("seals", str(number), "removed", f"the head file has it, made at {made}"))


def _problems(seal: SealRow, previous: SealRow | None, head: Head | None) -> Iterator[str]:
    if _root(seal) != seal.root:
        yield "the root is not that of its lists"
    if len(seal.events) != 24 * seal.event_count:
        yield "the number of events is not that of its list"
    if _hash(seal) != seal.hash:
        yield "the hash is not that of its fields"
    if head is not None and head.hash != seal.hash.hex():
        yield "the head file has another hash"
    yield from _link_problems(seal, previous)


def _link_problems(seal: SealRow, previous: SealRow | None) -> Iterator[str]:
    if seal.previous != (previous.hash if previous else bytes(32)):
        yield "it does not follow from the seal before"
    if seal.seq_after != (previous.seq_to if previous else 0):
        yield "its events do not begin where the seal before ended"
    same_epoch = previous is not None and previous.epoch == seal.epoch
    if seal.lo != (previous.hi if previous and same_epoch else 0):
        yield "its transactions do not begin where the seal before ended"


def _hash(seal: SealRow) -> bytes:
    text = (
        f"{seal.number}|{seal.format}|{seal.epoch}|{seal.lo}|{seal.hi}|{seal.seq_after}|{seal.seq_to}|"
        f"{seal.event_count}|{seal.sealed_text}|{seal.root.hex()}|{seal.previous.hex()}"
    )
    return sha256(text.encode()).digest()


def _root(seal: SealRow) -> bytes:
    leaves = [sha256(b"\0E" + item).digest() for (item,) in struct.iter_unpack("24s", seal.events)]
    lists = ((b"\0J", seal.entries), (b"\0U", seal.usage), (b"\0D", seal.decisions), (b"\0M", seal.meter_events))
    for kind, items in lists:
        leaves.extend(sha256(kind + item).digest() for (item,) in struct.iter_unpack("32s", items))
    return _tree(leaves)


def _tree(row: list[bytes]) -> bytes:
    """The root of a row of nodes, level by level; a node without a partner goes up as it is."""
    while len(row) > 1:
        odd = row.pop() if len(row) % 2 else None
        row = [sha256(b"\1" + row[at] + row[at + 1]).digest() for at in range(0, len(row), 2)]
        if odd is not None:
            row.append(odd)
    return row[0] if row else sha256().digest()


def _seal(row: tuple[Any, ...]) -> SealRow:
    values = list(row)
    values[3:5] = int(row[3]), int(row[4])
    values[8:16] = [bytes(value) for value in row[8:16]]
    return SealRow(*values)
