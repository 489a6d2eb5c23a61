"""S02, S03: the database itself refuses what the books never do, to the application's and to the gate's role."""

import os
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import errors

from common.ids import new_id
from tests.builders.books import balances, give, one, open_books

FACTS = ("journal_entries", "postings")
URLS = {"app": "DATABASE_URL", "gate": "GATE_DATABASE_URL"}


@pytest.fixture(params=sorted(URLS))
def connection(request: pytest.FixtureRequest) -> Iterator[psycopg.Connection[Any]]:
    """A connection of one of the roles that write."""
    with psycopg.connect(os.environ[URLS[request.param]], autocommit=True) as found:
        yield found


@pytest.fixture(scope="module")
def books() -> UUID:
    organization = open_books()
    give(organization, "10")
    return organization


@pytest.mark.parametrize("table", FACTS)
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {table} SET organization = organization",
        "DELETE FROM {table}",
        "TRUNCATE {table}",
        "ALTER TABLE {table} DISABLE TRIGGER ALL",
        "ALTER TABLE {table} DISABLE TRIGGER refuse_change",
        "DROP TRIGGER refuse_change ON {table}",
        "DROP TABLE {table}",
    ],
)
def test_no_role_that_writes_can_change_a_fact_or_what_guards_it(
    connection: psycopg.Connection[Any], books: UUID, table: str, statement: str
) -> None:
    before = balances(books)
    with pytest.raises(errors.InsufficientPrivilege):
        connection.execute(statement.format(table=table).encode())
    assert balances(books) == before == {"customer_credit": 10 * 10**8, "cash": -10 * 10**8}


def test_no_role_that_writes_can_switch_triggers_off(connection: psycopg.Connection[Any]) -> None:
    with pytest.raises(errors.InsufficientPrivilege):
        connection.execute("SET session_replication_role = replica")


@pytest.mark.parametrize(
    "statement", ["INSERT INTO {part} TABLE postings", "SELECT FROM {part}", "TRUNCATE {part}"]
)
def test_a_partition_is_closed_to_every_role_that_writes(
    connection: psycopg.Connection[Any], books: UUID, statement: str
) -> None:
    parts = [
        name
        for (name,) in connection.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'postings'::regclass"
        ).fetchall()
    ]
    assert len(parts) >= 5
    for part in parts:
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute(statement.format(part=part).encode())


class TestTheOwner:
    """The owner has every right: there the triggers refuse."""

    @pytest.mark.parametrize("table", FACTS)
    @pytest.mark.parametrize(
        "statement",
        ["UPDATE {table} SET organization = organization", "DELETE FROM {table}", "TRUNCATE {table}"],
    )
    def test_is_refused_by_the_triggers(self, books: UUID, table: str, statement: str) -> None:
        with (
            psycopg.connect(os.environ["DATABASE_OWNER_URL"], autocommit=True) as connection,
            pytest.raises(errors.RestrictViolation, match="append-only"),
        ):
            connection.execute(statement.format(table=table).encode())

    def test_is_refused_on_a_partition_too(self, books: UUID) -> None:
        with psycopg.connect(os.environ["DATABASE_OWNER_URL"], autocommit=True) as connection:
            part = one("SELECT tableoid::regclass::text FROM postings WHERE organization = %s LIMIT 1", books)
            for statement in ("DELETE FROM {part}", "TRUNCATE {part}", "UPDATE {part} SET n = n"):
                with pytest.raises(errors.RestrictViolation, match="append-only"):
                    connection.execute(statement.format(part=part).encode())


class TestAnInsert:
    def _postings(
        self, connection: psycopg.Connection[Any], organization: UUID, *amounts: int, **given: Any
    ) -> None:
        account = one("SELECT id FROM accounts WHERE organization = %s AND kind = 'cash'", organization)
        entry = new_id()
        values = [
            (given.get("entry", entry), n, account, organization, amount, given.get(f"currency_{n}", "USD"))
            for n, amount in enumerate(amounts)
        ]
        with connection.cursor() as cur:
            cur.execute(
                "INSERT INTO postings (entry_id, n, account_id, organization, amount, currency, recorded_at, epoch) "
                "SELECT p.*, clock_timestamp(), 1 FROM unnest(%s::uuid[], %s::smallint[], %s::uuid[], %s::uuid[], "
                "%s::bigint[], %s::text[]) AS p",
                [list(column) for column in zip(*values, strict=True)],
            )

    def test_of_postings_that_do_not_sum_to_zero_is_refused(
        self, connection: psycopg.Connection[Any], books: UUID
    ) -> None:
        with pytest.raises(errors.CheckViolation, match="L1"):
            self._postings(connection, books, 5, -4)

    def test_of_a_line_that_stands_twice_is_refused(
        self, connection: psycopg.Connection[Any], books: UUID
    ) -> None:
        account = one("SELECT id FROM accounts WHERE organization = %s AND kind = 'cash'", books)
        with pytest.raises(errors.CheckViolation, match="L1"), connection.cursor() as cur:
            cur.execute(
                "INSERT INTO postings (entry_id, n, account_id, organization, amount, currency, recorded_at, epoch) "
                "SELECT %s, 0, %s, %s, amount, 'USD', clock_timestamp(), 1 FROM unnest(%s::bigint[]) AS amount",
                (new_id(), account, books, [5, -5]),
            )

    def test_of_postings_that_sum_to_zero_only_over_two_currencies_is_refused(
        self, connection: psycopg.Connection[Any], books: UUID
    ) -> None:
        with pytest.raises(errors.CheckViolation, match="L1"):
            self._postings(connection, books, 5, -5, currency_1="EUR")

    def test_of_half_an_entry_is_refused(self, connection: psycopg.Connection[Any], books: UUID) -> None:
        with pytest.raises(errors.CheckViolation, match="L1"):
            self._postings(connection, books, 5)

    def test_of_a_posting_of_nothing_is_refused(
        self, connection: psycopg.Connection[Any], books: UUID
    ) -> None:
        with pytest.raises(errors.CheckViolation):
            self._postings(connection, books, 0, 0)

    @pytest.mark.parametrize("column", ["source", "actor"])
    def test_of_an_entry_without_source_or_actor_is_refused(
        self, connection: psycopg.Connection[Any], books: UUID, column: str
    ) -> None:
        given = {"source": "test:1", "actor": "system:test", column: ""}
        with pytest.raises(errors.CheckViolation):
            _insert_entry(connection, books, key="none", **given)

    def test_of_a_second_entry_with_a_key_is_refused(
        self, connection: psycopg.Connection[Any], books: UUID
    ) -> None:
        key = one("SELECT idempotency_key FROM journal_entries WHERE organization = %s", books)
        with pytest.raises(errors.UniqueViolation):
            _insert_entry(connection, books, key=key, source="test:1", actor="system:test")


def _insert_entry(
    connection: psycopg.Connection[Any], organization: UUID, *, key: str, source: str, actor: str
) -> None:
    connection.execute(
        "INSERT INTO journal_entries (id, organization, effective_at, recorded_at, epoch, kind, source, "
        "idempotency_key, actor) VALUES (%s, %s, clock_timestamp(), clock_timestamp(), 1, 'test', %s, %s, %s)",
        (new_id(), organization, source, key, actor),
    )
