"""Facts are append-only by rights, by triggers, and by a check that refuses to serve without them (S02, L2)."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import psycopg
import pytest
from django.conf import settings

from common.ids import new_id
from events.checks import check_databases, problems_found, startup_checks
from tests.builders.events import put_event
from tests.database import Session

Connection = psycopg.Connection[Any]
Connect = Callable[..., Connection]

FACTS = ("events", "journal_entries", "postings", "usage_records", "decisions", "meter_events", "seals")
PARTITIONED = ("events", "postings", "usage_records", "decisions", "meter_events")
COLUMNS = {
    "events": "actor",
    "postings": "amount",
    "usage_records": "cost",
    "decisions": "count",
    "meter_events": "sign",
    "seals": "number",
}


MAKE = "SELECT make_month(%s::date)"


def months_from_now(count: int) -> date:
    """The first day of a month, by the clock of UTC."""
    now = datetime.now(UTC)
    month = now.year * 12 + now.month - 1 + count
    return date(month // 12, month % 12 + 1, 1)


def statement(kind: str, table: str) -> str:
    column = COLUMNS.get(table, "kind")
    return {
        "update": f"UPDATE {table} SET {column} = {column}",
        "delete": f"DELETE FROM {table}",
        "truncate": f"TRUNCATE {table}",
        "triggers": f"ALTER TABLE {table} DISABLE TRIGGER ALL",
    }[kind]


@pytest.mark.parametrize("variable", ["DATABASE_URL", "GATE_DATABASE_URL", "DATABASE_READONLY_URL"])
@pytest.mark.parametrize("kind", ["update", "delete", "truncate", "triggers"])
class TestTheApplicationsRoles:
    def test_have_no_right_to_change_facts(self, session_connect: Connect, variable: str, kind: str) -> None:
        connection = session_connect(variable)
        for table in FACTS:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement(kind, table).encode())


class TestAPartition:
    @pytest.mark.parametrize("variable", ["DATABASE_URL", "GATE_DATABASE_URL"])
    def test_takes_no_row_directly(self, session_connect: Connect, variable: str) -> None:
        connection = session_connect(variable)
        found = connection.execute(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " JOIN pg_class p ON p.oid = i.inhparent WHERE p.relname = ANY(%s)",
            (list(PARTITIONED),),
        ).fetchall()

        assert len(found) >= 5 * len(PARTITIONED)
        for (part,) in found:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"INSERT INTO {part} DEFAULT VALUES".encode())

    def test_that_the_app_makes_is_guarded_like_the_others(self, connect: Connect) -> None:
        connection, month = connect(), months_from_now(12)

        assert connection.execute(MAKE, (month,)).fetchone() == (len(PARTITIONED),)
        assert connection.execute(MAKE, (month,)).fetchone() == (0,)
        assert startup_checks() == []
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(f"INSERT INTO decisions_{month:%Y_%m} DEFAULT VALUES".encode())

    def test_is_made_for_whole_months_only(self, connect: Connect) -> None:
        with pytest.raises(psycopg.errors.RaiseException, match="first day"):
            connect().execute(MAKE, (months_from_now(2).replace(day=2),))

    @pytest.mark.parametrize("variable", ["DATABASE_URL", "GATE_DATABASE_URL", "DATABASE_OWNER_URL"])
    def test_is_made_for_this_month_and_the_next_twelve_only(self, connect: Connect, variable: str) -> None:
        connection = connect(variable)
        for month in (months_from_now(-1), months_from_now(13), date(1900, 1, 1), None):
            with pytest.raises(psycopg.errors.RaiseException, match="only"):
                connection.execute(MAKE, (month,))
        for month in (months_from_now(0), months_from_now(12)):
            assert connection.execute(MAKE, (month,)).fetchone() is not None

    @pytest.mark.parametrize("variable", ["DATABASE_URL", "GATE_DATABASE_URL", "DATABASE_READONLY_URL"])
    def test_of_any_other_month_is_made_by_the_owner_alone(self, connect: Connect, variable: str) -> None:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connect(variable).execute("SELECT make_any_month('2020-05-01')")
        owner = connect("DATABASE_OWNER_URL")
        assert owner.execute("SELECT make_any_month('2020-05-01')").fetchone() == (len(PARTITIONED),)
        assert startup_checks() == []


class TestTheOwner:
    @pytest.mark.parametrize("kind", ["update", "delete", "truncate"])
    def test_is_stopped_by_triggers(self, connect: Connect, kind: str) -> None:
        owner = connect("DATABASE_OWNER_URL")
        put_event(connect())
        for table in ("events", "events_default") if kind == "truncate" else ("events",):
            with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"):
                owner.execute(statement(kind, table).encode())


class TestAStreamsVersion:
    def test_exists_once(self, connect: Connect) -> None:
        stream = new_id()
        put_event(connect(), stream=stream, version=1)

        with pytest.raises(psycopg.errors.UniqueViolation):
            put_event(connect(), stream=stream, version=1)


class TestTheStart:
    def test_is_granted_to_the_right_set_up(self, connect: Connect) -> None:
        assert startup_checks() == []

    def test_asks_nothing_of_a_migration(self) -> None:
        assert check_databases(databases=["owner"]) == []

    @pytest.mark.parametrize(
        ("damage", "problem"),
        [
            ("ALTER TABLE events_default DISABLE TRIGGER refuse_truncate", "events.E007"),
            ("ALTER TABLE seals DISABLE TRIGGER refuse_change", "events.E007"),
            ("DROP TRIGGER refuse_change ON postings", "events.E007"),
            ("GRANT UPDATE ON postings TO counterfoil_app", "events.E008"),
            ("GRANT INSERT ON decisions_default TO counterfoil_gate", "events.E008"),
            ("REVOKE INSERT ON decisions FROM counterfoil_gate", "events.E008"),
            ("GRANT SET ON PARAMETER session_replication_role TO counterfoil_app", "events.E005"),
            ("GRANT CREATE ON SCHEMA public TO counterfoil_app", "events.E009"),
            ("DROP TABLE decisions_default", "events.E011"),
            ("DROP TABLE event_store", "events.E002"),
        ],
    )
    def test_is_refused_when_a_guard_is_missing(
        self, connect: Connect, superuser: Connection, damage: str, problem: str
    ) -> None:
        superuser.execute(damage.encode())
        try:
            assert {found.id for found in startup_checks()} == {problem}
        finally:
            if "PARAMETER" in damage:  # a right of the whole cluster
                superuser.execute("REVOKE SET ON PARAMETER session_replication_role FROM counterfoil_app")

    @pytest.mark.parametrize(
        ("role", "problems"),
        [("counterfoil_owner", {"events.E004"}), ("counterfoil_superuser", {"events.E003", "events.E004"})],
    )
    def test_is_refused_to_roles_that_could_change_facts(
        self, connect: Connect, private_database: str, test_session: Session, role: str, problems: set[str]
    ) -> None:
        url = test_session.databases.cluster.url(role=role, name=private_database)
        with psycopg.connect(url) as connection:
            found = {name for name, _, _ in problems_found(connection.cursor(), "default")}

        assert found == problems

    def test_is_refused_to_a_server_that_may_lose_writes(
        self, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(settings, "TEST_CLUSTER", False)

        messages = {found.msg for found in startup_checks()}

        assert {message.split()[0] for message in messages} == {
            "fsync",
            "full_page_writes",
            "synchronous_commit",
        }
