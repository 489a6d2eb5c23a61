"""What a run policy may be, and the facts of its life."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from common.errors import InvalidField, InvalidTransition, ProblemError
from spend.rules.runpolicies import Attempts, Loop, LoopLevel, RunPolicy, RunRules, from_stored, stored
from spend.rules.runpolicyfacts import (
    BOUNDS,
    PolicyTerms,
    archived,
    changed,
    created,
    read_policy,
    read_rules,
)

AT = datetime(2026, 3, 1, tzinfo=UTC)
ID, OWNER = UUID(int=1), UUID(int=2)
FULL: dict[str, Any] = {
    "max_steps": 200,
    "max_tool_calls": 40,
    "max_seconds": 3_600,
    "max_depth": 2,
    "attempts": {"max": 3, "first_ms": 250, "longest_ms": 4_000},
    "loop": {
        "window": 30,
        "levels": [
            {"repeats": 5, "action": "warn"},
            {"repeats": 6, "action": "cap", "cooldown_ms": 750},
            {"repeats": 7, "action": "pause"},
            {"repeats": 8, "action": "stop"},
        ],
    },
}


def policy(**rules: Any) -> RunPolicy:
    terms = read_policy({"scope": "run", **(rules or {"max_steps": 5})})
    made, _ = created(terms, identifier=ID, organization=OWNER, target_id=None, target_label=None, at=AT)
    return made


class TestRules:
    def test_are_read_as_they_are_stated(self) -> None:
        assert read_rules(FULL) == RunRules(
            200,
            40,
            3_600,
            2,
            Attempts(3, timedelta(milliseconds=250), timedelta(seconds=4)),
            Loop(
                30,
                (
                    LoopLevel(5, "warn"),
                    LoopLevel(6, "cap", timedelta(milliseconds=750)),
                    LoopLevel(7, "pause"),
                    LoopLevel(8, "stop"),
                ),
            ),
        )

    def test_come_back_from_a_row_as_they_went(self) -> None:
        rules = read_rules(FULL)
        assert from_stored(stored(rules)) == rules
        assert from_stored(stored(RunRules(max_depth=0))) == RunRules(max_depth=0)

    def test_have_the_defaults_of_the_house_where_nothing_is_said(self) -> None:
        assert read_rules({"attempts": {}, "loop": {}}) == RunRules(attempts=Attempts(), loop=Loop())
        assert Attempts() == Attempts(5, timedelta(seconds=1), timedelta(seconds=60))
        assert Loop() == Loop(50, (LoopLevel(10, "warn"), LoopLevel(20, "cap", timedelta(seconds=30))))

    @pytest.mark.parametrize("name", BOUNDS)
    def test_take_the_ends_of_a_range_and_nothing_beyond(self, name: str) -> None:
        low, high = BOUNDS[name]
        assert getattr(read_rules({name: low}), name) == low
        assert getattr(read_rules({name: high}), name) == high
        for wrong in (low - 1, high + 1, True, "5", 5.0):
            with pytest.raises(InvalidField):
                read_rules({name: wrong})

    def test_name_every_wrong_place(self) -> None:
        with pytest.raises(ProblemError) as refused:
            read_rules({"max_steps": 0, "attempts": {"max": 0}, "loop": {"window": 0}})
        assert [error.pointer for error in refused.value.errors] == [
            "/max_steps",
            "/attempts/max",
            "/loop/window",
        ]

    def test_keep_levels_inside_their_window(self) -> None:
        level = {"repeats": 9, "action": "stop"}
        assert read_rules({"loop": {"window": 9, "levels": [level]}}).loop == Loop(9, (LoopLevel(9, "stop"),))
        with pytest.raises(InvalidField):
            read_rules({"loop": {"window": 8, "levels": [level]}})


class TestThePauseBeforeAnAttempt:
    @pytest.mark.parametrize(
        ("attempt", "seconds"),
        [(1, 0), (2, 1), (3, 2), (4, 4), (5, 8), (6, 16), (7, 32), (8, 60), (9, 60), (10**6, 60)],
    )
    def test_doubles_up_to_the_longest(self, attempt: int, seconds: int) -> None:
        assert Attempts().pause_before(attempt) == timedelta(seconds=seconds)

    def test_is_none_where_the_first_is_none(self) -> None:
        assert Attempts(first=timedelta()).pause_before(5) == timedelta()


class TestTheLifeOfAPolicy:
    def test_begins_with_a_fact_that_holds_all_of_it(self) -> None:
        terms = PolicyTerms("agent", RunRules(max_steps=5), "bot")
        made, fact = created(
            terms, identifier=ID, organization=OWNER, target_id=UUID(int=3), target_label=None, at=AT
        )
        assert (fact.stream_type, fact.stream_id, fact.version, fact.verb) == ("run_policy", ID, 1, "created")
        assert fact.data == {
            "scope": "agent",
            "target_id": str(UUID(int=3)),
            "target_label": None,
            "rules": {"max_steps": 5},
            "mode": "enforce",
            "created_at": "2026-03-01T00:00:00Z",
            "archived_at": None,
        }
        assert made.rules == RunRules(max_steps=5)

    def test_keeps_what_a_change_does_not_name_and_loses_what_is_null(self) -> None:
        new, fact = changed(policy(max_steps=5, max_depth=1), {"max_depth": None, "max_seconds": 9}, at=AT)
        assert (new.rules, new.version) == (RunRules(max_steps=5, max_seconds=9), 2)
        assert fact is not None
        assert fact.data["changed"] == {
            "rules": [{"max_steps": 5, "max_depth": 1}, {"max_steps": 5, "max_seconds": 9}]
        }

    def test_has_no_fact_of_the_same_again(self) -> None:
        old = policy(**FULL)
        assert changed(old, {**FULL, "mode": "enforce"}, at=AT) == (old, None)

    def test_never_loses_its_last_rule(self) -> None:
        with pytest.raises(InvalidField):
            changed(policy(), {"max_steps": None}, at=AT)

    def test_ends_once(self) -> None:
        ended, fact = archived(policy(), at=AT)
        assert fact is not None
        assert fact.data["changed"] == {"archived_at": [None, "2026-03-01T00:00:00Z"]}
        assert archived(ended, at=AT) == (ended, None)
        with pytest.raises(InvalidTransition):
            changed(ended, {"max_steps": 1}, at=AT)
