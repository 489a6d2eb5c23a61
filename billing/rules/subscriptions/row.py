"""A subscription's row: everything that later decisions need, as every event states it whole.

Amounts are units of 10^-8, times instants, `anchor` a local wall time. What the running period was billed stands in
`fees`, what credit it brings in `allowances`: so nothing is worked out twice, and no credit exceeds what was billed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from typing import Any
from uuid import UUID

from billing.rules.agreed import Agreed
from billing.rules.periods import Cycle, Interval, Period


@dataclass(frozen=True, slots=True)
class Move:
    """A change of a held quantity, such as seats: at which instant, and by how much."""

    at: datetime
    quantity: Fraction


@dataclass(frozen=True, slots=True)
class Part:
    """What a later change of a held quantity added to a fee. `gross`: what of it is still charged, before coupons;
    `billed`: what of it stands on its item, net; `left`: which share coupons left of it; `item` None: nothing did."""

    item: UUID | None
    gross: int
    billed: int
    left: Fraction


@dataclass(frozen=True, slots=True)
class Fee:
    """What one charge costs in the running period, from `start` on.

    `price`: for a whole period, after its discount. `billed`: what of it stands on items, after their discount and less
    what was credited. `worth`: the units of credit, still counted, whose worth is in `billed`. In arrears nothing is
    billed before the end. `item`: the item that it began with, which a credit takes back.

    Of a quantity that is held and has tiers also `moves`: what it was from `start` on is the first. `source`: whose
    price it has (None: the plan's own). `left`: which share percentages left of what it began with. `parts`: what later
    changes billed, in their order. `kept`: the units that fewer should have brought back and that were not credited;
    more cost so much less.
    """

    charge: str
    timing: str
    price: Fraction
    quantity: Fraction | None
    start: datetime
    billed: int = 0
    discount: int = 0
    worth: int = 0
    item: UUID | None = None
    moves: tuple[Move, ...] = ()
    source: str | None = None
    parts: tuple[Part, ...] = ()
    kept: int = 0
    left: Fraction = Fraction(1)

    @property
    def items(self) -> list[UUID]:
        """Return every item that something of it may stand on."""
        return [item for item in (self.item, *(part.item for part in self.parts)) if item is not None]


@dataclass(frozen=True, slots=True)
class Allowance:
    """Credit of the plan for [start, end): planned until `grant` names what was granted.

    `deferred` of the amount is paid for by the fee, the rest is promotional. The `clawed` parts came back since.
    `closed`: its plan was left, and what was unused of it has come back as far as it could.
    """

    credit: int
    start: datetime
    end: datetime
    amount: int
    deferred: int
    source: str
    priority: int
    expires: bool
    grant: UUID | None = None
    clawed: int = 0
    clawed_deferred: int = 0
    closed: bool = False

    @property
    def promotional(self) -> int:
        """Return what of it nobody paid for and is still out."""
        return self.amount - self.deferred - (self.clawed - self.clawed_deferred)


@dataclass(frozen=True, slots=True)
class Redemption:
    """A coupon that this subscription redeems in periods that begin at or after `since`.

    `left`: in how many more periods; None: for ever. `until`: the end of the last of them, once that has begun.
    `terms` is the coupon's definition as it was redeemed.
    """

    id: UUID
    coupon: UUID
    key: str
    terms: Mapping[str, Any]
    since: datetime
    left: int | None
    until: datetime | None = None

    def covers(self, start: datetime) -> bool:
        """Whether what is billed for a time from `start` on is discounted."""
        return self.since <= start and (self.until is None or start < self.until)


@dataclass(frozen=True, slots=True)
class Selection:
    """What is subscribed to: a plan's version, quantities of its licensed charges, and add-ons."""

    plan: UUID
    version: UUID
    quantities: Mapping[str, Fraction] = field(default_factory=dict)
    add_ons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PendingChange:
    """A change that waits: at `at`, or (None) at the end of the running period."""

    at: datetime | None
    mode: str
    selection: Selection


@dataclass(frozen=True, slots=True)
class Ending:
    """A cancellation that waits: at `at`, or (None) at the end of the running period or trial."""

    at: datetime | None
    credit_unused: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Subscription:
    """One subscription. [period_start, period_end) is the running trial or period; both None before it starts.

    `agreed`: a contract's prices, which hold instead of the plan's for what is billed until the period ends or another
    version of a plan is chosen; None: from before there were any."""

    id: UUID
    organization: UUID
    status: str
    currency: str
    funding: str
    selection: Selection
    zone: str
    starts_at: datetime
    interval: Interval
    anchor: datetime | None
    anchor_day: int | None
    cycle_start: datetime | None
    trial_days: int
    trial_end: datetime | None
    period_start: datetime | None
    period_end: datetime | None
    fees: tuple[Fee, ...]
    allowances: tuple[Allowance, ...]
    metered: Mapping[str, datetime]
    set_up: tuple[str, ...]
    coupons: tuple[Redemption, ...]
    pending: PendingChange | None
    ending: Ending | None
    ends_at: datetime | None
    paused_at: datetime | None
    resumes_at: datetime | None
    blocks: tuple[tuple[datetime, datetime], ...]
    ended_at: datetime | None
    version: int
    created_at: datetime
    agreed: Agreed | None = None

    @property
    def cycle(self) -> Cycle:
        """Return the periods that follow one another from the anchor. Raises ValueError before it has one."""
        if self.anchor is None or self.cycle_start is None:
            raise ValueError("a subscription has periods once it has started")
        return Cycle(self.anchor, self.interval, self.zone, starts_at=self.cycle_start, day=self.anchor_day)

    @property
    def period(self) -> Period:
        """Return the running period."""
        if self.period_start is None:
            raise ValueError("a subscription has a period once it has started")
        return self.cycle.period_at(self.period_start)

    @property
    def change_at(self) -> datetime | None:
        """Return when the pending change is made."""
        return None if self.pending is None else self.pending.at or self.period_end

    @property
    def cancel_at(self) -> datetime | None:
        """Return when the subscription is canceled, if that was asked for."""
        return None if self.ending is None else self.ending.at or self.period_end

    @property
    def grant_at(self) -> datetime | None:
        """Return when the next credit is granted: what the fee paid for comes on its day, also in a pause."""
        planned = [one.start for one in self.allowances if one.grant is None]
        return min(planned, default=None)

    @property
    def next_at(self) -> datetime | None:
        """Return the next boundary, None when nothing follows by itself."""
        if self.ended_at is not None:
            return None
        if self.period_end is None:
            return min(filter(None, (self.starts_at, self.cancel_at, self.ends_at)))
        dates = (
            self.period_end, self.change_at, self.cancel_at, self.ends_at, self.resumes_at, self.grant_at,
        )  # fmt: skip
        return min(date for date in dates if date is not None)


def entitles_otherwise(before: Subscription | None, after: Subscription) -> bool:
    """Whether what the customer is entitled to may be other than before: by the status, by the version of the plan, or
    by when it is to end."""
    if before is None:
        return True
    return _entitling(before) != _entitling(after)


def _entitling(row: Subscription) -> tuple[Any, ...]:
    return row.status, row.selection.version, row.cancel_at, row.ends_at
