"""What a subscription's charges cost for a whole period, and whether one selection costs more than another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Final

from billing.rules.agreed import origin_steps
from billing.rules.charges.explaining import step_json
from billing.rules.charges.pricing import price_line
from billing.rules.charges.usage import used
from billing.rules.periods import Interval
from billing.rules.plans import PlanCharge, PlanTerms
from billing.rules.subscriptions.row import Selection
from common.errors import CurrencyMismatch, InvalidField, ProblemError, UnknownField, combined
from common.money import UNITS_PER_MAJOR
from common.strictjson import child_pointer

RECURRING: Final = frozenset({"recurring", "licensed"})
MAX_QUANTITY: Final = 1_000_000
_WEEKS_A_MONTH: Final = Fraction(52, 12)


@dataclass(frozen=True, slots=True)
class Price:
    """What a charge costs for a whole period: exact, in units, with the quantity that it was worked out on."""

    charge: PlanCharge
    units: Fraction
    quantity: Fraction | None
    steps: tuple[dict[str, Any], ...]


def checked_selection(terms: PlanTerms, selection: Selection, *, currency: str) -> Selection:
    """Return the selection with every quantity that the plan asks for: of a licensed charge none is named of, what it
    includes, at least 1.

    Raises CurrencyMismatch when the plan is not sold in the currency, and UnknownField or InvalidField for what the
    plan does not have, all at once.
    """
    if currency not in terms.currencies:
        raise CurrencyMismatch(
            f"The plan is sold in {', '.join(terms.currencies)}, not in {currency}.", pointer="/plan"
        )
    wrong = [*_wrong_add_ons(terms, selection.add_ons), *_wrong_quantities(terms, selection)]
    if wrong:
        raise combined(wrong)
    quantities = {
        charge.key: selection.quantities.get(charge.key, max(Fraction(1), charge.included))
        for charge in charges_of(terms, selection)
        if charge.kind == "licensed"
    }
    return replace(selection, quantities=quantities, add_ons=tuple(sorted(selection.add_ons)))


def kept_selection(terms: PlanTerms, selection: Selection) -> Selection:
    """Return what of an old selection another plan has, too."""
    add_ons = {charge.key for charge in terms.charges if charge.addon}
    kept = replace(selection, add_ons=tuple(key for key in selection.add_ons if key in add_ons))
    licensed = {charge.key for charge in charges_of(terms, kept) if charge.kind == "licensed"}
    return replace(
        kept, quantities={key: held for key, held in selection.quantities.items() if key in licensed}
    )


def charges_of(terms: PlanTerms, selection: Selection) -> list[PlanCharge]:
    """Return the charges that hold for a selection: the plan's, and those of the add-ons."""
    return [charge for charge in terms.charges if not charge.addon or charge.key in selection.add_ons]


def prices_of(
    terms: PlanTerms, selection: Selection, *, currency: str, kinds: Iterable[str] = RECURRING
) -> list[Price]:
    """Return the price of a whole period of every charge of these kinds, in the plan's order."""
    return [
        _price(charge, selection.quantities, currency)
        for charge in charges_of(terms, selection)
        if charge.kind in kinds
    ]


def monthly_value(terms: PlanTerms, selection: Selection, *, currency: str) -> Fraction:
    """Return what a selection costs a month without use, in units: week x 52/12 (house rule 33)."""
    total = sum(
        (price.units for price in prices_of(terms, selection, currency=currency)),
        Fraction(0),
    )
    return total / months_of(interval_of(terms))


def interval_of(terms: PlanTerms) -> Interval:
    """Return the plan's interval as periods are counted by."""
    return Interval(terms.interval.unit, terms.interval.count)


def months_of(interval: Interval) -> Fraction:
    """Return how long an interval is, in months: a week 12/52 (house rule 33)."""
    return Fraction(interval.months) or interval.count / _WEEKS_A_MONTH


def _price(charge: PlanCharge, quantities: Mapping[str, Fraction], currency: str) -> Price:
    quantity = quantities[charge.key] if charge.kind == "licensed" else None
    billed = Fraction(1) if quantity is None else quantity
    line = price_line(charge.prices[currency], used(billed))
    assert line is not None  # the last line of a period is always priced
    steps = (*origin_steps(charge, line.net.exact), *map(step_json, line.steps))
    return Price(charge, line.net.exact * UNITS_PER_MAJOR, quantity, steps)


def _wrong_add_ons(terms: PlanTerms, add_ons: Iterable[str]) -> Iterable[ProblemError]:
    known = {charge.key for charge in terms.charges if charge.addon}
    for place, key in enumerate(add_ons):
        if key not in known:
            yield InvalidField("The plan has no such add-on.", pointer=child_pointer("/add_ons", place))


def _wrong_quantities(terms: PlanTerms, selection: Selection) -> Iterable[ProblemError]:
    licensed = {charge.key for charge in charges_of(terms, selection) if charge.kind == "licensed"}
    for key, quantity in selection.quantities.items():
        pointer = child_pointer("/quantities", key)
        if key not in licensed:
            yield UnknownField("Nothing that is subscribed to has such a quantity.", pointer=pointer)
        elif not 0 <= quantity <= MAX_QUANTITY or quantity.denominator != 1:
            yield InvalidField(f"A quantity is a whole number up to {MAX_QUANTITY:,}.", pointer=pointer)
