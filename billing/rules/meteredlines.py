"""Lines over what meters counted: rated by the plan's version, then paid for like any other use. Pure.

A period is rated when it has ended, by what was known at a cut. What a later cut tells otherwise is an adjustment on a
later invoice: the price of what is known now, less the price of what was billed (S73).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any, Final
from uuid import UUID

from billing.rules.amounts import exact_text
from billing.rules.assembling import REVENUE, UNBILLED, Owed
from billing.rules.charges.definition import ChargeDefinition
from billing.rules.charges.explaining import line_json
from billing.rules.charges.pricing import price_line
from billing.rules.charges.usage import Measured, TokenUse, Usage
from billing.rules.plans import PlanCharge
from billing.rules.takingback import TakenBack
from billing.rules.usagelines import POSTPAID
from common.errors import ProblemError

METERED: Final = "metered"


class NotPriced(ProblemError):
    """The plan's version has no price for this charge in the customer's currency."""

    code = "charge_not_priced"
    status = 422
    title = "Charge not priced"


@dataclass(frozen=True, slots=True)
class PeriodOfUse:
    """What is rated: a metered charge of a subscription in [start, end)."""

    id: UUID
    subscription: UUID
    charge: PlanCharge
    plan_version: UUID
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Counted:
    """What a meter says of a group: its quantity, how many records came into it, and their digest (hex)."""

    group: tuple[str | None, ...]
    quantity: Fraction
    records: int
    digest: str


@dataclass(frozen=True, slots=True)
class RatedUse:
    """A period as it is rated at a cut. `amount` in units at the currency's precision, below zero where a late fact
    took something back; `charge_id` names it for ever."""

    period: PeriodOfUse
    amount: int
    quantity: Fraction
    charge_id: str
    detail: Mapping[str, Any]
    late: bool = False


def measured(definition: ChargeDefinition, charge: PlanCharge, counted: Sequence[Counted]) -> Measured:
    """Return what was counted, as the charge's model reads it: tokens by model and component where it prices these."""
    if definition.model.kind == "tokens":
        places = {name: place for place, name in enumerate(charge.group_by)}
        return Measured(
            tokens=tuple(
                TokenUse(_part(one, places.get("model")), _part(one, places.get("component")), one.quantity)
                for one in counted
                if one.quantity
            )
        )
    total = sum((one.quantity for one in counted), Fraction(0))
    if definition.model.kind == "percentage":
        return Measured(events=(total,) if total else ())
    return Measured(total)


def rate(
    period: PeriodOfUse,
    counted: Sequence[Counted],
    *,
    currency: str,
    cut: Mapping[str, Any],
    before: Sequence[Counted] | None = None,
    number: int = 0,
) -> RatedUse:
    """Return a period as it is priced: `counted` is what is known now, `before` what was when it was billed last (None:
    never). Raises NotPriced, and what `price_line` raises."""
    definition = period.charge.prices.get(currency)
    if definition is None:
        raise NotPriced
    now = price_line(definition, Usage(measured(definition, period.charge, counted)))
    assert now is not None  # the usage is the last of its period
    amount, detail = now.net.document_units(currency), line_json(now)
    quantity = now.quantity
    if before is not None:
        old = price_line(definition, Usage(measured(definition, period.charge, before)))
        assert old is not None
        amount -= old.net.document_units(currency)
        quantity -= old.quantity
        detail = {**detail, "before": line_json(old)}
    return RatedUse(
        period,
        amount,
        quantity,
        charge_id=f"{period.id}:{number}",
        detail={
            "period": str(period.id),
            "charge_id": f"{period.id}:{number}",
            "late": before is not None,
            "cut": dict(cut),
            "steps": detail.pop("steps"),
            "rated": detail,
            "groups": [_group(period.charge, one) for one in counted],
        },
        late=before is not None,
    )


def metered_line(rated: RatedUse, paid: Mapping[str, int], back: TakenBack | None = None) -> Owed:
    """Return the line of a rated period; `paid` is what each source paid of it, `back` what the customer gets of one
    below zero."""
    funded = {source: amount for source, amount in paid.items() if amount and source != POSTPAID}
    name = f"{rated.period.charge.name}, late" if rated.late else rated.period.charge.name
    return Owed(
        key=f"metered:{rated.charge_id}",
        kind=METERED,
        description=name,
        exact=paid.get(POSTPAID, 0) if back is None else -back.amount,
        account=UNBILLED if back is None else REVENUE,
        quantity=exact_text(rated.quantity),
        charge=max(rated.amount, 0),
        funded=funded,
        discountable=rated.period.charge.discountable,
        tax_code=rated.period.charge.tax_code,
        service_start=rated.period.start,
        service_end=rated.period.end,
        subscription=rated.period.subscription,
        charge_key=rated.period.charge.key,
        plan_version=rated.period.plan_version,
        detail=rated.detail if back is None else {**rated.detail, **back.data()},
    )


def _group(charge: PlanCharge, one: Counted) -> dict[str, Any]:
    return {
        "by": dict(zip(charge.group_by, one.group, strict=False)),
        "quantity": str(one.quantity),
        "records": one.records,
        "digest": one.digest,
    }


def _part(one: Counted, place: int | None) -> str:
    return "" if place is None else one.group[place] or ""
