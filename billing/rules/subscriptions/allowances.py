"""Credit that comes with a plan: which is granted when, who pays for it, and what comes back when the plan is left.

What an included credit is worth comes out of the fee that pays for it (ADR 0015): up to the fees of a period the credit
is `deferred`, the rest is promotional. Promotional credit is never given twice for the same time, by one subscription
or several at once. What is unused of a left plan comes back only as far as it is neither burnt nor held, and only so
much of the fee is credited.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Final
from uuid import UUID

from billing.rules.periods import Cycle, Interval, Period
from billing.rules.plans import PlanTerms
from billing.rules.proration import span_share
from billing.rules.rounding import document_step, round_to_document
from billing.rules.subscriptions.row import Allowance, Subscription
from common.ids import new_id
from common.localtime import local_time

_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Running:
    """Promotional credit (units) that was given and is still good until `end`."""

    end: datetime
    amount: int


@dataclass(frozen=True, slots=True)
class Left:
    """What a grant has left in the ledger, and what of it is free: neither held, expired nor owed. Units."""

    remaining: int
    free: int


NOTHING_LEFT: Final = Left(0, 0)


@dataclass(frozen=True, slots=True)
class Clawback:
    """What is taken back of a grant, of which `deferred` had been paid for by the fee: what was paid for is used, and
    goes back, before what was given away (as in the ledger's `broken_parts`). Units."""

    grant: UUID
    amount: int
    deferred: int


@dataclass(frozen=True, slots=True)
class Returned:
    """What closing allowances brings back: the allowances then, what is taken of the ledger's grants, and how much of
    the credit that the fee paid for came back, in units."""

    allowances: tuple[Allowance, ...]
    clawbacks: tuple[Clawback, ...]
    worth: int


def planned(
    row: Subscription,
    terms: PlanTerms,
    *,
    start: datetime,
    end: datetime,
    paid: int,
    running: Iterable[Running] = (),
) -> tuple[Allowance, ...]:
    """Return the credit for [start, end), in order of time, of which the fee `paid` (units) pays as much as it can.

    A window of which only a part lies inside brings that part. Amounts are at the currency's precision.
    """
    windows = sorted(_windows(row, terms, start, end), key=lambda one: (one.start, one.credit))
    total = sum(one.amount for one in windows)
    funded = min(total, max(paid, 0))
    pools = list(running)
    used: dict[datetime, int] = {}
    found, so_far, deferred_so_far = [], 0, 0
    for one in windows:
        so_far += one.amount
        reached = _floor(Fraction(funded * so_far, total or 1), row.currency)
        deferred, deferred_so_far = reached - deferred_so_far, reached
        known = sum(pool.amount for pool in pools if pool.end > one.start) - used.get(one.start, 0)
        doubled = min(max(known, 0), one.amount - deferred)
        used[one.start] = used.get(one.start, 0) + doubled
        found.append(replace(one, amount=one.amount - doubled, deferred=deferred))
    return tuple(one for one in found if one.amount > 0)


def granted_at(
    allowances: Iterable[Allowance], at: datetime, *, others: Iterable[Running]
) -> tuple[tuple[Allowance, ...], list[Allowance]]:
    """Return the allowances with those granted whose time has come by `at`, and these alone. What they give away is
    less by what `others`, the organization's other subscriptions, gave away and is good beyond `at`."""
    elsewhere = sum(pool.amount for pool in others if pool.end > at)
    kept: list[Allowance] = []
    granted: list[Allowance] = []
    for one in allowances:
        if one.grant is None and one.start <= at:
            doubled = min(one.promotional, elsewhere)
            elsewhere -= doubled
            if doubled == one.amount:
                continue
            one = replace(one, amount=one.amount - doubled, grant=new_id())
            granted.append(one)
        kept.append(one)
    return tuple(kept), granted


def still_running(allowances: Iterable[Allowance], at: datetime) -> list[Running]:
    """Return the promotional credit that was granted and is good beyond `at`."""
    return [
        Running(one.end, one.promotional)
        for one in allowances
        if one.grant is not None and one.end > at and one.promotional > 0
    ]


def closed(
    row: Subscription, at: datetime, *, basis: str, free: Mapping[UUID, Left], day_is_used: bool = False
) -> Returned:
    """Return what comes back when the plan is left at `at`: all that was only planned, and the unused part of what
    runs, as far as the ledger has it free (`free` by grant)."""
    kept: list[Allowance] = []
    taken: list[Clawback] = []
    worth = 0
    for one in row.allowances:
        if one.grant is None:
            worth += one.deferred
        elif one.closed or one.end <= at:
            kept.append(one)
        else:
            back = _taken_back(row, one, at, basis, free.get(one.grant, NOTHING_LEFT), day_is_used)
            kept.append(
                replace(
                    one,
                    closed=True,
                    clawed=one.clawed + back.amount,
                    clawed_deferred=one.clawed_deferred + back.deferred,
                )
            )
            worth += back.deferred
            taken += [back] if back.amount else []
    return Returned(tuple(kept), tuple(taken), worth)


def without_ended(allowances: Sequence[Allowance], at: datetime) -> tuple[Allowance, ...]:
    """Return the allowances that still matter at `at`."""
    return tuple(one for one in allowances if one.end > at)


def basis_for(interval: Interval, basis: str) -> str:
    """Return the basis that counts in an interval: fixed_30 counts months, so weeks are counted by the day."""
    return "per_day" if basis == "fixed_30" and not interval.months else basis


def _windows(row: Subscription, terms: PlanTerms, start: datetime, end: datetime) -> Iterable[Allowance]:
    assert row.anchor is not None
    for number, credit in enumerate(terms.credits):
        every = Interval(credit.every.unit, credit.every.count)
        window = Cycle(row.anchor, every, row.zone, day=row.anchor_day).period_at(start)
        while window.start < end:
            begins, ends = max(window.start, start), min(window.end, end)
            share = _share(window, begins, ends, terms.proration)
            yield Allowance(
                credit=number,
                start=begins,
                end=ends,
                amount=round_to_document(credit.amounts[row.currency] * share, currency=row.currency),
                deferred=0,
                source=credit.source,
                priority=credit.priority,
                expires=not credit.rollover,
            )
            window = Cycle(row.anchor, every, row.zone, day=row.anchor_day).period_at(window.end)


def _taken_back(
    row: Subscription, one: Allowance, at: datetime, basis: str, left: Left, day_is_used: bool
) -> Clawback:
    """The unused share of what was granted, or what is free of it if that is less."""
    assert one.grant is not None
    unused = one.amount * _unused(row, one, at, basis, day_is_used)
    most = min(unused, Fraction(max(left.free, 0)))
    amount = _floor(most, row.currency)
    gift = one.amount - one.deferred
    back = min(left.remaining, gift) - min(left.remaining - amount, gift)
    return Clawback(one.grant, amount, amount - back)


def _unused(row: Subscription, one: Allowance, at: datetime, basis: str, day_is_used: bool) -> Fraction:
    """What share of an allowance's own window lies after `at`, by seconds or by days as the plan prorates."""
    since = max(at, one.start)
    if basis == "per_second":
        return Fraction((one.end - since) // _MICROSECOND, (one.end - one.start) // _MICROSECOND)
    first, day, last = (local_time(instant, zone=row.zone).date() for instant in (one.start, since, one.end))
    left = (last - day).days - (1 if day_is_used else 0)
    return Fraction(max(left, 0), max((last - first).days, 1))


def _share(window: Period, start: datetime, end: datetime, basis: str) -> Fraction:
    return span_share(window, start, end, basis=basis_for(window.interval, basis))


def _floor(exact: Fraction, currency: str) -> int:
    """The exact amount cut down to the currency's precision."""
    step = document_step(currency)
    return exact.numerator // (exact.denominator * step) * step
