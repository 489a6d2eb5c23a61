"""Proration: what part of a period's price belongs to a part of it, and what a change credits and charges.

A share is exact. What comes of it is rounded once, half up, at the currency's precision, per line. The denominator is
always the whole anchor period, also in a stub, so the same day costs the same in both (house rules 21 to 26).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Final

from billing.rules.periods import Cycle, Interval, Period
from billing.rules.rounding import document_step, round_to_document
from billing.rules.sharing import largest_remainder
from common.localtime import local_time

BASES: Final = ("per_second", "per_day", "fixed_30")
MODES: Final = ("invoice", "prorate", "next_period", "reset")
CREDIT: Final = "proration_credit"
CHARGE: Final = "proration_charge"
ADVANCE: Final = "advance"
ARREARS: Final = "arrears"
_ONE_DAY: Final = timedelta(days=1)
_Span = tuple[Fraction, datetime, datetime]


@dataclass(frozen=True, slots=True)
class RunningFee:
    """A fee of the running period: its price for a whole period and what was billed of this period, less what was
    credited before. Both are after their share of discounts. A fee in arrears has nothing billed.
    """

    key: str
    price: Fraction | int
    billed: int = 0
    timing: str = ADVANCE


@dataclass(frozen=True, slots=True)
class NewFee:
    """A fee from the change on: its price for a whole period, after its share of discounts."""

    key: str
    price: Fraction | int
    timing: str = ADVANCE


@dataclass(frozen=True, slots=True)
class ProratedLine:
    """A credit (negative) or charge for [start, end), the given share of a whole period's price."""

    kind: str
    key: str
    amount: int
    share: Fraction
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Change:
    """What a change does: from when on, on which invoice ("now" or "next_invoice"), which lines, which periods then."""

    mode: str
    effective_at: datetime
    billed: str
    lines: tuple[ProratedLine, ...]
    cycle: Cycle


def span_share(period: Period, start: datetime, end: datetime, *, basis: str) -> Fraction:
    """Return what part of a whole period's price [start, end) costs; it lies inside the whole anchor period.

    per_day counts the start day and not the end day. fixed_30 counts 30E/360 days over 30 for each month of the
    interval; at most 1, and not for weeks. Raises ValueError.
    """
    if not period.whole_start <= start <= end <= period.whole_end:
        raise ValueError("a share is that of a span inside the period")
    if (start, end) == (period.whole_start, period.whole_end):
        return Fraction(1)
    if basis == "per_second":
        return _length(start, end) / _length(period.whole_start, period.whole_end)
    return _share_of_days(period, _day(start, period), _day(end, period), basis)


def unused_share(period: Period, at: datetime, *, basis: str, day_counts_as_used: bool = False) -> Fraction:
    """Return what part of a whole period's price is left at a change (house rule 22).

    The day of a change belongs to what comes after; on a termination it counts as used. Raises ValueError.
    """
    if basis == "per_second" or not day_counts_as_used:
        return span_share(period, at, period.end, basis=basis)
    return _share_of_days(period, _day(at, period) + _ONE_DAY, period.end_date, basis)


def used_share(period: Period, at: datetime, *, basis: str, day_counts_as_used: bool = False) -> Fraction:
    """Return what part of a whole period's price was used from the period's start until a change or termination."""
    if basis == "per_second" or not day_counts_as_used:
        return span_share(period, period.start, at, basis=basis)
    last = min(_day(at, period) + _ONE_DAY, period.end_date)
    return _share_of_days(period, period.start_date, last, basis)


def blocked_share(period: Period, blocks: Iterable[tuple[datetime, datetime]]) -> Fraction:
    """Return what part of a whole period's price the blocked days [block, unblock) cost: a day counts once, and all of
    them are no more than the begun days of 24 hours (local time) that were blocked together."""
    blocked: set[date] = set()
    length, last = timedelta(), period.start
    for start, end in sorted(blocks):
        first = max(_day(start, period), period.start_date)
        days = (min(_day(end, period), period.end_date) - first).days
        blocked.update(first + timedelta(days=number) for number in range(max(days, 0)))
        last, since = max(last, min(end, period.end)), max(last, start)
        length += max(_local(last, period) - _local(since, period), timedelta())
    count = min(len(blocked), -(-length // _ONE_DAY))
    return Fraction(count, (_day(period.whole_end, period) - _day(period.whole_start, period)).days)


def net_of_discount(amounts: Sequence[int], discount: int, *, currency: str) -> tuple[int, ...]:
    """Return the amounts less their shares of a discount, at the currency's precision; none falls below 0."""
    step = document_step(currency)
    whole = min(discount, sum(amounts)) // step
    shares = largest_remainder(whole, [Fraction(amount) for amount in amounts])
    return tuple(amount - share * step for amount, share in zip(amounts, shares, strict=True))


def change_fees(
    running: Sequence[RunningFee],
    new: Sequence[NewFee],
    *,
    cycle: Cycle,
    at: datetime,
    mode: str,
    basis: str,
    currency: str,
    interval: Interval | None = None,
) -> Change:
    """Return what becomes of a change of prices, quantities or the interval at an instant (house rule 24).

    `invoice` and `prorate` credit what is unused of the running fees and charge the new ones for the same span, the
    one on an invoice now, the other on the next. With another interval a new period starts now: the new fees are
    charged for all of it. `next_period` changes nothing before the period's end; a subscription keeps at
    most one of these. `reset` starts a new period now and credits nothing. Running fees in arrears are
    charged for what was used; new ones in arrears when their period ends.
    """
    period = cycle.period_at(at)
    if mode not in MODES:
        raise ValueError("a mode is one of MODES")
    if mode == "next_period":
        later = cycle.continued(period.end, interval=interval) if interval else cycle
        return Change(mode, period.end, "next_invoice", (), later)
    at = at.astimezone(UTC)
    restarts = mode == "reset" or (interval is not None and interval != cycle.interval)
    after = cycle.restarted(at, interval=interval) if restarts else cycle
    unused = unused_share(period, at, basis=basis)
    span = (Fraction(1), at, after.period(0).end) if restarts else (unused, at, period.end)
    lines = [
        *([] if mode == "reset" else _credits(running, (unused, at, period.end), currency)),
        *_charges(_in_arrears(running), (used_share(period, at, basis=basis), period.start, at), currency),
        *_charges([fee for fee in new if fee.timing == ADVANCE], span, currency),
    ]
    return Change(mode, at, "next_invoice" if mode == "prorate" else "now", tuple(lines), after)


def end_fees(
    running: Sequence[RunningFee],
    *,
    period: Period,
    at: datetime,
    basis: str,
    currency: str,
    day_counts_as_used: bool = True,
) -> tuple[ProratedLine, ...]:
    """Return what a termination inside a period credits, and what it charges of fees in arrears (house rule 22)."""
    at = at.astimezone(UTC)
    unused = unused_share(period, at, basis=basis, day_counts_as_used=day_counts_as_used)
    used = used_share(period, at, basis=basis, day_counts_as_used=day_counts_as_used)
    return (
        *_credits(running, (unused, at, period.end), currency),
        *_charges(_in_arrears(running), (used, period.start, at), currency),
    )


def _credits(running: Iterable[RunningFee], span: _Span, currency: str) -> list[ProratedLine]:
    """A credit never exceeds what was billed (house rule 25)."""
    return [
        ProratedLine(CREDIT, fee.key, -min(_price_of(fee, span, currency), max(fee.billed, 0)), *span)
        for fee in running
        if fee.timing == ADVANCE
    ]


def _charges(fees: Iterable[RunningFee | NewFee], span: _Span, currency: str) -> list[ProratedLine]:
    return [ProratedLine(CHARGE, fee.key, _price_of(fee, span, currency), *span) for fee in fees]


def _in_arrears(running: Iterable[RunningFee]) -> list[RunningFee]:
    return [fee for fee in running if fee.timing == ARREARS]


def _price_of(fee: RunningFee | NewFee, span: _Span, currency: str) -> int:
    return round_to_document(fee.price * span[0], currency=currency)


def _share_of_days(period: Period, first: date, end: date, basis: str) -> Fraction:
    if basis == "per_day":
        whole = (_day(period.whole_end, period) - _day(period.whole_start, period)).days
        return Fraction(max((end - first).days, 0), whole)
    if basis != "fixed_30" or not period.interval.months:
        raise ValueError("a basis is one of BASES, and fixed_30 counts months")
    days = _thirty_day_count(end) - _thirty_day_count(first)
    return min(Fraction(max(days, 0), 30 * period.interval.months), Fraction(1))


def _thirty_day_count(day: date) -> int:
    """Days since year 0 if every month had 30 (30E/360): the 31st counts as the 30th."""
    return (day.year * 12 + day.month) * 30 + min(day.day, 30)


def _day(instant: datetime, period: Period) -> date:
    return _local(instant, period).date()


def _local(instant: datetime, period: Period) -> datetime:
    return local_time(instant, zone=period.zone)


def _length(start: datetime, end: datetime) -> Fraction:
    return Fraction((end - start) // timedelta(microseconds=1))
