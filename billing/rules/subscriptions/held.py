"""What a held quantity with tiers costs in a period in which it changes (house rules 10, 11 and 17).

Every change counts from its moment to the end of the period: so much of it is its prorated quantity. What is held goes
through the tiers with its full quantity, units cost by the prorated one, and the flat fee of every tier that was
entered is due for the whole period. A charge that holds for a part of a period only (a first period that is cut short,
what another plan begins with) costs that part of it, flat fees too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from typing import Any, Final

from billing.rules.agreed import origin_steps
from billing.rules.amounts import amount_of
from billing.rules.charges.explaining import step_json
from billing.rules.charges.formula import Step, step
from billing.rules.charges.pricing import PricedLine, price_line
from billing.rules.charges.usage import Measured, QuantityChange, Usage
from billing.rules.periods import Period
from billing.rules.plans import PlanCharge
from billing.rules.proration import blocked_share, span_share, unused_share
from billing.rules.subscriptions.row import Fee, Move
from common.localtime import local_time
from common.money import UNITS_PER_MAJOR

TIERED: Final = frozenset({"graduated", "volume"})
MAX_MOVES: Final = 500
"""In one period; the next change begins the charge anew, so that no row and no event grows without end."""
_TOLD: Final = 30
_NOTHING: Final = Fraction(0)
_WHOLE: Final = Fraction(1)


@dataclass(frozen=True, slots=True)
class Course:
    """How a held quantity went through a period, or a part of one: the `share` of the period, and each change with the
    share of the period that it counts for."""

    share: Fraction
    changes: tuple[tuple[Fraction, Fraction], ...]


@dataclass(frozen=True, slots=True)
class HeldCost:
    """What a course costs, exact and in units: so far, and `price` for a whole period in which nothing changes any
    more."""

    units: Fraction
    price: Fraction
    steps: tuple[dict[str, Any], ...]


def is_tiered(charge: PlanCharge, currency: str) -> bool:
    """Whether a charge is of a held quantity that moves through tiers when it changes."""
    return charge.kind == "licensed" and charge.prices[currency].model.kind in TIERED


def course_of(
    fee: Fee,
    period: Period,
    *,
    basis: str,
    unused: Fraction = _NOTHING,
    blocks: Sequence[tuple[datetime, datetime]] = (),
) -> Course:
    """Return the course of a fee's quantity to the end of the period, without the share at its end that is `unused` and
    without blocked days."""

    def left(share: Fraction, since: datetime) -> Fraction:
        blocked = blocked_share(_from(period, since), blocks) if blocks else _NOTHING
        return max(share - unused - blocked, _NOTHING)

    return Course(
        left(span_share(period, fee.start, period.end, basis=basis), fee.start),
        tuple(
            (move.quantity, left(unused_share(period, move.at, basis=basis), move.at)) for move in fee.moves
        ),
    )


def cost_of(charge: PlanCharge, course: Course, *, currency: str) -> HeldCost:
    """Return what a course costs at a charge's price: for a part of a period, that part of what a whole one would cost
    in which everything lasted as much longer."""
    if not course.changes:
        return HeldCost(_NOTHING, _NOTHING, ())
    share = course.share
    whole = _priced(charge, [(held, _WHOLE) for held, _ in course.changes], currency)
    price = whole.net.exact * UNITS_PER_MAJOR
    if not share:
        return HeldCost(_NOTHING, price, ())
    line = _priced(charge, [(held, part / share) for held, part in course.changes], currency)
    amount = line.net.exact * share
    steps = (*origin_steps(charge, line.net.exact), *map(step_json, _told(line.steps)))
    if share != 1:
        words = "{price} x {share} of the period"
        steps = (*steps, step_json(step("share", words, amount, price=line.net.exact, share=share)))
    return HeldCost(amount * UNITS_PER_MAJOR, price, steps)


def moved(fee: Fee, quantity: Fraction, at: datetime) -> Fee:
    """Return a fee whose quantity is another one from a moment on."""
    held = fee.quantity or _NOTHING
    return replace(fee, quantity=quantity, moves=(*fee.moves, Move(at, quantity - held)))


def change_steps(cost: HeldCost, *, before: int, after: int, net: int, amount: int) -> list[dict[str, Any]]:
    """Return how the amount of a change came about, all in units: what the period comes to now less what it came to
    before, as documents say both; `net`: what coupons leave of that; and what could not be credited."""
    numbers = {"after": amount_of(after), "before": amount_of(before)}
    words = "this change: {after} for the period now - {before} until now"
    change = amount_of(after - before)
    found = [*cost.steps, step_json(step("split", words, change, **numbers))]
    if net != after - before:
        words = "what coupons leave of {change}"
        found.append(step_json(step("coupon", words, amount_of(net), change=change)))
    if amount != net:
        words = "{net} - {stays} that could not be credited before"
        if net < 0:
            words = (
                "{net} + {stays} that stays: credit of the plan that was used or is kept, or was not billed"
            )
        numbers = {"net": amount_of(net), "stays": amount_of(abs(net - amount))}
        found.append(step_json(step("kept", words, amount_of(amount), **numbers)))
    return found


def _priced(charge: PlanCharge, changes: Iterable[tuple[Fraction, Fraction]], currency: str) -> PricedLine:
    measured = tuple(QuantityChange(quantity, quantity * share) for quantity, share in changes)
    line = price_line(charge.prices[currency], Usage(Measured(changes=measured)))
    assert line is not None  # the last line of a period is always priced
    return line


def _told(steps: Sequence[Step]) -> Sequence[Step]:
    """The newest changes; those before them were told on the lines that they made."""
    changes = [one for one in steps if one.name == "change"]
    left_out = len(changes) - _TOLD
    return steps if left_out <= 0 else steps[left_out:]


def _from(period: Period, since: datetime) -> Period:
    return replace(period, start=since, start_date=local_time(since, zone=period.zone).date())
