"""A charge as it stands in a plan or contract: a model with its prices, and what holds around it.

Written as JSON, read strictly: all mistakes at once, each with its JSON pointer. The currency is given outside.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import ModuleType
from typing import Any, Final, cast

from billing.rules.amounts import ZERO, exact_text
from billing.rules.charges import (
    blocks,
    dynamic,
    flat,
    gradpercentage,
    graduated,
    package,
    percentage,
    perunit,
    reading,
    tokens,
    volume,
)
from billing.rules.charges.bounds import NO_BOUNDS, Bounds
from billing.rules.charges.formula import (
    FLAT_FEE_AT_ZERO,
    INCLUDED,
    NO_TERMS,
    USAGE_DISCOUNT,
    ChargeModel,
    Terms,
)
from common import fields
from common.bodies import BodyReader
from common.errors import InvalidField

FAMILIES: Final[Mapping[str, ModuleType]] = {
    "flat": flat,
    "per_unit": perunit,
    "graduated": graduated,
    "volume": volume,
    "package": package,
    "blocks": blocks,
    "percentage": percentage,
    "graduated_percentage": gradpercentage,
    "dynamic": dynamic,
    "tokens": tokens,
}
COMMON: Final = frozenset(
    ("model", INCLUDED, USAGE_DISCOUNT, FLAT_FEE_AT_ZERO, "discount_percent", "minimum", "maximum")
)


@dataclass(frozen=True, slots=True)
class ChargeDefinition:
    """A charge: `discount` is a share of 1 that is taken off the price before coupons."""

    model: ChargeModel
    terms: Terms = NO_TERMS
    discount: Fraction = ZERO
    bounds: Bounds = NO_BOUNDS


def parse_charge(document: object, *, pointer: str = "") -> ChargeDefinition:
    """Return the definition that a JSON object states.

    Raises one ProblemError (InvalidField, InvalidAmount, InvalidQuantity, UnknownField) that lists everything
    wrong by pointer.
    """
    if not isinstance(document, dict):
        raise InvalidField("This is not an object.", pointer=pointer)
    family = _family(document, pointer)
    reader = BodyReader(document, allowed=COMMON | family.FIELDS, pointer=pointer)
    model = cast(Callable[[BodyReader], ChargeModel], family.read)(reader)
    definition = ChargeDefinition(
        model=model,
        terms=Terms(
            usage_discount=reader.defaulted(USAGE_DISCOUNT, reading.quantity, ZERO),
            included=reader.defaulted(INCLUDED, reading.quantity, ZERO),
            flat_fee_at_zero=reader.defaulted(FLAT_FEE_AT_ZERO, reading.flag, False),
        ),
        discount=reader.defaulted("discount_percent", reading.percent, ZERO),
        bounds=Bounds(reader.optional("minimum", reading.money), reader.optional("maximum", reading.money)),
    )
    _refuse_misfits(reader, document, definition)
    reader.check()
    return definition


def write_charge(definition: ChargeDefinition) -> dict[str, Any]:
    """Return a definition as JSON; reading it gives the same definition. What has its default is left out."""
    terms = definition.terms
    written: dict[str, Any] = {"model": definition.model.kind} | definition.model.written()
    written |= reading.written_fields({USAGE_DISCOUNT: terms.usage_discount, INCLUDED: terms.included})
    if terms.flat_fee_at_zero:
        written[FLAT_FEE_AT_ZERO] = True
    if definition.discount:
        written["discount_percent"] = reading.percent_text(definition.discount)
    bounds = {"minimum": definition.bounds.minimum, "maximum": definition.bounds.maximum}
    return written | {name: exact_text(bound) for name, bound in bounds.items() if bound is not None}


def _family(document: Mapping[str, Any], pointer: str) -> ModuleType:
    reader = BodyReader({"model": document.get("model")}, allowed=("model",), pointer=pointer)
    try:
        return FAMILIES[reader.required("model", fields.choice, options=FAMILIES.keys())]
    except KeyError:
        reader.check()
        raise


def _refuse_misfits(reader: BodyReader, document: Mapping[str, Any], definition: ChargeDefinition) -> None:
    model, bounds = definition.model, definition.bounds
    for name in (USAGE_DISCOUNT, INCLUDED, FLAT_FEE_AT_ZERO):
        if name in document and name not in model.options:
            detail = f"A charge of model {model.kind} has no {name}."
            reader.refuse(InvalidField(detail, pointer=reader.pointer(name)))
    if bounds.minimum is not None and bounds.maximum is not None and bounds.maximum < bounds.minimum:
        reader.refuse(InvalidField("The maximum is at least the minimum.", pointer=reader.pointer("maximum")))
