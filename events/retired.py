"""Files of months that were dropped: one Parquet file per table and month, every row with its sealed digest. And what
is kept of them in sums."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import pyarrow.parquet as parquet

from events.store import Cursor

DIGEST_COLUMN: Final = "sealed_digest"
_FILES: Final = "SELECT table_name, file FROM retired_months ORDER BY table_name, month"
_MONTHS: Final = "SELECT month, file FROM retired_months WHERE table_name = %s ORDER BY month"


@dataclass(frozen=True, slots=True)
class Summary:
    """Statements that add up a month of a table before it is dropped, run by the owner: `{partition}` is the month's
    table, %(month)s its first day."""

    table: str
    statements: tuple[str, ...]


_summaries: list[Summary] = []


def register_summary(summary: Summary) -> None:
    """Add a summary; an app does so in `ready()`."""
    _summaries.append(summary)


def summaries(table: str) -> Iterable[str]:
    """Return the statements that add up a month of a table."""
    return [statement for each in _summaries if each.table == table for statement in each.statements]


def retired_files(cur: Cursor, table: str) -> list[tuple[date, Path]]:
    """Return the months of a table that were retired, with their files."""
    return [(month, Path(file)) for month, file in cur.execute(_MONTHS, (table,)).fetchall()]


class RetiredRows:
    """Ids and digests of the rows in the files of retired months, read when first asked for."""

    def __init__(self, cur: Cursor) -> None:
        self._cur = cur
        self._files: dict[str, list[str]] | None = None
        self._digests: dict[str, dict[bytes, bytes]] = {}

    def holds(self, table: str, key: bytes, digest: bytes) -> bool:
        """Say whether a row of a table stands, as it was sealed, in the file of a retired month."""
        if table not in self._digests:
            self._digests[table] = self._read(table)
        return self._digests[table].get(key) == digest

    def _read(self, table: str) -> dict[bytes, bytes]:
        if self._files is None:
            self._files = {}
            for name, file in self._cur.execute(_FILES).fetchall():
                self._files.setdefault(name, []).append(file)
        found: dict[bytes, bytes] = {}
        for file in self._files.get(table, []):
            found.update(_digests_of(Path(file)))
        return found


def _digests_of(file: Path) -> dict[bytes, bytes]:
    if not file.exists():
        return {}
    rows = parquet.read_table(file, columns=["id", DIGEST_COLUMN])
    return dict(zip(rows["id"].to_pylist(), rows[DIGEST_COLUMN].to_pylist(), strict=True))
