"""Recognition: what part of a service is over at an instant, by local days, seconds and service months."""

from datetime import UTC, datetime
from fractions import Fraction

import pytest

from billing.rules.recognition import elapsed_share


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class TestAShare:
    @pytest.mark.parametrize(
        ("method", "share"),
        [
            ("per_day", Fraction(17, 28)),
            # the 29th of March has 23 hours in Berlin: 671 in all, 407 of them in March
            ("per_second", Fraction(407, 671)),
        ],
    )
    def test_is_counted_in_the_zone(self, method: str, share: Fraction) -> None:
        found = elapsed_share(
            at("2026-04-01T00:00+02:00"), start=at("2026-03-15T00:00+01:00"), end=at("2026-04-12T00:00+02:00"),
            zone="Europe/Berlin", method=method,
        )  # fmt: skip
        assert found == share

    def test_by_even_months_is_that_of_the_service_months_that_have_begun(self) -> None:
        shares = [
            elapsed_share(
                utc(f"2026-{month:02}-01"), start=utc("2026-01-31"), end=utc("2027-01-31"), zone="UTC",
                method="even_month",
            )
            for month in range(2, 13)
        ]  # fmt: skip
        assert shares == [Fraction(begun, 12) for begun in range(1, 12)]

    def test_is_nothing_before_the_service(self) -> None:
        share = elapsed_share(
            utc("2025-12-01"), start=utc("2026-01-01"), end=utc("2026-02-01"), zone="UTC", method="per_second"
        )
        assert share == 0

    def test_by_days_of_less_than_a_day_is_nothing_until_its_end(self) -> None:
        start, end = utc("2026-01-31T10:00"), utc("2026-01-31T11:00")
        shares = [
            elapsed_share(moment, start=start, end=end, zone="UTC", method="per_day")
            for moment in (utc("2026-01-31T10:30"), end)
        ]
        assert shares == [0, 1]

    @pytest.mark.parametrize(("end", "method"), [("2026-01-01", "per_day"), ("2026-02-01", "per_hour")])
    def test_is_of_a_service_that_ends_after_its_start_by_a_known_method(self, end: str, method: str) -> None:
        with pytest.raises(ValueError, match="service period"):
            elapsed_share(utc("2026-01-01"), start=utc("2026-01-01"), end=utc(end), zone="UTC", method=method)
