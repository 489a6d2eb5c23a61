"""Cuts over real transactions: whatever the order of commits, every record is in exactly one difference."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.conf import settings

from billing.queries.cuts import Condition, difference, take_cut
from billing.rules.cuts import Cut, CutsOutOfOrder
from common.ids import new_id
from orgs.operations.locks import lock_organization
from tests.builders.orgs import make_organization
from tests.database import Session

PROBE = """
CREATE SCHEMA cut_probe;
CREATE TABLE cut_probe.records (
    id uuid NOT NULL, organization uuid NOT NULL, name text NOT NULL, occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(), epoch integer NOT NULL,
    tx xid8 NOT NULL DEFAULT pg_current_xact_id());
GRANT USAGE ON SCHEMA cut_probe TO PUBLIC;
GRANT ALL ON cut_probe.records TO PUBLIC;
"""
INSERT = """
INSERT INTO cut_probe.records (id, organization, name, occurred_at, epoch)
VALUES (%s, %s, %s, %s, (SELECT epoch FROM event_store))
"""
NOW = datetime.now(UTC)
Connection = psycopg.Connection[Any]


@pytest.fixture(scope="module", autouse=True)
def probe(test_session: Session, django_db_setup: None) -> Iterator[Connection]:
    """A table of records that anybody may write, so that a test decides which transaction commits when."""
    url = test_session.databases.superuser_url(test_session.name)
    with psycopg.connect(url, autocommit=True) as superuser:
        superuser.execute(PROBE)
        yield superuser
        superuser.execute("DROP SCHEMA cut_probe CASCADE")


@pytest.fixture
def open_connection() -> Iterator[Any]:
    """Connections that give up what they wait for, so that a failure is no standstill."""
    with ExitStack() as stack:
        options = "-c lock_timeout=10s"
        yield lambda: stack.enter_context(psycopg.connect(settings.GATE_DATABASE_URL, options=options))


class Customer:
    """An organization with records of its own, and what cuts take of them."""

    def __init__(self, open_connection: Any) -> None:
        self.open = open_connection
        self.id: UUID = make_organization()

    def lock(self, connection: Connection) -> None:
        lock_organization(connection.cursor(), self.id)

    def insert(self, connection: Connection, name: str, occurred_at: datetime = NOW) -> None:
        connection.execute(INSERT, (new_id(), self.id, name, occurred_at))

    def record(self, name: str, occurred_at: datetime = NOW) -> None:
        with self.open() as connection:
            self.lock(connection)
            self.insert(connection, name, occurred_at)

    def cut(self, until: datetime = NOW + timedelta(hours=1)) -> Cut:
        with self.open() as connection:
            self.lock(connection)
            return take_cut(connection.cursor(), until)

    def taken(self, cut: Cut, previous: Cut | None = None) -> list[str]:
        with self.open() as connection:
            wanted = difference(connection.cursor(), self.id, alias="r", cut=cut, previous=previous)
            return names(connection, wanted)


def names(connection: Connection, wanted: Condition) -> list[str]:
    statement = f"SELECT r.name FROM cut_probe.records r WHERE {wanted.sql} ORDER BY r.id"
    return [name for (name,) in connection.execute(statement.encode(), wanted.values).fetchall()]


@pytest.fixture
def customer(open_connection: Any) -> Customer:
    return Customer(open_connection)


def waits_for_a_lock(connection: Connection) -> None:
    """Return when another session waits."""
    until = time.monotonic() + 10
    with psycopg.connect(settings.GATE_DATABASE_URL, autocommit=True) as watch:
        query = "SELECT cardinality(pg_blocking_pids(%s)) > 0"
        while watch.execute(query, (connection.info.backend_pid,)).fetchone() != (True,):
            assert time.monotonic() < until
            time.sleep(0.01)


class TestACut:
    def test_takes_what_was_committed_and_the_next_one_what_came_after(self, customer: Customer) -> None:
        customer.record("first")
        one = customer.cut()
        customer.record("second")
        two = customer.cut()
        assert customer.taken(one) == ["first"]
        assert customer.taken(two, one) == ["second"]
        assert customer.taken(two) == ["first", "second"]

    def test_stays_what_it_was(self, customer: Customer) -> None:
        customer.record("first")
        one = customer.cut()
        customer.record("late")
        assert customer.taken(one) == ["first"]

    def test_leaves_what_occurred_at_its_end_or_later_to_the_next(self, customer: Customer) -> None:
        customer.record("inside", NOW - timedelta(microseconds=1))
        customer.record("at the end")
        one = customer.cut(until=NOW)
        two = customer.cut()
        assert customer.taken(one) == ["inside"]
        assert customer.taken(two, one) == ["at the end"]

    def test_finds_a_late_record_of_a_closed_period_once(self, customer: Customer) -> None:
        customer.record("on time", NOW - timedelta(days=50))
        one = customer.cut(until=NOW - timedelta(days=40))
        customer.record("late", NOW - timedelta(days=60))
        two, three = customer.cut(until=NOW - timedelta(days=10)), customer.cut()
        assert customer.taken(one) == ["on time"]
        assert customer.taken(two, one) == ["late"]
        assert customer.taken(three, two) == []

    def test_does_not_take_another_organizations_records(
        self, customer: Customer, open_connection: Any
    ) -> None:
        Customer(open_connection).record("theirs")
        assert customer.taken(customer.cut()) == []

    def test_refuses_a_previous_one_that_came_after_it(self, customer: Customer) -> None:
        one = customer.cut()
        customer.record("between")
        two = customer.cut()
        with pytest.raises(CutsOutOfOrder):
            customer.taken(one, two)

    @pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
    def test_is_not_taken_where_a_snapshot_may_be_older_than_the_lock(
        self, customer: Customer, level: str
    ) -> None:
        with customer.open() as connection:
            connection.execute(f"SET TRANSACTION ISOLATION LEVEL {level}".encode())
            customer.lock(connection)
            with pytest.raises(RuntimeError, match="READ COMMITTED"):
                take_cut(connection.cursor(), NOW)
            connection.rollback()


class TestOutOfOrder:
    def test_a_transaction_that_began_first_and_commits_last_is_in_the_next_cut(
        self, customer: Customer
    ) -> None:
        """It has its number before another one takes the lock and writes: a cut by numbers would lose it."""
        early = customer.open()
        early.execute("SELECT pg_current_xact_id()")
        customer.record("overtakes")
        one = customer.cut()
        customer.lock(early)
        customer.insert(early, "overtaken")
        early.commit()
        two = customer.cut()
        assert customer.taken(one) == ["overtakes"]
        assert customer.taken(two, one) == ["overtaken"]

    def test_one_that_waits_for_the_lock_while_a_cut_is_taken_is_in_the_next(
        self, customer: Customer
    ) -> None:
        taker, writer = customer.open(), customer.open()
        customer.lock(taker)
        writer.execute("SELECT pg_current_xact_id()")

        def write() -> None:
            customer.lock(writer)
            customer.insert(writer, "waited")
            writer.commit()

        thread = threading.Thread(target=write)
        thread.start()
        waits_for_a_lock(writer)
        one = take_cut(taker.cursor(), NOW + timedelta(hours=1))
        taker.commit()
        thread.join()
        assert customer.taken(one) == []
        assert customer.taken(customer.cut(), one) == ["waited"]

    def test_a_cut_that_waited_for_a_writer_takes_what_it_wrote(self, customer: Customer) -> None:
        """The snapshot is newer than the wait, not as old as the statement that began it."""
        writer, taker, cuts = customer.open(), customer.open(), []
        customer.lock(writer)
        customer.insert(writer, "written")

        def take() -> None:
            customer.lock(taker)
            cuts.append(take_cut(taker.cursor(), NOW + timedelta(hours=1)))
            taker.commit()

        thread = threading.Thread(target=take)
        thread.start()
        waits_for_a_lock(taker)
        writer.commit()
        thread.join()
        assert customer.taken(cuts[0]) == ["written"]

    @pytest.mark.parametrize("others", [0, 3])
    def test_what_the_cuts_own_transaction_writes_is_in_the_next(
        self, customer: Customer, others: int
    ) -> None:
        """Whether it has a number by then, and whether later numbers have ended meanwhile, changes nothing."""
        taker = customer.open()
        customer.lock(taker)
        customer.insert(taker, "before")
        for _ in range(others):
            Customer(customer.open).record("elsewhere")
        one = take_cut(taker.cursor(), NOW + timedelta(hours=1))
        customer.insert(taker, "after")
        taker.commit()
        assert customer.taken(one) == []
        assert customer.taken(customer.cut(), one) == ["before", "after"]

    def test_what_was_rolled_back_is_in_none(self, customer: Customer) -> None:
        connection = customer.open()
        customer.lock(connection)
        customer.insert(connection, "gone")
        connection.rollback()
        assert customer.taken(customer.cut()) == []


class TestARestore:
    def test_begins_an_epoch_whose_numbers_may_be_lower(self, customer: Customer, probe: Connection) -> None:
        """Rows of the old cluster keep their numbers; what the cut did not see of them came after it."""
        customer.record("before")
        one = customer.cut()
        customer.record("after the cut")
        probe.execute(
            "UPDATE cut_probe.records SET tx = (tx::text::bigint + 1000000)::text::xid8, epoch = epoch - 1"
        )
        old = Cut(
            one.epoch - 1,
            ":".join(str(int(part) + 1_000_000) for part in one.snapshot.split(":")[:2]) + ":",
            one.until,
            one.taken_at,
        )
        customer.record("restored")
        two = customer.cut()
        assert customer.taken(old) == ["before"]
        assert customer.taken(two, old) == ["after the cut", "restored"]
        assert customer.taken(two) == ["before", "after the cut", "restored"]
