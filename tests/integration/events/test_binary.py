"""A column that is written in binary is, to the server, the column that its text is."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.conf import settings

from events.binary import binary_array
from events.writer import array_literal

ID = "0192f0c4-5d3e-7a1b-8c2d-1234567890ab"
MOMENT = datetime(2026, 11, 28, 2, 55, 1, 123_456, tzinfo=UTC)
LONG = '{"text":"' + 'a\\"b\\\\ é 𝄞 {x,y} ' * 500 + '"}'
FIRST_AND_LAST = [datetime(1, 1, 1, tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]
COLUMNS: list[tuple[str, list[Any]]] = [
    ("uuid", [ID] * 4),
    ("uuid", [None] * 4),
    ("bigint", [0, 1, -1, 2**63 - 1, -(2**63)]),
    ("bigint", [None, 5, None, -5]),
    ("int", [2**31 - 1, -(2**31), 0, 1]),
    ("integer", [7, None, 8, 9]),
    ("smallint", [2**15 - 1, -(2**15), None, 0]),
    ("boolean", [True, False, None, True]),
    ("timestamptz", [MOMENT, MOMENT, None, MOMENT + timedelta(microseconds=1)]),
    ("timestamptz", [*FIRST_AND_LAST, *FIRST_AND_LAST]),
    ("timestamptz", [datetime(2026, 3, 29, 3, 30, tzinfo=timezone(timedelta(hours=5, minutes=45)))] * 4),
    ("json", ["{}", LONG, None, "[1,2]", '"x"']),
    ("bytea", [b"", b'\0\xff{},"\\', None, b"x"]),
]
LEFT_TO_TEXT: list[tuple[str, list[Any]]] = [
    ("text", ["a", None, "b", "c"]),
    ("numeric", [1, 2, 3, 4]),
    ("uuid", []),
    ("bigint", [1, 2, 3]),
    ("uuid", [ID, ID, ID, "f" * 8 + ID[8:]]),
    ("uuid", [ID, None, ID, ID]),
    ("uuid", [UUID(ID)] * 4),
    ("uuid", [ID[:-1]] * 4),
    ("uuid", [ID[:-2] + "zz"] * 4),
    ("uuid", [ID[:-2] + "--"] * 4),
    ("bigint", [1, "2", 3, 4]),
    ("bigint", [1, 2, 3, 2**63]),
    ("int", [2**31, None, 3, 4]),
    ("bigint", [Decimal(1)] * 4),
    ("boolean", [True, "false", True, True]),
    ("timestamptz", [MOMENT, "2026-11-28T00:00:00Z", MOMENT, MOMENT]),
    ("timestamptz", [datetime(2026, 11, 28)] * 4),  # noqa: DTZ001  (a time without a zone is none)
    ("json", [{"a": 1}] * 4),
    ("bytea", ["text"] * 4),
]


def name_of(given: Any) -> str:
    return given if isinstance(given, str) else str(given)[:30]


@pytest.fixture(scope="module")
def connection() -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(settings.GATE_DATABASE_URL, autocommit=True) as opened:
        yield opened


def read_back(
    connection: psycopg.Connection[Any], kind: str, written: bytes, written_as: int
) -> bytes | None:
    """The array as the server writes it, or its refusal."""
    asked = f"SELECT $1::{kind}[]::text".encode()
    result = connection.pgconn.exec_params(asked, [written], None, [written_as])
    return result.get_value(0, 0) if result.ntuples else result.error_message


@pytest.mark.parametrize(("kind", "column"), COLUMNS, ids=name_of)
def test_a_binary_column_is_what_its_text_is(
    connection: psycopg.Connection[Any], kind: str, column: list[Any]
) -> None:
    binary = binary_array(kind, column)
    assert binary is not None
    found = read_back(connection, kind, binary, 1)
    assert found == read_back(connection, kind, array_literal(kind, column).encode(), 0)
    assert found is not None
    assert found.startswith(b"{")


@pytest.mark.parametrize(("kind", "column"), LEFT_TO_TEXT, ids=name_of)
def test_a_column_with_an_unusual_value_is_left_to_its_text(kind: str, column: list[Any]) -> None:
    assert binary_array(kind, column) is None
