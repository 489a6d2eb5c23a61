"""Local wall times with a time zone: the ones that exist twice, and the ones that do not exist.

A time given by a caller that does not exist is refused. A recurring boundary that falls into a gap moves to
the first instant after it. A time that exists twice means the earlier instant.
"""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from common.errors import InvalidField, NonexistentLocalTime


def parse_zone(value: object) -> str:
    """The name of a time zone of the IANA database, such as Europe/Berlin. Raises InvalidField."""
    if type(value) is not str or value not in _zone_names():
        raise InvalidField("A time zone is a name of the IANA database, such as Europe/Berlin or UTC.")
    return value


def exact_instant(local: dt.datetime, *, zone: str) -> dt.datetime:
    """The instant (UTC) of a caller's local wall time. Raises NonexistentLocalTime inside a gap."""
    instant = _first_reading(local, zone)
    if _local(instant, zone) != local:
        raise NonexistentLocalTime
    return instant


def boundary_instant(local: dt.datetime, *, zone: str) -> dt.datetime:
    """The instant (UTC) of a recurring local boundary; inside a gap, the first instant after it."""
    instant = _first_reading(local, zone)
    if _local(instant, zone) == local:
        return instant
    return _end_of_gap(local, zone)


def local_time(instant: dt.datetime, *, zone: str) -> dt.datetime:
    """The wall time of an instant in a zone, without offset."""
    return _local(instant, zone)


def _first_reading(local: dt.datetime, zone: str) -> dt.datetime:
    return local.replace(tzinfo=ZoneInfo(zone), fold=0).astimezone(dt.UTC)


def _local(instant: dt.datetime, zone: str) -> dt.datetime:
    return instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)


def _end_of_gap(local: dt.datetime, zone: str) -> dt.datetime:
    """The offset before the gap (fold 0) reads a local time of the gap too late, the one after it (fold 1)
    too early: the change lies between the two readings. Offsets change on whole seconds.
    """
    late = _first_reading(local, zone)
    early = local.replace(tzinfo=ZoneInfo(zone), fold=1).astimezone(dt.UTC)
    low, high = int(early.timestamp()), int(late.timestamp())
    before = early.astimezone(ZoneInfo(zone)).utcoffset()
    while high - low > 1:
        middle = (low + high) // 2
        offset = dt.datetime.fromtimestamp(middle, tz=ZoneInfo(zone)).utcoffset()
        low, high = (middle, high) if offset == before else (low, middle)
    return dt.datetime.fromtimestamp(high, tz=dt.UTC)


@lru_cache(maxsize=1)
def _zone_names() -> frozenset[str]:
    return frozenset(available_timezones() - {"Factory", "localtime"})
