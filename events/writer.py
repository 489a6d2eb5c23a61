"""Many writes as one statement: what the projectors of a batch execute is collected and sent as data-modifying CTEs.

A round trip, a parse and an executor start cost more than the few rows that a call writes. Each collected statement
stands for itself: it sees the rows as they were before the whole, so no two of them may touch the same row; the
projectors keep to that, since they first add up all that happens to a row.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import psycopg

_PLACEHOLDER = re.compile(r"%s")
_NEEDS_QUOTES = re.compile(r'[\s{}",\\]|^$|^null$', re.IGNORECASE)


def array_literal(values: Iterable[Any]) -> str:
    """Return a list as PostgreSQL writes an array: ids, integers, booleans, times, text, JSON text, bytes, None.

    Raises KeyError for any other type.
    """
    return "{" + ",".join([_WRITERS[type(value)](value) for value in values]) + "}"


def _text(value: str) -> str:
    if _NEEDS_QUOTES.search(value):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return value


_WRITERS: dict[type, Callable[[Any], str]] = {
    type(None): lambda _: "NULL",
    str: _text,
    int: str,
    UUID: str,
    bool: lambda value: "t" if value else "f",
    bytes: lambda value: '"\\\\x' + value.hex() + '"',
    datetime: datetime.isoformat,
}


@lru_cache(maxsize=512)
def _combined(statements: tuple[str, ...]) -> bytes:
    number = 0

    def numbered(found: re.Match[str]) -> str:
        nonlocal number
        number += 1
        return f"${number}"

    parts = [f"w{i} AS ({_PLACEHOLDER.sub(numbered, sql)})" for i, sql in enumerate(statements)]
    return ("WITH " + ",\n".join(parts) + "\nSELECT 1").encode()


class Writer:
    """Looks like a cursor to a projector; nothing is sent before `flush`."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._cursor = psycopg.RawCursor(connection)
        self._statements: list[str] = []
        self._parameters: list[str] = []

    def execute(self, statement: str, columns: Sequence[Iterable[Any]]) -> None:
        """Collect a statement whose every parameter is a column (an array)."""
        self._statements.append(statement)
        self._parameters += [array_literal(column) for column in columns]

    def flush(self) -> None:
        """Send what was collected as one statement, in the transaction of the connection."""
        if self._statements:
            self._cursor.execute(_combined(tuple(self._statements)), self._parameters, prepare=True)
            self._statements, self._parameters = [], []
