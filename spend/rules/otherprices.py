"""A question of what usage would have cost on other prices, read strictly from JSON: the API's body, or a file's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, cast
from uuid import UUID

from common import fields
from common.bodies import BodyReader
from common.errors import InvalidField, InvalidPeriod, ProblemError
from spend.rules.modelnames import NAME_LENGTH
from spend.rules.pricedata import components_of_text, price_of_text
from spend.rules.toolprices import ToolUnit

MAX_PRICES: Final = 500
MAX_ORGANIZATIONS: Final = 100
MAX_COMPONENTS: Final = 100
MAX_PER: Final = 2**31 - 1
TOOL_UNITS: Final = ("call", "second", "unit")
LONGEST: Final = timedelta(days=366)
_PRICE_FIELDS: Final = frozenset(
    {"organization", "provider", "model", "currency", "components", "valid_from", "valid_to"}
)
_TOOL_FIELDS: Final = frozenset(
    {"organization", "pattern", "amount", "unit", "per", "currency", "valid_from", "valid_to"}
)
_FIELDS: Final = frozenset({"from", "to", "organizations", "prices", "tools"})


class TooManyRecords(ProblemError):
    """The period has more records than one call rates again."""

    code = "too_many_records"
    status = 422
    title = "Too many records"


@dataclass(frozen=True, slots=True)
class OtherPrice:
    """A price to try, as a person states it; `organization` None: the book's."""

    provider: str
    model: str
    components: Mapping[str, Any]
    currency: str | None = None
    organization: UUID | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None


@dataclass(frozen=True, slots=True)
class OtherToolPrice:
    """A price of a tool to try: `amount` (10^-12 of the major unit) for each `per` calls, seconds or units."""

    pattern: str
    amount: int
    unit: ToolUnit = "call"
    per: int = 1
    currency: str | None = None
    organization: UUID | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None


@dataclass(frozen=True, slots=True)
class RateAgain:
    """Usage of [start, end) of some customers, None: of all that are no sandbox; on these prices."""

    start: datetime
    end: datetime
    organizations: tuple[UUID, ...] | None
    prices: tuple[OtherPrice, ...]
    tools: tuple[OtherToolPrice, ...] = ()


def read_question(body: Mapping[str, Any]) -> RateAgain:
    """Return the question that a JSON object states. Raises one error for everything that is wrong in it."""
    reader = BodyReader(body, allowed=_FIELDS)
    start, end = reader.required("from", fields.instant), reader.required("to", fields.instant)
    organizations = reader.optional("organizations", _ids)
    prices = tuple(
        _price(one) for one in reader.objects("prices", allowed=_PRICE_FIELDS, max_items=MAX_PRICES)
    )
    tools = tuple(_tool(one) for one in reader.objects("tools", allowed=_TOOL_FIELDS, max_items=MAX_PRICES))
    if not reader.failed:
        if not prices and not tools:
            reader.refuse(InvalidField("At least one price is to be tried.", pointer="/prices"))
        if not start < end <= start + LONGEST:
            reader.refuse(InvalidPeriod("The period is [from, to), 366 days at most.", pointer="/to"))
    reader.check()
    return RateAgain(start, end, organizations, prices, tools)


def _valid(reader: BodyReader) -> tuple[datetime | None, datetime | None]:
    valid = (reader.optional("valid_from", fields.instant), reader.optional("valid_to", fields.instant))
    if None not in valid and valid[0] >= valid[1]:  # type: ignore[operator]
        reader.refuse(InvalidPeriod(pointer=reader.pointer("valid_to")))
    return valid


def _tool(reader: BodyReader) -> OtherToolPrice:
    valid = _valid(reader)
    return OtherToolPrice(
        pattern=reader.required("pattern", _pattern, max_length=NAME_LENGTH),
        amount=reader.required("amount", _amount),
        unit=cast(ToolUnit, reader.defaulted("unit", fields.choice, "call", options=TOOL_UNITS)),
        per=reader.defaulted("per", fields.integer, 1, minimum=1, maximum=MAX_PER),
        currency=reader.optional("currency", fields.currency),
        organization=reader.optional("organization", fields.uuid),
        valid_from=valid[0],
        valid_to=valid[1],
    )


def _pattern(value: object, *, pointer: str = "", max_length: int) -> str:
    pattern = fields.text(value, pointer=pointer, max_length=max_length)
    if "*" in pattern[:-1]:
        raise InvalidField("A pattern has a * at its end only.", pointer=pointer)
    return pattern


def _amount(value: object, *, pointer: str = "") -> int:
    try:
        return price_of_text(value)
    except ProblemError as error:
        raise type(error)(error.detail, pointer=pointer) from None


def _price(reader: BodyReader) -> OtherPrice:
    valid = _valid(reader)
    return OtherPrice(
        provider=reader.required("provider", fields.text, max_length=NAME_LENGTH),
        model=reader.required("model", fields.text, max_length=NAME_LENGTH),
        components=reader.required("components", _components),
        currency=reader.optional("currency", fields.currency),
        organization=reader.optional("organization", fields.uuid),
        valid_from=valid[0],
        valid_to=valid[1],
    )


def _components(value: object, *, pointer: str = "") -> Mapping[str, Any]:
    if not isinstance(value, dict) or len(value) > MAX_COMPONENTS:
        raise InvalidField(f"This is no object of at most {MAX_COMPONENTS} components.", pointer=pointer)
    try:
        components_of_text(value)
    except ProblemError as error:
        raise type(error)(error.detail, pointer=pointer) from None
    return value


def _ids(value: object, *, pointer: str = "") -> tuple[UUID, ...]:
    if not isinstance(value, list) or not 0 < len(value) <= MAX_ORGANIZATIONS:
        raise InvalidField(f"This is no list of 1 to {MAX_ORGANIZATIONS} ids.", pointer=pointer)
    return tuple(fields.uuid(one, pointer=f"{pointer}/{place}") for place, one in enumerate(value))
