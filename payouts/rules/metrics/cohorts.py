"""Cohorts: the customers that began in one month, and what is left of them month by month. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from uuid import UUID

from billing.rules.months import next_month
from payouts.rules.metrics.figures import Moved
from payouts.rules.metrics.movements import NEW
from payouts.rules.metrics.normalising import share


@dataclass(frozen=True, slots=True)
class CohortMonth:
    """A cohort at the end of a month, `age` months after that in which it began.

    `size` and `began` (units): its customers and their MRR when they became customers; `customers` and `mrr`: those
    that are left of it, with everything that they have by now.
    """

    currency: str
    cohort: date
    age: int
    month: date
    size: int
    began: int
    customers: int
    mrr: int

    @property
    def customer_retention(self) -> Fraction | None:
        """Return which part of the customers is left."""
        return share(self.customers, self.size)

    @property
    def mrr_retention(self) -> Fraction | None:
        """Return what they come to now, of what they began with; above 1 where they grew."""
        return share(self.mrr, self.began)


def cohorts_of(moved: Iterable[Moved], *, first: date, last: date) -> list[CohortMonth]:
    """Return the cohorts that began from the month `first` on, each to the end of the month `last`.

    `moved` has everything since the beginning, or before `first` its sum. Who comes back belongs to the month in
    which it first began.
    """
    by_currency: dict[str, list[Moved]] = defaultdict(list)
    for one in moved:
        if one.month <= last:
            by_currency[one.currency].append(one)
    return [
        row
        for currency, rows in sorted(by_currency.items())
        for row in _of_currency(currency, rows, first, last)
    ]


def _of_currency(currency: str, moved: Sequence[Moved], first: date, last: date) -> list[CohortMonth]:
    began = {one.organization: one.month for one in moved if one.kind == NEW}  # else: before the first
    cohorts: dict[date, dict[date, list[Moved]]] = defaultdict(lambda: defaultdict(list))
    for one in moved:
        cohort = began.get(one.organization)
        if cohort is not None and cohort >= first:
            cohorts[cohort][one.month].append(one)
    return [
        row for cohort, months in sorted(cohorts.items()) for row in _cohort(currency, cohort, months, last)
    ]


def _cohort(
    currency: str, cohort: date, months: dict[date, list[Moved]], last: date
) -> Iterable[CohortMonth]:
    started = [one for one in months[cohort] if one.kind == NEW]
    size, began = len({one.organization for one in started}), sum(one.amount for one in started)
    held: dict[UUID, int] = defaultdict(int)
    month, age = cohort, 0
    while month <= last:
        for one in months.get(month, ()):
            held[one.organization] += one.amount
        left = [amount for amount in held.values() if amount]
        yield CohortMonth(currency, cohort, age, month, size, began, len(left), sum(left))
        month, age = next_month(month), age + 1
