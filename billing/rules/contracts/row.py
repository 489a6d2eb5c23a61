"""A contract's row: everything that later decisions need, as every event states it whole.

Amounts are units of 10^-8. What a window was granted, billed and left stands in the window, so that nothing is worked
out twice; windows leave the row once they are settled, and stay as rows of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from fractions import Fraction
from typing import Final
from uuid import UUID

from billing.rules.contracts.terms import ContractTerms
from billing.rules.periods import Cycle
from common.localtime import boundary_instant

DRAFT: Final = "draft"
ACTIVE: Final = "active"
ENDED: Final = "ended"
TERMINATED: Final = "terminated"
STATES: Final = (DRAFT, ACTIVE, ENDED, TERMINATED)
"""draft -> active -> ended | terminated; a draft may be terminated, too: it is dropped."""

OPEN: Final = "open"
ROLLED: Final = "rolled"
SETTLED: Final = "settled"
WINDOW_STATES: Final = (OPEN, ROLLED, SETTLED)

SETTLES_AFTER: Final = timedelta(days=3)
"""So long after its end a window is settled: until then what is charged for a moment within it still draws from it, as
what metered periods were rated at (see BREAKS_AFTER of subscriptions). Holds of its grants have ended by then."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a contract: what holds from `effective_at` on. The first holds from the start."""

    number: int
    effective_at: datetime
    terms: ContractTerms
    made_at: datetime


@dataclass(frozen=True, slots=True)
class Piece:
    """A part [start, end) of a window with one price: `amount` units for `whole` days."""

    start: date
    end: date
    amount: int
    whole: int

    @property
    def share(self) -> Fraction:
        """Return the part of the amount, by days."""
        return Fraction((self.end - self.start).days, self.whole)


@dataclass(frozen=True, slots=True)
class Window:
    """One window [start, end) of a commitment.

    `amount` is what is committed. `grants`: what was granted to draw from, each [grant, units], until `grants_end`; of
    that `parked` and `closed` were taken back unused before and at the settlement. `items`: what was invoiced in
    advance. `repaid` of a postpaid grant went to debt at once, and `repaid_billed` of it onto an item. `fees`: fixed
    fees that a minimum counts. From the settlement on: what was `used`, what exceeded it on the postpaid `line`, its
    `overage` (surcharge), the `true_up`, what `lapsed`, `rolled` over and was `credited`.
    """

    id: UUID
    number: int
    start: datetime
    end: datetime
    grants_end: datetime
    settle_at: datetime
    pieces: tuple[Piece, ...]
    amount: int
    status: str = OPEN
    grants: tuple[tuple[UUID, int], ...] = ()
    items: tuple[tuple[UUID, int], ...] = ()
    parked: int = 0
    closed: int = 0
    repaid: int = 0
    repaid_billed: int = 0
    fees: int = 0
    used: int = 0
    line: int = 0
    overage: int = 0
    true_up: int = 0
    lapsed: int = 0
    rolled: int = 0
    credited: int = 0
    settled_at: datetime | None = None

    @property
    def granted(self) -> int:
        """Return what was granted in all."""
        return sum(amount for _, amount in self.grants)

    @property
    def billed(self) -> int:
        """Return what was invoiced in advance, less what was credited of it."""
        return sum(amount for _, amount in self.items)


@dataclass(frozen=True, slots=True)
class FeeState:
    """Where a fee is: its next period begins at `since`. Of the one in advance that runs: `start`, `amount`, `item`."""

    since: datetime
    start: datetime | None = None
    amount: int = 0
    item: UUID | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """A price of the contract that stands in the book for this customer; `id` is its row there."""

    id: UUID
    kind: str
    digest: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Contract:
    """One contract. `number`: the version that holds. `next_window_at`: None when no further window begins."""

    id: UUID
    organization: UUID
    status: str
    zone: str
    versions: tuple[Version, ...]
    number: int
    created_at: datetime
    windows: tuple[Window, ...] = ()
    window_count: int = 0
    next_window_at: datetime | None = None
    fees: Mapping[str, FeeState] = field(default_factory=dict)
    prices: tuple[Published, ...] = ()
    activated_at: datetime | None = None
    terminates_at: datetime | None = None
    termination: str | None = None
    reason: str = ""
    ended_at: datetime | None = None
    version: int = 1

    @property
    def terms(self) -> ContractTerms:
        """Return what holds now."""
        return next(each.terms for each in self.versions if each.number == self.number)

    @property
    def currency(self) -> str:
        """Return the currency, the same in every version."""
        return self.versions[0].terms.currency

    @property
    def starts_at(self) -> datetime:
        """Return the first instant of the term."""
        return midnight(self.versions[0].terms.start, self.zone)

    @property
    def ends_at(self) -> datetime:
        """Return the end of the term: of what holds now."""
        return midnight(self.terms.end, self.zone)

    @property
    def next_version(self) -> Version | None:
        """Return the version that takes over next."""
        waiting = [each for each in self.versions if each.number > self.number]
        return min(waiting, key=lambda each: (each.effective_at, -each.number), default=None)

    @property
    def next_at(self) -> datetime | None:
        """Return the next boundary, None when nothing follows by itself."""
        if self.status == DRAFT:
            return None
        dates = [window.settle_at for window in self.windows]
        if self.ended_at is None:
            version = self.next_version
            dates += [self.ends_at, *self.fee_dates()]
            dates += [date for date in (self.terminates_at, self.next_window_at) if date is not None]
            dates += [] if version is None else [version.effective_at]
        return min(dates, default=None)

    def fee_dates(self) -> list[datetime]:
        """Return when each fee is due next."""
        return [due for key in self.fees if (due := self.fee_due(key)) is not None]

    def fee_due(self, key: str) -> datetime | None:
        """Return when a fee is due next: at the beginning of its period, or in arrears at its end."""
        fee, state = self.terms.fee(key), self.fees[key]
        if fee is None or state.since >= self.ends_at:
            return None
        if fee.timing == "advance":
            return state.since
        return min(self.fee_cycle(key).period_at(state.since).end, self.ends_at)

    def fee_cycle(self, key: str) -> Cycle:
        """Return the periods of a fee. Raises ValueError for one that does not hold."""
        fee = self.terms.fee(key)
        if fee is None:
            raise ValueError("a fee of the version that holds")
        made = self.terms.commitment
        alignment = "anniversary" if made is None else made.alignment
        first = anchor_day(self.terms.start, fee.interval.unit, alignment)
        return Cycle(wall_time(first), fee.interval, self.zone, starts_at=self.starts_at)


def midnight(day: date, zone: str) -> datetime:
    """Return the first instant of a day in a zone."""
    return boundary_instant(wall_time(day), zone=zone)


def anchor_day(start: date, unit: str, alignment: str) -> date:
    """Return the day that periods are counted from: the start, or the first day of its calendar week, month or year."""
    if alignment == "anniversary":
        return start
    if unit == "week":
        return start - timedelta(days=start.weekday())
    return start.replace(day=1) if unit == "month" else start.replace(month=1, day=1)


def wall_time(day: date) -> datetime:
    """Return the local midnight of a day, without offset."""
    return datetime.combine(day, time.min)
