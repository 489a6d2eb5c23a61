"""The organization's lock: order, clock, and that it is refused where it would hold nothing."""

import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.conf import settings

from common.errors import NotFound
from common.ids import new_id
from events.store import Cursor
from orgs import PLATFORM_ID
from orgs.operations.locks import lock_organization, lock_organizations
from orgs.operations.organizations import update_organization
from orgs.rules.rows import LockedOrganization
from tests.builders.orgs import AUTHOR, make_organization, write


@pytest.fixture
def connection() -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(settings.GATE_DATABASE_URL, autocommit=True) as opened:
        yield opened


class TestLockingOrganizations:
    def test_gives_their_rows_and_one_clock(self) -> None:
        ids = [make_organization(name=name) for name in ("One", "Two")]
        locked = write(lambda cur: lock_organizations(cur, ids))
        assert {row.name for row in locked.values()} == {"One", "Two"}
        assert set(locked) == set(ids)
        assert len({row.now for row in locked.values()}) == 1

    def test_knows_the_platform(self) -> None:
        platform = write(lambda cur: lock_organization(cur, PLATFORM_ID))
        assert (platform.is_platform, platform.name, platform.version) == (True, "Platform", 1)

    def test_refuses_to_run_outside_a_transaction(self, connection: psycopg.Connection[Any]) -> None:
        organization = make_organization()
        with connection.cursor() as cur:
            with pytest.raises(RuntimeError, match="inside a transaction"):
                lock_organizations(cur, [organization])
            with connection.transaction():
                assert lock_organization(cur, organization).id == organization

    def test_takes_none_when_one_is_unknown(self) -> None:
        with pytest.raises(NotFound):
            write(lambda cur: lock_organizations(cur, [make_organization(), new_id()]))

    def test_locks_nothing_for_no_ids(self) -> None:
        assert write(lambda cur: lock_organizations(cur, [])) == {}

    def test_does_not_stand_against_readers_and_foreign_keys(
        self, connection: psycopg.Connection[Any]
    ) -> None:
        organization = make_organization()
        with connection.transaction(), connection.cursor() as cur:
            lock_organization(cur, organization)
            shared = "SELECT 1 FROM organizations WHERE id = %s FOR KEY SHARE NOWAIT"
            assert write(lambda other: other.execute(shared, (organization,)).fetchone()) == (1,)


class TestASecondWriter:
    """One that came while the first held the lock."""

    @pytest.mark.parametrize("name", ["Acme", "Changed"])
    def test_reads_the_clock_after_its_wait_and_sees_what_the_first_committed(self, name: str) -> None:
        """Also when the first changed nothing: only a changed row would be read anew after the wait."""
        organization = make_organization(name="Acme")
        found: list[LockedOrganization] = []

        def second() -> None:
            with psycopg.connect(settings.GATE_DATABASE_URL) as other, other.cursor() as cur:
                found.append(lock_organization(cur, organization))

        thread = threading.Thread(target=second)

        def first(cur: Cursor) -> Any:
            lock_organization(cur, organization)
            thread.start()
            _wait_for_a_waiter()
            update_organization(cur, organization=organization, changes={"name": name}, author=AUTHOR)
            return cur.execute("SELECT clock_timestamp()").fetchone()

        held_until = write(first)
        thread.join()
        assert found[0].now > held_until[0]
        version = 1 if name == "Acme" else 2
        assert (found[0].name, found[0].version, found[0].config_epoch) == (name, version, version)


def _wait_for_a_waiter() -> None:
    """Until a session of the gate's role waits for a lock in this database."""
    statement = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND usename = current_user AND wait_event_type = 'Lock'"
    )
    with psycopg.connect(settings.GATE_DATABASE_URL, autocommit=True) as watcher:
        for _ in range(500):
            row = watcher.execute(statement).fetchone()
            if row is not None and row[0]:
                return
            threading.Event().wait(0.01)
    raise AssertionError("nobody waits")
