"""Calendar months of a time zone: the accounting months of a customer's books. Pure. A month is its first day."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Final

from common.errors import InvalidField
from common.localtime import boundary_instant, local_time

_MONTH: Final = re.compile(r"(19[7-9][0-9]|[2-9][0-9]{3})-(0[1-9]|1[0-2])", re.ASCII)
_MICROSECOND: Final = timedelta(microseconds=1)


def parse_month(value: object, *, pointer: str = "") -> date:
    """Return the month of a text such as 2026-03. Raises InvalidField."""
    found = _MONTH.fullmatch(value) if type(value) is str else None
    if found is None or found.group(1) == "9999":
        raise InvalidField("A month is written as 2026-03.", pointer=pointer)
    return date(int(found.group(1)), int(found.group(2)), 1)


def month_text(month: date) -> str:
    """Return a month as people write it, such as 2026-03."""
    return f"{month:%Y-%m}"


def next_month(month: date) -> date:
    """Return the month after."""
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def previous_month(month: date) -> date:
    """Return the month before."""
    return (month - timedelta(days=1)).replace(day=1)


def month_of(moment: datetime, *, zone: str) -> date:
    """Return the month that a moment is in where the books are."""
    return local_time(moment, zone=zone).date().replace(day=1)


def month_start(month: date, *, zone: str) -> datetime:
    """Return the first instant of a month."""
    return boundary_instant(datetime(month.year, month.month, 1), zone=zone).astimezone(UTC)  # noqa: DTZ001


def month_end(month: date, *, zone: str) -> datetime:
    """Return the instant at which a month is over: the first of the next one."""
    return month_start(next_month(month), zone=zone)


def last_instant(end: datetime) -> datetime:
    """Return the last instant before an end, as fine as the database keeps time."""
    return end - _MICROSECOND
