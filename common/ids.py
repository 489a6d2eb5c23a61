"""Ids: UUIDs of version 7, made here and nowhere else, so that an id names the month of its row."""

from __future__ import annotations

import datetime as dt
import functools
import re
import uuid

import uuid_utils
from uuid_utils.compat import uuid7

from common.errors import InvalidId

AnyId = uuid.UUID | str
"""An id as a value or as its canonical text. The gate works with texts alone: they cost a fraction."""

_CANONICAL = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIMESTAMP_SHIFT = 80


def new_id() -> uuid.UUID:
    """A new id of version 7: its first 48 bits are the milliseconds of the wall clock."""
    return uuid7()


def new_id_text() -> str:
    """A new id of version 7 as its canonical text."""
    return str(uuid_utils.uuid7())


@functools.lru_cache(maxsize=4_096)
def known_text(identifier: uuid.UUID) -> str:
    """The canonical text of an id that comes again and again, such as that of a price."""
    return str(identifier)


def parse_id(text: object) -> uuid.UUID:
    """The id, when the text is its canonical form (lower case, hyphens, ASCII). Raises InvalidId."""
    if type(text) is not str or len(text) != 36 or not _CANONICAL.fullmatch(text):
        raise InvalidId
    return uuid.UUID(text)


def uuid7_time(identifier: uuid.UUID) -> dt.datetime:
    """The time at which an id was made (UTC, to the millisecond). Raises ValueError for another version."""
    if identifier.version != 7:
        raise ValueError(f"{identifier} is not of version 7")
    milliseconds = identifier.int >> _TIMESTAMP_SHIFT
    return dt.datetime.fromtimestamp(milliseconds // 1000, tz=dt.UTC) + dt.timedelta(
        milliseconds=milliseconds % 1000
    )


def uuid7_month(identifier: uuid.UUID) -> dt.date:
    """The first day of the month (UTC) in which an id was made: the partition of its row.

    Raises ValueError for an id of another version.
    """
    return uuid7_time(identifier).date().replace(day=1)
