"""A dump holds the same facts, and a restored store goes on in a new epoch (F43)."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from config.roles import database_statements
from events.checks import startup_checks
from events.operations.backup import BackupFailed, back_up, restore, verify_restored
from events.operations.restore import begin_epoch
from events.operations.seal import seal_facts
from events.rebuilding.run import rebuild
from events.verifying.references import unsealed_tail
from events.verifying.run import verify
from tests.builders.events import put_event
from tests.database import Session

Connection = psycopg.Connection[Any]
Connect = Callable[..., Connection]


@pytest.fixture
def other_database(private_database: str, test_session: Session) -> Iterator[Callable[[], str]]:
    """Makes an empty database and points the owner and the application at it."""
    name = f"{private_database}_restored"

    def switch() -> str:
        with test_session.databases.cluster.connect() as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
            for statement in database_statements(name=name):
                connection.execute(statement.encode())
        _point_at(name)
        return name

    yield switch
    _point_at(private_database)
    test_session.leave(name)


def _point_at(name: str) -> None:
    for alias in ("owner", "default", "gate"):
        connections[alias].close()
        if connections[alias].settings_dict["OPTIONS"].get("pool"):
            connections[alias].close_pool()
        connections[alias].settings_dict["NAME"] = name


def seal_all(cur_of: Connect) -> None:
    for _ in range(60):
        seal_facts()
        if not any(unsealed_tail(cur_of().cursor()).values()):
            return


class TestADump:
    def test_restores_to_the_same_facts_and_projections(
        self, busy_store: list[UUID], connect: Connect, home: Path, other_database: Callable[[], str]
    ) -> None:
        seal_all(connect)
        saved = back_up(file=home / "store.dump")
        other_database()
        restore(file=home / "store.dump")

        assert verify_restored(file=home / "store.dump") == saved
        assert saved.rows["journal_entries"] > 0
        assert saved.rows["usage_records"] > 0
        assert startup_checks() == []
        assert verify().findings == []
        assert rebuild().differences == []

    def test_that_lost_a_row_is_not_taken_for_the_same(
        self, busy_store: list[UUID], home: Path, other_database: Callable[[], str], test_session: Session
    ) -> None:
        back_up(file=home / "store.dump")
        name = other_database()
        restore(file=home / "store.dump")
        with psycopg.connect(test_session.databases.superuser_url(name), autocommit=True) as superuser:
            superuser.execute("SET session_replication_role = replica")
            superuser.execute("DELETE FROM decisions WHERE id = (SELECT min(id::text)::uuid FROM decisions)")

        with pytest.raises(BackupFailed, match="ledger_hash"):
            verify_restored(file=home / "store.dump")

    def test_is_not_loaded_over_another_store(self, connect: Connect, home: Path) -> None:
        back_up(file=home / "store.dump")

        with pytest.raises(BackupFailed, match="not empty"):
            restore(file=home / "store.dump")


class TestAnotherCluster:
    def test_is_refused_until_a_new_epoch_began(self, connect: Connect) -> None:
        owner = connect("DATABASE_OWNER_URL")
        owner.execute("UPDATE event_store SET system_identifier = 1")
        before = {problem.id for problem in startup_checks()}
        begin_epoch(owner)

        assert before == {"events.E010"}
        assert startup_checks() == []

    def test_command_does_nothing_in_the_known_cluster(self, connect: Connect) -> None:
        with pytest.raises(CommandError, match="--force"):
            call_command("after_restore")

    def test_gets_numbers_ahead_of_the_data_and_seals_of_both_epochs(
        self, busy_store: list[UUID], connect: Connect
    ) -> None:
        writer = connect()
        seal_all(connect)
        old = put_event(writer)
        begun = begin_epoch(connect("DATABASE_OWNER_URL"))
        new = put_event(writer)
        seal_all(connect)

        assert begun.epoch == 2
        assert new >= begun.next_seq > old + 1_000
        epochs = writer.execute("SELECT DISTINCT epoch FROM seals ORDER BY 1").fetchall()
        assert epochs == [(1,), (2,)]
        report = verify()
        assert (report.findings, report.tail["events"]) == ([], 0)
        assert rebuild().differences == []

    def test_shows_a_row_forged_into_the_closed_epoch(
        self, busy_store: list[UUID], connect: Connect, superuser: Connection
    ) -> None:
        seal_all(connect)
        begin_epoch(connect("DATABASE_OWNER_URL"))
        put_event(connect())
        seal_all(connect)
        row = superuser.execute(
            "INSERT INTO decisions (id, organization, at, requested, epoch, answer, tx)"
            " VALUES (gen_random_uuid(), gen_random_uuid(), clock_timestamp(), 1, 1, 'deny', '99999999')"
            " RETURNING id::text"
        ).fetchone()
        assert row is not None

        assert {(finding.table, finding.key, finding.problem) for finding in verify().findings} == {
            ("decisions", row[0], "inserted")
        }
