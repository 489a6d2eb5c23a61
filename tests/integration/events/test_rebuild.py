"""Projections are what the events make of them, and where they are not, the row and column are named (E1)."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from events import upcasters
from events.factprojectors import fact_projectors
from events.rebuilding import run
from events.rebuilding.run import Outcome, rebuild
from events.tables import FACT_NAMES, FACTS, OPERATIONAL, projected_tables
from tests.builders.events import put_event
from tests.builders.orgs import make_team

Connection = psycopg.Connection[Any]
Connect = Callable[..., Connection]
_TEMPORARY = "SELECT count(*) FROM pg_class WHERE relpersistence = 't' AND relkind = 'r'"


def found(outcome: Outcome) -> set[tuple[str, str, str]]:
    return {(difference.table, difference.key, difference.column) for difference in outcome.differences}


def one(connection: Connection, statement: str) -> Any:
    row = connection.execute(statement).fetchone()
    assert row is not None
    return row[0]


class TestARebuild:
    def test_from_zero_gives_every_live_row_again(self, busy_store: list[UUID], connect: Connect) -> None:
        outcome = rebuild()

        assert outcome.differences == []
        assert outcome.events == one(connect(), "SELECT count(*) FROM events")
        live = connect("DATABASE_READONLY_URL")
        for table in (
            "reservations",
            "holds",
            "journal_entries",
            "postings",
            "usage_hourly",
            "budget_counters",
        ):
            assert outcome.tables[table] == one(live, f"SELECT count(*) FROM {table}") > 0

    def test_leaves_nothing_behind(self, busy_store: list[UUID], connect: Connect) -> None:
        before = one(connect(), "SELECT max(seq) FROM events")
        rebuild()

        assert one(connect(), "SELECT max(seq) FROM events") == before
        deadline = time.monotonic() + 20  # a session that ends drops its tables a moment later
        while one(connect(), _TEMPORARY) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert one(connect(), _TEMPORARY) == 0

    def test_replays_meanwhile_what_is_written(
        self, busy_store: list[UUID], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A row that changes after it was replayed is compared again under its organization's lock."""

        def late_change(*given: Any) -> Any:
            make_team(busy_store[0], "late", "Late")
            return find_suspects(*given)

        find_suspects = run.find_suspects
        monkeypatch.setattr(run, "find_suspects", late_change)

        assert rebuild().differences == []


class TestADifference:
    @pytest.mark.parametrize(
        ("table", "key", "column", "change"),
        [
            ("reservations", "organization || '/' || id", "charged", "charged = COALESCE(charged, 0) + 1"),
            ("budget_counters", "organization || '/' || number", "spent", "spent = spent + 1"),
            ("accounts", "id::text", "posted", "posted = posted + 1"),
            ("credit_grants", "id::text", "remaining", "remaining = remaining - 1"),
            ("postings", "entry_id || '/' || n", "amount", "amount = amount + 1"),
            ("journal_entries", "id::text", "reason", "reason = 'other'"),
            ("api_keys", "id::text", "name", "name = 'other'"),
        ],
    )
    def test_names_row_and_column(
        self, busy_store: list[UUID], superuser: Connection, table: str, key: str, column: str, change: str
    ) -> None:
        where = " AND live" if table == "accounts" else ""
        name = one(superuser, f"SELECT {key} FROM {table} WHERE true{where} ORDER BY 1 LIMIT 1")
        superuser.execute(f"UPDATE {table} SET {change} WHERE {key} = %s", (name,))

        assert found(rebuild()) == {(table, name, column)}

    def test_is_a_row_that_no_event_made(self, busy_store: list[UUID], superuser: Connection) -> None:
        superuser.execute(
            "INSERT INTO teams SELECT gen_random_uuid(), organization, 'x', 'X', 'x', 'x', 1, now(), NULL"
            " FROM teams LIMIT 1"
        )
        name = one(superuser, "SELECT id::text FROM teams WHERE key = 'x'")

        assert found(rebuild()) == {("teams", name, "*")}

    def test_is_a_row_that_is_gone(self, busy_store: list[UUID], superuser: Connection) -> None:
        name = one(superuser, "SELECT organization || '/' || id FROM reservations LIMIT 1")
        superuser.execute("DELETE FROM reservations WHERE organization || '/' || id = %s", (name,))

        assert found(rebuild()) == {("reservations", name, "*")}

    def test_shows_in_the_rollup_of_usage_records(
        self, busy_store: list[UUID], superuser: Connection
    ) -> None:
        superuser.execute(
            "UPDATE usage_hourly SET calls = calls + 1, charge = charge + 5 WHERE organization = %s",
            (busy_store[0],),
        )

        assert {(table, column) for table, _, column in found(rebuild())} == {
            ("usage_hourly", "calls"), ("usage_hourly", "charge"),
        }  # fmt: skip

    def test_is_not_looked_for_in_columns_outside_the_comparison(
        self, busy_store: list[UUID], superuser: Connection
    ) -> None:
        superuser.execute("UPDATE api_keys SET last_used_at = clock_timestamp()")

        assert rebuild().differences == []


class TestACheckpoint:
    def test_lets_the_next_check_replay_only_what_came_after(
        self, busy_store: list[UUID], connect: Connect, home: Path
    ) -> None:
        first = rebuild(take_checkpoint=True)
        put_event(connect())
        second = rebuild(from_checkpoint=True, take_checkpoint=True)

        assert first.checkpoint is not None
        assert Path(first.checkpoint).parent == home / "checkpoints"
        assert second.from_checkpoint == first.checkpoint
        assert (second.events, second.differences) == (1, [])

    def test_still_shows_what_was_changed_since(self, busy_store: list[UUID], superuser: Connection) -> None:
        rebuild(take_checkpoint=True)
        key = "organization || '/' || number"
        name = one(superuser, f"SELECT {key} FROM budget_counters ORDER BY 1 LIMIT 1")
        superuser.execute(f"UPDATE budget_counters SET spent = spent + 1 WHERE {key} = %s", (name,))

        assert found(rebuild(from_checkpoint=True)) == {("budget_counters", name, "spent")}

    def test_is_not_used_when_a_file_was_changed(self, busy_store: list[UUID]) -> None:
        taken = rebuild(take_checkpoint=True)
        assert taken.checkpoint is not None
        file = Path(taken.checkpoint) / "accounts.copy"
        file.write_bytes(file.read_bytes()[:-1] + b"x")

        assert rebuild(from_checkpoint=True).from_checkpoint is None

    def test_is_not_made_of_projections_that_differ(
        self, busy_store: list[UUID], superuser: Connection, home: Path
    ) -> None:
        superuser.execute("UPDATE budget_counters SET spent = spent + 1")

        assert rebuild(take_checkpoint=True).checkpoint is None
        assert list((home / "checkpoints").iterdir()) == []


class TestAnOlderSchema:
    def test_is_lifted_before_it_is_projected(
        self, busy_store: list[UUID], superuser: Connection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Schema 0 of team.created, which never was, called the name `title`."""
        superuser.execute(
            "UPDATE events SET schema = 0,"
            " data = (data::jsonb - 'name' || jsonb_build_object('title', data->'name'))::json"
            " WHERE type = 'team.created'"
        )
        with pytest.raises(psycopg.errors.NotNullViolation):
            rebuild()
        monkeypatch.setattr(upcasters, "_steps", {})
        upcasters.register("team.created", 0, lambda data: {**data, "name": data["title"]})

        assert rebuild().differences == []


class TestTheClassesOfTables:
    def test_name_every_table_once(self, connect: Connect) -> None:
        rows = (
            connect()
            .execute(
                "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
                " AND NOT relispartition"
            )
            .fetchall()
        )
        tables = {name for (name,) in rows}
        projected = {table.name for table in projected_tables()} | {
            each.table.name for each in fact_projectors()
        }
        followed = {"usage_daily_fine"}  # kept by a reader of the events

        assert tables - FACT_NAMES - projected - OPERATIONAL - followed == set()
        assert projected & OPERATIONAL == set()
        assert (FACT_NAMES | projected | OPERATIONAL | followed) - tables == set()

    def test_name_every_column_of_a_fact(self, connect: Connect) -> None:
        for table in FACTS:
            rows = (
                connect()
                .execute(
                    "SELECT attname FROM pg_attribute"
                    " WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped",
                    (table.name,),
                )
                .fetchall()
            )
            assert sorted(name for (name,) in rows) == sorted(table.columns), table.name
