"""A statement whose parameters are columns, with what becomes of its rows: several of them share a round trip."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from events.writer import array_literal

Rows = list[tuple[Any, ...]]


def _nothing(_: Rows) -> None:
    """What becomes of rows that nobody wants."""


class Question(msgspec.Struct, frozen=True):
    """A statement with PostgreSQL's own placeholders, its parameters, and who takes the rows.

    Parameters are texts, or binary where they are bytes. Rows come with ids and JSON as text, and with numbers and
    times as values.
    """

    statement: bytes
    parameters: Sequence[str | bytes] = ()
    collect: Callable[[Rows], None] = _nothing


def question(
    statement: bytes, kinds: Sequence[str], columns: Sequence[Sequence[Any]], collect: Callable[[Rows], None]
) -> Question:
    """Return the question whose parameters are these columns, arrays of the types `kinds`."""
    parameters = [array_literal(kind, column) for kind, column in zip(kinds, columns, strict=True)]
    return Question(statement, parameters, collect)
