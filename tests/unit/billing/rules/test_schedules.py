"""Schedules by the worked examples of docs/revenue.md: what each month gets, and what changes it."""

from datetime import date

import pytest

from billing.rules.schedules import book_months, credited, ended
from tests.builders.schedules import FAR, MAJOR, day, line, months_of, schedule_of


def test_a_quarter_with_a_credit_note_in_its_middle() -> None:
    schedule = schedule_of(line(120 * MAJOR, "2026-01-01", "2026-04-01"))
    assert schedule is not None
    noted = credited(schedule, 30 * MAJOR, at=day("2026-02-10"), ends=False, zone="UTC")
    assert months_of(noted) == {"01": 4_133_333_333, "02": 1_766_666_667, "03": 31 * MAJOR}


def test_a_fee_that_is_credited_as_a_whole_takes_back_what_was_recognised() -> None:
    schedule = schedule_of(line(120 * MAJOR, "2026-01-01", "2026-04-01"))
    assert schedule is not None
    noted = credited(schedule, 120 * MAJOR, at=day("2026-02-10"), ends=True, zone="UTC")
    assert months_of(noted) == {"01": 4_133_333_333, "02": -4_133_333_333}


def test_a_change_of_plan_is_two_lines_over_the_same_time() -> None:
    fee = schedule_of(line(90 * MAJOR, "2026-04-01", "2026-05-01"))
    back = schedule_of(line(-30 * MAJOR, "2026-04-21", "2026-05-01", n=2))
    new = schedule_of(line(40 * MAJOR, "2026-04-21", "2026-05-01", n=3))
    assert months_of(fee, back, new) == {"04": 100 * MAJOR}


def test_a_service_that_ends_early_leaves_nothing_deferred() -> None:
    schedule = schedule_of(line(120 * MAJOR, "2026-01-01", "2026-04-01"))
    assert schedule is not None
    over = ended(schedule, at=day("2026-02-10"))
    assert months_of(over) == {"01": 4_133_333_333, "02": 120 * MAJOR - 4_133_333_333}
    assert ended(schedule, at=day("2026-04-01")) == schedule


@pytest.mark.parametrize(
    ("net", "amount", "included", "expected"),
    [
        (49, 49, 20, 29),
        (24, 49, 20, 4),  # a coupon lowers the straight part
        (0, 49, 20, -20),  # and takes back what the credit will be
        (-40, -40, 15, -25),  # what came back of a credit is no revenue that goes
    ],
)
def test_included_credit_comes_out_of_the_fee(net: int, amount: int, included: int, expected: int) -> None:
    found = schedule_of(
        line(net, "2026-01-01", "2026-02-01", amount=amount, detail={"included": included}),
    )
    assert found is not None
    assert found.amount == expected


def test_a_fee_that_only_pays_for_credit_has_nothing_to_recognise_until_it_is_credited() -> None:
    schedule = schedule_of(line(20, "2026-01-01", "2026-02-01", detail={"included": 20}))
    assert schedule is not None
    assert (schedule.status, schedule.amount, months_of(schedule)) == ("done", 0, {})
    noted = credited(schedule, 12, at=day("2026-03-05"), ends=False, zone="UTC")
    assert months_of(noted) == {"03": -12}


def test_a_line_that_defers_nothing_has_none() -> None:
    assert schedule_of(line(20, None, None, account="revenue")) is None


def test_without_a_service_it_is_revenue_of_the_month_of_its_invoice() -> None:
    schedule = schedule_of(line(10, None, None), at="2026-03-31")
    assert months_of(schedule) == {"03": 10}


def test_a_schedule_of_a_closed_month_is_due_at_the_end_of_the_first_open_one() -> None:
    schedule = schedule_of(line(31, "2026-01-01", "2026-02-01"), closed_until=day("2026-03-01"))
    assert schedule is not None
    assert schedule.next_at == day("2026-04-01")
    (found,) = book_months([schedule], until=FAR, zone="UTC", closed_until=day("2026-03-01"))
    assert (found.month, found.amount, found.late) == (
        date(2026, 3, 1), 31, ((date(2026, 1, 1), 31),),
    )  # fmt: skip


def test_nothing_is_booked_before_a_month_is_over() -> None:
    schedule = schedule_of(line(31, "2026-01-01", "2026-02-01"))
    assert months_of(schedule, until=day("2026-01-31")) == {}
    assert months_of(schedule, until=day("2026-02-01")) == {"01": 31}
