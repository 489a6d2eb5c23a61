"""Worked examples of revenue recognition (section 13), through the schedules that are booked."""

from fractions import Fraction

import pytest

from billing.rules.months import month_end, month_of
from billing.rules.schedules import revenue_until
from tests.builders.schedules import MAJOR, line, months_of, schedule_of
from tests.builders.subscribed import Catalog, Subscriber, day, fee, terms


@pytest.mark.parametrize(
    ("case", "amount", "start", "end", "method", "revenue", "deferred"),
    [
        ("Q1", 31, "2025-01-15", "2025-02-15", "per_day", ["17", "14"], "14"),
        (
            "Q3", 120, "2025-06-15T12:00", "2025-10-13T12:00", "per_second",
            ["15.5", "31", "31", "30", "12.5"], "104.5",
        ),
        ("Q5", 120, "2025-06-15T12:00", "2025-10-13T12:00", "even_month", ["30", "30", "30", "30"], "90"),
    ],
)  # fmt: skip
def test_a_fee_is_revenue_straight_line_by_month(
    case: str, amount: int, start: str, end: str, method: str, revenue: list[str], deferred: str
) -> None:
    schedule = schedule_of(line(amount * MAJOR, start, end, detail={"recognition": method}), at=start)
    assert schedule is not None
    booked = [Fraction(part, MAJOR) for part in months_of(schedule).values()]
    assert booked == [Fraction(text) for text in revenue]
    first = month_end(month_of(schedule.service_start, zone="UTC"), zone="UTC")
    assert schedule.amount - revenue_until(schedule, first) == Fraction(deferred) * MAJOR


@pytest.mark.parametrize("method", ["per_second", "per_day"])
@pytest.mark.parametrize(("case", "old", "new"), [("Q6", 60, 40)])
def test_an_upgrade_ends_the_old_and_begins_the_new(case: str, old: int, new: int, method: str) -> None:
    catalog = Catalog()
    plans = (terms(fee(price), proration=method, recognition=method) for price in ("90", "120"))
    small, big = (catalog.add(plan) for plan in plans)
    who = Subscriber(catalog, small, day("2025-04-01"))
    who.change(big, day("2025-04-21"))
    items = [item for decision in who.decisions for item in decision.items]
    lines = [
        line(
            item.amount,
            None,
            None,
            service_start=item.service_start,
            service_end=item.service_end,
            detail={"recognition": item.recognition},
            n=number,
        )
        for number, item in enumerate(items, start=1)
    ]
    whole, back, charge = (schedule_of(one, at="2025-04-01") for one in lines)
    assert months_of(whole, back) == {"04": old * MAJOR}
    assert months_of(charge) == {"04": new * MAJOR}
    assert months_of(whole, back, charge) == {"04": (old + new) * MAJOR}
