"""Prices that a contract agrees on for charges of a plan, instead of the plan's own. Pure.

Whatever prices a charge of a subscription takes it from here: fees, seats, metered use, previews, revenue metrics. What
holds is looked up for one moment, at which what is billed began, and stands in the subscription's row and in each of
its metered periods from then on. So a period has one price, and what was billed is priced the same for ever.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any
from uuid import UUID

from billing.rules.charges.definition import ChargeDefinition, parse_charge, write_charge
from billing.rules.charges.explaining import step_json
from billing.rules.charges.formula import INCLUDED, step
from billing.rules.countable import prices_of_events
from billing.rules.plans import FEES, PlanCharge, PlanTerms, including, price_mistakes
from common.errors import InvalidField, ProblemError
from orgs.rules.facts import time_text


@dataclass(frozen=True, slots=True)
class AgreedPrice:
    """What version `number` of a contract says that a charge costs. `included`: units of a period that are not billed;
    None: as many as the plan has it."""

    contract: UUID
    number: int
    currency: str
    price: ChargeDefinition
    included: Fraction | None = None

    @property
    def source(self) -> str:
        """Return whose price it is."""
        return f"contract:{self.contract}@{self.number}"


@dataclass(frozen=True, slots=True)
class DatedPrice:
    """For which charge of which plan a price holds, and when: [start, end). `since`: when it was agreed; nothing that
    was decided before knows it."""

    plan: UUID
    charge: str
    start: datetime
    end: datetime
    since: datetime
    agreed: AgreedPrice


@dataclass(frozen=True, slots=True)
class Agreed:
    """The prices by charge that hold at a moment."""

    at: datetime
    charges: Mapping[str, AgreedPrice] = field(default_factory=dict)


def agreed_at(dated: Iterable[DatedPrice], plan: UUID, at: datetime, *, by: datetime) -> Agreed:
    """Return the prices that hold at a moment for what a plan charges, as far as they were agreed `by` then: what is
    decided late is decided as if it had been in time."""
    return Agreed(
        at,
        {
            one.charge: one.agreed
            for one in dated
            if one.plan == plan and one.since <= by and one.start <= at < one.end
        },
    )


def kept(agreed: Agreed, before: Agreed, charges: Collection[str]) -> Agreed:
    """Return the prices of a moment, but for these charges the price, or none, that they had before."""
    prices = {key: one for key, one in agreed.charges.items() if key not in charges}
    held = {key: one for key, one in before.charges.items() if key in charges}
    return replace(agreed, charges=prices | held)


def priced(terms: PlanTerms, agreed: Agreed | None) -> PlanTerms:
    """Return a plan's terms with the prices that were agreed on instead of its own."""
    if agreed is None or not agreed.charges:
        return terms
    return replace(
        terms,
        charges=tuple(priced_charge(charge, agreed.charges.get(charge.key)) for charge in terms.charges),
    )


def priced_charge(charge: PlanCharge, agreed: AgreedPrice | None) -> PlanCharge:
    """Return a charge with the price that was agreed on; None, and one that does not fit the charge of this version of
    the plan, leave it its own."""
    if agreed is None or next(misfits(charge, agreed), None) is not None:
        return charge
    units = agreed.included
    if units is None:
        units = charge.included if INCLUDED in agreed.price.model.options else Fraction(0)
    prices = {**charge.prices, agreed.currency: including(agreed.price, units)}
    return replace(charge, included=units, prices=prices, source=agreed.source)


def misfits(charge: PlanCharge, agreed: AgreedPrice, pointer: str = "") -> Iterator[ProblemError]:
    """Yield why a price cannot be that of a charge: it is read like a plan's own. `pointer` is where it stands."""
    stated = replace(charge, included=agreed.included or Fraction(0))
    if agreed.currency not in charge.prices:
        yield InvalidField(f"The plan is not sold in {agreed.currency}.", pointer=f"{pointer}/plan")
    if stated.included and charge.kind in FEES:
        detail = "Only a licensed or a metered charge includes units."
        yield InvalidField(detail, pointer=f"{pointer}/included")
    yield from price_mistakes(
        stated, agreed.price, agreed.currency, f"{pointer}/price", f"{pointer}/included"
    )
    if charge.meter:
        yield from prices_of_events(agreed.price, f"{pointer}/price")


def origin_steps(charge: PlanCharge, result: Fraction) -> list[dict[str, Any]]:
    """Return the step of a formula that says whose price a charge has; none for the plan's own. `result` is what the
    charge comes to."""
    if charge.source is None:
        return []
    return [step_json(step("agreed", f"price of {charge.source}, instead of the plan's", result))]


def write_agreed(agreed: Agreed | None) -> dict[str, Any] | None:
    """Return the prices of a moment as JSON."""
    if agreed is None:
        return None
    return {
        "at": time_text(agreed.at),
        "charges": {key: write_price(one) for key, one in sorted(agreed.charges.items())},
    }


def read_agreed(data: Mapping[str, Any] | None) -> Agreed | None:
    """Return the prices of such JSON."""
    if data is None:
        return None
    return Agreed(
        datetime.fromisoformat(data["at"]).astimezone(UTC),
        {key: read_price(one) for key, one in data["charges"].items()},
    )


def write_price(one: AgreedPrice) -> dict[str, Any]:
    """Return a price as JSON."""
    return {
        "contract": str(one.contract),
        "number": one.number,
        "currency": one.currency,
        "price": write_charge(one.price),
        "included": None if one.included is None else str(one.included),
    }


def read_price(data: Mapping[str, Any]) -> AgreedPrice:
    """Return the price of such JSON."""
    included = data["included"]
    return AgreedPrice(
        UUID(data["contract"]),
        data["number"],
        data["currency"],
        parse_charge(data["price"]),
        None if included is None else Fraction(included),
    )
