"""Charges as plans hold them, and what they come to."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from billing.rules.charges.definition import ChargeDefinition, parse_charge
from billing.rules.charges.pricing import PricedLine, price_line
from billing.rules.charges.usage import Measured, Usage, used

Tiers = list[tuple[str | None, str, str]]


def charge(model: str, **fields: Any) -> ChargeDefinition:
    """A definition, read from the JSON that these fields make."""
    return parse_charge({"model": model} | fields)


def ladder(tiers: Tiers, *, rate: str = "unit_price") -> list[dict[str, Any]]:
    """Tiers as JSON from (up to, price, flat fee)."""
    return [{"up_to": up_to, rate: price, "flat": flat} for up_to, price, flat in tiers]


def priced(definition: ChargeDefinition, usage: Usage | str) -> PricedLine:
    """The line of some usage, or of a plain quantity in one line of its period."""
    line = price_line(definition, used(Fraction(usage)) if isinstance(usage, str) else usage)
    assert line is not None
    return line


def amount(definition: ChargeDefinition, usage: Usage | str) -> Fraction:
    """The exact amount of a line."""
    return priced(definition, usage).amount


def events(*amounts: str) -> Usage:
    """The usage of a percentage charge: the amounts of its events in order of time."""
    return Usage(Measured(events=tuple(Fraction(each) for each in amounts)))


def with_convention(fields: Mapping[str, Any], convention: str) -> dict[str, Any]:
    """Fields of a definition under the convention that an example names; "" are the house rules."""
    return dict(fields) | ({"flat_fee_at_zero": True} if convention == "flat_fee_at_zero=true" else {})


def of_minor(hundredths: int) -> Fraction:
    """The exact amount of minor units of a currency with two decimals."""
    return Fraction(hundredths, 100)


def units_of_minor(hundredths: int) -> int:
    """Minor units of a currency with two decimals in 10^-8."""
    return hundredths * 10**6


def minor(units: int) -> int:
    """Units of 10^-8 in minor units of a currency with two decimals."""
    whole, rest = divmod(units, 10**6)
    assert rest == 0
    return whole
