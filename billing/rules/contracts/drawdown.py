"""The draw-down of a commitment and the forecast of its burning down (S77). Pure.

The run rate is what was used per day in the last 7, 28 and 90 days, as far as the contract goes back; the date is that
of 28 days (or of the longest there is), the range goes from the fastest to the slowest of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

from billing.rules.contracts.decision import NOTHING_LEFT, Left
from billing.rules.contracts.row import SETTLED, Window

RATES: Final = (7, 28, 90)
"""Over how many whole days the run rate is taken."""
CENTRAL: Final = 28
FARTHEST: Final = timedelta(days=366 * 50)


@dataclass(frozen=True, slots=True)
class WindowDraw:
    """One window as the report shows it, in units. `remaining`: what can still be drawn, `overage`: what exceeded the
    commitment, at contract prices; `surcharge`: what overage costs on top; `state` is running, ended or settled."""

    window: Window
    state: str
    committed: int
    drawn: int
    remaining: int
    overage: int
    surcharge: int
    true_up: int
    rolled_in: int
    rolled_over: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """When a commitment will be used up: `on`, in the range [earliest, latest]; None: not before the window's end at
    that rate, nor ever. `per_day`: the run rates in units by days looked back."""

    per_day: Mapping[int, int]
    remaining: int
    window_end: datetime
    on: datetime | None
    earliest: datetime | None
    latest: datetime | None


def draw_of(
    windows: Sequence[Window], left: Mapping[UUID, Left], *, over: Mapping[UUID, int], now: datetime
) -> list[WindowDraw]:
    """Return the draw-down of each window. `left`: of the grants of those that are not settled; `over`: what exceeded
    them so far on the postpaid line, by window."""
    found: list[WindowDraw] = []
    rolled_in = 0
    for window in windows:
        remaining = sum(left.get(grant, NOTHING_LEFT).remaining for grant, _ in window.grants)
        is_settled = window.status == SETTLED
        gone = window.granted - window.parked - window.closed
        found.append(
            WindowDraw(
                window=window,
                state="settled" if is_settled else "running" if now < window.end else "ended",
                committed=window.amount,
                drawn=window.used if is_settled else gone - remaining,
                remaining=0 if is_settled else remaining,
                overage=over.get(window.id, window.line),
                surcharge=window.overage,
                true_up=window.true_up,
                rolled_in=rolled_in,
                rolled_over=window.rolled,
            )
        )
        rolled_in = window.rolled
    return found


def forecast(
    daily: Mapping[date, int], *, today: date, remaining: int, now: datetime, window_end: datetime
) -> Forecast | None:
    """Return when so much will be used up at the run rate; None without a whole day of use to go by.

    `daily` is what was used on each whole day before today, from the first day of the contract on.
    """
    known = sorted(day for day in daily if day < today)
    if not known:
        return None
    age = (today - known[0]).days
    rates = {days: _rate(daily, today, days) for days in RATES if days <= age}
    if not rates:
        rates = {age: _rate(daily, today, age)}
    central = rates.get(CENTRAL, rates[max(rates)])
    fastest, slowest = max(rates.values()), min(rates.values())
    return Forecast(
        per_day=rates,
        remaining=remaining,
        window_end=window_end,
        on=_used_up(now, remaining, central),
        earliest=_used_up(now, remaining, fastest),
        latest=_used_up(now, remaining, slowest),
    )


def _rate(daily: Mapping[date, int], today: date, days: int) -> int:
    return sum(daily.get(today - timedelta(days=back), 0) for back in range(1, days + 1)) // days


def _used_up(now: datetime, remaining: int, rate: int) -> datetime | None:
    if remaining <= 0:
        return now
    if rate <= 0:
        return None
    span = timedelta(seconds=remaining * 86_400 // rate) if remaining // rate < FARTHEST.days else FARTHEST
    return None if span >= FARTHEST else now + span
