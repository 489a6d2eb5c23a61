"""Between our units of 10^-8 and the processor's minor units. What does not fit is refused, never rounded on its way:
an invoice was brought to what can be charged when it was made, by a line that says so. Pure.

The processor's number of decimals is ISO 4217's with four exceptions, which are its own: it writes ISK and UGX with two
decimals that are always 00, MGA without any, and of the currencies with three decimals it takes no last digit but 0.
"""

from __future__ import annotations

from typing import Final

from common.currencies import EXPONENTS, parse_currency
from common.errors import InvalidAmount
from common.money import UNIT_DECIMALS, checked_units, round_half_up

_DECIMALS: Final = {"ISK": 2, "UGX": 2, "MGA": 0}
"""Where the processor's minor unit is another than the currency's."""
REFUSED_AMOUNTS: Final = frozenset({"amount_too_small", "amount_too_large"})
"""The processor's codes for an amount that it charges to nobody, whatever the method."""
_WHOLE: Final = frozenset({"ISK", "UGX"})
"""Charged in whole units only, although written with two decimals."""


class FinerThanProcessor(InvalidAmount):
    """The amount is finer than the processor can move in this currency."""

    code = "amount_too_fine"
    status = 422
    title = "Amount too fine"


def to_minor(units: int, *, currency: str) -> int:
    """Return an amount (units of 10^-8, zero or more) in the processor's minor units.

    Raises FinerThanProcessor when anything would be left over, InvalidAmount below zero, InvalidCurrency.
    """
    if units < 0:
        raise InvalidAmount("The processor moves no amount below zero.")
    if units % charged_step(currency):
        raise FinerThanProcessor
    return units // _step(currency)


def from_minor(minor: int, *, currency: str) -> int:
    """Return an amount of the processor (any sign) in units of 10^-8. Raises InvalidAmount for what is no whole number,
    InvalidCurrency and AmountOutOfRange."""
    if type(minor) is not int:
        raise InvalidAmount("The processor's amounts are whole numbers.")
    return checked_units(minor * _step(currency))


def charged_step(currency: str) -> int:
    """Return the smallest amount (units) that the processor charges in a currency. Raises InvalidCurrency."""
    if currency in _WHOLE:
        return int(10**UNIT_DECIMALS)
    step = _step(currency)
    return step * 10 if EXPONENTS[currency] == 3 else step


def charged_amount(units: int, *, currency: str) -> int:
    """Return what is charged for an amount (units, zero or more): the nearest that the processor charges, half up (Y4).
    Raises InvalidCurrency."""
    step = charged_step(currency)
    return round_half_up(units, step) * step


def currency_of(text: object) -> str:
    """Return the currency of the processor's lower-case code. Raises InvalidCurrency."""
    return parse_currency(text.upper() if type(text) is str and text.islower() else text)


def _step(currency: str) -> int:
    exponent = _DECIMALS.get(parse_currency(currency), EXPONENTS[currency])
    return int(10 ** (UNIT_DECIMALS - exponent))
