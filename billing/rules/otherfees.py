"""A question of what metered use would have cost on other prices of plans, read strictly from JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any, Final
from uuid import UUID

from billing.rules.charges.definition import ChargeDefinition, parse_charge
from billing.rules.plans import PlanCharge, read_quantity
from common import fields
from common.bodies import BodyReader
from common.errors import InvalidField, InvalidPeriod, ProblemError
from common.strictjson import child_pointer

MAX_CHARGES: Final = 100
MAX_ORGANIZATIONS: Final = 100
MAX_CURRENCIES: Final = 20
LONGEST: Final = timedelta(days=366)
_CHARGE_FIELDS: Final = frozenset({"plan", "charge", "prices", "included"})
_FIELDS: Final = frozenset({"from", "to", "organizations", "charges"})


class TooManyPeriods(ProblemError):
    """More metered periods ended in this time than one call rates again."""

    code = "too_many_periods"
    status = 422
    title = "Too many periods"


@dataclass(frozen=True, slots=True)
class OtherCharge:
    """Prices to try of a metered charge of a plan, by currency; `included`: units that are free, None: as many as
    now."""

    plan: str
    charge: str
    prices: Mapping[str, ChargeDefinition]
    included: Fraction | None = None

    def instead_of(self, known: PlanCharge, currency: str) -> PlanCharge | None:
        """Return a charge with this price in a currency; None where none is stated."""
        price = self.prices.get(currency)
        if price is None:
            return None
        included = known.included if self.included is None else self.included
        terms = replace(price.terms, included=included) if included else price.terms
        return replace(known, included=included, prices={currency: replace(price, terms=terms)})


@dataclass(frozen=True, slots=True)
class RateMetersAgain:
    """Metered periods that ended in (start, end] of some customers, None: of all that are no sandbox."""

    start: datetime
    end: datetime
    organizations: tuple[UUID, ...] | None
    charges: Mapping[tuple[str, str], OtherCharge]


def read_meter_question(body: Mapping[str, Any]) -> RateMetersAgain:
    """Return the question that a JSON object states. Raises one error for everything that is wrong in it."""
    reader = BodyReader(body, allowed=_FIELDS)
    start, end = reader.required("from", fields.instant), reader.required("to", fields.instant)
    organizations = reader.optional("organizations", _ids)
    charges: dict[tuple[str, str], OtherCharge] = {}
    for item in reader.objects("charges", allowed=_CHARGE_FIELDS, max_items=MAX_CHARGES):
        one = _charge(item)
        if (one.plan, one.charge) in charges:
            item.refuse(InvalidField("This charge is stated twice.", pointer=item.pointer("charge")))
        charges[one.plan, one.charge] = one
    if not reader.failed:
        if not charges:
            reader.refuse(InvalidField("At least one charge is to be tried.", pointer="/charges"))
        if not start < end <= start + LONGEST:
            reader.refuse(InvalidPeriod("The time is (from, to], 366 days at most.", pointer="/to"))
    reader.check()
    return RateMetersAgain(start, end, organizations, charges)


def _charge(item: BodyReader) -> OtherCharge:
    return OtherCharge(
        plan=item.required("plan", fields.key),
        charge=item.required("charge", fields.key),
        prices=item.required("prices", _prices),
        included=item.optional("included", read_quantity),
    )


def _prices(value: object, *, pointer: str = "") -> dict[str, ChargeDefinition]:
    if not isinstance(value, dict) or not 0 < len(value) <= MAX_CURRENCIES:
        raise InvalidField(f"This is no object of 1 to {MAX_CURRENCIES} currencies.", pointer=pointer)
    found = {}
    for name, price in value.items():
        place = child_pointer(pointer, name)
        found[fields.currency(name, pointer=place)] = _metered(parse_charge(price, pointer=place), place)
    return found


def _metered(price: ChargeDefinition, pointer: str) -> ChargeDefinition:
    if price.model.kind == "flat":
        raise InvalidField("What is metered is priced on its quantity.", pointer=f"{pointer}/model")
    return price


def _ids(value: object, *, pointer: str = "") -> tuple[UUID, ...]:
    if not isinstance(value, list) or not 0 < len(value) <= MAX_ORGANIZATIONS:
        raise InvalidField(f"This is no list of 1 to {MAX_ORGANIZATIONS} ids.", pointer=pointer)
    return tuple(fields.uuid(one, pointer=f"{pointer}/{place}") for place, one in enumerate(value))
