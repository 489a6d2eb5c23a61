"""Transactions on a real server: what is repeated, and what an error of the database means."""

import threading
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection, connections

from common.clock import wall_now
from common.errors import AmountOutOfRange, NotFound, ServiceUnavailable
from common.transactions import problem_of, run_in_transaction

Cursor = psycopg.Cursor[Any]


@pytest.fixture
def table() -> Iterator[str]:
    """A table of this test's own, with two rows."""
    name = f"scratch_{uuid.uuid4().hex}"
    with connections["owner"].cursor() as cur:
        cur.execute(f"CREATE TABLE {name} (id integer CONSTRAINT {name}_one PRIMARY KEY, n bigint NOT NULL)")
        cur.execute(f"INSERT INTO {name} VALUES (1, 0), (2, 0)")
        cur.execute(f"GRANT ALL ON {name} TO PUBLIC")
    yield name
    with connections["owner"].cursor() as cur:
        cur.execute(f"DROP TABLE {name}")


def values(table: str) -> list[int]:
    with connection.cursor() as cur:
        cur.execute(f"SELECT n FROM {table} ORDER BY id")
        return [row[0] for row in cur.fetchall()]


class TestOneTransaction:
    def test_it_commits_and_gives_back_what_the_operation_returned(self, table: str) -> None:
        def operation(cur: Cursor) -> str:
            cur.execute(f"UPDATE {table} SET n = 7 WHERE id = 1")
            return "done"

        assert run_in_transaction(operation) == "done"
        assert values(table) == [7, 0]

    def test_a_refusal_moves_nothing_and_is_not_repeated(self, table: str) -> None:
        runs = []

        def operation(cur: Cursor) -> None:
            runs.append(cur.execute(f"UPDATE {table} SET n = 7"))
            raise NotFound

        with pytest.raises(NotFound):
            run_in_transaction(operation)
        assert (len(runs), values(table)) == (1, [0, 0])

    def test_inside_another_it_is_a_part_of_it(self, table: str) -> None:
        def inner(cur: Cursor) -> None:
            cur.execute(f"UPDATE {table} SET n = 1 WHERE id = 1")

        def outer(cur: Cursor) -> None:
            run_in_transaction(inner)
            raise NotFound

        with pytest.raises(NotFound):
            run_in_transaction(outer)
        assert values(table) == [0, 0]

    def test_the_wall_clock_goes_on_inside(self) -> None:
        first, second = run_in_transaction(lambda cur: (wall_now(cur), wall_now(cur)))
        assert first < second
        assert first.utcoffset() is not None


class TestWhatIsRepeated:
    @pytest.mark.parametrize("state", ["40001", "40P01"])
    def test_a_conflict_runs_again_until_it_succeeds(self, table: str, state: str) -> None:
        runs = []

        def operation(cur: Cursor) -> int:
            runs.append(1)
            cur.execute(f"UPDATE {table} SET n = n + 1 WHERE id = 1")
            if len(runs) < 3:
                _raise(cur, state)
            return len(runs)

        assert run_in_transaction(operation) == 3
        assert values(table) == [1, 0]

    def test_one_that_goes_on_is_no_answer_at_the_moment(self, table: str) -> None:
        runs = []

        def operation(cur: Cursor) -> None:
            runs.append(1)
            _raise(cur, "40001")

        with pytest.raises(ServiceUnavailable) as refused:
            run_in_transaction(operation)
        assert (len(runs), refused.value.retryable, refused.value.retry_after) == (3, True, 1)

    def test_two_that_lock_crosswise_both_succeed(self, table: str) -> None:
        barrier = threading.Barrier(2, timeout=10)

        def crosswise(first: int, second: int) -> None:
            met = []

            def operation(cur: Cursor) -> None:
                # Longer than it takes the server to see a deadlock.
                cur.execute("SET LOCAL lock_timeout = '10s'")
                cur.execute(f"UPDATE {table} SET n = n + 1 WHERE id = {first}")
                if not met:
                    met.append(barrier.wait())
                cur.execute(f"UPDATE {table} SET n = n + 1 WHERE id = {second}")

            run_in_transaction(operation)

        _together(lambda: crosswise(1, 2), lambda: crosswise(2, 1))
        assert values(table) == [2, 2]

    def test_a_unique_key_is_repeated_only_when_it_is_named(self, table: str) -> None:
        runs = []

        def operation(cur: Cursor) -> int:
            runs.append(1)
            cur.execute(f"INSERT INTO {table} VALUES ({1 if len(runs) == 1 else 3}, 0)")
            return len(runs)

        assert run_in_transaction(operation, retry_unique={f"{table}_one"}) == 2
        runs.clear()
        with pytest.raises(psycopg.errors.UniqueViolation):
            run_in_transaction(operation)


class TestWhatAnErrorMeans:
    @pytest.mark.parametrize(
        "state", ["55P03", "57014", "57P01", "57P03", "53300", "53100", "08006", "58030", "25006"]
    )
    def test_a_database_that_cannot_is_503(self, state: str) -> None:
        runs = []

        def operation(cur: Cursor) -> None:
            runs.append(1)
            _raise(cur, state)

        with pytest.raises(ServiceUnavailable):
            run_in_transaction(operation)
        assert len(runs) == 1

    def test_a_lock_that_is_not_given_in_time_is_503(self, table: str) -> None:
        def operation(cur: Cursor) -> None:
            cur.execute("SET LOCAL lock_timeout = '50ms'")
            cur.execute(f"UPDATE {table} SET n = 1 WHERE id = 1")

        with psycopg.connect(**_parameters()) as other:
            other.execute(f"UPDATE {table} SET n = 2 WHERE id = 1")
            with pytest.raises(ServiceUnavailable):
                run_in_transaction(operation)
            other.rollback()
        run_in_transaction(operation)
        assert values(table) == [1, 0]

    def test_a_sum_that_overflows_is_422(self, table: str) -> None:
        with pytest.raises(AmountOutOfRange):
            run_in_transaction(lambda cur: cur.execute(f"UPDATE {table} SET n = 9223372036854775807 + id"))
        assert values(table) == [0, 0]

    def test_a_defect_stays_what_it_is(self) -> None:
        with pytest.raises(psycopg.errors.UndefinedTable) as raised:
            run_in_transaction(lambda cur: cur.execute("SELECT * FROM no_such_table"))
        assert problem_of(raised.value) is None

    def test_a_killed_connection_is_503_and_the_next_call_works(self, table: str) -> None:
        def operation(cur: Cursor) -> None:
            row = cur.execute("SELECT pg_backend_pid()").fetchone()
            with psycopg.connect(**_parameters()) as other:
                other.execute("SELECT pg_terminate_backend(%s)", row)
            cur.execute(f"UPDATE {table} SET n = 1")

        with pytest.raises(ServiceUnavailable):
            run_in_transaction(operation)
        run_in_transaction(lambda cur: cur.execute(f"UPDATE {table} SET n = n + 1"))
        assert values(table) == [1, 1]

    def test_a_server_that_is_not_there_is_503(self) -> None:
        with pytest.raises(psycopg.OperationalError) as raised:
            psycopg.connect("host=127.0.0.1 port=1 connect_timeout=1")
        assert isinstance(problem_of(raised.value), ServiceUnavailable)


def _raise(cur: Cursor, state: str) -> None:
    cur.execute(f"DO $$ BEGIN RAISE EXCEPTION 'on purpose' USING ERRCODE = '{state}'; END $$")


def _parameters() -> dict[str, Any]:
    known = connections["default"].settings_dict
    return {
        "host": known["HOST"],
        "port": known["PORT"] or None,
        "user": known["USER"],
        "password": known["PASSWORD"],
        "dbname": known["NAME"],
    }


def _together(*calls: Any) -> None:
    failures: list[BaseException] = []

    def run(call: Any) -> None:
        try:
            call()
        except BaseException as error:
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert failures == []
