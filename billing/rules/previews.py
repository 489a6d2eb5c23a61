"""What one period of a plan would cost for given quantities: the prices of the plan, with every step. Pure.

A preview is for people who choose a plan. It knows no customer: no coupon, no tax, no proration, no credit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from billing.rules.charges import reading
from billing.rules.charges.pricing import PricedLine, price_line
from billing.rules.charges.usage import Measured, TokenUse, Usage
from billing.rules.plans import FEES, PlanCharge, PlanTerms
from common import fields
from common.bodies import BodyReader
from common.errors import CurrencyMismatch, InvalidField, InvalidQuantity, UnknownField, combined
from common.money import checked_units
from common.strictjson import child_pointer

MAX_EVENTS: Final = 1_000
MAX_MODEL: Final = 200
ONE: Final = Measured(reading.quantity("1"))


@dataclass(frozen=True, slots=True)
class PreviewLine:
    """What a charge would cost; `units` is its net amount as an invoice would round it."""

    charge: PlanCharge
    line: PricedLine
    units: int


@dataclass(frozen=True, slots=True)
class Preview:
    """The lines of a period and their sum in units, before tax."""

    currency: str
    lines: tuple[PreviewLine, ...]

    @property
    def total(self) -> int:
        """Return the sum of the lines. Raises AmountOutOfRange."""
        return checked_units(sum(line.units for line in self.lines))


def preview_period(
    terms: PlanTerms, measured: Mapping[str, Measured], *, currency: str, first: bool = False
) -> Preview:
    """Return what a whole period would cost. Fees are always in it, add-ons where they have a quantity above 0,
    one-time charges in the `first` period only; what is not measured is 0.

    Raises CurrencyMismatch for a currency that the plan is not sold in, PriceUnknown and AmountOutOfRange.
    """
    if currency not in terms.currencies:
        raise CurrencyMismatch(f"The plan is sold in {', '.join(terms.currencies)}.", pointer="/currency")
    lines = []
    for charge in terms.charges:
        usage = _usage(charge, measured.get(charge.key), first=first)
        line = None if usage is None else price_line(charge.prices[currency], usage)
        if line is not None:
            lines.append(PreviewLine(charge, line, line.net.document_units(currency)))
    return Preview(currency, tuple(lines))


def read_quantities(value: object, terms: PlanTerms, *, pointer: str = "") -> dict[str, Measured]:
    """Return what was measured by charge. A quantity is a decimal string; for percentages also a list of the events'
    amounts, for token prices a list of {"model", "component", "quantity"}.

    Raises one error with every wrong place: UnknownField for what is no charge of the plan, InvalidQuantity,
    InvalidField.
    """
    if not isinstance(value, dict):
        raise InvalidField("This is not an object.", pointer=pointer)
    unknown = [name for name in value if terms.charge(name) is None]
    if unknown:
        raise combined([UnknownField(pointer=child_pointer(pointer, name)) for name in unknown])
    reader = BodyReader(value, allowed=value.keys(), pointer=pointer)
    found = {
        charge.key: reader.required(charge.key, _measured, charge=charge)
        for charge in terms.charges
        if charge.key in value
    }
    reader.check()
    return found


def _usage(charge: PlanCharge, measured: Measured | None, *, first: bool) -> Usage | None:
    """What is priced; None: the charge is not in this period."""
    if charge.addon and (measured is None or not measured.total):
        return None
    if charge.kind == "one_time" and not first:
        return None
    if charge.kind in FEES:
        return Usage(measured or ONE) if charge.addon else Usage(ONE)
    return Usage(measured or Measured())


def _measured(value: object, *, charge: PlanCharge, pointer: str = "") -> Measured:
    model = next(iter(charge.prices.values())).model.kind
    if model == "tokens":
        return Measured(tokens=_tokens(value, pointer))
    if model == "percentage":
        return Measured(events=_events(value, pointer))
    quantity = reading.quantity(value, pointer=pointer)
    if charge.kind == "licensed" and quantity.denominator != 1:
        raise InvalidQuantity("Seats are whole.", pointer=pointer)
    if charge.kind in FEES and quantity not in (0, 1):
        raise InvalidQuantity("A fee is there once, or not.", pointer=pointer)
    return Measured(quantity)


def _events(value: object, pointer: str) -> tuple[Fraction, ...]:
    if not isinstance(value, list):
        return (reading.quantity(value, pointer=pointer),)
    _refuse_long(value, pointer)
    return tuple(
        reading.quantity(item, pointer=child_pointer(pointer, place)) for place, item in enumerate(value)
    )


def _tokens(value: object, pointer: str) -> tuple[TokenUse, ...]:
    if not isinstance(value, list):
        raise InvalidField("This is no list of models, components and quantities.", pointer=pointer)
    _refuse_long(value, pointer)
    return tuple(_token(item, child_pointer(pointer, place)) for place, item in enumerate(value))


def _token(value: object, pointer: str) -> TokenUse:
    if not isinstance(value, dict):
        raise InvalidField("This is not an object.", pointer=pointer)
    reader = BodyReader(value, allowed={"model", "component", "quantity"}, pointer=pointer)
    model = reader.required("model", fields.text, max_length=MAX_MODEL)
    component = reader.required("component", fields.text)
    quantity = reader.required("quantity", reading.quantity)
    reader.check()
    return TokenUse(model, component, quantity)


def _refuse_long(value: list[Any], pointer: str) -> None:
    if len(value) > MAX_EVENTS:
        raise InvalidField(f"This is a list of at most {MAX_EVENTS}.", pointer=pointer)
