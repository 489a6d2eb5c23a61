"""The reader of events: every committed event once, in the order of streams, whatever transactions do."""

import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from common.ids import new_id
from events.reader import Position, advance, finished, lock_position, open_window, read_batch
from tests.builders.events import put_event, transaction_id

Connection = psycopg.Connection[Any]
Connect = Callable[..., Connection]


def read(connection: Connection, name: str = "test", limit: int = 1_000) -> list[int]:
    """The numbers of the next batch, as a subscriber reads it."""
    with connection.transaction():
        cur = connection.cursor()
        batch = read_batch(cur, name, limit, patience_seconds=0)
        if batch.position is not None:
            advance(cur, name, batch.position)
    return [event.seq for event in batch.events]


def read_all(connection: Connection, expected: int = 0, *, limit: int = 1_000) -> list[int]:
    """All numbers that are final. Transactions of other databases of the cluster hold the horizon, too: waits for
    the expected number of events."""
    found: list[int] = []
    deadline = time.monotonic() + 30
    while True:
        batch = read(connection, limit=limit)
        found += batch
        if not batch and (len(found) >= expected or time.monotonic() > deadline):
            return found
        time.sleep(0 if batch else 0.01)


def patiently(look: Callable[[], list[int]]) -> list[int]:
    """What a look gives as soon as it gives something."""
    deadline = time.monotonic() + 30
    while not (found := look()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return found


@pytest.fixture
def reader(connect: Connect) -> Connection:
    """A reader that has seen what a new database holds."""
    connection = connect()
    assert len(read_all(connection, 1)) == 1
    return connection


class TestATransactionThatCommitsLate:
    def test_is_not_skipped_when_it_took_its_number_first(self, connect: Connect, reader: Connection) -> None:
        early, late = connect(autocommit=False), connect()
        first = put_event(early)
        second = put_event(late)

        before = read_all(reader)
        early.commit()
        after = read_all(reader, 2)

        assert first < second
        assert before == []
        assert after == [first, second]

    def test_is_not_skipped_when_no_later_one_is_over(self, connect: Connect, reader: Connection) -> None:
        """A snapshot's xmax stands behind the last transaction that is over, and this one's id lies beyond it."""
        alone = connect(autocommit=False)
        only = put_event(alone)

        before = read_all(reader)
        alone.commit()

        assert before == []
        assert read_all(reader, 1) == [only]

    def test_would_be_skipped_by_a_cursor_on_the_number_alone(
        self, connect: Connect, reader: Connection
    ) -> None:
        early, late = connect(autocommit=False), connect()
        start = 1

        def plain_read(after: int) -> list[int]:
            found = reader.execute("SELECT seq FROM events WHERE seq > %s ORDER BY seq", (after,)).fetchall()
            return [seq for (seq,) in found]

        first, second = put_event(early), put_event(late)
        seen = plain_read(start)
        early.commit()
        seen += plain_read(seen[-1])

        assert seen == [second]
        assert read_all(reader, 2) == [first, second]

    def test_is_read_in_the_order_of_its_stream_when_it_took_its_id_first(
        self, connect: Connect, reader: Connection
    ) -> None:
        early, late = connect(autocommit=False), connect()
        stream = new_id()
        low = transaction_id(early)
        second_id = put_event(late, stream=stream, version=1)
        first_id = put_event(early, stream=stream, version=2)

        before = read_all(reader)
        early.commit()
        after = read_all(reader, 2)

        assert low < reader.execute("SELECT max(tx::text::bigint) FROM events").fetchone()[0]  # type: ignore[index]
        assert before == []
        assert after == [second_id, first_id]

    def test_would_turn_its_stream_round_by_transaction_and_number(
        self, connect: Connect, reader: Connection
    ) -> None:
        early, late = connect(autocommit=False), connect()
        stream = new_id()
        transaction_id(early)
        put_event(late, stream=stream, version=1)
        put_event(early, stream=stream, version=2)
        early.commit()

        found = reader.execute(
            "SELECT version FROM events WHERE stream_id = %s ORDER BY tx, seq", (stream,)
        ).fetchall()

        assert [version for (version,) in found] == [2, 1]


class TestAThirdTransactionThatHoldsTheHorizon:
    """Low id writes last, middle id stays open, high id writes first: a window cut at the oldest running transaction
    alone would give version 2 out before version 1."""

    def test_does_not_turn_a_stream_round(self, connect: Connect, reader: Connection) -> None:
        low, middle, high = connect(autocommit=False), connect(autocommit=False), connect()
        stream = new_id()
        transaction_id(low)
        held = transaction_id(middle)
        one = put_event(high, stream=stream, version=1)
        two = put_event(low, stream=stream, version=2)
        low.commit()

        below = reader.execute(
            "SELECT version FROM events WHERE stream_id = %s AND tx < %s::text::xid8", (stream, str(held))
        ).fetchall()
        before = read_all(reader)
        middle.commit()

        assert below == [(2,)]
        assert before == []
        assert read_all(reader, 2) == [one, two]

    def test_does_not_starve_the_reader_when_another_always_follows(
        self, connect: Connect, reader: Connection
    ) -> None:
        first, second = connect(autocommit=False), connect(autocommit=False)
        transaction_id(first)
        number = put_event(connect())
        assert read(reader) == []
        transaction_id(second)
        first.commit()

        assert read_all(reader, 1) == [number]


class TestBatches:
    def test_end_at_their_limit_and_go_on_there(self, connect: Connect, reader: Connection) -> None:
        writer = connect()
        numbers = [put_event(writer) for _ in range(5)]

        assert patiently(lambda: read(reader, limit=2)) == numbers[:2]
        assert [read(reader, limit=2) for _ in range(2)] == [numbers[2:4], numbers[4:]]

    def test_are_given_to_one_of_two_readers_of_a_name(self, connect: Connect, reader: Connection) -> None:
        other = connect()
        number = put_event(connect())

        with reader.transaction():
            batch = read_batch(reader.cursor(), "test", 10, patience_seconds=30)
            meanwhile = read(other)
            assert batch.position is not None
            advance(reader.cursor(), "test", batch.position)

        assert [event.seq for event in batch.events] == [number]
        assert meanwhile == []
        assert read_all(other) == []

    def test_are_given_again_when_their_transaction_failed(
        self, connect: Connect, reader: Connection
    ) -> None:
        writer = connect()
        number = put_event(writer)
        with reader.transaction(force_rollback=True):
            batch = read_batch(reader.cursor(), "test", 10, patience_seconds=30)
            assert batch.position is not None
            advance(reader.cursor(), "test", batch.position)

        assert read_all(reader, 1) == [number]

    def test_leave_out_what_was_rolled_back(self, connect: Connect, reader: Connection) -> None:
        writer = connect(autocommit=False)
        put_event(writer)
        writer.rollback()
        number = put_event(writer)
        writer.commit()

        assert read_all(reader, 1) == [number]


class TestAnOlderEpoch:
    def test_is_read_to_its_end_before_the_new_one(self, connect: Connect, reader: Connection) -> None:
        writer, owner = connect(), connect("DATABASE_OWNER_URL")
        old = [put_event(writer) for _ in range(3)]
        owner.execute("UPDATE event_store SET epoch = 2")
        new = put_event(writer)

        assert read_all(reader, 4, limit=2) == [*old, new]
        with reader.transaction():
            position = lock_position(reader.cursor(), "test")
        assert position is not None
        assert (position.epoch, position.seq) == (2, new)

    def test_is_final_although_its_window_names_transactions_that_never_were_here(
        self, connect: Connect, reader: Connection
    ) -> None:
        owner, busy = connect("DATABASE_OWNER_URL"), connect(autocommit=False)
        owner.execute("UPDATE event_store SET epoch = 2")
        transaction_id(busy)
        waiting = Position(epoch=1, lo=10, hi=2**40, seq=0, ceiling=7)

        opened = open_window(reader.cursor(), waiting)

        assert opened.hi == 2**64 - 1
        assert finished(opened) == Position(2, 0, 0, opened.ceiling, opened.ceiling)
