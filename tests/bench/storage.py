"""What a lifecycle takes on disk: tables and indexes after VACUUM, by table; WAL apart."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import psycopg

from tests.bench.inproc import Callers
from tests.bench.place import Place
from tests.bench.population import Customer
from tests.bench.proofs import manage

# Partitions count for their parent.
SIZES = """
SELECT COALESCE((SELECT inhparent::regclass::text FROM pg_inherits WHERE inhrelid = c.oid), c.relname) AS name,
    sum(pg_table_size(c.oid)), sum(pg_indexes_size(c.oid))
FROM pg_class c WHERE c.relkind IN ('r', 't') AND c.relnamespace = 'public'::regnamespace GROUP BY 1
"""
INDEXES = """
SELECT COALESCE((SELECT inhparent::regclass::text FROM pg_inherits WHERE inhrelid = i.indexrelid), c.relname) AS name,
    sum(pg_relation_size(i.indexrelid))
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relnamespace = 'public'::regnamespace GROUP BY 1
"""
Sizes = dict[str, tuple[int, int]]


class Growth(NamedTuple):
    """Bytes that one lifecycle added to a table and to its indexes."""

    table: str
    heap: float
    indexes: float


class Storage(NamedTuple):
    """What the lifecycles added, per lifecycle."""

    lifecycles: int
    total: float
    wal: float
    tables: list[Growth]
    indexes: dict[str, float]


PORTIONS = 4


def measure(place: Place, name: str, customers: Sequence[Customer], *, lifecycles: int) -> Storage:
    """Do that many lifecycles with 8 callers, in four portions, and return what the last three added.

    After each portion the database is vacuumed, as autovacuum does all the time: what one portion's updates leave
    behind, the next one's rows use again. The first opens windows and makes that space.
    """
    with place.superuser(name) as connection:
        Callers(customers, callers=8).run_exactly(lifecycles // PORTIONS)
        before, before_indexes, wal = _sizes(connection), _index_sizes(connection), _wal(connection)
        done = written = 0
        for _ in range(PORTIONS - 1):
            callers = Callers(customers, callers=8)
            callers.run_exactly(lifecycles // PORTIONS)
            done += len(callers.commit_seconds)
            written += _wal(connection) - wal
            after, after_indexes, wal = _sizes(connection), _index_sizes(connection), _wal(connection)
    tables = [
        Growth(
            table, (heap - before.get(table, (0, 0))[0]) / done, (index - before.get(table, (0, 0))[1]) / done
        )
        for table, (heap, index) in after.items()
    ]
    tables.sort(key=lambda row: row.heap + row.indexes, reverse=True)
    indexes = {name: (size - before_indexes.get(name, 0)) / done for name, size in after_indexes.items()}
    total = sum(row.heap + row.indexes for row in tables)
    return Storage(done, total, written / done, tables, indexes)


def _sizes(connection: psycopg.Connection[Any]) -> Sizes:
    manage("run_due")  # seals and finer rollups belong to what a lifecycle stores
    _vacuum(connection)
    return {row[0]: (int(row[1]), int(row[2])) for row in connection.execute(SIZES.encode())}


def _vacuum(connection: psycopg.Connection[Any]) -> None:
    """Vacuum the tables that hold something; there are many partitions for months to come."""
    found = connection.execute(
        "SELECT string_agg(quote_ident(relname), ', ') FROM pg_class WHERE relkind = 'r'"
        " AND relnamespace = 'public'::regnamespace AND pg_relation_size(oid) > 0"
    ).fetchone()
    assert found is not None
    connection.execute(f"VACUUM (ANALYZE) {found[0]}".encode())


def _index_sizes(connection: psycopg.Connection[Any]) -> dict[str, int]:
    return {row[0]: int(row[1]) for row in connection.execute(INDEXES.encode())}


def _wal(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')").fetchone()
    assert row is not None
    return int(row[0])
