# ruff: noqa: DTZ001  (a local time has no zone)
"""Local times: gaps, doubles and the zones that have odd ones."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import NonexistentLocalTime
from common.localtime import boundary_instant, exact_instant, local_time

NEW_YORK = "America/New_York"


def utc(*parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=dt.UTC)  # type: ignore[arg-type,misc]


class TestAGap:
    def test_a_callers_time_inside_is_refused_b86(self) -> None:
        with pytest.raises(NonexistentLocalTime):
            exact_instant(dt.datetime(2026, 3, 8, 2, 30), zone=NEW_YORK)

    @pytest.mark.parametrize(
        ("local", "zone", "instant"),
        [
            (dt.datetime(2026, 3, 8, 2, 30), NEW_YORK, utc(2026, 3, 8, 7)),
            (dt.datetime(2026, 3, 8, 2, 0), NEW_YORK, utc(2026, 3, 8, 7)),
            (dt.datetime(2026, 3, 8, 2, 59, 59), NEW_YORK, utc(2026, 3, 8, 7)),
            (dt.datetime(2026, 3, 8, 3, 0), NEW_YORK, utc(2026, 3, 8, 7)),
            # Midnight itself is skipped.
            (dt.datetime(2025, 9, 7), "America/Santiago", utc(2025, 9, 7, 4)),
            # A whole day is skipped.
            (dt.datetime(2011, 12, 30), "Pacific/Apia", utc(2011, 12, 30, 10)),
            # The clocks go forward by half an hour.
            (dt.datetime(2026, 10, 4, 2, 15), "Australia/Lord_Howe", utc(2026, 10, 3, 15, 30)),
        ],
    )
    def test_a_boundary_inside_moves_to_the_first_instant_after_it(
        self, local: dt.datetime, zone: str, instant: dt.datetime
    ) -> None:
        assert boundary_instant(local, zone=zone) == instant


class TestADouble:
    def test_the_earlier_instant_is_meant(self) -> None:
        local = dt.datetime(2026, 11, 1, 1, 30)
        assert exact_instant(local, zone=NEW_YORK) == utc(2026, 11, 1, 5, 30)
        assert boundary_instant(local, zone=NEW_YORK) == utc(2026, 11, 1, 5, 30)


@given(st.datetimes(dt.datetime(1971, 1, 1), dt.datetime(2099, 1, 1)), st.sampled_from([
    "UTC", "Europe/Berlin", NEW_YORK, "America/Santiago", "Australia/Lord_Howe", "Pacific/Apia",
    "Africa/Cairo",
]))  # fmt: skip
def test_a_boundary_is_the_first_instant_whose_local_time_is_not_before_it(
    local: dt.datetime, zone: str
) -> None:
    instant = boundary_instant(local, zone=zone)
    assert local_time(instant, zone=zone) >= local
    if local_time(instant, zone=zone) != local:
        assert local_time(instant - dt.timedelta(microseconds=1), zone=zone) < local
