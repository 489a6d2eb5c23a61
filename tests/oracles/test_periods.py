"""Worked examples of anchors, zones and changes of the clock: billing_oracles, section 10."""

from datetime import UTC, date, datetime, timedelta
from itertools import islice

import pytest

from billing.rules.periods import Cycle, Interval
from billing.rules.proration import span_share
from common.localtime import local_time


def local(text: str) -> datetime:
    return datetime.fromisoformat(text)


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("case", "anchor", "inclusive"),
    [
        (
            "A1",
            "2024-01-31",
            [("2024-01-31", "2024-02-28"), ("2024-02-29", "2024-03-30"), ("2024-03-31", "2024-04-29")],
        ),
        (
            "A3",
            "2026-01-31",
            [("2026-01-31", "2026-02-27"), ("2026-02-28", "2026-03-30"), ("2026-03-31", "2026-04-29")],
        ),
    ],
)
def test_a_day_that_a_month_lacks_is_clamped_and_returns(
    case: str, anchor: str, inclusive: list[tuple[str, str]]
) -> None:
    cycle = Cycle(local(anchor), Interval("month"), "UTC")
    found = [
        (str(period.start_date), str(period.end_date - timedelta(days=1)))
        for period in islice(cycle.periods(), 3)
    ]
    assert found == inclusive


def test_a3_starts_on_the_last_days_of_months() -> None:
    cycle = Cycle(local("2026-01-31"), Interval("month"), "UTC")
    starts = [period.start_date for period in islice(cycle.periods(), 4)]
    assert starts == [date(2026, 1, 31), date(2026, 2, 28), date(2026, 3, 31), date(2026, 4, 30)]


@pytest.mark.parametrize(
    ("case", "cycle", "now", "boundary"),
    [
        (
            "A5",
            Cycle(local("2024-01-03T14:00"), Interval("week"), "UTC"),
            "2024-03-04T10:00",
            "2024-03-06T14:00",
        ),
        (
            "A6",
            Cycle(local("2024-04-15T12:00"), Interval("month"), "UTC", starts_at=instant("2024-04-01")),
            "2024-04-01",
            "2024-04-15T12:00",
        ),
    ],
)
def test_a_period_ends_at_the_next_boundary(case: str, cycle: Cycle, now: str, boundary: str) -> None:
    assert cycle.period_at(instant(now)).end == instant(boundary)


def test_a6_the_first_period_is_a_stub() -> None:
    cycle = Cycle(local("2024-04-15T12:00"), Interval("month"), "UTC", starts_at=instant("2024-04-01"))
    assert cycle.period(0).start == instant("2024-04-01")
    assert [period.is_stub for period in islice(cycle.periods(), 3)] == [True, False, False]


def test_a8_a_month_costs_the_same_through_changes_of_the_clock() -> None:
    zone = "America/Juneau"
    trial_end = datetime(2015, 10, 1, 8, tzinfo=UTC)
    cycle = Cycle.from_start(trial_end, interval=Interval("month"), zone=zone)
    year = list(islice(cycle.periods(), 12))
    assert (year[0].start_date, year[0].end_date) == (date(2015, 10, 1), date(2015, 11, 1))
    assert {local_time(period.start, zone=zone).isoformat()[8:] for period in year} == {"01T00:00:00"}
    prices = {24_995 * span_share(p, p.start, p.end, basis="per_second") for p in year}
    assert prices == {24_995}
    assert len({period.end - period.start for period in year}) > 2  # 29 to 31 days, an hour more or less


def test_a10_two_periods_have_begun_over_the_year_end() -> None:
    cycle = Cycle(local("2010-12-15"), Interval("month"), "UTC", starts_at=instant("2010-12-15"))
    billed = list(cycle.started_by(instant("2011-01-16")))
    assert [(period.start_date, period.is_stub) for period in billed] == [
        (date(2010, 12, 15), False),
        (date(2011, 1, 15), False),
    ]
