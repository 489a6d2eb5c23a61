"""Schedules: months sum to the amount, whatever was credited and whenever it is booked."""

from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from billing.rules.months import month_end, month_of
from billing.rules.recognition import METHODS, elapsed_share
from billing.rules.schedules import Schedule, book_months, credited, ended, opened
from tests.property.billing.calendars import INSTANTS, ZONES, inside

AMOUNTS = st.integers(-(10**12), 10**12).filter(bool)
SERVICE = st.tuples(INSTANTS, st.integers(1, 2 * 366 * 86_400)).map(
    lambda drawn: (drawn[0], drawn[0] + timedelta(seconds=drawn[1]))
)
Service = tuple[datetime, datetime]


def schedule(amount: int, service: Service, zone: str, method: str = "per_second") -> Schedule:
    """The schedule of a line over a service."""
    line: Any = SimpleNamespace(
        n=1, account="deferred_revenue", amount=amount, net=amount, item_id=None, subscription=None,
        service_start=service[0], service_end=service[1], detail={},
    )  # fmt: skip
    made = opened(
        line, organization=UUID(int=1), invoice=UUID(int=2), currency="USD", zone=zone, at=service[0],
        closed_until=None,
    )  # fmt: skip
    assert made is not None
    return replace(made, method=method)


def booked(made: Schedule, zone: str, until: datetime) -> dict[Any, int]:
    """Revenue by month, without the months that have none."""
    months = book_months([made], until=until, zone=zone, closed_until=None)
    return {month.month: month.amount for month in months if month.amount}


def over(service: Service, zone: str) -> datetime:
    """When the last month of a service is over."""
    return month_end(month_of(service[1], zone=zone), zone=zone)


@settings(deadline=None)
@given(amount=AMOUNTS, service=SERVICE, zone=st.sampled_from(ZONES), method=st.sampled_from(METHODS))
def test_months_sum_to_the_amount_and_each_has_its_exact_share(
    amount: int, service: Service, zone: str, method: str
) -> None:
    """Up to every month's end it is the exact share, rounded once; a month is the difference of two such sums."""
    start, end = service
    made = schedule(amount, service, zone, method)
    months = book_months(
        [made], until=over(service, zone) + timedelta(days=400), zone=zone, closed_until=None
    )
    assert sum(month.amount for month in months) == amount
    assert all(month.amount * amount >= 0 for month in months)
    assert months[-1].end <= over(service, zone)
    until = 0
    for month in months:
        until += month.amount
        share = elapsed_share(month.end, start=start, end=end, zone=zone, method=method)
        assert abs(until - amount * share) <= Fraction(1, 2)


@settings(deadline=None)
@given(amount=AMOUNTS, service=SERVICE, zone=st.sampled_from(ZONES), data=st.data())
def test_an_early_end_leaves_earlier_months_and_its_month_takes_what_is_left(
    amount: int, service: Service, zone: str, data: st.DataObject
) -> None:
    start, end = service
    at = data.draw(inside(start, end))
    assume(start < at < end and month_end(month_of(at, zone=zone), zone=zone) != at)
    assume(at != month_end(month_of(at - timedelta(microseconds=1), zone=zone), zone=zone))
    part = data.draw(st.integers(min(amount, 0), max(amount, 0)))
    whole = booked(schedule(amount, service, zone), zone, over(service, zone))
    made = ended(credited(schedule(amount, service, zone), part, at=at, ends=False, zone=zone), at=at)
    found, last = booked(made, zone, over(service, zone)), month_of(at, zone=zone)
    assert sum(found.values()) == amount - part
    assert max(found, default=last) <= last
    earlier = {month: booked for month, booked in whole.items() if month < last}
    assert {month: booked for month, booked in found.items() if month < last} == earlier


@settings(deadline=None)
@given(amount=AMOUNTS, service=SERVICE, zone=st.sampled_from(ZONES), data=st.data())
def test_booked_month_by_month_or_at_once_it_is_the_same(
    amount: int, service: Service, zone: str, data: st.DataObject
) -> None:
    made = schedule(amount, service, zone)
    last = over(service, zone) + timedelta(days=70)
    for moment in sorted(data.draw(st.lists(inside(*service), max_size=3))):
        part = data.draw(st.integers(-abs(amount), abs(amount)))
        made = credited(made, part, at=moment, ends=data.draw(st.booleans()), zone=zone)
    at_once = booked(made, zone, last)
    step_by_step: dict[Any, int] = {}
    current, moment = made, service[0]
    while moment < last:
        moment = min(moment + timedelta(days=data.draw(st.integers(1, 200))), last)
        for month in book_months([current], until=moment, zone=zone, closed_until=None):
            (current,) = month.schedules
            if month.amount:
                step_by_step[month.month] = month.amount
    assert step_by_step == at_once
    assert (current.recognised, current.status == "open") == (made.amount, False)


@settings(deadline=None)
@given(amount=AMOUNTS, service=SERVICE, zone=st.sampled_from(ZONES), data=st.data())
def test_a_closed_month_gets_nothing_and_the_first_open_one_all_of_it(
    amount: int, service: Service, zone: str, data: st.DataObject
) -> None:
    made = schedule(amount, service, zone)
    closed = month_end(month_of(data.draw(inside(*service)), zone=zone), zone=zone)
    last = over(service, zone) + timedelta(days=40)
    months = book_months([made], until=last, zone=zone, closed_until=closed)
    assert all(month.end > closed for month in months)
    assert sum(month.amount for month in months) == amount
    late = [part for month in months for _, part in month.late]
    in_time = book_months([made], until=closed, zone=zone, closed_until=None)
    assert sum(late) == sum(month.amount for month in in_time)
    assert all(not month.late for month in months[1:])
