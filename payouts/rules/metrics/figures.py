"""A month's movements, retention, churn and what a customer is worth, from the movements of customers. Pure.

start + new + expansion + reactivation - contraction - churn = end (house rule 35). Retention follows the customers that
were there at the start; churn rates are those of the movements.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Final
from uuid import UUID

from billing.rules.months import next_month
from common.money import round_half_up
from payouts.rules.metrics.movements import CHURN, CONTRACTION, EXPANSION, KINDS, NEW, REACTIVATION
from payouts.rules.metrics.normalising import share

ZERO_CHURN: Final = "zero_churn"
NO_CUSTOMERS: Final = "no_customers"
BEFORE: Final = "before"
"""The kind of what moved before the months that are asked for, all of it together."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What moved for one customer in a month: the sum of its movements of one kind in units, at how many moments."""

    organization: UUID
    currency: str
    month: date
    kind: str
    amount: int
    times: int = 1


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of the customers that had MRR at the start of a span, in units and in customers.

    `gross`: at most what each had; `net`: all that they have at its end; `lost`: how many have nothing then.
    """

    start: int
    gross: int
    net: int
    customers: int
    lost: int

    @property
    def gross_retention(self) -> Fraction | None:
        """Return GRR, at most 1; None when there was nothing at the start."""
        return share(self.gross, self.start)

    @property
    def net_retention(self) -> Fraction | None:
        """Return NRR, at least GRR."""
        return share(self.net, self.start)

    @property
    def customer_churn(self) -> Fraction | None:
        """Return which part of the customers is lost."""
        return share(self.lost, self.customers)


@dataclass(frozen=True, slots=True)
class Month:
    """The MRR of a month in one currency. Amounts are units and not below zero; `counts`: moments at which a customer
    became, came back or was lost, by kind."""

    currency: str
    month: date
    start: int
    moved: Mapping[str, int]
    counts: Mapping[str, int]
    customers_start: int
    kept: Kept

    @property
    def end(self) -> int:
        """Return the MRR at its end."""
        gained = sum(self.moved[kind] for kind in (NEW, EXPANSION, REACTIVATION))
        return self.start + gained - self.moved[CONTRACTION] - self.moved[CHURN]

    @property
    def customers_end(self) -> int:
        """Return how many customers have MRR at its end."""
        return self.customers_start + self.counts[NEW] + self.counts[REACTIVATION] - self.counts[CHURN]

    @property
    def gross_churn(self) -> Fraction | None:
        """Return (churn + contraction) / start."""
        return share(self.moved[CHURN] + self.moved[CONTRACTION], self.start)

    @property
    def net_churn(self) -> Fraction | None:
        """Return (churn + contraction - expansion - reactivation) / start."""
        lost = self.moved[CHURN] + self.moved[CONTRACTION]
        return share(lost - self.moved[EXPANSION] - self.moved[REACTIVATION], self.start)

    @property
    def arpa(self) -> int | None:
        """Return the MRR per customer at its end, in units half up; None without customers."""
        return arpa(self.end, self.customers_end)


@dataclass(frozen=True, slots=True)
class LifetimeValue:
    """What a customer is worth, in units; without one, why."""

    units: int | None
    reason: str | None = None


def arpa(mrr: int, customers: int) -> int | None:
    """Return MRR per customer, in units half up; None without customers."""
    return round_half_up(mrr, customers) if customers else None


def lifetime_value(per_customer: int | None, churn: Fraction | None) -> LifetimeValue:
    """Return ARPA / monthly customer churn rate. Without churn nobody knows it: no rate is assumed (N10)."""
    if per_customer is None or churn is None:
        return LifetimeValue(None, NO_CUSTOMERS)
    if not churn:
        return LifetimeValue(None, ZERO_CHURN)
    exact = per_customer / churn
    return LifetimeValue(round_half_up(exact.numerator, exact.denominator))


def months_of(moved: Iterable[Moved], *, first: date, last: date) -> dict[str, list[Month]]:
    """Return the months from `first` to `last` by currency; `moved` has everything since the beginning, or before
    `first` its sum."""
    by_currency: dict[str, dict[date, list[Moved]]] = defaultdict(lambda: defaultdict(list))
    for one in moved:
        by_currency[one.currency][one.month].append(one)
    return {
        currency: _months(currency, by_month, first, last)
        for currency, by_month in sorted(by_currency.items())
    }


def kept_over(moved: Iterable[Moved], *, first: date, last: date) -> dict[str, Kept]:
    """Return what became, by the end of the month `last`, of the customers that had MRR before `first`, by currency."""
    before: dict[str, dict[UUID, int]] = defaultdict(lambda: defaultdict(int))
    after: dict[str, dict[UUID, int]] = defaultdict(lambda: defaultdict(int))
    for one in moved:
        if one.month < first:
            before[one.currency][one.organization] += one.amount
        if one.month <= last:
            after[one.currency][one.organization] += one.amount
    return {currency: _kept(before[currency], held) for currency, held in sorted(after.items())}


def balances_of(moved: Iterable[Moved]) -> dict[str, dict[UUID, int]]:
    """Return the MRR of each customer by currency; those without are left out."""
    held: dict[str, dict[UUID, int]] = defaultdict(lambda: defaultdict(int))
    for one in moved:
        held[one.currency][one.organization] += one.amount
    return {
        currency: {name: amount for name, amount in customers.items() if amount}
        for currency, customers in sorted(held.items())
    }


def _months(currency: str, by_month: Mapping[date, Sequence[Moved]], first: date, last: date) -> list[Month]:
    held: dict[UUID, int] = defaultdict(int)
    for month in sorted(by_month):
        if month < first:
            _apply(held, by_month[month])
    found, month = [], first
    while month <= last:
        found.append(_month(currency, month, held, by_month.get(month, ())))
        month = next_month(month)
    return found


def _month(currency: str, month: date, held: dict[UUID, int], moved: Sequence[Moved]) -> Month:
    """The month, and `held` as it is at its end."""
    before = {name: amount for name, amount in held.items() if amount}
    touched = {one.organization for one in moved}
    _apply(held, moved)
    sums, counts = dict.fromkeys(KINDS, 0), dict.fromkeys(KINDS, 0)
    for one in moved:
        sums[one.kind] += abs(one.amount)
        counts[one.kind] += one.times
    after = {name: held[name] for name in {*before, *touched} if held[name]}
    return Month(currency, month, sum(before.values()), sums, counts, len(before), _kept(before, after))


def _kept(before: Mapping[UUID, int], after: Mapping[UUID, int]) -> Kept:
    there = {name: amount for name, amount in before.items() if amount}
    ends = [(amount, after.get(name, 0)) for name, amount in there.items()]
    return Kept(
        start=sum(there.values()),
        gross=sum(min(start, end) for start, end in ends),
        net=sum(end for _, end in ends),
        customers=len(ends),
        lost=sum(1 for _, end in ends if not end),
    )


def _apply(held: dict[UUID, int], moved: Iterable[Moved]) -> None:
    for one in moved:
        held[one.organization] += one.amount
