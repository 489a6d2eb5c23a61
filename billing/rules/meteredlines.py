"""Lines over what meters counted: rated by the plan's version, then paid for like any other use. Pure.

A period is rated when it has ended, by what was known at a cut. One that was split is rated as one: a part costs what
its window comes to with it, less what it came to without, so free units, tiers and minimum are those of one period.
What a later cut tells otherwise is an adjustment on a later invoice: the price of what is known now, less the price of
what was billed (S73).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from typing import Any, Final
from uuid import UUID

from billing.rules.agreed import origin_steps
from billing.rules.amounts import RunningAmount, exact_text
from billing.rules.assembling import REVENUE, UNBILLED, Owed
from billing.rules.charges.definition import ChargeDefinition
from billing.rules.charges.explaining import line_json, step_json
from billing.rules.charges.formula import step
from billing.rules.charges.shares import price_share
from billing.rules.charges.usage import Measured, TokenUse
from billing.rules.plans import PlanCharge
from billing.rules.takingback import TakenBack
from billing.rules.tax import TaxPending, Treatment
from billing.rules.usagelines import POSTPAID
from common.errors import ProblemError

METERED: Final = "metered"
UNTAXED: Final = "none"
"""The tax code of what no treatment taxes (`parties.EXEMPT_CODES`)."""
WHOLE: Final = Fraction(1)


class NotPriced(ProblemError):
    """The plan's version has no price for this charge in the customer's currency."""

    code = "charge_not_priced"
    status = 422
    title = "Charge not priced"


@dataclass(frozen=True, slots=True)
class PeriodOfUse:
    """What is rated: a metered charge of a subscription in [start, end).

    It may be a part of a window in which its price counted before (`earlier`: these periods). `share`: of how much of a
    whole period's free units and tiers they had come to with it; `share_before`: without it.
    """

    id: UUID
    subscription: UUID
    charge: PlanCharge
    plan_version: UUID
    start: datetime
    end: datetime
    earlier: tuple[UUID, ...] = ()
    share: Fraction = WHOLE
    share_before: Fraction = WHOLE


@dataclass(frozen=True, slots=True)
class Counted:
    """What a meter says of a group: its quantity, how many records came into it, and their digest (hex)."""

    group: tuple[str | None, ...]
    quantity: Fraction
    records: int
    digest: str


@dataclass(frozen=True, slots=True)
class Tally:
    """What a period adds to what was counted in earlier ones of its window, and that."""

    own: tuple[Counted, ...]
    earlier: tuple[Counted, ...] = ()

    @property
    def whole(self) -> list[Counted]:
        """Return both together, group by group."""
        found = {one.group: one for one in self.earlier}
        for one in self.own:
            before = found.get(one.group)
            found[one.group] = (
                one if before is None else replace(one, quantity=before.quantity + one.quantity)
            )
        return list(found.values())

    @property
    def quantities(self) -> tuple[dict[Any, Fraction], dict[Any, Fraction]]:
        """Return the quantities by group, of both."""
        own, earlier = ({one.group: one.quantity for one in part} for part in (self.own, self.earlier))
        return own, earlier


def shares_of(parts: Sequence[tuple[Fraction, Fraction]]) -> list[Fraction]:
    """Return of how much of a whole period's free units the first n parts of a window come to, for each n.

    A part is its share of a period and what more of it to the window's end was paid for. What one had is not taken
    from those after it, and all together never have more than a whole period gives.
    """
    found: list[Fraction] = []
    so_far = Fraction(0)
    for share, ahead in parts:
        so_far += share
        found.append(min(max(so_far + ahead, *found[-1:]), WHOLE) if found else min(so_far + ahead, WHOLE))
    return found


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
    tally: Tally,
    *,
    currency: str,
    cut: Mapping[str, Any],
    before: Tally | None = None,
    number: int = 0,
) -> RatedUse:
    """Return a period as it is priced: `tally` is what is known now, `before` what was when it was billed last (None:
    never). Raises NotPriced, and what `price_share` raises."""
    definition = period.charge.prices.get(currency)
    if definition is None:
        raise NotPriced
    now = _priced(definition, period, tally)
    amount, detail, quantity = now.net.document_units(currency), dict(now.detail), now.quantity
    if before is not None:
        old = _priced(definition, period, before)
        amount -= old.net.document_units(currency)
        quantity -= old.quantity
        detail = {**detail, "before": dict(old.detail)}
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
            "steps": [*origin_steps(period.charge, now.net.exact), *detail.pop("steps")],
            "rated": detail,
            "groups": [_group(period.charge, one) for one in tally.own],
            **_window_detail(period, tally),
        },
        late=before is not None,
    )


@dataclass(frozen=True, slots=True)
class _Priced:
    """What a period comes to: the running amount of its window with it and before it."""

    net: RunningAmount
    quantity: Fraction
    detail: Mapping[str, Any]


def _priced(definition: ChargeDefinition, period: PeriodOfUse, tally: Tally) -> _Priced:
    """What is known of a window with a period in it, less what is known without."""
    whole = price_share(definition, measured(definition, period.charge, tally.whole), period.share)
    quantity = sum((one.quantity for one in tally.own), Fraction(0))
    if not period.earlier:
        return _Priced(whole.net, quantity, line_json(whole))
    without = price_share(definition, measured(definition, period.charge, tally.earlier), period.share_before)
    net = RunningAmount(whole.net.exact, without.net.exact)
    words = "less what earlier parts of this window came to: {after} - {before}"
    less = step("window", words, net.exact, after=net.after, before=net.before)
    detail = line_json(whole)
    return _Priced(net, quantity, {**detail, "steps": [*detail["steps"], step_json(less)]})


def _window_detail(period: PeriodOfUse, tally: Tally) -> dict[str, Any]:
    """What a line says of its window, where it is not the whole of it."""
    if not period.earlier and period.share == WHOLE:
        return {}
    return {
        "earlier": [_group(period.charge, one) for one in tally.earlier],
        "earlier_periods": [str(one) for one in period.earlier],
        "share": str(period.share),
    }


def metered_key(charge: str) -> str:
    """Return the key of the line over a charge."""
    return f"metered:{charge}"


def metered_line(
    rated: RatedUse,
    paid: Mapping[str, int],
    back: TakenBack | None = None,
    treatment: Treatment | TaxPending | None = None,
) -> Owed:
    """Return the line of a rated period; `paid` is what each source paid of it, `back` what the customer gets of one
    below zero for what it had to pay, which is taxed by `treatment`."""
    funded = {source: amount for source, amount in paid.items() if amount and source != POSTPAID}
    name = f"{rated.period.charge.name}, late" if rated.late else rated.period.charge.name
    return Owed(
        key=metered_key(rated.charge_id),
        kind=METERED,
        description=name,
        exact=paid.get(POSTPAID, 0) if back is None else -back.paid_back,
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
        treatment=treatment,
        detail=rated.detail if back is None else {**rated.detail, **back.data(), "credit_back": back.credit},
    )


def with_credit_back(line: Owed) -> list[Owed]:
    """Return a metered line, and beside it what comes back of bought credit. That bore no tax: neither when it was
    bought nor when it paid for the use, so none comes back with it."""
    credit = line.detail.get("credit_back", 0)
    if not credit:
        return [line]
    untaxed = replace(
        line,
        key=f"{line.key}:credit",
        kind="adjustment",
        description=f"{line.description}: credit that had paid for it",
        exact=-credit,
        quantity=None,
        tax_code=UNTAXED,
        treatment=None,
        detail={"period": line.detail["period"]},
    )
    return [line, untaxed]


def _group(charge: PlanCharge, one: Counted) -> dict[str, Any]:
    return {
        "by": dict(zip(charge.group_by, one.group, strict=False)),
        "quantity": str(one.quantity),
        "records": one.records,
        "digest": one.digest,
    }


def _part(one: Counted, place: int | None) -> str:
    return "" if place is None else one.group[place] or ""
