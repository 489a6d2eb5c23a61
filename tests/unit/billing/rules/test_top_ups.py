"""The month of a cap is the customer's own, by its time zone."""

from datetime import UTC, datetime

import pytest

from billing.rules.payments.topups import month_start


@pytest.mark.parametrize(
    ("now", "zone", "start"),
    [
        # Noon of the last day in UTC is the first of April in Auckland.
        ("2026-03-31T12:00", "Pacific/Auckland", "2026-03-31T11:00"),
        ("2026-03-31T10:59", "Pacific/Auckland", "2026-02-28T11:00"),
        ("2026-04-01T03:59", "America/New_York", "2026-03-01T05:00"),
        ("2026-04-01T04:00", "America/New_York", "2026-04-01T04:00"),
        ("2026-04-01T00:00", "UTC", "2026-04-01T00:00"),
    ],
)
def test_a_month_begins_where_the_customer_is(now: str, zone: str, start: str) -> None:
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
    assert month_start(moment, zone) == datetime.fromisoformat(start).replace(tzinfo=UTC)
