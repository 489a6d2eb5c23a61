"""Dunning while months pass: a leap is the same as its days, whatever calendars and clocks do."""

from datetime import datetime, timedelta
from typing import Any

from tests.builders.billing import Billed
from tests.builders.dunning import DAY, Dunned
from tests.builders.orgs import write
from tests.builders.simulated import STEP, at, at_start, decide, documents, happened, pass_until
from tests.builders.subscribed import fee
from tests.builders.subscriptions import now_of, sell, subscribe

START = at("2027-01-31T08:00:00")
END = at("2028-03-01T08:00:00")
_CASES = """
SELECT type, date_trunc('hour', occurred_at, 'UTC'), date_trunc('hour', (data->>'due_at')::timestamptz, 'UTC'),
    data->>'notice' FROM events WHERE organization = %s AND type LIKE 'dunning_case.%%' ORDER BY seq
"""


def pay_everything(made: Billed) -> None:
    """Pay whatever is open."""
    for invoice in made.invoices():
        if invoice["status"] == "open":
            assert made.pay(invoice["id"], invoice["due"]).status_code == 200


def test_thirteen_months_in_leaps_are_the_same_as_day_by_day() -> None:
    leaping, daily = (at_start(START, time_zone="Europe/Berlin", net_days=0) for _ in range(2))
    plan = sell(fee("49"))
    for made in (leaping, daily):
        Dunned(made, [])  # its payments stay under way for ever
        start = START
        for number in range(3):  # it pays late, then not at all
            if now_of(made.id) < start:
                pass_to(made, start, is_daily=made is daily)
            subscribe(decide(made), plan, start_at=(start + timedelta(hours=1)).isoformat())
            late = start + (10 + 7 * number) * DAY
            pass_to(made, late, is_daily=made is daily)
            if number < 2:
                pay_everything(made)
            start = late + 40 * DAY
        pass_to(made, END, is_daily=made is daily)
    assert cases(leaping) == cases(daily)
    assert by_hours(documents(leaping.id)) == by_hours(documents(daily.id))
    assert happened(leaping.id) == happened(daily.id)
    types = {row[0] for row in cases(daily)}
    assert {
        "dunning_case.closed",
        "dunning_case.grace",
        "dunning_case.suspended",
        "dunning_case.canceled",
    } <= types
    for made in (leaping, daily):
        made.assert_sound()


def cases(made: Billed) -> list[tuple[Any, ...]]:
    """What happened to its cases, when and in order."""
    return write(lambda cur: cur.execute(_CASES, (made.id,)).fetchall())


def pass_to(made: Billed, until: datetime, *, is_daily: bool) -> None:
    """Let time pass, in one call or in days."""
    moment = now_of(made.id) + STEP
    while is_daily and moment < until:
        pass_until(made, [moment])
        moment += STEP
    pass_until(made, [until])


def by_hours(found: list[tuple[Any, ...]]) -> list[list[Any]]:
    """The documents with times to the hour: what ends by dunning ends when the timer says so."""
    return [
        [
            cell.replace(minute=0, second=0, microsecond=0) if isinstance(cell, datetime) else cell
            for cell in row[:-1]
        ]
        for row in found
    ]
