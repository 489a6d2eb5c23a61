"""A held quantity with tiers that changes within its period: each change costs what the period comes to with it less
what it came to before (house rule 17), so that all lines of a period sum to what its whole course costs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from fractions import Fraction

from billing.rules.amounts import exact_text
from billing.rules.items import NewItem
from billing.rules.plans import PlanCharge
from billing.rules.proration import ARREARS
from billing.rules.rounding import round_to_document
from billing.rules.subscriptions.couponing import fees_as_invoiced
from billing.rules.subscriptions.crediting import standing, take_back
from billing.rules.subscriptions.fees import charges_of
from billing.rules.subscriptions.held import (
    MAX_MOVES,
    HeldCost,
    change_steps,
    cost_of,
    course_of,
    is_tiered,
    moved,
)
from billing.rules.subscriptions.row import Fee, Part, Selection
from billing.rules.subscriptions.work import NOTHING, Work, item_of, left_of, price_named


def moving_quantities(work: Work, target: Selection, keys: Collection[str]) -> dict[str, Fraction]:
    """Return of these charges those whose quantity only moves, and to what: 0 for an add-on that is left. The others
    are credited and billed anew: without tiers, billed at another price than now, or changed too often."""
    chosen = {charge.key for charge in charges_of(work.terms, target)}
    return {
        charge.key: target.quantities[charge.key] if charge.key in chosen else NOTHING
        for charge in work.terms.charges
        if charge.key in keys and is_tiered(charge, work.row.currency) and _goes_on(work, charge)
    }


def move_quantities(work: Work, quantities: Mapping[str, Fraction], *, due_at: datetime) -> None:
    """Let quantities be others from now on. In advance the difference for the period is charged or credited, in arrears
    it is billed with the rest; a credit never exceeds what stands (house rule 25), and includes no credit's worth."""
    work.change(fees=fees_as_invoiced(work.row, work.known.invoiced, basis=work.basis))
    for key, quantity in quantities.items():
        charge = work.terms.charge(key)
        assert charge is not None  # one of those that moving_quantities found
        fee = next((fee for fee in work.row.fees if fee.charge == key), None) or _begun(work, charge)
        others = [one for one in work.row.fees if one.charge != key]
        work.change(fees=(*others, _moved(work, charge, fee, quantity, due_at)))


def _goes_on(work: Work, charge: PlanCharge) -> bool:
    """Whether a charge's fee can be gone on with, or is that of an add-on that begins."""
    fees = [fee for fee in work.row.fees if fee.charge == charge.key]
    if not fees:
        return charge.key not in {held.key for held in charges_of(work.terms, work.row.selection)}
    return all(0 < len(fee.moves) < MAX_MOVES and fee.source == charge.source for fee in fees)


def _begun(work: Work, charge: PlanCharge) -> Fee:
    """The fee of an add-on that begins: of the whole period, of which nothing was held so far."""
    start = work.row.period.start
    return Fee(charge.key, charge.timing, NOTHING, NOTHING, start, source=charge.source)


def _moved(work: Work, charge: PlanCharge, fee: Fee, quantity: Fraction, due_at: datetime) -> Fee:
    after = moved(fee, quantity, work.at)
    cost = _cost(work, charge, after)
    if fee.timing == ARREARS:
        return replace(after, price=cost.price)
    totals = _rounded(work, _cost(work, charge, fee)), _rounded(work, cost)
    name = f"{charge.name}: {exact_text(fee.quantity or NOTHING)} to {exact_text(quantity)}"
    begun = _left_at_first(work, charge, fee)
    if totals[1] > totals[0]:
        after = _charged(work, charge, after, cost, totals, name, due_at)
    elif totals[1] < totals[0]:
        after = _credited(work, after, cost, totals, name, due_at, begun)
    return replace(after, price=cost.price * _left(after, totals[1], begun, left_of(work, charge)))


def _charged(
    work: Work,
    charge: PlanCharge,
    fee: Fee,
    cost: HeldCost,
    totals: tuple[int, int],
    name: str,
    due_at: datetime,
) -> Fee:
    """The fee with what a change adds to it: net of percentages, and less what could not be credited before."""
    left, gross = left_of(work, charge), totals[1] - totals[0]
    net = _at_precision(work, gross * left)
    billed = max(net - fee.kept, 0)
    item = None
    if billed:
        new = NewItem(
            kind="proration_charge",
            description=name,
            amount=billed,
            due_at=due_at,
            quantity=fee.quantity,
            service_start=work.at,
            service_end=work.row.period.end,
            steps=change_steps(cost, before=totals[0], after=totals[1], net=net, amount=billed),
            recognition=work.straight,
            **{**item_of(work, price_named(work, fee)), "discountable": False},
        )
        work.items.append(new)
        item = new.id
    parts = (*fee.parts, Part(item, gross, billed, left))
    return replace(fee, billed=fee.billed + billed, parts=parts, kept=fee.kept - (net - billed))


def _credited(
    work: Work,
    fee: Fee,
    cost: HeldCost,
    totals: tuple[int, int],
    name: str,
    due_at: datetime,
    begun: Fraction,
) -> Fee:
    """The fee less what a change takes off it: of what was added last first, as coupons left it."""
    net, rest, parts = 0, totals[0] - totals[1], list(fee.parts)
    for number in reversed(range(len(parts))):
        taken = min(rest, parts[number].gross)
        rest -= taken
        net += _at_precision(work, taken * parts[number].left)
        parts[number] = replace(parts[number], gross=parts[number].gross - taken)
    net += _at_precision(work, rest * begun)
    amount = min(net, max(standing(work, fee) - fee.worth, 0))
    fee = replace(fee, parts=tuple(parts), kept=fee.kept + net - amount)
    if amount:
        steps = change_steps(cost, before=totals[0], after=totals[1], net=-net, amount=-amount)
        span = (work.at, work.row.period.end)
        fee = take_back(work, fee, amount, description=name, steps=steps, span=span, due_at=due_at)
    return replace(fee, parts=tuple(part for part in fee.parts if part.gross or part.billed))


def _left(fee: Fee, total: int, begun: Fraction, now: Fraction) -> Fraction:
    """What share coupons leave of all that a fee comes to; of nothing, what they leave of something new."""
    if not total:
        return now
    later = sum(part.gross for part in fee.parts)
    net = (total - later) * begun + sum((part.gross * part.left for part in fee.parts), NOTHING)
    return net / total


def _left_at_first(work: Work, charge: PlanCharge, fee: Fee) -> Fraction:
    """What share coupons left of what a fee began with; the discount was taken off by its invoice."""
    if not fee.discount:
        return fee.left
    first = _rounded(work, _cost(work, charge, replace(fee, moves=fee.moves[:1])))
    return max(fee.left - Fraction(fee.discount, first), NOTHING) if first else fee.left


def _cost(work: Work, charge: PlanCharge, fee: Fee) -> HeldCost:
    course = course_of(fee, work.row.period, basis=work.basis)
    return cost_of(charge, course, currency=work.row.currency)


def _rounded(work: Work, cost: HeldCost) -> int:
    return _at_precision(work, cost.units)


def _at_precision(work: Work, exact: Fraction) -> int:
    return round_to_document(exact, currency=work.row.currency)
