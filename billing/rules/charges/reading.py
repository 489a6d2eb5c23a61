"""Checks of single values of a charge definition: decimal strings outside, exact fractions inside, and back."""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any, Final

from billing.rules.amounts import PERCENT, exact_text
from common import fields
from common.bodies import BodyReader
from common.errors import InvalidField, InvalidQuantity, ProblemError
from common.money import PRICE_SCALE, QUANTITY_SCALE, UNITS_PER_MAJOR
from common.strictjson import child_pointer

JsonObject = dict[str, Any]
Check = Callable[..., Fraction]

MAX_TIERS: Final = 100
MAX_FACTOR: Final = 1_000


def unit_price(value: object, *, pointer: str = "") -> Fraction:
    """Return a price per unit, a decimal string with up to 12 decimals. Raises InvalidAmount."""
    return Fraction(fields.price(value, pointer=pointer), PRICE_SCALE)


def money(value: object, *, pointer: str = "") -> Fraction:
    """Return an amount, a decimal string with up to 8 decimals; 0 is one. Raises InvalidAmount."""
    return Fraction(fields.amount(value, pointer=pointer, allow_zero=True), UNITS_PER_MAJOR)


def quantity(value: object, *, pointer: str = "") -> Fraction:
    """Return a quantity, a decimal string with up to 12 decimals. Raises InvalidQuantity."""
    return Fraction(fields.metered_quantity(value, pointer=pointer), QUANTITY_SCALE)


def positive(value: object, *, pointer: str = "") -> Fraction:
    """Return a quantity above 0. Raises InvalidQuantity."""
    found = quantity(value, pointer=pointer)
    if not found:
        raise InvalidQuantity("This is more than 0.", pointer=pointer)
    return found


def whole(value: object, *, pointer: str = "") -> Fraction:
    """Return a whole number above 0, as a decimal string. Raises InvalidQuantity."""
    found = positive(value, pointer=pointer)
    if found.denominator != 1:
        raise InvalidQuantity("This is a whole number.", pointer=pointer)
    return found


def percent(value: object, *, pointer: str = "") -> Fraction:
    """Return a percentage from "0" to "100" as a share of 1. Raises InvalidQuantity and InvalidField."""
    found = quantity(value, pointer=pointer)
    if found > PERCENT:
        raise InvalidField("A percentage is at most 100.", pointer=pointer)
    return found / PERCENT


def factor(value: object, *, pointer: str = "") -> Fraction:
    """Return a factor from "0" to "1000". Raises InvalidQuantity and InvalidField."""
    found = quantity(value, pointer=pointer)
    if found > MAX_FACTOR:
        raise InvalidField(f"A factor is at most {MAX_FACTOR:,}.", pointer=pointer)
    return found


def flag(value: object, *, pointer: str = "") -> bool:
    """Return true or false. Raises InvalidField."""
    if type(value) is not bool:
        raise InvalidField("This is neither true nor false.", pointer=pointer)
    return value


def percent_text(share: Fraction) -> str:
    """Return a share of 1 as the percentage it was written as."""
    return exact_text(share * PERCENT)


def written_fields(values: Mapping[str, Fraction | None]) -> JsonObject:
    """Return numbers as decimal strings, without those that are 0 or absent."""
    return {name: exact_text(value) for name, value in values.items() if value}


def filled_list(value: object, *, pointer: str = "") -> list[Any]:
    """Return a list of 1 to 100 members. Raises InvalidField."""
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_TIERS:
        raise InvalidField(f"This is no list of 1 to {MAX_TIERS}.", pointer=pointer)
    return value


class Bounds:
    """Reads the upper bounds of tiers: they rise, and the last tier alone has none."""

    def __init__(self, check: Check = quantity) -> None:
        self._check = check
        self._unreadable = False

    def read(self, value: object, *, pointer: str = "") -> Fraction:
        """Return one bound. Raises InvalidQuantity."""
        try:
            return self._check(value, pointer=pointer)
        except ProblemError:
            self._unreadable = True
            raise

    def refuse_disorder(
        self,
        reader: BodyReader,
        name: str,
        bounds: Sequence[Fraction | None],
        *,
        field: str,
        rising: bool = True,
    ) -> None:
        """Tell the reader which tiers end in the wrong place, unless one has a bound that cannot be read."""
        reached: Fraction | None = Fraction(0)
        for place, bound in enumerate(() if self._unreadable else bounds):
            is_last = place == len(bounds) - 1
            detail = None
            if is_last != (bound is None):
                detail = "The last tier has no end." if is_last else "Only the last tier has no end."
            elif rising and bound is not None and reached is not None and bound <= reached:
                detail = "A tier ends above the one before it."
            if detail is not None:
                pointer = child_pointer(child_pointer(reader.pointer(name), place), field)
                reader.refuse(InvalidField(detail, pointer=pointer))
            reached = bound
