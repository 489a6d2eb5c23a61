"""A byte that flipped on the disk is reported, not computed with (F27)."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import connections

from common.transactions import run_in_transaction
from config.roles import database_statements
from events.operations.seal import seal_facts
from events.verifying.references import unsealed_tail
from events.verifying.run import verify
from tests.database import Session

_FILE = """
SELECT pg_relation_filepath(tableoid::regclass) FROM postings WHERE recorded_at > now() - interval '1 day' LIMIT 1
"""


@pytest.fixture
def damaged_copy(
    busy_store: list[UUID],
    connect: Callable[..., psycopg.Connection[Any]],
    superuser: psycopg.Connection[Any],
    private_database: str,
    test_session: Session,
) -> Iterator[None]:
    """The sealed store, copied file by file after one byte of a page of postings was flipped."""
    for _ in range(60):
        seal_facts()
        if not any(run_in_transaction(unsealed_tail).values()):
            break
    cluster, copy = test_session.databases.cluster, f"{private_database}_damaged"
    row = superuser.execute(_FILE).fetchone()
    assert row is not None
    superuser.execute("CHECKPOINT")
    _flip(cluster.data / row[0])
    with cluster.connect() as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (private_database,)
        )
        connection.execute(f"CREATE DATABASE {copy} TEMPLATE {private_database} STRATEGY FILE_COPY".encode())
        for statement in database_statements(name=copy):
            connection.execute(statement.encode())
    _point_at(copy)
    yield
    _point_at(private_database)
    test_session.leave(copy)


def _flip(file: Path) -> None:
    """Change one byte of a row near the end of the first page."""
    content = bytearray(file.read_bytes())
    content[8_150] ^= 0x10
    file.write_bytes(content)


def _point_at(name: str) -> None:
    connections["default"].close()
    if connections["default"].settings_dict["OPTIONS"].get("pool"):
        connections["default"].close_pool()
    connections["default"].settings_dict["NAME"] = name


@pytest.mark.filterwarnings(
    "ignore"
)  # connections that were ended for the copy say so when they are collected
def test_a_flipped_byte_is_reported_with_its_table(damaged_copy: None) -> None:
    broken = [finding for finding in verify().findings if finding.problem == "broken"]

    assert ("journal_entries", "of seals 1 to 1") in {(finding.table, finding.key) for finding in broken}
    assert any("invalid page" in finding.detail for finding in broken)
