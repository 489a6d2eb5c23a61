"""What a budget is: its cap, its thresholds, its terms."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import AmountOutOfRange, CurrencyMismatch, InvalidField, InvalidTransition, ProblemError
from common.money import format_amount
from spend.rules.budgetfacts import (
    Budget,
    archived,
    changed,
    check_terms,
    created,
    definition_of,
    read_terms,
    unit_of,
)
from spend.rules.budgets import SCOPE_RANK, SCOPES, Caps, Threshold, cap
from spend.rules.thresholds import (
    ACTIONS,
    DEFAULT_THRESHOLDS,
    InvalidThresholds,
    as_shown,
    from_stored,
    in_words,
    parse_thresholds,
    stored,
)

ONE = UUID("01900000-0000-7000-8000-000000000001")
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
VALUES = {"scope": "organization", "window": "day", "limit": "5.00", "currency": "USD"}


def budget(**given: Any) -> Budget:
    terms = read_terms({**VALUES, **given})
    made, _ = created(
        terms, identifier=ONE, organization=ONE, target_id=None, target_label=None, time_zone="UTC", at=NOW
    )
    return made


def cap_of(**given: Any) -> int:
    return cap(definition_of(budget(**given)))


class TestTheCap:
    def test_is_the_limit_and_the_overdraft(self) -> None:
        assert cap_of() == 500_000_000
        assert cap_of(overdraft="1.5") == 650_000_000

    def test_is_a_lower_level_that_blocks(self) -> None:
        assert cap_of(thresholds=[{"percent": 40, "action": "block"}], overdraft="1") == 200_000_000
        assert cap_of(thresholds=[{"amount": "0.75", "action": "block"}]) == 75_000_000
        assert cap_of(thresholds=[{"percent": 40, "action": "notify"}]) == 500_000_000

    @given(st.integers(0, 10**18), st.integers(1, 99))
    def test_of_a_percentage_is_cut_to_the_strict_side(self, limit: int, percent: int) -> None:
        made = replace(budget(), amount_limit=limit, thresholds=(Threshold("block", percent),))
        level = cap(definition_of(made))
        assert level * 100 <= limit * percent < (level + 1) * 100

    def test_scopes_go_from_narrow_to_wide(self) -> None:
        assert sorted(SCOPES, key=lambda scope: SCOPE_RANK[scope]) == list(SCOPES)
        assert (SCOPES[0], SCOPES[-1]) == ("run", "organization")


LIMIT_ID = "01900000-0000-7000-8000-000000000009"
EVERY_FIELD = [
    {"percent": 10, "action": "throttle", "per_minute": 6},
    {"percent": 20, "action": "throttle", "rate_percent": 50, "rate_limit": LIMIT_ID},
    {"percent": 30, "action": "cap"},
    {
        "percent": 40,
        "action": "cap",
        "caps": {
            "max_output_tokens": 100,
            "models": ["small"],
            "tools": [],
            "cooldown_ms": 500,
            "steps": 3,
        },
    },
    {"percent": 50, "action": "require_approval"},
    {"amount": 300_000_000, "action": "pause"},
    {"percent": 100, "action": "block"},
]


def stated(levels: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Stored thresholds as a request in USD states them."""
    return [
        {**level, "amount": format_amount(level["amount"])} if "amount" in level else level
        for level in levels
    ]


class TestThresholds:
    @given(st.lists(st.integers(1, 100), unique=True).map(sorted), st.sampled_from(ACTIONS))
    def test_are_kept_as_they_are_stated(self, percents: list[int], action: str) -> None:
        rate = {"per_minute": 1} if action == "throttle" else {}
        given_ = [{"percent": percent, "action": action, **rate} for percent in percents]
        assert stored(parse_thresholds(given_, unit="USD")) == given_
        assert from_stored(stored(parse_thresholds(given_, unit="USD"))) == parse_thresholds(
            given_, unit="USD"
        )

    def test_are_kept_with_every_field_and_shown_as_stated(self) -> None:
        parsed = parse_thresholds(stated(EVERY_FIELD), unit="USD")
        assert stored(parsed) == EVERY_FIELD
        assert from_stored(json.loads(json.dumps(stored(parsed)))) == parsed
        assert [as_shown(threshold, format_amount) for threshold in parsed] == stated(EVERY_FIELD)
        assert parsed[3].caps == Caps(100, ("small",), (), 500, 3)
        assert (parsed[2].caps, parsed[1].rate_limit) == (None, LIMIT_ID)

    def test_are_put_in_words(self) -> None:
        assert [
            in_words(level, format_amount) for level in parse_thresholds(stated(EVERY_FIELD), unit="USD")
        ] == [
            "10 %: throttle, 6 a minute",
            f"20 %: throttle, 50 % of rate limit {LIMIT_ID}",
            "30 %: cap",
            "40 %: cap, max output tokens 100, models small, tools none, cooldown ms 500, steps 3",
            "50 %: require approval",
            "3: pause",
            "100 %: block",
        ]

    def test_with_empty_caps_are_those_without(self) -> None:
        given_ = [{"percent": 50, "action": "cap", "caps": {}}]
        assert parse_thresholds(given_, unit="USD")[0].caps is None

    @given(st.lists(st.integers(1, 100), min_size=2).filter(lambda levels: levels != sorted(set(levels))))
    def test_are_distinct_and_ascending(self, percents: list[int]) -> None:
        with pytest.raises(InvalidThresholds):
            parse_thresholds([{"percent": percent, "action": "notify"} for percent in percents], unit="USD")

    @given(st.lists(st.integers(1, 100), min_size=2).filter(lambda levels: levels != sorted(set(levels))))
    def test_of_amounts_are_distinct_and_ascending(self, amounts: list[int]) -> None:
        with pytest.raises(InvalidThresholds):
            parse_thresholds([{"amount": str(level), "action": "notify"} for level in amounts], unit="TOKENS")

    def test_of_amounts_are_in_the_budgets_unit(self) -> None:
        assert parse_thresholds([{"amount": "2.5", "action": "notify"}], unit="USD")[0].amount == 250_000_000
        assert parse_thresholds([{"amount": "25", "action": "notify"}], unit="TOKENS")[0].amount == 25

    def test_name_every_wrong_place(self) -> None:
        wrong = [{"percent": 0, "action": "notify"}, {"percent": 50, "action": "stop"}]
        with pytest.raises(InvalidThresholds) as refused:
            parse_thresholds(wrong, unit="USD")
        assert [(error.pointer, error.code) for error in refused.value.errors] == [
            ("/thresholds/0/percent", "invalid_thresholds"),
            ("/thresholds/1/action", "invalid_field"),
        ]

    @pytest.mark.parametrize(
        ("threshold", "pointer", "code"),
        [
            ({"action": "throttle"}, "", "invalid_thresholds"),
            ({"action": "throttle", "rate_percent": 50}, "", "invalid_thresholds"),
            ({"action": "throttle", "rate_limit": LIMIT_ID}, "", "invalid_thresholds"),
            (
                {"action": "throttle", "per_minute": 1, "rate_percent": 50, "rate_limit": LIMIT_ID},
                "",
                "invalid_thresholds",
            ),
            ({"action": "throttle", "per_minute": 0}, "/per_minute", "invalid_quantity"),
            ({"action": "throttle", "per_minute": 1.5}, "/per_minute", "invalid_quantity"),
            ({"action": "throttle", "per_minute": "6"}, "/per_minute", "invalid_quantity"),
            (
                {"action": "throttle", "rate_percent": 0, "rate_limit": LIMIT_ID},
                "/rate_percent",
                "invalid_field",
            ),
            ({"action": "throttle", "rate_percent": 5, "rate_limit": "x"}, "/rate_limit", "invalid_id"),
            ({"action": "notify", "per_minute": 6}, "/per_minute", "invalid_thresholds"),
            ({"action": "block", "caps": {}}, "/caps", "invalid_thresholds"),
            ({"action": "cap", "caps": []}, "/caps", "invalid_field"),
            ({"action": "cap", "caps": {"colour": 1}}, "/caps/colour", "unknown_field"),
            (
                {"action": "cap", "caps": {"max_output_tokens": 0}},
                "/caps/max_output_tokens",
                "invalid_quantity",
            ),
            ({"action": "cap", "caps": {"steps": -1}}, "/caps/steps", "invalid_quantity"),
            ({"action": "cap", "caps": {"cooldown_ms": 0}}, "/caps/cooldown_ms", "invalid_field"),
            ({"action": "cap", "caps": {"cooldown_ms": True}}, "/caps/cooldown_ms", "invalid_field"),
            ({"action": "cap", "caps": {"models": "gpt"}}, "/caps/models", "invalid_field"),
            ({"action": "cap", "caps": {"models": ["a", "a"]}}, "/caps/models", "invalid_field"),
            ({"action": "cap", "caps": {"tools": ["a\u0000"]}}, "/caps/tools/0", "invalid_text"),
            ({"action": "notify", "amount": "1"}, "", "invalid_thresholds"),
            ({"action": "notify", "colour": "red"}, "/colour", "unknown_field"),
            ({}, "/action", "invalid_field"),
        ],
    )
    def test_say_what_belongs_to_their_action_and_nothing_else(
        self, threshold: dict[str, Any], pointer: str, code: str
    ) -> None:
        with pytest.raises(ProblemError) as refused:
            parse_thresholds([{"percent": 50, **threshold}], unit="USD")
        assert refused.value.code == code
        assert [(e.pointer, e.code) for e in refused.value.errors] == [(f"/thresholds/0{pointer}", code)]

    def test_are_50_80_and_100_unless_given(self) -> None:
        assert budget().thresholds == DEFAULT_THRESHOLDS
        assert stored(DEFAULT_THRESHOLDS) == [
            {"percent": 50, "action": "notify"},
            {"percent": 80, "action": "notify"},
            {"percent": 100, "action": "block"},
        ]
        assert budget(thresholds=[]).thresholds == ()


class TestTerms:
    def test_have_one_unit(self) -> None:
        assert unit_of(currency="USD", unit=None) == "USD"
        assert unit_of(currency=None, unit="TOKENS") == "TOKENS"
        for currency, unit in (("USD", "TOKENS"), (None, None)):
            with pytest.raises(InvalidField):
                unit_of(currency=currency, unit=unit)

    def test_are_in_the_organizations_currency(self) -> None:
        check_terms(read_terms(VALUES), currency="USD")
        with pytest.raises(CurrencyMismatch):
            check_terms(read_terms(VALUES), currency="EUR")

    def test_measure_cost_in_money_only(self) -> None:
        check_terms(read_terms({**VALUES, "measure": "cost"}), currency="USD")
        tokens = {"scope": "agent", "window": "day", "limit": "5", "unit": "TOKENS", "measure": "cost"}
        with pytest.raises(InvalidField):
            check_terms(read_terms(tokens), currency="USD")

    def test_stay_in_the_range_of_amounts(self) -> None:
        with pytest.raises(AmountOutOfRange):
            budget(limit="92233720368.54775807", overdraft="0.00000001")


class TestArming:
    @pytest.mark.parametrize(
        "change",
        [{"limit": "4"}, {"overdraft": "1"}, {"thresholds": [{"percent": 90, "action": "pause"}]}],
    )
    def test_goes_up_with_every_change_of_limit_overdraft_or_thresholds(self, change: dict[str, Any]) -> None:
        new, fact = changed(budget(), change, at=NOW)
        assert fact is not None
        assert (budget().arming, new.arming, definition_of(new).arming) == (1, 2, 2)
        assert (fact.data["arming"], fact.data["changed"]["arming"]) == (2, [1, 2])

    def test_stays_with_another_mode(self) -> None:
        new, fact = changed(budget(), {"mode": "observe"}, at=NOW)
        assert fact is not None
        assert (new.mode, new.arming) == ("observe", 1)


class TestALife:
    def test_counts_versions_and_keeps_old_and_new_values(self) -> None:
        first = budget()
        second, fact = changed(first, {"limit": "2"}, at=NOW)
        assert fact is not None
        assert (fact.verb, fact.version, second.version) == ("changed", 2, 2)
        assert fact.data["changed"] == {"amount_limit": [500_000_000, 200_000_000], "arming": [1, 2]}
        assert (fact.data["amount_limit"], fact.data["scope"]) == (200_000_000, "organization")

    def test_has_no_fact_of_the_same_again(self) -> None:
        assert changed(budget(), {"limit": "5", "mode": "enforce"}, at=NOW) == (budget(), None)

    def test_ends_once(self) -> None:
        ended, fact = archived(budget(), at=NOW)
        assert fact is not None
        assert fact.data["changed"]["archived_at"] == [None, "2026-11-24T12:00:00Z"]
        assert archived(ended, at=NOW) == (ended, None)
        with pytest.raises(InvalidTransition):
            changed(ended, {"limit": "2"}, at=NOW)
