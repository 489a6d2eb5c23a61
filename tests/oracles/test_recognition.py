"""Worked examples of revenue recognition: billing_oracles, section 13."""

from datetime import UTC, date, datetime
from fractions import Fraction

import pytest

from billing.rules.periods import Cycle, Interval
from billing.rules.proration import NewFee, RunningFee, change_fees
from billing.rules.recognition import deferred_after, end_recognition, recognise, revenue_by_month

MAJOR = 100_000_000
JUNE = date(2025, 6, 1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("case", "amount", "start", "end", "method", "revenue", "deferred"),
    [
        ("Q1", 31, "2025-01-15", "2025-02-15", "per_day", ["17", "14"], "14"),
        (
            "Q3", 120, "2025-06-15T12:00", "2025-10-13T12:00", "per_second",
            ["15.5", "31", "31", "30", "12.5"], "104.5",
        ),
        ("Q5", 120, "2025-06-15T12:00", "2025-10-13T12:00", "even_month", ["30", "30", "30", "30", "0"], "90"),
    ],
)  # fmt: skip
def test_a_fee_is_revenue_straight_line_by_month(
    case: str, amount: int, start: str, end: str, method: str, revenue: list[str], deferred: str
) -> None:
    found = recognise(amount * MAJOR, start=at(start), end=at(end), zone="UTC", method=method)
    assert [Fraction(part.amount, MAJOR) for part in found.parts] == [Fraction(text) for text in revenue]
    assert deferred_after(found, found.parts[0].month) == Fraction(deferred) * MAJOR


@pytest.mark.parametrize("method", ["per_second", "per_day"])
def test_q6_an_upgrade_ends_the_old_and_begins_the_new(method: str) -> None:
    start, end, upgrade = at("2025-04-01"), at("2025-05-01"), at("2025-04-21")
    credit, charge = change_fees(
        [RunningFee("plan", 90 * MAJOR, billed=90 * MAJOR)],
        [NewFee("plan", 120 * MAJOR)],
        cycle=Cycle.from_start(start, interval=Interval("month"), zone="UTC"),
        at=upgrade,
        mode="invoice",
        basis=method,
        currency="USD",
    ).lines
    old = recognise(90 * MAJOR, start=start, end=end, zone="UTC", method=method)
    old = end_recognition(old, at=upgrade, credited=-credit.amount)
    new = recognise(charge.amount, start=charge.start, end=charge.end, zone="UTC", method=method)
    assert (old.amount, new.amount) == (60 * MAJOR, 40 * MAJOR)
    assert revenue_by_month([old, new]) == {date(2025, 4, 1): 100 * MAJOR}
