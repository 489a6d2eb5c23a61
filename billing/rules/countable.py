"""Whether what a plan's charges count can be counted: a customer whose meter is missing could never be billed. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from billing.rules.charges.definition import ChargeDefinition
from billing.rules.charges.percentage import PER_EVENT, Percentage
from billing.rules.meters import Meter, check_groups
from billing.rules.plans import PlanCharge, PlanTerms
from common.errors import ProblemError, combined


class MeterUnusable(ProblemError):
    """A metered charge's meter is missing, archived, grouped otherwise or counted twice, or its price is of each event.

    A meter knows the sum of a period only."""

    code = "meter_unusable"
    status = 422
    title = "Meter unusable"


def require_countable(terms: PlanTerms, meters: Mapping[str, Meter]) -> None:
    """Refuse a plan whose charges cannot be counted by these meters, all mistakes at once, each with the pointer into
    the plan's document. Raises MeterUnusable."""
    wrong = list(_mistakes(terms, meters))
    if wrong:
        raise combined(wrong)


def _mistakes(terms: PlanTerms, meters: Mapping[str, Meter]) -> Iterator[ProblemError]:
    always: dict[str, str] = {}
    for charge in terms.charges:
        if charge.meter and not charge.addon:
            always.setdefault(charge.meter, charge.key)
    for place, charge in enumerate(terms.charges):
        if not charge.meter:
            continue
        pointer = f"/charges/{place}"
        meter = meters.get(charge.meter)
        if meter is None:
            yield MeterUnusable(f"There is no meter {charge.meter}.", pointer=f"{pointer}/meter")
        elif meter.archived_at is not None:
            yield MeterUnusable(f"The meter {charge.meter} is archived.", pointer=f"{pointer}/meter")
        elif not _groups(meter, charge):
            yield MeterUnusable(
                f"The meter {charge.meter} does not group like this.", pointer=f"{pointer}/group_by"
            )
        for currency, price in charge.prices.items():
            yield from prices_of_events(price, f"{pointer}/prices/{currency}")
        first = always.get(charge.meter, charge.key)
        if first != charge.key:
            yield MeterUnusable(
                f"The charge {first} counts the meter {charge.meter}: both would bill what it counts.",
                pointer=f"{pointer}/meter",
            )


def prices_of_events(price: ChargeDefinition, pointer: str) -> Iterator[ProblemError]:
    """Yield why a metered charge cannot have this price: what a percentage takes of each event would be taken of a
    period's sum, as if it were one."""
    if price.model.kind != Percentage.kind:
        return
    for name in filter(price.model.written().__contains__, PER_EVENT):
        yield MeterUnusable(
            f"The meter gives the sum of a period, and {name} is of each event.", pointer=f"{pointer}/{name}"
        )


def _groups(meter: Meter, charge: PlanCharge) -> bool:
    try:
        check_groups(meter.definition, charge.group_by)
    except ProblemError:
        return False
    return True
