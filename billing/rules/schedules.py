"""A recognition schedule: when an invoiced fee is revenue, with what happens to it on the way. Pure (house rule 36).

What a fee is worth without the credit that it includes (ADR 0015) is revenue straight over its service. What is
revenue up to a moment follows from dated facts alone (what was billed, what was credited when, when the service
ended), never from when anybody looked. So a month booked in time and a month booked a year later are the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Final, Protocol
from uuid import NAMESPACE_OID, UUID, uuid5

from billing.rules.assembling import DEFERRED
from billing.rules.months import month_end, month_of, next_month
from billing.rules.recognition import METHODS, elapsed_share
from common.money import round_half_up
from orgs.rules.facts import id_text, time_text

OPEN, DONE, ENDED = "open", "done", "ended"
STATES: Final = (OPEN, DONE, ENDED)
AT_ONCE: Final = "at_once"
PER_SECOND: Final = "per_second"
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule's row; money in units, below zero for what was billed back.

    `billed`: what its line put into deferred revenue, without what pays for credit. `changes`: when how much of it was
    credited. `ended_at`: when its service ended early; what is left is revenue then. `recognised` is booked, for all
    months up to `recognised_until`; `next_at` is the end of the month that is booked next.
    """

    id: UUID
    organization: UUID
    invoice_id: UUID
    line: int
    item_id: UUID | None
    subscription: UUID | None
    currency: str
    billed: int
    included: int
    changes: tuple[tuple[datetime, int], ...]
    service_start: datetime
    service_end: datetime
    method: str
    zone: str
    opened_at: datetime
    ended_at: datetime | None
    recognised: int
    recognised_until: datetime | None
    next_at: datetime
    status: str
    version: int

    @property
    def amount(self) -> int:
        """What of it is to be revenue in the end."""
        return self.billed - sum(credited for _, credited in self.changes)

    @property
    def left(self) -> int:
        """What is deferred still."""
        return self.amount - self.recognised


class DeferredLine(Protocol):
    """What a schedule asks of an invoice's line."""

    @property
    def n(self) -> int: ...
    @property
    def account(self) -> str: ...
    @property
    def amount(self) -> int: ...
    @property
    def net(self) -> int: ...
    @property
    def item_id(self) -> UUID | None: ...
    @property
    def subscription(self) -> UUID | None: ...
    @property
    def service_start(self) -> datetime | None: ...
    @property
    def service_end(self) -> datetime | None: ...
    @property
    def detail(self) -> dict[str, Any]: ...


def schedule_id(invoice: UUID, line: int) -> UUID:
    """Return the id of the schedule of an invoice's line: a line has one at most."""
    return uuid5(NAMESPACE_OID, f"recognition_schedule:{invoice}:{line}")


def included_of(line: DeferredLine) -> int:
    """Return what of a line pays for credit that is granted, in units; below zero on a line that gives a fee back."""
    worth: int = line.detail.get("included", 0)
    return -worth if line.amount < 0 else worth


def opened(
    line: DeferredLine,
    *,
    organization: UUID,
    invoice: UUID,
    currency: str,
    zone: str,
    at: datetime,
    closed_until: datetime | None,
) -> Schedule | None:
    """Return the schedule of a line that is finalised, dated at `at`; None for one that defers nothing.

    A line without a service period is revenue as a whole in the month of its invoice. One that only pays for credit has
    nothing to recognise, until a credit note takes of it. What belongs to a month that is
    closed is booked at the end of the first open one.
    """
    included = included_of(line)
    if line.account != DEFERRED:
        return None
    has_service = line.service_start is not None and line.service_end is not None
    start = line.service_start if line.service_start is not None and has_service else at
    end = line.service_end if line.service_end is not None and has_service else at + _MICROSECOND
    return Schedule(
        id=schedule_id(invoice, line.n),
        organization=organization,
        invoice_id=invoice,
        line=line.n,
        item_id=line.item_id,
        subscription=line.subscription,
        currency=currency,
        billed=line.net - included,
        included=included,
        changes=(),
        service_start=start,
        service_end=end,
        method=_method(line) if has_service else AT_ONCE,
        zone=zone,
        opened_at=at,
        ended_at=None,
        recognised=0,
        recognised_until=None,
        next_at=month_end(month_of(max(start, closed_until or start), zone=zone), zone=zone),
        status=DONE if line.net == included else OPEN,
        version=1,
    )


def _method(line: DeferredLine) -> str:
    """The way that the item of a line says; of one that says none, or only that it is straight, by seconds."""
    said = line.detail.get("recognition")
    return said if said in METHODS else PER_SECOND


def credited(schedule: Schedule, amount: int, *, at: datetime, ends: bool, zone: str) -> Schedule:
    """Return the schedule after `amount` of its line was credited; `ends`: nothing of the line is left.

    What is left goes on over the same service: the month of the change makes up for what earlier months had too much.
    Ended, that month takes all of it.
    """
    end = month_end(month_of(at, zone=zone), zone=zone)
    return replace(
        schedule,
        changes=(*schedule.changes, (at, amount)),
        ended_at=min(schedule.ended_at or at, at) if ends else schedule.ended_at,
        next_at=min(schedule.next_at, end) if schedule.status == OPEN else end,
        status=OPEN,
        version=schedule.version + 1,
    )


def ended(schedule: Schedule, *, at: datetime) -> Schedule:
    """Return the schedule of a service that ended early; one that is over by then stays."""
    if at >= schedule.service_end or (schedule.ended_at is not None and schedule.ended_at <= at):
        return schedule
    return replace(schedule, ended_at=at)


def revenue_until(schedule: Schedule, end: datetime) -> int:
    """Return what is revenue of all months up to the one that is over at `end`."""
    amount = schedule.billed - sum(part for at, part in schedule.changes if at < end)
    if schedule.ended_at is not None and schedule.ended_at < end:
        return amount
    if schedule.method == AT_ONCE:
        return amount if schedule.service_start < end else 0
    share = elapsed_share(
        end,
        start=schedule.service_start,
        end=schedule.service_end,
        zone=schedule.zone,
        method=schedule.method,
    )
    return round_half_up(amount * share.numerator, share.denominator)


@dataclass(frozen=True, slots=True)
class BookedMonth:
    """What is booked as revenue of a month: its end, the schedules as they are after it, and the sum in units.

    `late`: what of it belongs to months that were closed already.
    """

    month: date
    end: datetime
    amount: int
    schedules: tuple[Schedule, ...]
    late: tuple[tuple[date, int], ...]


def book_months(
    schedules: Sequence[Schedule], *, until: datetime, zone: str, closed_until: datetime | None
) -> list[BookedMonth]:
    """Return the months up to `until` in which something is to be booked, in their order.

    A month that is closed takes nothing any more: what is found for it is booked in the first open one.
    """
    found: list[BookedMonth] = []
    current = {schedule.id: schedule for schedule in schedules if schedule.status == OPEN}
    if not current:
        return found
    month = min(month_of(_begins(schedule), zone=zone) for schedule in current.values())
    late: dict[date, int] = {}
    seen = {name: schedule.recognised for name, schedule in current.items()}
    while (end := month_end(month, zone=zone)) <= until:
        is_closed = closed_until is not None and end <= closed_until
        due = [one for one in current.values() if _waits(one, end)]
        if is_closed:
            missed = 0
            for one in due:
                revenue = revenue_until(one, end)
                missed += revenue - seen[one.id]
                seen[one.id] = revenue
            if missed:
                late[month] = missed
        else:
            booked = _booked(due, month, end, zone, late)
            if booked is not None:
                found.append(booked)
                current |= {one.id: one for one in booked.schedules}
                late = {}
        month = next_month(month)
    return found


def _waits(schedule: Schedule, end: datetime) -> bool:
    return schedule.status == OPEN and (schedule.recognised_until is None or schedule.recognised_until < end)


def _begins(schedule: Schedule) -> datetime:
    """The moment from which on a month may have something to book."""
    return schedule.recognised_until or min(schedule.service_start, *_moments(schedule))


def _moments(schedule: Schedule) -> Iterable[datetime]:
    yield schedule.service_start
    yield from (at for at, _ in schedule.changes)
    if schedule.ended_at is not None:
        yield schedule.ended_at


def _booked(
    due: Iterable[Schedule], month: date, end: datetime, zone: str, late: dict[date, int]
) -> BookedMonth | None:
    moved, amount = [], 0
    for schedule in due:
        revenue = revenue_until(schedule, end)
        after = _after(schedule, revenue, end, zone)
        if revenue != schedule.recognised or after.status != schedule.status or schedule.next_at <= end:
            amount += revenue - schedule.recognised
            moved.append(after)
    if not moved:
        return None
    return BookedMonth(month, end, amount, tuple(moved), tuple(sorted(late.items())))


def _after(schedule: Schedule, revenue: int, end: datetime, zone: str) -> Schedule:
    is_early = schedule.ended_at is not None and schedule.ended_at < end
    is_over = (is_early or schedule.service_end <= end) and all(at < end for at, _ in schedule.changes)
    status = OPEN if not is_over else ENDED if is_early else DONE
    following = month_end(month_of(end, zone=zone), zone=zone)
    return replace(
        schedule,
        recognised=revenue,
        recognised_until=end,
        next_at=following,
        status=status,
        version=schedule.version + 1,
    )


_TIMES: Final = ("service_start", "service_end", "opened_at", "ended_at", "recognised_until", "next_at")
_IDS: Final = ("id", "organization", "invoice_id", "item_id", "subscription")
_PLAIN: Final = (
    "line", "currency", "billed", "included", "method", "zone", "recognised", "status", "version",
)  # fmt: skip


def schedule_data(schedule: Schedule) -> dict[str, Any]:
    """Return the whole row as events hold it."""
    return {
        **{name: id_text(getattr(schedule, name)) for name in _IDS},
        **{name: getattr(schedule, name) for name in _PLAIN},
        **{name: time_text(getattr(schedule, name)) for name in _TIMES},
        "changes": [[time_text(at), amount] for at, amount in schedule.changes],
        "amount": schedule.amount,
    }
