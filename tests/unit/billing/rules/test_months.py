"""Accounting months: how they are written, and where they begin and end."""

from datetime import UTC, date, datetime

import pytest

from billing.rules.months import (
    last_instant,
    month_end,
    month_of,
    month_start,
    month_text,
    next_month,
    parse_month,
    previous_month,
)
from common.errors import InvalidField


@pytest.mark.parametrize("text", ["2026-01", "1970-12", "9998-12"])
def test_a_month_is_read_as_it_is_written(text: str) -> None:
    assert month_text(parse_month(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "2026-00", "2026-13", "2026-1", "1969-12", "9999-01", "2026-01-01", " 2026-01", "2026-01\n", "２026-01", "",
        202601, None,
    ],
)  # fmt: skip
def test_what_is_no_month_is_refused(text: object) -> None:
    with pytest.raises(InvalidField):
        parse_month(text, pointer="/month")


def test_months_follow_each_other_over_the_year() -> None:
    assert next_month(date(2026, 12, 1)) == date(2027, 1, 1)
    assert previous_month(date(2027, 1, 1)) == date(2026, 12, 1)


def test_a_month_is_that_of_its_zone() -> None:
    moment = datetime(2026, 3, 31, 20, tzinfo=UTC)
    assert month_of(moment, zone="UTC") == date(2026, 3, 1)
    assert month_of(moment, zone="Asia/Tokyo") == date(2026, 4, 1)
    assert month_end(date(2026, 3, 1), zone="Asia/Tokyo") == datetime(2026, 3, 31, 15, tzinfo=UTC)
    assert month_start(date(2026, 3, 1), zone="America/New_York") == datetime(2026, 3, 1, 5, tzinfo=UTC)
    assert month_end(date(2026, 3, 1), zone="America/New_York") == datetime(2026, 4, 1, 4, tzinfo=UTC)
    assert last_instant(datetime(2026, 4, 1, tzinfo=UTC)) == datetime(2026, 3, 31, 23, 59, 59, 999_999, UTC)
