"""Prices of tokens per model: a table of component prices by the pattern of a model's name.

The exact name comes before the longest prefix (`claude-*`), and that before `*`. A component without a price of its own
costs what includes it, as in the price book; one that has none at all is refused, never free.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, Final

from billing.rules.amounts import ZERO, exact_text
from billing.rules.charges import reading
from billing.rules.charges.formula import Formula, Step, Terms, step, sum_step
from billing.rules.charges.usage import Measured, TokenUse
from common import fields
from common.bodies import BodyReader
from common.errors import InvalidField
from common.strictjson import child_pointer
from spend.rules.prices import INCLUDED_IN, PriceUnknown

FIELDS = frozenset(("prices",))
MAX_COMPONENTS: Final = 50
MAX_PATTERN: Final = 200
DEFAULT_PER: Final = Fraction(1_000_000)


@dataclass(frozen=True, slots=True)
class ModelPrice:
    """What models of a pattern cost: the price of each component for every `per` of it, in order of names."""

    pattern: str
    components: tuple[tuple[str, Fraction], ...]
    per: Fraction = DEFAULT_PER

    def covers(self, model: str) -> bool:
        """Return whether the pattern fits the model's name; capital letters do not matter."""
        name = model.lower()
        return name.startswith(self.pattern[:-1]) if self.pattern.endswith("*") else name == self.pattern

    def price_of(self, component: str) -> Fraction | None:
        """Return the price of a component, or that of the one that includes it."""
        prices, name = dict(self.components), component
        while name not in prices:
            if name not in INCLUDED_IN:
                return None
            name = INCLUDED_IN[name]
        return prices[name]


@dataclass(frozen=True, slots=True)
class Tokens:
    """The table of prices. A model that no pattern fits has no price, whatever else the table holds."""

    prices: tuple[ModelPrice, ...]

    kind: ClassVar[str] = "tokens"
    splits: ClassVar[bool] = True
    options: ClassVar[frozenset[str]] = frozenset()

    def formula(self, measured: Measured, terms: Terms) -> Formula:
        """Return the sum of quantity x price over models and components. Raises PriceUnknown."""
        quantities: dict[tuple[str, str], Fraction] = {}
        for use in measured.tokens:
            place = (use.model, use.component)
            quantities[place] = quantities.get(place, ZERO) + use.quantity
        steps = [
            self._priced(TokenUse(*place, quantity))
            for place, quantity in sorted(quantities.items())
            if quantity
        ]
        total = sum_step("sum", "all models", [priced.result for priced in steps])
        return Formula(total.result, sum(quantities.values(), ZERO), (*steps, total))

    def written(self) -> dict[str, Any]:
        """Return the fields as JSON."""
        return {
            "prices": [
                {
                    "models": price.pattern,
                    "per": exact_text(price.per),
                    "components": {name: exact_text(amount) for name, amount in price.components},
                }
                for price in self.prices
            ]
        }

    def _priced(self, use: TokenUse) -> Step:
        covering = [price for price in self.prices if price.covers(use.model)]
        if not covering:
            raise PriceUnknown("model", model=use.model)
        found = max(covering, key=lambda price: (not price.pattern.endswith("*"), len(price.pattern)))
        amount = found.price_of(use.component)
        if amount is None:
            raise PriceUnknown("component", model=use.model, component=use.component)
        words = f"{use.model}, {use.component}: {{quantity}} x {{price}} / {{per}}"
        result = use.quantity * amount / found.per
        return step("tokens", words, result, quantity=use.quantity, price=amount, per=found.per)


def read(reader: BodyReader) -> Tokens:
    """Return the model of a definition."""
    if reader.required("prices", reading.filled_list) is None:
        return Tokens(())
    found = tuple(
        ModelPrice(
            pattern=item.required("models", _pattern),
            components=_components(item),
            per=item.defaulted("per", reading.positive, DEFAULT_PER),
        )
        for item in reader.objects("prices", allowed={"models", "per", "components"})
    )
    _refuse_repeated(reader, [price.pattern for price in found])
    return Tokens(found)


def _pattern(value: object, *, pointer: str = "") -> str:
    text = fields.text(value, pointer=pointer, max_length=MAX_PATTERN).lower()
    if "*" in text[:-1]:
        raise InvalidField("A * stands at the end of a pattern only.", pointer=pointer)
    return text


def _components(reader: BodyReader) -> tuple[tuple[str, Fraction], ...]:
    given = reader.required("components", _object)
    if given is None:
        return ()
    prices = reader.required_object("components", allowed=given.keys())
    for name in given:
        if not name.replace("_", "").isalnum() or not name.isascii() or name != name.lower():
            detail = "A component has lower-case letters, digits and underscores."
            reader.refuse(InvalidField(detail, pointer=prices.pointer(name)))
    return tuple((name, prices.required(name, reading.unit_price)) for name in sorted(given))


def _object(value: object, *, pointer: str = "") -> dict[str, Any] | None:
    if not isinstance(value, dict) or not 1 <= len(value) <= MAX_COMPONENTS:
        raise InvalidField(f"This is no object of 1 to {MAX_COMPONENTS} prices.", pointer=pointer)
    return value


def _refuse_repeated(reader: BodyReader, patterns: Sequence[str | None]) -> None:
    for place, pattern in enumerate(patterns):
        if pattern is not None and pattern in patterns[:place]:
            pointer = child_pointer(child_pointer(reader.pointer("prices"), place), "models")
            reader.refuse(InvalidField("The pattern stands in the table already.", pointer=pointer))
