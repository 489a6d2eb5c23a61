"""Spend by minute: each record once, for eight days, and made anew when it must be."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from events.operations.advance import advance_subscriber
from events.operations.due import run_job
from spend.projections.minutes import READER
from tests.builders.crowd import at_once
from tests.builders.gate import UNIT, Customer, body_of
from tests.builders.orgs import write
from tests.builders.pace import read_minutes, spend_at, with_past


def sums(organization: UUID) -> tuple[int, int]:
    """Calls and charge of all minutes."""
    statement = "SELECT COALESCE(sum(calls), 0)::int, COALESCE(sum(charge), 0)::bigint FROM usage_by_minute"
    row: Any = write(
        lambda cur: cur.execute(f"{statement} WHERE organization = %s", (organization,)).fetchone()
    )
    return row[0], row[1]


def spent() -> Customer:
    customer = with_past(10)
    for number in range(30):
        body_of(
            customer.commit(customer.reserved("0.5", subject={"run": f"r-{number % 3}"})["id"], "0.4"), 200
        )
    return customer


def test_count_each_record_once_however_many_read_at_once() -> None:
    customer = spent()

    def read(_: int) -> None:
        while advance_subscriber(name=READER):
            pass

    at_once(read, callers=4)
    read_minutes()
    assert sums(customer.id) == (30, 30 * 4 * UNIT // 10)


def test_leave_out_what_is_older_than_eight_days() -> None:
    customer = with_past(10)
    spend_at(customer, "1", timedelta(days=7, hours=23))
    spend_at(customer, "2", timedelta(days=8, hours=1))
    read_minutes()
    assert sums(customer.id) == (1, UNIT)


def test_are_forgotten_after_eight_days_and_the_sums_by_hour_are_not() -> None:
    customer = spent()
    spend_at(customer, "1", timedelta(minutes=-4))
    read_minutes()
    customer.pass_time(days=8, minutes=-2)
    spend_at(customer, "3")
    read_minutes()
    assert sums(customer.id)[0] == 32
    customer.pass_time(minutes=4)
    run_job(name="spend.forget_minutes")
    assert sums(customer.id) == (2, 4 * UNIT)
    total = body_of(customer.api.get("/v1/usage/attribution", group_by="agent"), 200)["total"]
    assert (total["calls"], total["charge"]) == (32, "16")
