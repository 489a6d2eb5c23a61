"""How fast money goes: sliding windows over spend by minute (S57).

A window of n minutes ends now, so it begins within a minute: it holds the running minute, the n - 1 whole ones before
it, and of the minute in which it began the part that still lies in it, as if that minute's spend were spread evenly.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from common.money import round_half_up

MINUTE: Final = timedelta(minutes=1)
WINDOWS: Final = (1, 5, 60)
"""The windows of a burn rate, in minutes."""


class Slices(NamedTuple):
    """Spend that a window of minutes holds whole, and that of the minute in which it began. Units."""

    whole: int
    first: int


class BurnRate(NamedTuple):
    """Units of money per minute over the last 1, 5 and 60 minutes."""

    one: int
    five: int
    sixty: int


STILL: Final = BurnRate(0, 0, 0)


def minute_of(moment: datetime) -> datetime:
    """Return the beginning of a moment's minute."""
    return moment.astimezone(UTC).replace(second=0, microsecond=0)


def spent_within(slices: Slices, now: datetime) -> int:
    """Return what a window that ends now has spent, in units, rounded half up."""
    left = MINUTE - (now - minute_of(now))
    return slices.whole + round_half_up(slices.first * (left // timedelta(microseconds=1)), 60_000_000)


def burn_rate(windows: Sequence[Slices], now: datetime) -> BurnRate:
    """Return the money per minute of the windows of WINDOWS, in units, rounded half up."""
    one, five, sixty = (
        round_half_up(spent_within(slices, now), minutes)
        for slices, minutes in zip(windows, WINDOWS, strict=True)
    )
    return BurnRate(one, five, sixty)
