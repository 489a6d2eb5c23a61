"""Limits and estimates from what was measured: percentiles, headroom, confidence and rounding. Pure; no floats.

A percentile is the nearest rank: the smallest of the n values that at least p percent of them do not exceed, the one at
rank ceil(p / 100 * n) in ascending order. It is always a value that was measured, and with few values the largest.
Source: R. J. Hyndman, Y. Fan, "Sample Quantiles in Statistical Packages", The American Statistician 50 (1996), type 1
(the inverse of the empirical distribution function); PostgreSQL's percentile_disc is the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from common.currencies import exponent_of
from common.money import MAX_UNITS, format_amount
from spend.rules.windows import RESOLUTION, Window, window_at

METHOD: Final = "nearest_rank"
PERCENTILES: Final = (50, 80, 95)
DEFAULT_PERCENTILE: Final = 95
HUNDREDTHS: Final = 100
DEFAULT_HEADROOM: Final = 120
"""In hundredths: 1.2 times what was measured (S68)."""
MAX_HEADROOM: Final = 1_000
MIN_WINDOWS: Final = 4
"""Fewer windows than these give no suggestion (S68)."""
MEDIUM_FROM: Final = 5
HIGH_FROM: Final = 30
"""Samples from which confidence is medium and high (S64b)."""
CONFIDENCES: Final = ("low", "medium", "high")
WINDOWS_LOOKED_AT: Final = {"day": 90, "week": 52, "month": 24}
DIGITS: Final = 3
"""How many leading digits a suggestion keeps."""
TOO_FEW_WINDOWS: Final = "too_few_windows"
NOTHING_SPENT: Final = "nothing_spent"
REASONS: Final = (TOO_FEW_WINDOWS, NOTHING_SPENT)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A limit in units of 10^-8, or why there is none. `measured` is the percentile, `exact` it times the headroom."""

    measured: int | None
    exact: int | None
    limit: int | None
    reason: str | None


def nearest_rank(values: Sequence[int], percent: int) -> int:
    """Return the percentile of values in any order. Raises ValueError for none, and for a percent outside 1 to 100."""
    if not values or not 1 <= percent <= 100:
        raise ValueError("a percentile is of at least one value, and of 1 to 100 percent")
    rank = -(-percent * len(values) // 100)
    return sorted(values)[rank - 1]


def confidence(samples: int) -> str:
    """Return how far so many samples are to be trusted: low, medium or high (S64b)."""
    if samples < MEDIUM_FROM:
        return "low"
    return "medium" if samples < HIGH_FROM else "high"


def rounded_up(units: int) -> int:
    """Return the next number that is 0 from its fourth digit on: at most one percent more, and never less."""
    step: int = 10 ** max(0, len(str(units)) - DIGITS)
    return -(-units // step) * step


def with_headroom(units: int, hundredths: int) -> int:
    """Return the amount times the headroom, a part of a unit rounded up."""
    return -(-units * hundredths // HUNDREDTHS)


def suggest(spent: Sequence[int], *, percent: int, headroom: int) -> Suggestion:
    """Return the limit that these windows' spend suggests: percentile times headroom (hundredths), rounded up (S68)."""
    if len(spent) < MIN_WINDOWS:
        return Suggestion(None, None, None, TOO_FEW_WINDOWS)
    measured = nearest_rank(spent, percent)
    if not measured:
        return Suggestion(0, None, None, NOTHING_SPENT)
    exact = with_headroom(measured, headroom)
    return Suggestion(measured, exact, min(MAX_UNITS, rounded_up(exact)), None)


def ended_windows(kind: str, now: datetime, zone: ZoneInfo, *, most: int) -> list[Window]:
    """Return the last calendar windows that have ended by now, oldest first; at most `most`."""
    start = window_at(kind, now, zone).start
    found: list[Window] = []
    while len(found) < most:
        window = window_at(kind, start - RESOLUTION, zone)
        found.append(window)
        start = window.start
    return found[::-1]


def would_have_blocked(calls: int, units: int, currency: str) -> str:
    """Return the sentence "would have blocked 37 calls worth 12.40 USD", with at least the currency's own decimals."""
    whole, _, decimals = format_amount(units).partition(".")
    decimals = decimals.ljust(exponent_of(currency), "0")
    amount = f"{whole}.{decimals}" if decimals else whole
    return f"would have blocked {calls} {'call' if calls == 1 else 'calls'} worth {amount} {currency}"
