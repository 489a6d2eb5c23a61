"""Checkpoints: rebuilt projections kept as files with digests, so that a nightly check replays one day only."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from psycopg import sql

from common.ids import new_id
from events.reader import Position
from events.rebuilding.tables import RebuiltTable
from events.store import Cursor

KEPT: Final = 7
_REGISTER: Final = """
INSERT INTO checkpoints (id, epoch, hi, seq, location, manifest)
VALUES (%s, %s, %s::text::xid8, %s, %s, %s::text::jsonb)
"""
_NEWEST: Final = """
SELECT epoch, hi::text, seq, location, manifest::text FROM checkpoints
WHERE epoch = (SELECT epoch FROM event_store)
    AND taken_at > (SELECT coalesce(max(retired_at), '-infinity') FROM retired_months) ORDER BY seq DESC, taken_at DESC
"""
_LOCATIONS: Final = "SELECT location FROM checkpoints ORDER BY taken_at DESC OFFSET %s"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Projections as they were when all events up to `seq`, and other facts with tx < `hi`, had been projected."""

    id: UUID
    epoch: int
    hi: int
    seq: int
    location: str
    manifest: dict[str, Any]


def save_from(cur: Cursor, tables: Sequence[RebuiltTable], position: Position) -> Checkpoint:
    """This function will write the temporary tables, but for the journal, to files of a new checkpoint."""
    identifier = new_id()
    folder: Path = settings.STATE_HOME / "checkpoints" / str(identifier)
    folder.mkdir(parents=True)
    manifest = {table.name: _save(cur, table, folder) for table in tables if not table.is_fact}
    return Checkpoint(identifier, position.epoch, position.hi, position.seq, str(folder), manifest)


def register(cur: Cursor, checkpoint: Checkpoint, *, is_good: bool) -> str | None:
    """This function will make a checkpoint known, or remove its files when its projections differ from the live
    ones; returns its folder. The seven newest keep their files."""
    if not is_good:
        shutil.rmtree(checkpoint.location)
        return None
    manifest = json.dumps(checkpoint.manifest)
    cur.execute(
        _REGISTER,
        (checkpoint.id, checkpoint.epoch, str(checkpoint.hi), checkpoint.seq, checkpoint.location, manifest),
    )
    for (location,) in cur.execute(_LOCATIONS, (KEPT,)).fetchall():
        shutil.rmtree(location, ignore_errors=True)
    return checkpoint.location


def newest(cur: Cursor, tables: Sequence[RebuiltTable]) -> Checkpoint | None:
    """This function will return the newest checkpoint of this epoch that holds exactly these tables and columns and
    whose files are what they were; None when there is none. What was retired since could not be replayed, so it must
    be newer than that."""
    for epoch, hi, seq, location, manifest in cur.execute(_NEWEST).fetchall():
        found = Checkpoint(UUID(int=0), epoch, int(hi), seq, location, json.loads(manifest))
        if _fits(found, tables) and _is_whole(found):
            return found
    return None


def load_into(cur: Cursor, checkpoint: Checkpoint, tables: Sequence[RebuiltTable]) -> None:
    """This function will fill the temporary tables from a checkpoint's files."""
    for table in tables:
        if table.is_fact:
            continue
        statement = sql.SQL("COPY pg_temp.{} ({}) FROM STDIN (FORMAT BINARY)")
        with (
            _file(checkpoint, table.name).open("rb") as file,
            cur.copy(statement.format(sql.Identifier(table.name), _names(table))) as copy,
        ):
            while block := file.read(1 << 20):
                copy.write(block)


def _save(cur: Cursor, table: RebuiltTable, folder: Path) -> dict[str, Any]:
    digest = sha256()
    statement = sql.SQL("COPY pg_temp.{} ({}) TO STDOUT (FORMAT BINARY)")
    with (
        (folder / f"{table.name}.copy").open("wb") as file,
        cur.copy(statement.format(sql.Identifier(table.name), _names(table))) as copy,
    ):
        for block in copy:
            digest.update(block)
            file.write(block)
    return {"sha256": digest.hexdigest(), "columns": _definition(table)}


def _names(table: RebuiltTable) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(column.name) for column in table.columns)


def _definition(table: RebuiltTable) -> list[list[str]]:
    return [[column.name, column.type] for column in table.columns]


def _fits(checkpoint: Checkpoint, tables: Sequence[RebuiltTable]) -> bool:
    expected = {table.name: _definition(table) for table in tables if not table.is_fact}
    return expected == {name: part["columns"] for name, part in checkpoint.manifest.items()}


def _is_whole(checkpoint: Checkpoint) -> bool:
    for name, part in checkpoint.manifest.items():
        try:
            with _file(checkpoint, name).open("rb") as file:
                digest = sha256()
                while block := file.read(1 << 20):
                    digest.update(block)
        except FileNotFoundError:
            return False
        if digest.hexdigest() != part["sha256"]:
            return False
    return True


def _file(checkpoint: Checkpoint, table: str) -> Path:
    return Path(checkpoint.location) / f"{table}.copy"
