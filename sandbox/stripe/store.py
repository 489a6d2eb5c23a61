"""Everything the simulator knows, in one SQLite file. An answered call is committed: it survives `kill -9`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

INDEXED = ("customer", "payment_intent", "charge", "source", "payout", "_card", "transfer", "_twin")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, account TEXT NOT NULL, kind TEXT NOT NULL,
    created INTEGER NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS by_kind ON objects (account, kind, seq);
CREATE TABLE IF NOT EXISTS funds (
    account TEXT, currency TEXT, available INTEGER NOT NULL DEFAULT 0, pending INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (account, currency));
CREATE TABLE IF NOT EXISTS due (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, what TEXT NOT NULL, account TEXT NOT NULL,
    subject TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS by_time ON due (at, seq);
CREATE TABLE IF NOT EXISTS answers (
    account TEXT, key TEXT, fingerprint TEXT NOT NULL, status INTEGER NOT NULL, body BLOB NOT NULL,
    request TEXT NOT NULL, created REAL NOT NULL, PRIMARY KEY (account, key));
CREATE INDEX IF NOT EXISTS by_age ON answers (created);
CREATE TABLE IF NOT EXISTS deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL, endpoint TEXT NOT NULL, state TEXT NOT NULL,
    due REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, first REAL NOT NULL, changes TEXT NOT NULL,
    counted INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS by_due ON deliveries (state, due, id);
CREATE INDEX IF NOT EXISTS by_event ON deliveries (event, state);
CREATE TABLE IF NOT EXISTS log (id INTEGER PRIMARY KEY AUTOINCREMENT, entry TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_TABLES = ("objects", "funds", "due", "answers", "deliveries", "log", "meta")


class Store:
    """One file; used by one thread."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.db = sqlite3.connect(path, isolation_level=None, cached_statements=512, check_same_thread=False)
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = OFF")  # a killed process loses nothing; a dead machine may
        self.db.executescript(_SCHEMA)
        for name in INDEXED:
            self.db.execute(
                f"CREATE INDEX IF NOT EXISTS by{name} ON objects (kind, json_extract(body, '$.{name}'))"
                f" WHERE json_extract(body, '$.{name}') IS NOT NULL"
            )

    def empty(self) -> None:
        """Forget everything."""
        with self.transaction():
            for name in _TABLES:
                self.db.execute(f"DELETE FROM {name}")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit at the end, or nothing."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Undo what the block wrote when it raises, inside a transaction."""
        self.db.execute("SAVEPOINT attempt")
        try:
            yield
        except BaseException:
            self.db.execute("ROLLBACK TO attempt")
            raise
        finally:
            self.db.execute("RELEASE attempt")

    # Objects

    def add(self, *, account: str, kind: str, body: dict[str, Any]) -> None:
        self.db.execute(
            "INSERT INTO objects (id, account, kind, created, body) VALUES (?, ?, ?, ?, ?)",
            (body["id"], account, kind, body.get("created", 0), text(body)),
        )

    def save(self, body: dict[str, Any]) -> None:
        self.db.execute("UPDATE objects SET body = ? WHERE id = ?", (text(body), body["id"]))

    def remove(self, id: str) -> None:
        self.db.execute("DELETE FROM objects WHERE id = ?", (id,))

    def find(self, *, account: str, id: str) -> dict[str, Any] | None:
        row = self.db.execute(
            "SELECT body FROM objects WHERE id = ? AND account = ?", (id, account)
        ).fetchone()
        return msgspec.json.decode(row[0]) if row else None

    def position(self, *, account: str, kind: str, id: str) -> int | None:
        row = self.db.execute(
            "SELECT seq FROM objects WHERE id = ? AND account = ? AND kind = ?", (id, account, kind)
        ).fetchone()
        return row[0] if row else None

    def select(
        self, *, account: str, kind: str, where: str = "", values: tuple[Any, ...] = (), order: str = "DESC",
        limit: int = -1,
    ) -> list[dict[str, Any]]:  # fmt: skip
        rows = self.db.execute(
            f"SELECT body FROM objects WHERE account = ? AND kind = ? {where} ORDER BY seq {order} LIMIT ?",
            (account, kind, *values, limit),
        )
        return [msgspec.json.decode(row[0]) for row in rows]

    # Small values

    def value(self, name: str, default: Any = None) -> Any:
        row = self.db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return msgspec.json.decode(row[0]) if row else default

    def keep(self, name: str, value: Any) -> None:
        self.db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, text(value)))


def text(value: Any) -> str:
    """Return the value as JSON."""
    return msgspec.json.encode(value).decode()
