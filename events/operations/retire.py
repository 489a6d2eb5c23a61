"""Move old months of usage records and decisions out of the database, into Parquet files that were read back.

Events and the journal stay for ever. A month leaves only when every row of it is sealed as it stands, and its file
holds exactly these rows with their sealed digests, so that the verifier can go on proving them. What it added up to is
kept (events.retired), so that sums over all rows still come out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import pyarrow
import pyarrow.parquet as parquet
from django.conf import settings
from psycopg import sql

from events.database import Connection
from events.retired import DIGEST_COLUMN, summaries
from events.tables import DECISIONS, USAGE, FactTable

RETIRABLE: Final = (USAGE, DECISIONS)
_ROWS_AT_ONCE: Final = 20_000
_PARTITIONS: Final = """
SELECT c.relname, to_date(right(c.relname, 7), 'YYYY_MM') AS month FROM pg_inherits i
JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = to_regclass('public.' || quote_ident(%s)) AND c.relname ~ '_[0-9]{4}_[0-9]{2}$' ORDER BY month
"""
_COLUMNS: Final = """
SELECT attname, format_type(atttypid, NULL) FROM pg_attribute
WHERE attrelid = to_regclass('public.' || quote_ident(%s)) AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""
_SEALED: Final = {
    "usage_records": "SELECT usage FROM seals ORDER BY number",
    "decisions": "SELECT decisions FROM seals ORDER BY number",
}
_NOTE: Final = """
INSERT INTO retired_months (table_name, month, file, row_count, sha256) VALUES (%s, %s, %s, %s, %s)
"""
# How a column travels: the SQL that selects it, and its type in the file.
_AS_TEXT: Final = ("{}::text", pyarrow.string())
_TYPES: Final[dict[str, tuple[str, pyarrow.DataType]]] = {
    "uuid": ("uuid_send({})", pyarrow.binary(16)),
    "bigint": ("{}", pyarrow.int64()),
    "integer": ("{}", pyarrow.int32()),
    "smallint": ("{}", pyarrow.int16()),
    "boolean": ("{}", pyarrow.bool_()),
    "timestamp with time zone": ("{}", pyarrow.timestamp("us", tz="UTC")),
    "xid8": ("{}::text::bigint", pyarrow.int64()),
    "text": ("{}", pyarrow.string()),
}


class NotRetirable(Exception):
    """A month cannot be retired: a row is not sealed as it stands, or the file does not hold what it should."""


@dataclass(frozen=True, slots=True)
class Retired:
    """A month that left: its partition, its file and how many rows that were."""

    partition: str
    file: str
    rows: int


def retire_partitions(session: Connection, *, older_than: date) -> list[Retired]:
    """This function will retire every month of usage records and decisions that ended by `older_than`, one after the
    other. Run it with a session of the owner in autocommit.

    Raises NotRetirable, and leaves that month as it is; psycopg.errors.LockNotAvailable when the tables are busy.
    """
    done = []
    for table in RETIRABLE:
        for partition, month in session.execute(_PARTITIONS, (table.name,)).fetchall():
            if _following(month) <= older_than:
                done.append(_retire(session, table, partition, month))
    return done


def _retire(session: Connection, table: FactTable, partition: str, month: date) -> Retired:
    file = settings.STATE_HOME / "retired" / f"{partition}.parquet"
    file.parent.mkdir(parents=True, exist_ok=True)
    columns = session.execute(_COLUMNS, (table.name,)).fetchall()
    statement = _selection(table, partition, columns)
    rows = _write(session, statement, columns, file)
    _compare(session, statement, file)
    _check_seals(session, table, file)
    digest = sha256(file.read_bytes()).digest()
    with session.transaction():
        name, parent = sql.Identifier(partition), sql.Identifier(table.name)
        session.execute(sql.SQL("ALTER TABLE {} DETACH PARTITION {}").format(parent, name))
        left = session.execute(sql.SQL("SELECT count(*) FROM {}").format(name)).fetchone()
        if left != (rows,):
            raise NotRetirable(f"{partition} has {left} rows now, its file {rows}")
        for statement in summaries(table.name):
            session.execute(statement.format(partition=partition).encode(), {"month": month})
        session.execute(sql.SQL("DROP TABLE {}").format(name))
        session.execute(_NOTE, (table.name, month, str(file), rows, digest))
    return Retired(partition, str(file), rows)


def _selection(table: FactTable, partition: str, columns: list[tuple[Any, ...]]) -> str:
    parts = [_TYPES.get(kind, _AS_TEXT)[0].format(name) for name, kind in columns]
    digest = f"substr(sha256({table.canonical('f')}), 1, 16)"
    return f"SELECT {', '.join(parts)}, {digest} FROM {partition} f ORDER BY id"


def _write(session: Connection, statement: str, columns: list[tuple[Any, ...]], file: Path) -> int:
    fields = [(name, _TYPES.get(kind, _AS_TEXT)[1]) for name, kind in columns]
    schema = pyarrow.schema([*fields, (DIGEST_COLUMN, pyarrow.binary(16))])
    count = 0
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for rows in _batches(session, statement):
            count += len(rows)
            values = [
                pyarrow.array(part, kind.type)
                for part, kind in zip(zip(*rows, strict=True), schema, strict=True)
            ]
            writer.write_batch(pyarrow.record_batch(values, schema=schema))
    return count


def _compare(session: Connection, statement: str, file: Path) -> None:
    """Read the file back and compare it with the table, value by value."""
    written = (
        row
        for batch in parquet.ParquetFile(file).iter_batches(batch_size=_ROWS_AT_ONCE)
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True)
    )
    live = (row for rows in _batches(session, statement) for row in rows)
    for number, (there, here) in enumerate(zip_longest(written, live)):
        if there != here:
            raise NotRetirable(f"row {number} of {file} is not the table's")


def _check_seals(session: Connection, table: FactTable, file: Path) -> None:
    waiting: dict[bytes, bytes] = {}
    for batch in parquet.ParquetFile(file).iter_batches(columns=["id", DIGEST_COLUMN]):
        waiting.update(zip(batch[0].to_pylist(), batch[1].to_pylist(), strict=True))
    with session.transaction(), session.cursor(name="sealed") as cur:
        cur.itersize = 100
        for (packed,) in cur.execute(_SEALED[table.name]):
            for at in range(0, len(packed), 32):
                if waiting.get(packed[at : at + 16]) == packed[at + 16 : at + 32]:
                    del waiting[packed[at : at + 16]]
    if waiting:
        first = UUID(bytes=min(waiting))
        raise NotRetirable(
            f"{len(waiting)} rows of {table.name} are not sealed as they stand, such as {first}"
        )


def _batches(session: Connection, statement: str) -> Iterator[list[tuple[Any, ...]]]:
    with session.transaction(), session.cursor(name="retire") as cur:
        cur.itersize = _ROWS_AT_ONCE
        cur.execute(statement.encode())
        while rows := cur.fetchmany(_ROWS_AT_ONCE):
            yield rows


def _following(month: date) -> date:
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)
