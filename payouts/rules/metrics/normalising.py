"""What a price comes to a month (house rule 33), and shares as texts. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from fractions import Fraction
from typing import Final

from common.money import round_half_up

Factors = Mapping[str, Fraction]

EXACT: Final[Factors] = {
    "day": Fraction(365, 12),
    "week": Fraction(52, 12),
    "month": Fraction(1),
    "quarter": Fraction(1, 3),
    "year": Fraction(1, 12),
}
"""How often an interval comes a month. This house counts so."""
ROUNDED: Final[Factors] = {**EXACT, "day": Fraction(30), "week": Fraction(433, 100)}
"""How some tools count it (`mrr_factors=rounded`); known here to compare with them, never used by the house."""
MONTHS_A_YEAR: Final = 12
_PARTS: Final = 10**6
"""Shares and rates are written with six decimals."""


def monthly(price: Fraction, unit: str, count: int = 1, *, factors: Factors = EXACT) -> Fraction:
    """Return what a price for each `count` of a unit comes to a month, exactly, in the price's own measure."""
    return price * factors[unit] / count


def monthly_of_term(price: Fraction, start: date, end: date) -> Fraction:
    """Return what a price for the days [start, end) comes to a month: by whole months where these are some, else by
    days x 365/12."""
    months = (end.year - start.year) * MONTHS_A_YEAR + end.month - start.month
    if months > 0 and start.day == end.day:
        return price / months
    return monthly(price, "day", (end - start).days)


def whole_units(exact: Fraction) -> int:
    """Return an exact amount as units of 10^-8, half up: each source is rounded once, so that sums are exact."""
    return round_half_up(exact.numerator, exact.denominator)


def annual(mrr: int) -> int:
    """Return the ARR of an MRR, both in units: exactly twelve times it."""
    return MONTHS_A_YEAR * mrr


def share(part: int, whole: int) -> Fraction | None:
    """Return a part of a whole; None of nothing."""
    return Fraction(part, whole) if whole else None


def share_text(value: Fraction | None) -> str | None:
    """Return a share or a rate as a decimal with six decimals, half up: "0.200000"."""
    if value is None:
        return None
    parts = round_half_up(value.numerator * _PARTS, value.denominator)
    whole, rest = divmod(abs(parts), _PARTS)
    return f"{'-' if parts < 0 else ''}{whole}.{rest:06d}"
