"""Replay events, and the facts that are summed, into temporary tables: in order, in chunks, one transaction each."""

import gc
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, cast
from uuid import UUID

from events.database import Connection
from events.factprojectors import ROWS, FactProjector, fact_projectors
from events.reader import Position, finished, open_window, wait_until_final
from events.reading import COLUMNS, StoredEvent, stored_events
from events.rebuilding.tables import RebuiltTable, analyze
from events.rebuilding.writing import write
from events.store import Cursor, project
from events.writer import Collector, Statement

CHUNK: Final = 10_000
_FACTS_AT_ONCE: Final = 100_000
_HORIZON_SECONDS: Final = 30.0

_CHUNK: Final = f"SELECT {COLUMNS} FROM events WHERE seq > %s AND seq <= %s ORDER BY seq LIMIT {CHUNK}"
_OF_ORGANIZATION: Final = f"""
SELECT {COLUMNS} FROM events WHERE organization = %s AND seq > %s ORDER BY seq LIMIT {CHUNK}
"""
_NEXT: Final = """
SELECT tx::text FROM {source} WHERE epoch = %s AND tx >= %s::text::xid8 AND tx < %s::text::xid8 ORDER BY tx
OFFSET {rows} LIMIT 1
"""


class TooLongTransaction(Exception):
    """A transaction runs that was there before the check began; nothing behind it is final."""


@dataclass(slots=True)
class Replay:
    """A rebuild in progress: what was replayed so far is all up to `position`."""

    session: Connection
    reader: Connection
    tables: Sequence[RebuiltTable]
    position: Position
    events: int = 0
    _chunks: int = 0
    _analyzed_at: int = 0

    def add_retired(self) -> None:
        """Begin with what facts of retired months had added up to: they cannot be read any more."""
        for each in fact_projectors():
            self.session.execute(each.retired_sql.encode())

    def catch_up(self) -> int:
        """Replay everything that is final now, and return how many events that were.

        Raises TooLongTransaction when the end of what is final cannot be found within 30 s.
        """
        before = self.events
        window = open_window(self.reader.cursor(), self.position)
        while True:
            if not wait_until_final(self.reader.cursor(), window, patience_seconds=_HORIZON_SECONDS):
                raise TooLongTransaction
            self._replay_facts(window)
            self._replay_events(window)
            self.position = finished(window)
            if self.position.epoch == window.epoch:
                return self.events - before
            window = open_window(self.reader.cursor(), self.position)

    def _replay_events(self, window: Position) -> None:
        """Three chunks are under way at a time: one is read, one projected, one written."""
        with _no_collection(), ThreadPoolExecutor(1) as reading, ThreadPoolExecutor(1) as writing:
            coming = reading.submit(self._read, window.seq, window.ceiling)
            written: Future[None] | None = None
            while chunk := coming.result():
                coming = reading.submit(self._read, chunk[-1].seq, window.ceiling)
                statements = _projected(chunk)
                if written is not None:
                    written.result()
                written = writing.submit(self._write, statements)
                self.events += len(chunk)
            if written is not None:
                written.result()

    def _read(self, after: int, ceiling: int) -> list[StoredEvent]:
        return list(stored_events(self.reader.execute(_CHUNK, (after, ceiling)).fetchall()))

    def _write(self, statements: list[Statement]) -> None:
        write(self.session, statements)
        self._chunks += 1
        if self._chunks >= 2 * self._analyzed_at:
            self._analyzed_at = self._chunks
            analyze(self.session.cursor(), self.tables)

    def apply_tail(self, organization: UUID) -> None:
        """Replay what an organization has had since; the caller holds its lock, so nothing comes after it."""
        seq = self.position.seq
        while True:
            rows = self.reader.execute(_OF_ORGANIZATION, (organization, seq)).fetchall()
            events = list(stored_events(rows))
            if events:
                write(self.session, _projected(events))
                seq = events[-1].seq
            if len(events) < CHUNK:
                break
        for each in fact_projectors():
            condition = f"organization = '{organization}' AND (epoch > {self.position.epoch} OR (epoch = "
            condition += f"{self.position.epoch} AND tx >= '{self.position.hi}'::xid8))"
            self.session.execute(each.sql.replace(ROWS, condition).encode())

    def _replay_facts(self, window: Position) -> None:
        for each in fact_projectors():
            for lo, hi in self._slices(each, window):
                condition = f"epoch = {window.epoch} AND tx >= '{lo}'::text::xid8 AND tx < '{hi}'::text::xid8"
                self.session.execute(each.sql.replace(ROWS, condition).encode())

    def _slices(self, each: FactProjector, window: Position) -> Iterator[tuple[int, int]]:
        lo = window.lo
        statement = _NEXT.format(source=each.source, rows=_FACTS_AT_ONCE).encode()
        while row := self.reader.execute(statement, (window.epoch, str(lo), str(window.hi))).fetchone():
            cut = max(int(row[0]), lo + 1)
            yield lo, cut
            lo = cut
        yield lo, window.hi


def start_position(seq: int = 0, epoch: int = 1, hi: int = 0) -> Position:
    """Return the position before the first event, or the one of a checkpoint."""
    return Position(epoch, hi, hi, seq, seq)


@contextmanager
def _no_collection() -> Iterator[None]:
    """The collector would walk through a chunk's hundred thousand values again and again: half of the time of a
    replay. Nothing in a chunk refers to itself; it is freed when it is done."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _projected(events: Sequence[StoredEvent]) -> list[Statement]:
    collected = Collector()
    project(cast("Cursor", collected), events)
    return collected.statements
