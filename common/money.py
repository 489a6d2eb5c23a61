"""Money: integers in units of 10^-8 of a currency's major unit, and the only rounding of the house.

A decimal string is an amount only at the border: `parse_amount` on the way in, `format_amount` on the way
out. Between them there are ints. No float and no Decimal takes part, and SQL never rounds money.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from common.currencies import exponent_of
from common.errors import AmountOutOfRange, InvalidAmount, InvalidQuantity

UNIT_DECIMALS = 8
UNITS_PER_MAJOR = 10**UNIT_DECIMALS
MAX_UNITS = 2**63 - 1
"""The largest amount that is stored, 92233720368.54775807 in the major unit; the smallest is its negative."""

FINE_DECIMALS = 12
PRICE_SCALE = 10**FINE_DECIMALS
"""Prices of a component are exact to 12 decimals: a price is an int in 10^-12 of the major unit."""
QUANTITY_SCALE = 10**FINE_DECIMALS
"""Metered quantities are exact to 12 decimals: a metered quantity is an int in 10^-12."""
MAX_COUNT = 10**12
"""The largest count of tokens or of any other whole thing."""

_AMOUNT = re.compile(r"(0|[1-9][0-9]{0,10})(?:\.([0-9]{1,8}))?")
_FINE = re.compile(r"(0|[1-9][0-9]{0,10})(?:\.([0-9]{1,12}))?")
_COUNT = re.compile(r"0|[1-9][0-9]{0,12}")
_LONGEST_FINE = 11 + 1 + FINE_DECIMALS


def parse_amount(
    text: object, *, currency: str | None = None, allow_zero: bool = False, document: bool = False
) -> int:
    """The units of an amount that came as a JSON string such as "0.01234567".

    With `document` (a charge, an invoice, a payout, a top-up) no more decimals are taken than the currency
    has. Raises InvalidAmount for everything that is not exactly the plain form, for a value above
    MAX_UNITS, and for zero unless it is allowed.
    """
    if type(text) is not str or len(text) > _LONGEST_FINE:
        raise InvalidAmount
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise InvalidAmount
    decimals = match[2] or ""
    if document and len(decimals) > _document_decimals(currency):
        raise InvalidAmount(f"{currency} has {_document_decimals(currency)} decimals.")
    units = int(match[1] + decimals.ljust(UNIT_DECIMALS, "0"))
    if units > MAX_UNITS or (units == 0 and not allow_zero):
        raise InvalidAmount("The amount must be more than zero." if units == 0 else None)
    return units


def format_amount(units: int) -> str:
    """The plain decimal string of an amount with as few digits as it takes: "2", "0.05", "-0.01234567"."""
    if units < 0:
        return "-" + format_amount(-units)
    if units < UNITS_PER_MAJOR:  # cut out of the digits, which takes half as long as dividing
        return "0." + str(units + UNITS_PER_MAJOR)[1:].rstrip("0") if units else "0"
    text = str(units)
    rest = text[-UNIT_DECIMALS:].rstrip("0")
    return f"{text[:-UNIT_DECIMALS]}.{rest}" if rest else text[:-UNIT_DECIMALS]


def format_document_amount(units: int, *, currency: str) -> str:
    """The decimal string of a document's amount with all decimals of its currency: "10.50" USD, "10" JPY.

    Raises ValueError when the amount is finer than the currency: it was not rounded by `to_document_units`
    before.
    """
    exponent = exponent_of(currency)
    step = _document_step(currency)
    if units % step:
        raise ValueError(f"{format_amount(units)} is finer than {currency}")
    sign = "-" if units < 0 else ""
    whole, rest = divmod(abs(units), UNITS_PER_MAJOR)
    return f"{sign}{whole}.{rest // step:0{exponent}d}" if exponent else f"{sign}{whole}"


def to_document_units(units: int, *, currency: str) -> int:
    """Round an amount half up to its currency's own precision; the answer is still in units of 10^-8.

    The difference `to_document_units(u) - u` is what the caller posts to the rounding account.
    """
    step = _document_step(currency)
    return round_half_up(units, step) * step


def cut_to_document_units(units: int, *, currency: str) -> int:
    """Cut an amount down to its currency's own precision, towards zero (the rest of a payout stays)."""
    step = _document_step(currency)
    cut = abs(units) // step * step
    return cut if units >= 0 else -cut


def round_half_up(numerator: int, denominator: int) -> int:
    """The integer nearest to numerator / denominator; a half is rounded away from zero.

    Away from zero on both sides, so that a reversal rounds to exactly the negative of what it reverses.
    Raises ValueError when the denominator is not positive.
    """
    if denominator <= 0:
        raise ValueError("a denominator is positive")
    rounded = (2 * abs(numerator) + denominator) // (2 * denominator)
    return rounded if numerator >= 0 else -rounded


def split_largest_remainder(total: int, weights: Sequence[int]) -> list[int]:
    """Split an amount in proportion to weights so that the parts sum to exactly the total.

    Every part is its exact share rounded down, and what is left goes, one unit each, to the largest
    remainders; of equal remainders the earlier part gets it (method of Hamilton). A negative total gives
    the negatives of the positive split. Raises ValueError for a negative weight, or when nothing has a
    weight and the total is not 0.
    """
    if any(weight < 0 for weight in weights):
        raise ValueError("a weight is not negative")
    whole = sum(weights)
    if whole == 0:
        if total:
            raise ValueError("an amount cannot be split over no weight")
        return [0] * len(weights)
    size = abs(total)
    parts = [size * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda index: -(size * weights[index] % whole))
    for index in by_remainder[: size - sum(parts)]:
        parts[index] += 1
    return parts if total >= 0 else [-part for part in parts]


def parse_price(text: object) -> int:
    """A component's price, a decimal string with up to 12 decimals, in 10^-12 of the major unit.

    Zero is a price. Raises InvalidAmount.
    """
    price = _parse_fine(text)
    if price is None:
        raise InvalidAmount("A price is a plain decimal string with up to 12 decimals.")
    return price


def format_price(price: int) -> str:
    """The plain decimal string of a price in 10^-12 of the major unit."""
    return _format_fine(price)


def parse_quantity(text: object) -> int:
    """A metered quantity, a decimal string with up to 12 decimals, in 10^-12. Raises InvalidQuantity."""
    quantity = _parse_fine(text)
    if quantity is None:
        raise InvalidQuantity("A metered quantity is a plain decimal string with up to 12 decimals.")
    return quantity


def format_quantity(quantity: int) -> str:
    """The plain decimal string of a metered quantity in 10^-12."""
    return _format_fine(quantity)


def parse_count(text: object, *, allow_zero: bool = False) -> int:
    """A whole number that came as a string (limits in tokens, credits or points), at most 10^12.

    Raises InvalidAmount: it stands where an amount of money may stand.
    """
    if type(text) is not str or len(text) > 13 or not _COUNT.fullmatch(text):
        raise InvalidAmount("A limit in this unit is a string of digits.")
    count = int(text)
    if count > MAX_COUNT or (count == 0 and not allow_zero):
        raise InvalidAmount("The limit is out of range.")
    return count


def charge_units(price: int, quantity: int) -> int:
    """The charge for a whole quantity at a price in 10^-12 each, rounded once, half up, to units of 10^-8.

    Several components of one charge are added up before: their sum, not each of them, is rounded.
    """
    return checked_units(round_half_up(price * quantity, PRICE_SCALE // UNITS_PER_MAJOR))


def checked_units(units: int) -> int:
    """The amount itself. Raises AmountOutOfRange when a sum left the range that is stored."""
    if -MAX_UNITS <= units <= MAX_UNITS:
        return units
    raise AmountOutOfRange


def _document_step(currency: str) -> int:
    step: int = 10 ** (UNIT_DECIMALS - exponent_of(currency))
    return step


def _document_decimals(currency: str | None) -> int:
    if currency is None:
        raise ValueError("an amount on a document has a currency")
    return exponent_of(currency)


def _parse_fine(text: object) -> int | None:
    if type(text) is not str or len(text) > _LONGEST_FINE:
        return None
    match = _FINE.fullmatch(text)
    return None if match is None else int(match[1] + (match[2] or "").ljust(FINE_DECIMALS, "0"))


def _format_fine(value: int) -> str:
    sign = "-" if value < 0 else ""
    whole, rest = divmod(abs(value), PRICE_SCALE)
    return f"{sign}{whole}.{rest:012d}".rstrip("0") if rest else f"{sign}{whole}"
