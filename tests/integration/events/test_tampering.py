"""What somebody with every right does to facts is found, and the row is named (S116, E2)."""

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from common.ids import new_id
from common.transactions import run_in_transaction
from events.headfile import head_path, heads
from events.operations.seal import seal_facts
from events.verifying.references import unsealed_tail
from events.verifying.run import verify
from tests.builders.events import put_event

Connection = psycopg.Connection[Any]
Connect = Callable[..., Connection]
Problems = set[tuple[str, str, str]]

_KEYS = {
    "events": "seq::text",
    "journal_entries": "id::text",
    "postings": "entry_id || '/' || n",
    "usage_records": "id::text",
    "decisions": "id::text",
    "meter_events": "id::text",
}
_CHANGES = {
    "events": "data = (data::jsonb || '{\"charge\": 1}')::json",
    "journal_entries": "reason = 'another'",
    "postings": "amount = amount + 1",
    "usage_records": "charge = charge + 1",
    "decisions": "answer = 'deny'",
    "meter_events": 'data = \'{"units": "9"}\'',
}
_TABLES = list(_KEYS)


@pytest.fixture
def sealed(busy_store: list[UUID], home: Path) -> list[UUID]:
    """The customers of a store whose facts are all sealed, and which is clean."""
    seal()
    report = verify()
    assert report.findings == []
    assert report.tail == {
        "events": 0, "journal_entries": 0, "usage_records": 0, "decisions": 0, "meter_events": 0,
        "oldest_seconds": 0.0,
    }  # fmt: skip
    return busy_store


def seal() -> int:
    """Seal everything; transactions of other databases of the cluster may hold the horizon for a while."""
    made, deadline = 0, time.monotonic() + 30
    while any(_tail().values()) and time.monotonic() < deadline:
        made += seal_facts()
    return made


def _tail() -> dict[str, float]:
    return run_in_transaction(unsealed_tail)


def problems() -> Problems:
    """What a verification says of rows."""
    return {(finding.table, finding.key, finding.problem) for finding in verify().findings}


def some_row(superuser: Connection, table: str) -> str:
    """The key of a row in the middle of a table."""
    row = superuser.execute(
        f"SELECT {_KEYS[table]} FROM {table} ORDER BY 1 OFFSET (SELECT count(*) / 2 FROM {table}) LIMIT 1"
    ).fetchone()
    assert row is not None
    found: str = row[0]
    return found


@pytest.mark.parametrize("table", _TABLES)
class TestARow:
    def test_that_was_changed_is_named(self, sealed: list[UUID], superuser: Connection, table: str) -> None:
        key = some_row(superuser, table)
        superuser.execute(f"UPDATE {table} SET {_CHANGES[table]} WHERE {_KEYS[table]} = %s", (key,))

        assert (table, key, "changed") in problems()

    def test_that_was_removed_is_named(self, sealed: list[UUID], superuser: Connection, table: str) -> None:
        key = some_row(superuser, table)
        superuser.execute(f"DELETE FROM {table} WHERE {_KEYS[table]} = %s", (key,))

        assert (table, key, "removed") in problems()

    def test_that_was_inserted_is_named(self, sealed: list[UUID], superuser: Connection, table: str) -> None:
        key = _insert_copy(superuser, table)

        assert (table, key, "inserted") in problems()


def _insert_copy(superuser: Connection, table: str) -> str:
    """Insert a copy of a row under another key, inside the sealed range."""
    source = some_row(superuser, table)
    other = {
        "events": {"seq": "0 - e.seq", "stream_id": f"'{new_id()}'::uuid"},
        "postings": {"n": "e.n + 100"},
        "journal_entries": {"id": f"'{new_id()}'::uuid", "idempotency_key": "'forged'"},
    }.get(table, {"id": f"'{new_id()}'::uuid"})
    columns = superuser.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_name = %s ORDER BY ordinal_position",
        (table,),
    ).fetchall()
    names = [name for (name,) in columns]
    values = ", ".join(other.get(name, f"e.{name}") for name in names)
    key = _KEYS[table]
    row = superuser.execute(
        f"INSERT INTO {table} ({', '.join(names)}) SELECT {values} FROM {table} e WHERE {key} = %s RETURNING {key}",
        (source,),
    ).fetchone()
    assert row is not None
    found: str = row[0]
    return found


class TestManyRows:
    def test_that_were_changed_or_removed_at_random_are_all_named(
        self, sealed: list[UUID], superuser: Connection
    ) -> None:
        """One of three rows of every table; the seed is printed when it fails."""
        seed = random.randrange(2**32)
        chooser, expected = random.Random(seed), set()
        for table in _TABLES:
            keys = [
                key
                for (key,) in superuser.execute(f"SELECT {_KEYS[table]} FROM {table} ORDER BY 1").fetchall()
            ]
            for key in chooser.sample(keys, max(1, len(keys) // 3)):
                if chooser.random() < 0.5:
                    superuser.execute(
                        f"UPDATE {table} SET {_CHANGES[table]} WHERE {_KEYS[table]} = %s", (key,)
                    )
                    expected.add((table, key, "changed"))
                else:
                    superuser.execute(f"DELETE FROM {table} WHERE {_KEYS[table]} = %s", (key,))
                    expected.add((table, key, "removed"))

        found = problems()
        named = {key for table, key, _ in found if table == "journal_entries"}

        # The postings of an entry that is named itself are looked up in the event, which may be gone as well.
        missed = {
            row
            for row in expected - found
            if not (row[0] == "postings" and row[1].partition("/")[0] in named)
        }
        assert missed == set(), f"seed {seed}"
        assert len(expected) >= 30


class TestAForgedEvent:
    def test_in_a_gap_of_the_numbers_is_named(self, sealed: list[UUID], superuser: Connection) -> None:
        key = some_row(superuser, "events")
        superuser.execute("DELETE FROM events WHERE seq = %s", (int(key),))
        superuser.execute(
            "INSERT INTO events (organization, stream_id, seq, occurred_at, epoch, version, stream_type, type, actor,"
            " data) VALUES (%s, %s, %s, clock_timestamp(), 1, 1, 'test', 'test.happened', 'nobody', '{}')",
            (new_id(), new_id(), int(key)),
        )

        assert ("events", key, "changed") in problems()

    def test_that_equals_a_sealed_one_is_named(self, sealed: list[UUID], superuser: Connection) -> None:
        key = some_row(superuser, "events")
        partition = superuser.execute(
            "SELECT tableoid::regclass::text FROM events WHERE seq = %s", (int(key),)
        ).fetchone()
        assert partition is not None
        superuser.execute(f"DROP INDEX {partition[0]}_unique")
        superuser.execute("INSERT INTO events SELECT * FROM events WHERE seq = %s", (int(key),))

        assert ("events", key, "inserted") in problems()


class TestTheChain:
    def test_shows_a_seal_that_was_made_again_without_a_row(
        self, sealed: list[UUID], superuser: Connection
    ) -> None:
        superuser.execute(
            "UPDATE seals SET events = substr(events, 25), event_count = event_count - 1 WHERE number = 1"
        )

        assert ("seals", "1", "changed") in problems()

    def test_shows_a_seal_that_was_taken_out(
        self, sealed: list[UUID], superuser: Connection, connect: Connect
    ) -> None:
        for _ in range(2):
            put_event(connect())
            seal()
        superuser.execute("DELETE FROM seals WHERE number = 2")

        found = problems()

        assert ("seals", "2", "removed") in found
        assert ("seals", "3", "changed") in found

    def test_shows_a_tail_that_was_cut_off_by_the_head_file(
        self, sealed: list[UUID], superuser: Connection, connect: Connect
    ) -> None:
        put_event(connect())
        seal()
        superuser.execute("DELETE FROM events WHERE seq > (SELECT seq_to FROM seals WHERE number = 1)")
        superuser.execute("DELETE FROM seals WHERE number > 1")

        assert problems() == {("seals", "2", "removed")}

    def test_shows_a_tail_that_was_made_anew(
        self, sealed: list[UUID], superuser: Connection, connect: Connect
    ) -> None:
        put_event(connect())
        seal()
        superuser.execute("DELETE FROM seals WHERE number > 1")
        superuser.execute(
            "UPDATE events SET actor = 'another' WHERE seq > (SELECT seq_to FROM seals WHERE number = 1)"
        )
        superuser.execute(
            "UPDATE event_cursors SET seq = (SELECT seq_to FROM seals WHERE number = 1) WHERE name = 'sealer'"
        )
        seal()

        assert ("seals", "2", "changed") in problems()


class TestTheHeadFile:
    def test_has_every_seal(self, sealed: list[UUID], connect: Connect, private_database: str) -> None:
        put_event(connect())
        seal()
        rows = connect().execute("SELECT number, encode(hash, 'hex') FROM seals ORDER BY number").fetchall()

        assert [(head.number, head.hash) for head in heads(private_database)] == rows

    def test_gets_what_a_crash_kept_from_it(
        self, sealed: list[UUID], connect: Connect, private_database: str
    ) -> None:
        put_event(connect())
        seal()
        lines = head_path().read_text().splitlines()
        head_path().write_text(lines[0] + "\n" + lines[1][:20])
        put_event(connect())
        seal()

        assert [head.number for head in heads(private_database)] == [1, 2, 3]
        assert verify().is_clean


class TestTheUnsealedTail:
    def test_is_stated_and_not_held_against_the_store(self, sealed: list[UUID], connect: Connect) -> None:
        put_event(connect())

        report = verify()

        assert report.is_clean
        assert report.tail["events"] == 1

    def test_is_sealed_by_the_next_run(self, sealed: list[UUID], connect: Connect) -> None:
        put_event(connect())

        assert seal() == 1
        assert verify().tail["events"] == 0


class TestDefaultPartitions:
    def test_that_hold_rows_are_reported(self, sealed: list[UUID], connect: Connect) -> None:
        connect().execute(
            "INSERT INTO decisions (id, organization, recorded_at, at, requested, epoch, answer)"
            " VALUES (%s, %s, '2019-01-01Z', clock_timestamp(), 1, 1, 'deny')",
            (new_id(), new_id()),
        )

        assert ("decisions_default", "1 rows", "violated") in problems()
