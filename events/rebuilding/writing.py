"""Write a chunk's statements while the next chunk is being projected: the projectors' statements are collected and
sent by another thread, in their order, every parameter a column as an array literal."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import count
from typing import Any, Final

import psycopg

from events.database import Connection

_PARAMETER: Final = re.compile(r"%s(?:::(\w+)\[\])?")
# The text of these types holds nothing that an array literal must quote.
_PLAIN: Final = frozenset(
    {"uuid", "int", "integer", "bigint", "smallint", "boolean", "timestamptz", "date", "numeric"}
)

Statement = tuple[str, Sequence[Any]]


class Collector:
    """Looks like a cursor to a projector; keeps what it executes. Projectors of events read nothing."""

    def __init__(self) -> None:
        self.statements: list[Statement] = []

    def execute(self, statement: str, columns: Sequence[Any]) -> None:
        """Keep a statement whose every parameter is a column."""
        self.statements.append((statement, columns))


def write(session: Connection, statements: Iterable[Statement]) -> None:
    """This function will run statements in their order, in one transaction."""
    with session.transaction():
        cur = psycopg.RawCursor(session)
        for statement, columns in statements:
            text, types = _prepared(statement)
            literals = [_literal(kind, column) for kind, column in zip(types, columns, strict=True)]
            cur.execute(text, literals, prepare=True)


@lru_cache(maxsize=256)
def _prepared(statement: str) -> tuple[bytes, tuple[str, ...]]:
    types = tuple(found[1] or "text" for found in _PARAMETER.finditer(statement))
    numbers = count(1)

    def numbered(found: re.Match[str]) -> str:
        return f"${next(numbers)}" + (f"::{found[1]}[]" if found[1] else "")

    return _PARAMETER.sub(numbered, statement).encode(), types


def _literal(kind: str, column: Iterable[Any]) -> str:
    if kind in _PLAIN:
        parts = ["NULL" if value is None else value if type(value) is str else str(value) for value in column]
    else:
        parts = [
            "NULL" if value is None
            else f'"{value}"' if type(value) is str and '"' not in value and "\\" not in value
            else _quoted(value)
            for value in column
        ]  # fmt: skip
    return "{" + ",".join(parts) + "}"


def _quoted(value: Any) -> str:
    if isinstance(value, bytes):
        return '"\\\\x' + value.hex() + '"'
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
