"""Old months leave the database by a file that was read back, and stay provable."""

import os
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.parquet as parquet
import pytest

from common.ids import new_id
from common.transactions import run_in_transaction
from events.database import own_session
from events.operations.retire import NotRetirable, retire_partitions
from events.operations.seal import seal_facts
from events.verifying.references import unsealed_tail
from events.verifying.run import verify

Connection = psycopg.Connection[Any]
Connect = Callable[..., Connection]
_INSERT = """
INSERT INTO decisions (id, organization, recorded_at, at, requested, epoch, answer, detail)
VALUES (%s, %s, '2020-05-17T10:00:00Z', '2020-05-17T10:00:00Z', 7, 1, 'deny', '{"b": [1, 2.50], "a": null}')
"""


@pytest.fixture
def old_month(connect: Connect, superuser: Connection) -> list[Any]:
    """Decisions of May 2020, in a partition of their own."""
    connect("DATABASE_OWNER_URL").execute("SELECT make_any_month('2020-05-01')")
    writer = connect()
    ids = [new_id() for _ in range(3)]
    for identifier in ids:
        writer.execute(_INSERT, (identifier, new_id()))
    return ids


def seal_all() -> None:
    for _ in range(60):
        seal_facts()
        if not any(run_in_transaction(unsealed_tail).values()):
            return


def retire(older_than: date = date(2021, 1, 1)) -> list[tuple[str, int]]:
    with own_session("owner") as session:
        return [(each.partition, each.rows) for each in retire_partitions(session, older_than=older_than)]


def exists(connection: Connection, partition: str) -> bool:
    row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (partition,)).fetchone()
    return row == (True,)


class TestAMonth:
    def test_leaves_by_a_file_and_stays_provable(
        self, old_month: list[Any], connect: Connect, home: Path
    ) -> None:
        seal_all()

        assert retire() == [("usage_records_2020_05", 0), ("decisions_2020_05", 3)]
        assert not exists(connect(), "decisions_2020_05")
        rows = parquet.read_table(home / "retired" / "decisions_2020_05.parquet")
        assert sorted(rows["id"].to_pylist()) == sorted(identifier.bytes for identifier in old_month)
        assert rows["detail"].to_pylist() == ['{"b": [1, 2.50], "a": null}'] * 3
        report = verify()
        assert report.findings == []
        assert report.counts["decisions (retired)"] == 3

    def test_is_missed_when_its_file_is_gone(
        self, old_month: list[Any], connect: Connect, home: Path
    ) -> None:
        seal_all()
        retire()
        os.remove(home / "retired" / "decisions_2020_05.parquet")

        assert {(finding.key, finding.problem) for finding in verify().findings} == {
            (str(identifier), "removed") for identifier in old_month
        }

    def test_stays_when_it_is_not_sealed(self, old_month: list[Any], connect: Connect) -> None:
        with pytest.raises(NotRetirable, match="3 rows of decisions are not sealed"):
            retire()

        assert exists(connect(), "decisions_2020_05")

    def test_stays_when_a_row_is_not_as_it_was_sealed(
        self, old_month: list[Any], connect: Connect, superuser: Connection
    ) -> None:
        seal_all()
        superuser.execute("UPDATE decisions SET requested = 8 WHERE id = %s", (old_month[0],))

        with pytest.raises(NotRetirable, match=str(old_month[0])):
            retire()

    def test_that_has_not_ended_stays(self, old_month: list[Any], connect: Connect) -> None:
        seal_all()

        assert retire(date(2020, 5, 31)) == []

    def test_is_not_made_again_by_the_maker_of_partitions(
        self, old_month: list[Any], connect: Connect
    ) -> None:
        seal_all()
        retire()

        assert connect().execute(
            "SELECT table_name, month, row_count FROM retired_months ORDER BY table_name"
        ).fetchall() == [("decisions", date(2020, 5, 1), 3), ("usage_records", date(2020, 5, 1), 0)]
