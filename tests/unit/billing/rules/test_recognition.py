"""Recognition: by months of a zone, exactly the amount, and what a service's early end changes."""

from datetime import UTC, date, datetime

import pytest

from billing.rules.recognition import (
    MonthPart,
    deferred_after,
    elapsed_share,
    end_recognition,
    recognise,
    recognised_until,
    revenue_by_month,
)

MAJOR = 100_000_000


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class TestMonths:
    def test_are_those_of_the_zone(self) -> None:
        found = recognise(
            28 * MAJOR, start=at("2026-03-15T00:00+01:00"), end=at("2026-04-12T00:00+02:00"),
            zone="Europe/Berlin", method="per_day",
        )  # fmt: skip
        assert found.parts == (
            MonthPart(
                date(2026, 3, 1), at("2026-03-14T23:00+00:00"), at("2026-03-31T22:00+00:00"), 17 * MAJOR
            ),
            MonthPart(
                date(2026, 4, 1), at("2026-03-31T22:00+00:00"), at("2026-04-11T22:00+00:00"), 11 * MAJOR
            ),
        )

    def test_by_seconds_follow_the_true_length(self) -> None:
        """The 29th of March has 23 hours in Berlin: 671 in all, 407 of them in March."""
        found = recognise(
            671, start=at("2026-03-15T00:00+01:00"), end=at("2026-04-12T00:00+02:00"),
            zone="Europe/Berlin", method="per_second",
        )  # fmt: skip
        assert [part.amount for part in found.parts] == [407, 264]

    def test_sum_to_the_amount_where_no_share_is_whole(self) -> None:
        found = recognise(
            100, start=utc("2026-01-01"), end=utc("2026-04-01"), zone="UTC", method="even_month"
        )
        assert [part.amount for part in found.parts] == [33, 34, 33]

    def test_of_a_negative_amount_are_the_negatives(self) -> None:
        plain, negative = (
            recognise(n, start=utc("2026-01-10"), end=utc("2027-01-10"), zone="UTC", method="per_second")
            for n in (10_007, -10_007)
        )
        assert [part.amount for part in negative.parts] == [-part.amount for part in plain.parts]

    def test_even_ones_are_those_that_the_service_months_begin_in(self) -> None:
        found = recognise(
            1_200, start=utc("2026-01-31"), end=utc("2027-01-31"), zone="UTC", method="even_month"
        )
        assert [(part.month.month, part.amount) for part in found.parts] == [
            *((month, 100) for month in range(1, 13)),
            (1, 0),
        ]

    def test_of_less_than_a_day_are_whole_at_once(self) -> None:
        found = recognise(
            7, start=utc("2026-01-31T10:00"), end=utc("2026-01-31T11:00"), zone="UTC", method="per_day"
        )
        assert [(part.month, part.amount) for part in found.parts] == [(date(2026, 1, 1), 7)]


class TestDeferred:
    def test_is_what_the_months_have_not_recognised(self) -> None:
        found = recognise(90, start=utc("2026-01-01"), end=utc("2026-04-01"), zone="UTC", method="even_month")
        assert [recognised_until(found, date(2026, month, 1)) for month in (1, 2, 3, 4)] == [30, 60, 90, 90]
        assert [deferred_after(found, date(2026, month, 1)) for month in (1, 2, 3, 4)] == [60, 30, 0, 0]

    def test_is_everything_before_the_service(self) -> None:
        share = elapsed_share(
            utc("2025-12-01"), start=utc("2026-01-01"), end=utc("2026-02-01"), zone="UTC", method="per_second"
        )
        assert share == 0


class TestEarlyEnd:
    YEAR = recognise(1_200, start=utc("2026-01-01"), end=utc("2027-01-01"), zone="UTC", method="even_month")

    def test_leaves_the_months_before_it_as_they_are(self) -> None:
        ended = end_recognition(self.YEAR, at=utc("2026-03-16"), credited=950)
        assert ended.amount == 250
        assert [part.amount for part in ended.parts] == [100, 100, 50]
        assert ended.parts[-1].end == ended.end == utc("2026-03-16")

    def test_takes_back_in_its_month_what_was_credited_beyond_the_deferred(self) -> None:
        ended = end_recognition(self.YEAR, at=utc("2026-03-16"), credited=1_100)
        assert [part.amount for part in ended.parts] == [100, 100, -100]

    def test_without_a_credit_recognises_the_rest(self) -> None:
        ended = end_recognition(self.YEAR, at=utc("2026-03-16"))
        assert [part.amount for part in ended.parts] == [100, 100, 1_000]

    @pytest.mark.parametrize(
        ("moment", "amounts"),
        [("2026-01-01", [0]), ("2026-02-01", [0]), ("2027-01-01", [100] * 11 + [-1_100])],
    )
    def test_at_an_edge_stays_in_the_month_before(self, moment: str, amounts: list[int]) -> None:
        ended = end_recognition(self.YEAR, at=utc(moment), credited=1_200)
        assert [part.amount for part in ended.parts] == amounts

    def test_lies_inside_the_service(self) -> None:
        with pytest.raises(ValueError, match="inside its period"):
            end_recognition(self.YEAR, at=utc("2027-01-02"))


class TestServices:
    def test_of_several_add_up_by_month(self) -> None:
        both = [
            recognise(60, start=utc("2026-01-01"), end=utc("2026-03-01"), zone="UTC", method="even_month"),
            recognise(10, start=utc("2026-02-01"), end=utc("2026-03-01"), zone="UTC", method="even_month"),
        ]
        assert revenue_by_month(both) == {date(2026, 1, 1): 30, date(2026, 2, 1): 40}

    @pytest.mark.parametrize(("end", "method"), [("2026-01-01", "per_day"), ("2026-02-01", "per_hour")])
    def test_end_after_their_start_and_have_a_known_method(self, end: str, method: str) -> None:
        with pytest.raises(ValueError, match="service period"):
            recognise(1, start=utc("2026-01-01"), end=utc(end), zone="UTC", method=method)
