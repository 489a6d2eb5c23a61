"""Columns as PostgreSQL's binary arrays, which the server takes as they stand instead of reading each character.

Only for what is dearer as text for both: one id many times, integers, times, booleans, JSON and bytes. Anything else
is written by `events.writer.array_literal`, so that what is wrong with a value is told by the server as it always was.
"""

import struct
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

_HEAD: Final = struct.Struct(
    "!iiIii"
).pack  # dimensions, whether there are nulls, element type, length, lower bound
_LENGTH: Final = struct.Struct("!i").pack
_NULL: Final = b"\xff\xff\xff\xff"
_BOOLEANS: Final = {None: _NULL, True: b"\0\0\0\x01\x01", False: b"\0\0\0\x01\0"}
_ID: Final = b"\0\0\0\x10"  # the length of an id
_ID_LENGTH: Final = 36
_ID_BYTES: Final = 16
FEWEST: Final = 4
"""Rows from which on it pays; for fewer the text is as quick for the server, and quicker to write."""
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_INTEGERS: Final = {"bigint": (8, "q"), "int": (4, "i"), "integer": (4, "i"), "smallint": (2, "h")}
_UNUSUAL: Final = (TypeError, ValueError, KeyError, AttributeError, struct.error)
"""What a value raises that is not of the type that is usual in its column."""
_TYPES: Final = {
    "uuid": 2950, "bigint": 20, "int": 23, "integer": 23, "smallint": 21, "boolean": 16, "timestamptz": 1184,
    "json": 114, "bytea": 17,
}  # fmt: skip
"""The server's numbers of the types that are written here; they are the same in every version."""


def binary_array(kind: str, values: Sequence[Any]) -> bytes | None:
    """Return a column of this type as a binary array; None when it is to be written as text."""
    oid = _TYPES.get(kind)
    if oid is None or len(values) < FEWEST:
        return None
    count = values.count(None)
    if count == len(values):
        return _HEAD(1, 1, oid, count, 1) + _NULL * count
    try:
        body = _written(kind, values, has_nulls=bool(count))
    except _UNUSUAL:
        return None
    return None if body is None else _HEAD(1, 1 if count else 0, oid, len(values), 1) + body


def _written(kind: str, values: Sequence[Any], *, has_nulls: bool) -> bytes | None:
    if kind == "uuid":
        return None if has_nulls else _ids(values)
    if kind in _INTEGERS:
        return _integers(*_INTEGERS[kind], values, has_nulls=has_nulls)
    if kind == "timestamptz":
        return _times(values)
    if kind == "boolean":
        return b"".join([_BOOLEANS[value] for value in values])
    return _texts(values) if kind == "json" else _bytes(values)


def _ids(values: Sequence[str]) -> bytes | None:
    """A column of one id only: reading many costs here what it saves there."""
    first = values[0]
    if len(first) != _ID_LENGTH or values.count(first) != len(values):
        return None
    written = bytes.fromhex(first.replace("-", ""))
    return (_ID + written) * len(values) if len(written) == _ID_BYTES else None


def _integers(size: int, code: str, values: Sequence[Any], *, has_nulls: bool) -> bytes:
    if has_nulls:
        pack = struct.Struct("!i" + code).pack
        return b"".join([_NULL if value is None else pack(size, value) for value in values])
    given = [size] * (2 * len(values))
    given[1::2] = values
    return _packer(code, len(values))(*given)


@lru_cache(maxsize=1_024)
def _packer(code: str, count: int) -> Callable[..., bytes]:
    return struct.Struct("!" + ("i" + code) * count).pack


def _times(values: Sequence[datetime | None]) -> bytes:
    return b"".join([_NULL if value is None else _time(value) for value in values])


@lru_cache(maxsize=2_048)  # a transaction has one moment for each organization, in a dozen columns
def _time(value: datetime) -> bytes:
    return b"\0\0\0\x08" + ((value - _EPOCH) // _MICROSECOND).to_bytes(8, "big", signed=True)


def _texts(values: Sequence[str | None]) -> bytes:
    return _bytes([None if value is None else value.encode() for value in values])


def _bytes(values: Sequence[bytes | None]) -> bytes:
    parts: list[bytes] = []
    for value in values:
        if value is None:
            parts.append(_NULL)
        else:
            parts += (_LENGTH(len(value)), value)
    return b"".join(parts)
