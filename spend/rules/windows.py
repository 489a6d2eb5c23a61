"""Windows of budgets: the calendar period, bucket or lifetime that a moment falls into. Pure, on the hot path.

Calendar boundaries are local midnights (or hours) of the budget's zone. A boundary in a gap moves to the first instant
after it; one that exists twice is the earlier. Windows tile the time line: each moment is in exactly one.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

WINDOW_KINDS = (
    "hour", "day", "week", "month", "quarter", "year", "billing_cycle", "rolling", "run", "lifetime",
)  # fmt: skip
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ROLLING_BUCKETS = 60
RESOLUTION = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Window:
    """[start, end) in UTC; end None: it never ends."""

    start: datetime
    end: datetime | None


ALWAYS = Window(EPOCH, None)
_recent: dict[tuple[str, str, int], Window] = {}


def window_at(kind: str, moment: datetime, zone: ZoneInfo, *, rolling_seconds: int | None = None) -> Window:
    """Return the window of this kind (of limits also minute) that contains the moment; of a rolling one its bucket."""
    if kind in ("run", "lifetime"):
        return ALWAYS
    if kind == "rolling":
        return _bucket(moment, rolling_seconds or ROLLING_BUCKETS)
    if kind == "minute":
        start = moment.astimezone(UTC).replace(second=0, microsecond=0)
        return Window(start, start + timedelta(minutes=1))
    name = (kind, zone.key, 0)
    known = _recent.get(name)
    if known is not None and known.start <= moment and known.end is not None and moment < known.end:
        return known
    window = _calendar(kind, moment, zone)
    _recent[name] = window
    return window


def bucket_seconds(rolling_seconds: int) -> int:
    """Return the length of a rolling budget's buckets: a sixtieth of it, at least a second."""
    return max(1, rolling_seconds // ROLLING_BUCKETS)


def first_bucket_at(moment: datetime, rolling_seconds: int) -> datetime:
    """Return the start of the oldest bucket that still counts: one leaves when it is wholly outside (strict side)."""
    return _bucket(moment - timedelta(seconds=rolling_seconds), rolling_seconds).start


def rolling_reset(bucket_end: datetime, rolling_seconds: int) -> datetime:
    """Return when a bucket no longer counts: its end lies a whole rolling period back."""
    return bucket_end + timedelta(seconds=rolling_seconds)


def _bucket(moment: datetime, rolling_seconds: int) -> Window:
    length = bucket_seconds(rolling_seconds)
    number = int((moment - EPOCH) // timedelta(seconds=length))
    start = EPOCH + timedelta(seconds=number * length)
    return Window(start, start + timedelta(seconds=length))


def _calendar(kind: str, moment: datetime, zone: ZoneInfo) -> Window:
    if kind == "hour":
        return _hour(moment, zone)
    local = moment.astimezone(zone)
    start = _period_start(kind, local.replace(tzinfo=None))
    end = _next_start(kind, start)
    window = Window(first_instant(start, zone), first_instant(end, zone))
    if moment < window.start:  # the moment lies in the second pass of a repeated hour before a boundary
        previous = _period_start(kind, start - timedelta(seconds=1))
        return Window(first_instant(previous, zone), window.start)
    if window.end is not None and moment >= window.end:
        return Window(window.end, first_instant(_next_start(kind, end), zone))
    return window


def _hour(moment: datetime, zone: ZoneInfo) -> Window:
    """An hour of the wall clock: offsets that are not whole hours shift it, a repeated hour is an hour of its own."""
    shift = _minutes(moment, zone)
    number = (moment + shift - EPOCH) // timedelta(hours=1)
    start = EPOCH + timedelta(hours=number) - shift
    end = start + timedelta(hours=1)
    # Where the clocks change by half an hour, the hours before and after it would overlap: both end at the change.
    if _minutes(start, zone) != shift:
        start = _change(start, moment, zone, moment.astimezone(zone).utcoffset())
    if _minutes(end - RESOLUTION, zone) != shift:
        end = _change(moment, end, zone, (end - RESOLUTION).astimezone(zone).utcoffset())
    return Window(start, end)


def _minutes(moment: datetime, zone: tzinfo) -> timedelta:
    offset = moment.astimezone(zone).utcoffset() or timedelta()
    return timedelta(seconds=offset.total_seconds() % 3600)


def _change(low: datetime, high: datetime, zone: tzinfo, offset: timedelta | None) -> datetime:
    """Return the first instant after `low`, at the latest `high`, with this offset (zones change on a second)."""
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        low, high = (low, middle) if middle.astimezone(zone).utcoffset() == offset else (middle, high)
    return high.replace(microsecond=0)


def _period_start(kind: str, local: datetime) -> datetime:
    day = local.replace(hour=0, minute=0, second=0, microsecond=0)
    if kind == "week":
        return day - timedelta(days=day.weekday())
    if kind in ("month", "billing_cycle"):
        return day.replace(day=1)
    if kind == "quarter":
        return day.replace(day=1, month=(day.month - 1) // 3 * 3 + 1)
    if kind == "year":
        return day.replace(day=1, month=1)
    return day


def _next_start(kind: str, start: datetime) -> datetime:
    if kind == "day":
        return start + timedelta(days=1)
    if kind == "week":
        return start + timedelta(days=7)
    months = {"month": 1, "billing_cycle": 1, "quarter": 3, "year": 12}[kind]
    number = start.year * 12 + start.month - 1 + months
    return start.replace(year=number // 12, month=number % 12 + 1)


@lru_cache(maxsize=4096)
def first_instant(local: datetime, zone: tzinfo) -> datetime:
    """Return the instant of a local wall time: the earlier of two, and the first after a gap."""
    early = local.replace(tzinfo=zone, fold=0)
    instant = early.astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == local:
        return instant
    # Read with the offset from before the gap the time lies after the change, read with the one from after it before.
    offsets = [local.replace(tzinfo=zone, fold=fold).utcoffset() or timedelta() for fold in (0, 1)]
    low, high = ((local - offset).replace(tzinfo=UTC) for offset in (max(offsets), min(offsets)))
    return _change(low, high, zone, high.astimezone(zone).utcoffset())
