"""The life of a rate limit: terms that fit each other, and facts with every old and new value."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from common.errors import InvalidField, InvalidTransition, ProblemError
from common.ids import new_id
from spend.rules.limitfacts import (
    ActiveHours,
    Escalation,
    LimitTerms,
    archived,
    changed,
    created,
    parse_active_hours,
    parse_escalation,
    read_terms,
)
from spend.rules.limitfigures import Figures, figures
from spend.rules.limits import RateLimit
from spend.rules.windows import EPOCH

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
PLAIN = {"scope": "agent", "unit": "requests", "limit": 60, "window": "minute", "behaviour": "reject"}


def limit_of(**given: Any) -> RateLimit:
    terms = read_terms({**PLAIN, **given})
    made, _ = created(
        terms,
        identifier=new_id(),
        organization=new_id(),
        target_id=None,
        target_label=None,
        time_zone="UTC",
        at=NOW,
    )
    return made


class TestTerms:
    def test_read_what_is_said_and_nothing_else(self) -> None:
        assert read_terms(PLAIN) == LimitTerms("agent", "requests", 60, "reject", window="minute")

    def test_list_everything_that_does_not_fit(self) -> None:
        with pytest.raises(InvalidField) as refused:
            read_terms({**PLAIN, "unit": "concurrent", "burst": 1, "direction": "input", "per": "agent"})
        assert [error.pointer for error in refused.value.errors] == [
            "/window", "/burst", "/direction", "/per",
        ]  # fmt: skip

    def test_hours_over_midnight_are_hours(self) -> None:
        found = parse_active_hours({"from": "22:00", "until": "06:00", "time_zone": "Asia/Tokyo"})
        assert found == ActiveHours("22:00", "06:00", "Asia/Tokyo")

    def test_absent_is_none(self) -> None:
        assert parse_active_hours(None) is None and parse_escalation(None) is None
        assert parse_escalation({"denials": 1, "seconds": 1}) == Escalation(1, 1)

    @pytest.mark.parametrize("text", ["24:00", "09:60", "9:00", "09:00:00", "09.00", "", " 09:00", "٠٩:00"])
    def test_no_wall_time(self, text: str) -> None:
        with pytest.raises(ProblemError) as refused:
            parse_active_hours({"from": text, "until": "17:00"})
        assert refused.value.code == "invalid_datetime"


class TestFacts:
    def test_of_a_change_say_from_what_to_what(self) -> None:
        new, fact = changed(limit_of(), {"limit": 0, "escalate": {"denials": 3, "seconds": 9}}, at=NOW)
        assert fact is not None and fact.verb == "changed" and fact.version == new.version == 2
        assert fact.data["changed"] == {
            "amount_limit": [60, 0],
            "escalate_denials": [None, 3],
            "escalate_seconds": [None, 9],
        }
        assert "reason" not in fact.data

    def test_keep_the_reason_that_was_given(self) -> None:
        _, fact = changed(limit_of(), {"limit": 1}, at=NOW, reason="too much")
        assert fact is not None and fact.data["reason"] == "too much"

    def test_are_none_where_nothing_changes(self) -> None:
        limit = limit_of()
        assert changed(limit, {"limit": 60, "burst": None}, at=NOW) == (limit, None)

    def test_end_with_the_archiving(self) -> None:
        ended, fact = archived(limit_of(), at=NOW)
        assert fact is not None and fact.verb == "archived" and ended.archived_at == NOW
        assert archived(ended, at=NOW) == (ended, None)
        with pytest.raises(InvalidTransition):
            changed(ended, {"limit": 1}, at=NOW)

    def test_leave_the_zone_where_hours_name_none(self) -> None:
        limit = limit_of(active_hours={"from": "09:00", "until": "17:00", "time_zone": "Asia/Tokyo"})
        moved, _ = changed(limit, {"active_hours": {"from": "08:00", "until": "17:00"}}, at=NOW)
        assert (moved.active_from, moved.time_zone) == ("08:00", "Asia/Tokyo")


class TestFigures:
    """What a counter's row means at a moment."""

    def test_of_a_window_are_what_is_held_and_spent(self) -> None:
        end = NOW + timedelta(seconds=9)
        assert figures(limit_of(), held=10, spent=20, window_end=end, now=NOW) == Figures(30, 30, end)
        assert figures(limit_of(), held=0, spent=70, window_end=end, now=NOW).remaining == 0

    def test_of_open_reservations_are_what_is_held(self) -> None:
        limit = limit_of(unit="concurrent", window=None, limit=5)
        assert figures(limit, held=2, spent=0, window_end=None, now=NOW) == Figures(2, 3, None)

    def test_of_a_meter_follow_from_its_arrival_time(self) -> None:
        limit = limit_of(burst=10)  # one a second
        at = (NOW - EPOCH) // timedelta(microseconds=1) * 1_000
        four = figures(limit, held=0, spent=at + 4 * 10**9, window_end=None, now=NOW)
        assert four == Figures(4, 6, NOW + timedelta(seconds=4))
        begun = figures(limit, held=0, spent=at + 3 * 10**9 + 1, window_end=None, now=NOW)
        assert (begun.used, begun.remaining) == (4, 6)
        assert figures(limit, held=0, spent=at, window_end=None, now=NOW) == Figures(0, 10, None)

    def test_of_a_meter_that_lets_nothing_pass_are_nothing(self) -> None:
        limit = limit_of(limit=0, burst=10)
        assert figures(limit, held=0, spent=0, window_end=None, now=NOW) == Figures(0, 0, None)
