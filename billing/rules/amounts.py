"""Exact amounts inside the rules of pricing, and the one rounding on their way out.

Inside, an amount is a Fraction of the currency's major unit; outside, an int in 10^-8 of it (`common.money`). Half up,
away from zero (house rule 1). What is billed over several lines of one period is rounded as a running sum, so that the
rounded lines, too, sum to the rounded whole (house rule 12).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from common.currencies import exponent_of
from common.money import PRICE_SCALE, UNITS_PER_MAJOR, checked_units, round_half_up

ZERO: Final = Fraction(0)
PERCENT: Final = 100
MAX_SHOWN_DECIMALS: Final = 24
SHOWN_DECIMALS: Final = 12


def units_of(amount: Fraction) -> int:
    """Return an exact amount in units of 10^-8, rounded half up once. Raises AmountOutOfRange."""
    return checked_units(round_half_up(amount.numerator * UNITS_PER_MAJOR, amount.denominator))


def document_units_of(amount: Fraction, *, currency: str) -> int:
    """Return an exact amount in units of 10^-8, rounded half up once to the precision of its currency.

    Rounding the result of `units_of` again would round twice: 0.00499999999 would become 0.01. Raises
    AmountOutOfRange and InvalidCurrency.
    """
    steps: int = 10 ** exponent_of(currency)
    return checked_units(
        round_half_up(amount.numerator * steps, amount.denominator) * (UNITS_PER_MAJOR // steps)
    )


def amount_of(units: int) -> Fraction:
    """Return the exact amount of units of 10^-8."""
    return Fraction(units, UNITS_PER_MAJOR)


def exact_text(value: Fraction) -> str:
    """Return a number as people read it: all its decimals, or twelve (half up) and an ellipsis when it has no end."""
    rest, decimals = value.denominator, 0
    while rest % 10 == 0:
        rest, decimals = rest // 10, decimals + 1
    while rest % 2 == 0 or rest % 5 == 0:
        rest, decimals = rest // (2 if rest % 2 == 0 else 5), decimals + 1
    if rest == 1 and decimals <= MAX_SHOWN_DECIMALS:
        return _plain(value.numerator * 10**decimals // value.denominator, decimals)
    return _plain(round_half_up(value.numerator * PRICE_SCALE, value.denominator), SHOWN_DECIMALS) + "…"


def _plain(scaled: int, decimals: int) -> str:
    sign = "-" if scaled < 0 else ""
    digits = str(abs(scaled)).rjust(decimals + 1, "0")
    whole, fraction = digits[: len(digits) - decimals], digits[len(digits) - decimals :].rstrip("0")
    return f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"


@dataclass(frozen=True, slots=True)
class RunningAmount:
    """An amount of a period before and after one of its lines; the line is the difference."""

    after: Fraction = ZERO
    before: Fraction = ZERO

    @property
    def exact(self) -> Fraction:
        """Return the line's exact amount."""
        return self.after - self.before

    @property
    def units(self) -> int:
        """Return the line's amount in 10^-8: the difference of the rounded sums, so that lines sum to the whole."""
        return units_of(self.after) - units_of(self.before)

    def document_units(self, currency: str) -> int:
        """Return the line's amount in 10^-8 at its currency's precision, likewise."""
        after = document_units_of(self.after, currency=currency)
        return after - document_units_of(self.before, currency=currency)

    def __add__(self, other: RunningAmount) -> RunningAmount:
        return RunningAmount(self.after + other.after, self.before + other.before)

    def __neg__(self) -> RunningAmount:
        return RunningAmount(-self.after, -self.before)


NO_AMOUNT: Final = RunningAmount()
