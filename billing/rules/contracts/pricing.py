"""A contract's own prices, for a time: of models, of tools, a markup on everything else of the book (S78), and of the
charges of a plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any, Final
from uuid import UUID

from billing.rules.agreed import AgreedPrice
from billing.rules.charges.definition import parse_charge, write_charge
from billing.rules.plans import read_quantity
from common import fields
from common.bodies import BodyReader
from common.errors import InvalidField, InvalidPeriod, ProblemError
from common.money import QUANTITY_SCALE, format_quantity
from common.strictjson import child_pointer
from spend.rules.modelnames import NAME_LENGTH
from spend.rules.pricedata import components_of_text, price_of_text
from spend.rules.pricetexts import ppm_of_percent

MAX_PRICES: Final = 200
MAX_PER: Final = 2**31 - 1
TOOL_UNITS: Final = ("call", "second", "unit")
CHARGE: Final = "charge"
"""The kind of price that is no one of the book: the billing run charges it."""
_FIELDS: Final = frozenset(
    "provider model components tool amount unit per markup_percent plan charge price included from to".split()
)
_OF: Final[Mapping[str, frozenset[str]]] = {
    "model": frozenset({"provider", "model", "components"}),
    "tool": frozenset({"tool", "amount", "unit", "per"}),
    "markup": frozenset({"markup_percent"}),
    CHARGE: frozenset({"plan", "charge", "price", "included"}),
}


@dataclass(frozen=True, slots=True)
class CustomPrice:
    """One price of a contract, [start, end) in days of the customer's zone. `given` is what it says, as its document
    states it; `kind` is model, tool, markup or charge."""

    kind: str
    given: Mapping[str, Any]
    start: date
    end: date

    @property
    def subject(self) -> tuple[str, ...]:
        """What it prices: of one subject no two hold at once."""
        names = {
            "model": ("provider", "model"), "tool": ("tool",), "markup": (), CHARGE: ("plan", "charge"),
        }[self.kind]  # fmt: skip
        return (self.kind, *(str(self.given[name]).casefold() for name in names))

    def agreed(self, contract: UUID, number: int, currency: str) -> AgreedPrice:
        """Return the price of a plan's charge as version `number` of a contract states it."""
        included = self.given.get("included")
        return AgreedPrice(
            contract,
            number,
            currency,
            parse_charge(self.given["price"]),
            None if included is None else read_quantity(included),
        )


def read_prices(reader: BodyReader, start: date | None, end: date | None) -> tuple[CustomPrice, ...]:
    """Return the prices of a document whose term is [start, end); what is wrong is added to the reader's errors."""
    found: list[CustomPrice] = []
    for item in reader.objects("prices", allowed=_FIELDS, max_items=MAX_PRICES):
        kinds = [kind for kind, names in _OF.items() if any(name in item for name in names)]
        if len(kinds) != 1:
            detail = "A price is of a model, of a tool, of a plan's charge, or a markup."
            item.refuse(InvalidField(detail, pointer=item.pointer("")[:-1]))
            continue
        given = _READERS[kinds[0]](item)
        first, last = item.defaulted("from", fields.date, start), item.defaulted("to", fields.date, end)
        if first is None or last is None or start is None or end is None or item.failed:
            continue
        price = CustomPrice(kinds[0], given, first, last)
        _check(item, price, found, start, end)
        found.append(price)
    return tuple(found)


def write_price(price: CustomPrice) -> dict[str, Any]:
    """Return a price as its document states it."""
    return {**price.given, "from": price.start.isoformat(), "to": price.end.isoformat()}


def _check(
    item: BodyReader, price: CustomPrice, known: Iterable[CustomPrice], start: date, end: date
) -> None:
    if price.end <= price.start:
        item.refuse(InvalidPeriod("A price ends after it begins.", pointer=item.pointer("to")))
    if not start <= price.start < end:
        item.refuse(InvalidPeriod("A price begins within the term.", pointer=item.pointer("from")))
    if price.end > end:
        item.refuse(InvalidPeriod("A price ends with the term at the latest.", pointer=item.pointer("to")))
    for other in known:
        if other.subject == price.subject and other.start < price.end and price.start < other.end:
            detail = "Another price of the contract holds for the same at the same time."
            item.refuse(InvalidField(detail, pointer=item.pointer("from")))
            return


def _model(item: BodyReader) -> dict[str, Any]:
    return {
        "provider": item.required("provider", fields.text, max_length=NAME_LENGTH),
        "model": item.required("model", fields.text, max_length=NAME_LENGTH),
        "components": item.required("components", _components),
    }


def _tool(item: BodyReader) -> dict[str, Any]:
    return {
        "tool": item.required("tool", fields.text, max_length=NAME_LENGTH),
        "amount": item.required("amount", _price_text),
        "unit": item.defaulted("unit", fields.choice, "call", options=TOOL_UNITS),
        "per": item.defaulted("per", fields.integer, 1, minimum=1, maximum=MAX_PER),
    }


def _markup(item: BodyReader) -> dict[str, Any]:
    return {"markup_percent": item.required("markup_percent", _percent)}


def _charge(item: BodyReader) -> dict[str, Any]:
    price, included = item.required("price", parse_charge), item.optional("included", read_quantity)
    given: dict[str, Any] = {
        "plan": item.required("plan", fields.key),
        "charge": item.required("charge", fields.key),
        "price": None if price is None else write_charge(price),
    }
    return given if included is None else {**given, "included": _quantity_text(included)}


def _quantity_text(units: Fraction) -> str:
    return format_quantity(int(units * QUANTITY_SCALE))


_READERS: Final = {"model": _model, "tool": _tool, "markup": _markup, CHARGE: _charge}


def _components(value: object, *, pointer: str = "") -> dict[str, Any]:
    """Prices by component, as they came. Raises InvalidField, InvalidAmount and PriceInvalid."""
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise InvalidField("This is no object of prices by component.", pointer=pointer)
    for name, price in value.items():
        _placed(components_of_text, {name: price}, pointer=child_pointer(pointer, name))
    _placed(components_of_text, value, pointer=pointer)
    return dict(value)


def _price_text(value: object, *, pointer: str = "") -> str:
    fields.price(value, pointer=pointer)
    price_of_text(str(value))
    return str(value)


def _percent(value: object, *, pointer: str = "") -> str:
    if not isinstance(value, str):
        raise InvalidField("A percentage is a decimal string.", pointer=pointer)
    _placed(ppm_of_percent, value, pointer=pointer)
    return value


def _placed(check: Any, value: Any, *, pointer: str) -> None:
    """Run a check of prices; what it raises names the place in the contract."""
    try:
        check(value)
    except ProblemError as error:
        raise type(error)(error.detail, pointer=pointer) from None
