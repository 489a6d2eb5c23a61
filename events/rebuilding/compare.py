"""Compare the live tables with the rebuilt ones, both ways, by key; and again, under their organization's lock, the
rows that differ, since they may only have changed meanwhile."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import psycopg

from events.rebuilding.replay import Replay
from events.rebuilding.tables import RebuiltTable
from events.store import Cursor

PLATFORM: Final = UUID("01900000-0000-7000-8000-000000000000")
_ROWS_AT_ONCE: Final = 2_000_000
_MOST_SUSPECTS: Final = 200_000
_LOCK: Final = "SELECT FROM public.organizations WHERE id = %s FOR NO KEY UPDATE"
_LOCK_TRIES: Final = 10
_SIZE: Final = (
    "SELECT GREATEST(c.reltuples, 0)::bigint FROM pg_class c WHERE c.oid = to_regclass('public.' || %s)"
)

Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """A column of a row that is not what the events make of it. A whole row that is missing on one side has the
    column '*' and the other side's row."""

    table: str
    key: str
    column: str
    live: Any
    rebuilt: Any

    def __str__(self) -> str:
        return f"{self.table} {self.key}: {self.column} is {self.live!r}, the events make it {self.rebuilt!r}"


@dataclass(slots=True)
class Suspects:
    """Rows that differed at the first look: by organization, by table, their keys."""

    by_organization: dict[UUID, dict[str, list[Key]]] = field(default_factory=dict)
    count: int = 0
    is_complete: bool = True

    def add(self, organization: UUID | None, table: str, key: Key) -> None:
        """Note a row."""
        tables = self.by_organization.setdefault(organization or PLATFORM, {})
        tables.setdefault(table, []).append(key)
        self.count += 1


@dataclass(frozen=True, slots=True)
class Since:
    """Where a checkpoint stood: the journal before it is not made again, so live rows without a rebuilt one count
    only from there."""

    epoch: int
    hi: int


def find_suspects(cur: Cursor, tables: Sequence[RebuiltTable], since: Since | None) -> Suspects:
    """This function will return every row that differs now between live and rebuilt tables, up to 200,000."""
    found = Suspects()
    for table in tables:
        row = cur.execute(_SIZE, (table.name,)).fetchone()
        slices = 1 + (row[0] if row else 0) // _ROWS_AT_ONCE
        for number in range(slices):
            statement = _differing(table, since, slices, number)
            for organization, *key in cur.execute(statement.encode()):
                found.add(organization, table.name, tuple(key))
                if found.count >= _MOST_SUSPECTS:
                    found.is_complete = False
                    return found
    return found


def settle(replay: Replay, suspects: Suspects) -> Iterator[Difference]:
    """This function will look at the suspects again, one organization after the other: under its lock, after its
    newest events were replayed too, whatever still differs is a difference.

    Raises psycopg.errors.LockNotAvailable when an organization's lock cannot be had in ten tries of a second.
    """
    tables = {table.name: table for table in replay.tables}
    for organization, keys in sorted(suspects.by_organization.items()):
        with replay.session.transaction():
            _lock(replay, organization)
            replay.apply_tail(organization)
            cur = replay.session.cursor()
            found = [item for name, rows in keys.items() for item in _differences(cur, tables[name], rows)]
        yield from found
    if not suspects.is_complete:
        yield Difference("*", "", "*", f"more than {_MOST_SUSPECTS} rows differ", "not all were looked at")


def _lock(replay: Replay, organization: UUID) -> None:
    for attempt in range(1, _LOCK_TRIES + 1):
        try:
            with replay.session.transaction():
                replay.session.execute(_LOCK, (organization,))
            return
        except psycopg.errors.LockNotAvailable:
            if attempt == _LOCK_TRIES:
                raise


def _differing(table: RebuiltTable, since: Since | None, slices: int, number: int) -> str:
    organization = (
        f"COALESCE(l.{table.organization}, r.{table.organization})" if table.organization else "NULL"
    )
    keys = ", ".join(f"COALESCE(l.{column.name}, r.{column.name})" for column in table.key)
    joined = " AND ".join(_same(column.name, column.is_required) for column in table.key)
    conditions = [f"(l.present IS NULL OR r.present IS NULL OR {_columns_differ(table)})"]
    if table.is_fact and since is not None:
        conditions.append(
            f"(r.present IS NOT NULL OR l.epoch > {since.epoch} OR (l.epoch = {since.epoch} AND l.tx >= '{since.hi}'))"
        )
    part = ""
    if slices > 1:
        first = table.key[0].name
        part = f" WHERE abs(hashtext({first}::text)::bigint) % {slices} = {number}"
    return (
        f"SELECT {organization}, {keys} FROM (SELECT true AS present, * FROM public.{table.name}{part}) l "
        f"FULL JOIN (SELECT true AS present, * FROM pg_temp.{table.name}{part}) r ON {joined} "
        f"WHERE {' AND '.join(conditions)}"
    )


def _differences(cur: Cursor, table: RebuiltTable, keys: Sequence[Key]) -> Iterator[Difference]:
    statement = _looked_up(table)
    columns = [list(column) for column in zip(*keys, strict=True)]
    for name, live, rebuilt in cur.execute(statement, columns).fetchall():
        yield from _column_differences(table, name, live, rebuilt)


def _column_differences(
    table: RebuiltTable, key: str, live: dict[str, Any] | None, rebuilt: dict[str, Any] | None
) -> Iterator[Difference]:
    if live is None or rebuilt is None:
        if live is not rebuilt:
            yield Difference(table.name, key, "*", live, rebuilt)
        return
    for column in table.compared:
        if live[column.name] != rebuilt[column.name]:
            yield Difference(table.name, key, column.name, live[column.name], rebuilt[column.name])


def _looked_up(table: RebuiltTable) -> str:
    names = ", ".join(column.name for column in table.key)
    arrays = ", ".join(f"%s::{column.type}[]" for column in table.key)
    shown = " || '/' || ".join(f"COALESCE(k.{column.name}::text, '')" for column in table.key)

    def row(schema: str) -> str:
        same = " AND ".join(
            f"t.{column.name} {'=' if column.is_required else 'IS NOT DISTINCT FROM'} k.{column.name}"
            for column in table.key
        )
        return f"(SELECT to_jsonb(t) FROM {schema}.{table.name} t WHERE {same} LIMIT 1)"

    return f"SELECT {shown}, {row('public')}, {row('pg_temp')} FROM unnest({arrays}) AS k({names})"


def _same(name: str, is_required: bool) -> str:
    if is_required:
        return f"l.{name} = r.{name}"
    return f"COALESCE(l.{name}::text, '') = COALESCE(r.{name}::text, '')"


def _columns_differ(table: RebuiltTable) -> str:
    if not table.compared:
        return "false"
    live = ", ".join(f"l.{column.name}" for column in table.compared)
    rebuilt = ", ".join(f"r.{column.name}" for column in table.compared)
    return f"ROW({live}) IS DISTINCT FROM ROW({rebuilt})"
