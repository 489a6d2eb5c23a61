"""The temporary tables that a rebuild fills. They have the names of the real ones and hide them: pg_temp is searched
first, and the projectors name their tables without a schema."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from psycopg import sql

from events.factprojectors import fact_projectors
from events.store import Cursor
from events.tables import FACT_NAMES, projected_tables

_COLUMNS: Final = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull FROM pg_attribute a
WHERE a.attrelid = to_regclass('public.' || quote_ident(%s)) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""
# An index that only makes reading faster costs more than it gives here.
_READING_INDEXES: Final = """
SELECT i.indexrelid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
WHERE c.relnamespace = pg_my_temp_schema() AND NOT i.indisunique
"""
_SESSION: Final = (
    "SET temp_buffers = '256MB'",
    "SET work_mem = '128MB'",
    "SET maintenance_work_mem = '128MB'",
    "SET jit = off",
)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a projected table."""

    name: str
    type: str
    is_required: bool


@dataclass(frozen=True, slots=True)
class RebuiltTable:
    """A projected table with its columns. `is_fact`: the journal, which is sealed as well and never changes."""

    name: str
    key: tuple[Column, ...]
    compared: tuple[Column, ...]
    columns: tuple[Column, ...]
    is_fact: bool

    @property
    def organization(self) -> str | None:
        """Return the column that names a row's organization; None: all rows belong to the platform."""
        if self.name == "organizations":
            return "id"
        return "organization" if any(column.name == "organization" for column in self.columns) else None


def rebuilt_tables(cur: Cursor) -> list[RebuiltTable]:
    """This function will return every projected table that exists, with its columns as they are now."""
    tables = []
    for table in (*projected_tables(), *(each.table for each in fact_projectors())):
        columns = [Column(*row) for row in cur.execute(_COLUMNS, (table.name,)).fetchall()]
        key = tuple(next(column for column in columns if column.name == name) for name in table.key)
        hidden = {*table.key, *table.ignore}
        compared = tuple(column for column in columns if column.name not in hidden)
        is_fact = table.name in FACT_NAMES
        tables.append(RebuiltTable(table.name, key, compared, tuple(columns), is_fact))
    return tables


def make_temporary(cur: Cursor, tables: Sequence[RebuiltTable]) -> None:
    """This function will make an empty temporary table of each, with its constraints and unique keys."""
    for statement in _SESSION:
        cur.execute(statement)
    for table in tables:
        name = sql.Identifier(table.name)
        # The journal is only inserted into, and compared by a join over all of it.
        copied = "DEFAULTS INCLUDING CONSTRAINTS" if table.is_fact else "ALL"
        cur.execute(
            sql.SQL("CREATE TEMP TABLE {} (LIKE public.{} INCLUDING {})").format(name, name, sql.SQL(copied))
        )
    for (index,) in cur.execute(_READING_INDEXES).fetchall():
        cur.execute(sql.SQL("DROP INDEX {}").format(sql.SQL(index)))


def analyze(cur: Cursor, tables: Iterable[RebuiltTable]) -> None:
    """This function will let the planner know how large the temporary tables are; nobody else does."""
    for table in tables:
        cur.execute(sql.SQL("ANALYZE pg_temp.{}").format(sql.Identifier(table.name)))
