"""What recurs of a subscription or a contract, from when on: the one definition of MRR (docs/metrics.md). Pure.

A level holds from its moment until the next one of its source. It counts what is charged whether or not anything is
used: recurring and licensed fees net of coupons, a contract's fees and what it commits to. Amounts are units of 10^-8
a month.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction
from typing import Final

from billing.rules.agreed import priced
from billing.rules.contracts.row import Contract, midnight
from billing.rules.contracts.terms import ContractTerms
from billing.rules.plans import PlanTerms
from billing.rules.rounding import round_to_document
from billing.rules.subscriptions import states
from billing.rules.subscriptions.couponing import discounts
from billing.rules.subscriptions.fees import prices_of
from billing.rules.subscriptions.row import Redemption, Selection, Subscription
from common.localtime import local_time
from payouts.rules.metrics.normalising import monthly, monthly_of_term, whole_units

ENDED: Final = "ended"
COUNTED: Final = frozenset({states.ACTIVE, states.PAST_DUE})
"""In which states a subscription recurs: who is late with a payment still does."""


@dataclass(frozen=True, slots=True)
class Level:
    """What a source comes to a month from `at` on. `trial`: what it would come to if the trial were over."""

    at: datetime
    mrr: int
    trial: int
    status: str


def selection_level(
    terms: PlanTerms,
    selection: Selection,
    coupons: Iterable[Redemption],
    *,
    since: datetime,
    currency: str,
) -> int:
    """Return what a selection comes to a month, in units: recurring and licensed charges, less what coupons take off
    a whole period that runs at `since`."""
    prices = prices_of(terms, selection, currency=currency)
    taken = [
        (price.charge.key, round_to_document(price.units, currency=currency))
        for price in prices
        if price.charge.discountable and price.units > 0
    ]
    off = sum(discounts(taken, coupons, start=since, currency=currency))
    exact = sum((price.units for price in prices), Fraction(0)) - off
    return whole_units(max(monthly(exact, terms.interval.unit, terms.interval.count), Fraction(0)))


def subscription_level(row: Subscription, terms: PlanTerms, at: datetime) -> Level:
    """Return what a subscription comes to from `at` on, as its row is then: nothing before it starts, in a trial, in a
    pause and after its end."""
    status = ENDED if row.status in states.ENDED else row.status
    mrr = _running(row, terms) if row.status in COUNTED else 0
    trial = _after_trial(row, terms) if row.status == states.TRIALING else 0
    return Level(at, mrr, trial, status)


def subscription_committed(row: Subscription, terms: PlanTerms, waiting: PlanTerms | None) -> int:
    """Return what a subscription will come to when everything that is arranged now has happened: a start to come, the
    change that waits (`waiting`: its terms), a cancellation or an end. A trial counts as nothing until it is over, and
    another version at its own prices: a contract's are known when it begins."""
    if row.status in states.ENDED or row.ending is not None or row.ends_at is not None:
        return 0
    if row.status == states.TRIALING or (row.status == states.SCHEDULED and row.trial_days):
        return 0
    selection, agreed = row.selection, row.agreed
    if row.pending is not None and waiting is not None:
        agreed = agreed if row.pending.selection.version == selection.version else None
        terms, selection = waiting, row.pending.selection
    since = row.period_start or row.starts_at
    return selection_level(priced(terms, agreed), selection, row.coupons, since=since, currency=row.currency)


def contract_levels(row: Contract) -> tuple[Level, ...]:
    """Return everything that a contract comes to over its term, as its row knows it: from its start, from each version
    and each step of its ramp on, nothing from its end on. A draft comes to nothing."""
    if row.activated_at is None:
        return ()
    end = _end(row)
    steps = sorted(moment for moment in _steps(row) if moment < end)
    levels = [Level(moment, _agreed(row, moment), 0, states.ACTIVE) for moment in steps]
    return (*levels, Level(end, 0, 0, ENDED)) if levels else ()


def contract_committed(row: Contract) -> int:
    """Return what a contract will come to when all its versions and steps have begun; nothing when its end was asked
    for. The end of its term is no end that somebody asked for."""
    if row.activated_at is None or row.ended_at is not None or row.terminates_at is not None:
        return 0
    levels = contract_levels(row)
    return levels[-2].mrr if levels else 0


def agreed_level(terms: ContractTerms, day: date) -> int:
    """Return what a version of a contract comes to a month on a day, in units.

    Its fees, and what is committed in the window: a prepaid or postpaid commitment beside them, a minimum as the floor
    under them. A postpaid commitment without a true-up binds nobody and counts as nothing.
    """
    fees = sum(
        (monthly(Fraction(fee.amount), fee.interval.unit, fee.interval.count) for fee in terms.fees),
        Fraction(0),
    )
    commitment = terms.commitment
    if commitment is None or not commitment.true_up:
        return whole_units(fees)
    committed = _committed(terms, day)
    return whole_units(max(fees, committed) if commitment.kind == "minimum" else fees + committed)


def _running(row: Subscription, terms: PlanTerms) -> int:
    return _of_row(row, terms, since=row.period_start or row.starts_at)


def _after_trial(row: Subscription, terms: PlanTerms) -> int:
    return _of_row(row, terms, since=row.trial_end or row.starts_at)


def _of_row(row: Subscription, terms: PlanTerms, *, since: datetime) -> int:
    held = priced(terms, row.agreed)
    return selection_level(held, row.selection, row.coupons, since=since, currency=row.currency)


def _steps(row: Contract) -> set[datetime]:
    found = {each.effective_at for each in row.versions}
    for each in row.versions:
        found |= {midnight(segment.start, row.zone) for segment in each.terms.ramp}
    return {moment for moment in found if moment >= row.starts_at}


def _end(row: Contract) -> datetime:
    arranged = row.ended_at or row.terminates_at
    term = midnight(row.versions[-1].terms.end, row.zone)
    return term if arranged is None else min(arranged, term)


def _agreed(row: Contract, moment: datetime) -> int:
    begun = [each for each in row.versions if each.effective_at <= moment]
    day = local_time(moment, zone=row.zone).date()
    return agreed_level(begun[-1].terms, day) if begun else 0


def _committed(terms: ContractTerms, day: date) -> Fraction:
    assert terms.commitment is not None
    begun = [segment for segment in terms.ramp if segment.start <= day]
    if not begun:
        return Fraction(0)
    amount = Fraction(begun[-1].amount)
    if terms.commitment.window != "segment":
        return monthly(amount, terms.commitment.window)
    later = [segment.start for segment in terms.ramp if segment.start > day]
    return monthly_of_term(amount, begun[-1].start, min([*later, terms.end]))
