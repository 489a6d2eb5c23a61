"""Overrides: for whom and until when they raise a budget, and how they end."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from common.errors import AmountOutOfRange, InvalidAmount, InvalidField, InvalidPeriod, InvalidTransition
from spend.rules.budgetfacts import Budget, read_terms
from spend.rules.budgetfacts import created as new_budget
from spend.rules.overrides import (
    LimitNotRaised,
    Override,
    OverrideTerms,
    check_terms,
    created,
    ended,
    extra_of,
)

ONE = UUID("01900000-0000-7000-8000-000000000001")
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def budget(**given: Any) -> Budget:
    terms = read_terms({"scope": "agent", "window": "day", "limit": "100", **(given or {"currency": "USD"})})
    made, _ = new_budget(
        terms, identifier=ONE, organization=ONE, target_id=None, target_label=None, time_zone="UTC", at=NOW
    )
    return made


def override(**given: Any) -> Override:
    values: dict[str, Any] = {"target": None, "run_key": None, "until": None, **given}
    terms = OverrideTerms("launch", amount="25", until=values.pop("until"))
    made, _ = created(terms, budget(), identifier=ONE, by="key:1", at=NOW, **values)
    return made


class TestAnOverride:
    @pytest.mark.parametrize(
        ("given", "target", "run", "at", "applies"),
        [
            ({}, "a", None, NOW, True),
            ({"target": "a"}, "a", "r", NOW, True),
            ({"target": "a"}, "b", "r", NOW, False),
            ({"run_key": "r"}, "a", "r", NOW, True),
            ({"run_key": "r"}, "a", "s", NOW, False),
            ({"run_key": "r"}, "a", None, NOW, False),
            ({"until": LATER}, "a", None, LATER - timedelta(microseconds=1), True),
            ({"until": LATER}, "a", None, LATER, False),
        ],
    )
    def test_applies_to_its_target_in_its_run_until_its_end(
        self, given: dict[str, Any], target: str, run: str | None, at: datetime, applies: bool
    ) -> None:
        assert override(**given).applies(target, run, at) is applies

    def test_adds_an_amount_or_what_is_missing_to_a_limit(self) -> None:
        assert extra_of(OverrideTerms("x", amount="25"), budget()) == 2_500_000_000
        assert extra_of(OverrideTerms("x", limit="125"), budget()) == 2_500_000_000
        tokens = budget(unit="TOKENS")
        assert extra_of(OverrideTerms("x", amount="25"), tokens) == 25
        assert extra_of(OverrideTerms("x", limit="101"), tokens) == 1

    @pytest.mark.parametrize(
        ("terms", "error"),
        [
            ({"amount": "0"}, InvalidAmount),
            ({"limit": "100"}, LimitNotRaised),
            ({"limit": "99"}, LimitNotRaised),
            ({"amount": "92233720368"}, AmountOutOfRange),
        ],
    )
    def test_raises_and_nothing_else(self, terms: dict[str, str], error: type[Exception]) -> None:
        with pytest.raises(error):
            extra_of(OverrideTerms("x", **terms), budget())

    @pytest.mark.parametrize(
        "terms",
        [{"amount": "1"}, {"run": "r"}, {"amount": "1", "limit": "200", "run": "r"}],
    )
    def test_has_one_figure_and_an_end(self, terms: dict[str, str]) -> None:
        with pytest.raises(InvalidField):
            check_terms(OverrideTerms("x", **terms))
        check_terms(OverrideTerms("x", amount="1", run="r", until=LATER))

    def test_ends_ahead_of_now(self) -> None:
        with pytest.raises(InvalidPeriod):
            override(until=NOW)

    def test_is_of_a_budget_that_holds(self) -> None:
        terms = OverrideTerms("x", amount="1", run="r")
        with pytest.raises(InvalidTransition):
            created(
                terms,
                replace(budget(), archived_at=NOW),
                identifier=ONE,
                target=None,
                run_key="r",
                by="key:1",
                at=NOW,
            )

    def test_is_ended_once_with_actor_and_reason(self) -> None:
        first = override(until=LATER)
        second, fact = ended(first, by="key:2", reason="done", at=NOW)
        assert (fact.verb, fact.version, second.status_at(NOW)) == ("ended", 2, "ended")
        assert fact.data["changed"] == {
            "ended_by": [None, "key:2"],
            "ended_at": [None, "2026-11-24T12:00:00Z"],
            "end_reason": [None, "done"],
        }
        for over, at in ((second, NOW), (first, LATER)):
            with pytest.raises(InvalidTransition):
                ended(over, by="key:2", reason="again", at=at)
