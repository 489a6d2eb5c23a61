"""Prices of tools: by exact name, else by the longest wildcard prefix, else by the default `*`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from common.money import QUANTITY_SCALE
from spend.rules.prices import PriceInvalid, PriceUnknown, version_at

ToolUnit = Literal["call", "second", "unit"]


class ToolUse(msgspec.Struct, frozen=True):
    """What a call used of one tool: calls, and seconds or units (both in 10^-12) where the tool is priced by
    them.
    """

    name: str
    calls: int
    seconds: int | None = None
    units: int | None = None

    def quantity(self, unit: str) -> int | None:
        """Return the quantity in 10^-12 of this unit; None when it was not measured."""
        if unit == "call":
            calls: int = self.calls * QUANTITY_SCALE
            return calls
        return self.seconds if unit == "second" else self.units


def tool_use(name: str, count: int) -> ToolUse:
    """Return the use of a tool of which only a count is known: so many calls, or so many of its price's
    unit.
    """
    return ToolUse(name, count, count * QUANTITY_SCALE, count * QUANTITY_SCALE)


@dataclass(frozen=True, slots=True)
class ToolPrice:
    """A dated price of a tool: `amount` (10^-12 of the major unit) for each `per` calls, seconds or units.

    `pattern` is an exact name, a prefix followed by `*`, or `*` alone, the default. `organization` is None
    for the book (what the provider takes) and set for a customer's own price.
    """

    id: UUID
    pattern: str
    unit: ToolUnit
    amount: int
    currency: str
    valid_from: datetime
    valid_to: datetime | None = None
    per: int = 1
    organization: UUID | None = None

    def __post_init__(self) -> None:
        if self.amount < 0 or self.per < 1 or not self.pattern or "*" in self.pattern[:-1]:
            raise PriceInvalid(
                "a tool price needs amount >= 0, per >= 1 and a * only at the end of its pattern"
            )


@dataclass(frozen=True, slots=True)
class ToolPriceList:
    """The tool prices that hold at one moment, by pattern."""

    by_pattern: Mapping[str, ToolPrice]
    prefixes: tuple[tuple[str, ToolPrice], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        wild = [(pattern[:-1], price) for pattern, price in self.by_pattern.items() if pattern.endswith("*")]
        wild.sort(key=lambda item: -len(item[0]))
        object.__setattr__(self, "prefixes", tuple(wild))

    def find(self, name: str) -> ToolPrice | None:
        """Return the price of the tool of this name; None when no pattern covers it."""
        exact = self.by_pattern.get(name) if not name.endswith("*") else None
        if exact is not None:
            return exact
        for prefix, price in self.prefixes:
            if name.startswith(prefix):
                return price
        return None


NO_TOOL_PRICES = ToolPriceList({})


def tool_prices_at(prices: Iterable[ToolPrice], at: datetime) -> ToolPriceList:
    """Return the list of tool prices that hold at this moment."""
    by_pattern: dict[str, list[ToolPrice]] = {}
    for price in prices:
        by_pattern.setdefault(price.pattern, []).append(price)
    current = {pattern: version_at(versions, at) for pattern, versions in by_pattern.items()}
    return ToolPriceList({pattern: price for pattern, price in current.items() if price is not None})


def tool_amount(use: ToolUse, price: ToolPrice) -> tuple[int, int]:
    """Return (quantity in 10^-12, amount in 10^-12 rounded half up). Raises PriceUnknown when the unit is not
    known.
    """
    quantity = use.quantity(price.unit)
    if quantity is None:
        raise PriceUnknown("quantity", tool=use.name, component=price.unit)
    divisor = price.per * QUANTITY_SCALE
    return quantity, (2 * quantity * price.amount + divisor) // (2 * divisor)
