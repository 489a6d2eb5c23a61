"""Writes in bulk: columns as array literals, and many statements as one.

A column is written as the text of an array by the type that its statement names (`%s::uuid[]`): that costs a tenth of
what the driver takes for a list. A round trip, a parse and an executor start cost more than the few rows that a call
writes, so what the projectors of a batch execute is collected and sent as data-modifying CTEs. Each collected statement
stands for itself: it sees the rows as they were before the whole, so no two of them may touch the same row; the
projectors keep to that, since they first add up all that happens to a row.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

import psycopg

from events.binary import binary_array

_PARAMETER: Final = re.compile(r"%s(?:::(\w+)\[\])?")
# The text of these types holds nothing that an array literal must quote.
_PLAIN: Final = frozenset(
    {"uuid", "int", "integer", "bigint", "smallint", "boolean", "timestamptz", "date", "numeric"}
)
_NUMBERS: Final = frozenset({"int", "integer", "bigint", "smallint"})
_BETWEEN: Final = "\x1f"
_WRITTEN: Final = frozenset({str, int, bool, UUID, datetime, type(None)})
"""What `array_literal` writes as the driver would."""
Statement = tuple[str, Sequence[Iterable[Any]]]


def array_literal(kind: str, column: Iterable[Any]) -> str:
    """Return a column of this type as PostgreSQL writes an array.

    Ids (also as text), integers, booleans, times, text (also that of JSON and of arrays), bytes, and None.
    """
    values = column if isinstance(column, (list, tuple)) else list(column)
    if kind in _NUMBERS:  # the text of a list of integers is nearly that of an array
        return "{" + str(list(values))[1:-1].replace("None", "NULL") + "}"
    if not values or (values[0] is None and values.count(None) == len(values)):
        return "{" + ",".join(["NULL"] * len(values)) + "}"
    try:
        return "{" + (",".join(values) if kind in _PLAIN else _quoted_at_once(values)) + "}"
    except TypeError:  # not all of them are texts
        return "{" + ",".join(_written(kind, values)) + "}"


def _quoted_at_once(values: Sequence[str]) -> str:
    """Many texts are quoted in one go, with a character between them that hardly any text holds."""
    text = _BETWEEN.join(values)
    if text.count(_BETWEEN) != len(values) - 1:
        return ",".join(map(_quoted, values))
    if "\\" in text:
        text = text.replace("\\", "\\\\")
    if '"' in text:
        text = text.replace('"', '\\"')
    return '"' + text.replace(_BETWEEN, '","') + '"'


def _written(kind: str, values: Sequence[Any]) -> list[str]:
    if kind not in _PLAIN:
        return ["NULL" if value is None else _quoted(value) for value in values]
    parts: list[str] = []
    last, text = None, "NULL"
    for value in values:  # of a batch most times are one and the same
        if value is not last:
            last, text = value, "NULL" if value is None else str(value)
        parts.append(text)
    return parts


def _quoted(value: Any) -> str:
    if type(value) is not str:
        return '"\\\\x' + value.hex() + '"' if isinstance(value, bytes) else f'"{value}"'
    if '"' not in value and "\\" not in value:
        return f'"{value}"'
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


@lru_cache(maxsize=256)
def parameter_types(statement: str) -> tuple[str, ...]:
    """Return the element type of each parameter of a statement whose parameters are all columns."""
    return tuple(found[1] or "text" for found in _PARAMETER.finditer(statement))


def literals(statement: str, columns: Sequence[Iterable[Any]]) -> list[str]:
    """Return the statement's parameters as array literals."""
    types = parameter_types(statement)
    return [array_literal(kind, column) for kind, column in zip(types, columns, strict=True)]


def numbered(statement: str, first: int = 1) -> str:
    """Return the statement with PostgreSQL's own placeholders, counted from `first`."""
    number = first - 1

    def placeholder(found: re.Match[str]) -> str:
        nonlocal number
        number += 1
        return f"${number}" + (f"::{found[1]}[]" if found[1] else "")

    return _PARAMETER.sub(placeholder, statement)


@lru_cache(maxsize=512)
def _combined(statements: tuple[str, ...]) -> bytes:
    parts, first = [], 1
    for place, statement in enumerate(statements):
        parts.append(f"w{place} AS ({numbered(statement, first)})")
        first += len(parameter_types(statement))
    return ("WITH " + ",\n".join(parts) + "\nSELECT 1").encode()


class Collector:
    """Looks like a cursor to a projector and keeps what it executes. Projectors of events read nothing."""

    def __init__(self) -> None:
        self.statements: list[Statement] = []

    def execute(self, statement: str, columns: Sequence[Iterable[Any]]) -> None:
        """Keep a statement whose every parameter is a column."""
        self.statements.append((statement, columns))

    def combined(self) -> tuple[bytes, list[str | bytes]] | None:
        """Return what was collected as one statement with its parameters, binary where that pays; None when that is
        nothing.
        """
        if not self.statements:
            return None
        parameters: list[str | bytes] = []
        for statement, columns in self.statements:
            for kind, column in zip(parameter_types(statement), columns, strict=True):
                values = column if isinstance(column, (list, tuple)) else list(column)
                binary = binary_array(kind, values)
                parameters.append(array_literal(kind, values) if binary is None else binary)
        return _combined(tuple(statement for statement, _ in self.statements)), parameters


class Literals:
    """Hands what projectors execute to a cursor, columns as array literals where their values are plain."""

    def __init__(self, cur: psycopg.Cursor[Any]) -> None:
        self._cur = cur

    def execute(self, statement: str, columns: Sequence[Any] = ()) -> psycopg.Cursor[Any]:
        """Execute a statement; parameters that are not plain columns are left to the driver."""
        types = parameter_types(statement)
        if len(types) != len(columns):
            return self._cur.execute(statement, columns)
        given = [
            array_literal(kind, column) if isinstance(column, list) and _is_plain(column) else column
            for kind, column in zip(types, columns, strict=True)
        ]
        return self._cur.execute(statement, given)

    def fetchall(self) -> list[Any]:
        """Return the rows of the last statement."""
        return self._cur.fetchall()


def _is_plain(column: list[Any]) -> bool:
    return _WRITTEN.issuperset(map(type, column))
