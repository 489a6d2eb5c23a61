"""The rules for runs on working rows: to the second, to the attempt and to the repeated call (S55, S56)."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from ledger.rules.grants import GrantSubject
from spend.rules.commands import Action, Caller, Reserve, Subject
from spend.rules.meters import SHADOW
from spend.rules.plan import Route, Who
from spend.rules.runpolicies import RunPolicy
from spend.rules.runpolicyfacts import read_rules
from spend.rules.runs import Found, is_retry, judge_run, remember
from spend.rules.state import Books, LiveAccount, OrganizationState, Run, Trace

AT = datetime(2026, 3, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
TICK = timedelta(microseconds=1)


def state(at: datetime = AT) -> OrganizationState:
    return OrganizationState("o", at, "USD", "active", Books(LiveAccount("credit"), None, []))


def policy(scope: str = "run", **rules: Any) -> RunPolicy:
    return RunPolicy(f"of-{scope}", "o", scope, None, None, read_rules(rules), "enforce", 1, AT)


def run(depth: int = 0) -> Run:
    return Run("id", "r", "id", "r", None, depth=depth, root_started_at=AT)


def asked(*, step: int | None = None, attempt: int | None = None, say: str | None = None) -> Reserve:
    subject, action = Subject("bot", run="r", step=step, attempt=attempt), Action("llm.chat", fingerprint=say)
    return Reserve(UUID(int=1), Caller("key:1"), None, subject, action, None, "USD")


def judged(
    now: OrganizationState,
    command: Reserve,
    *policies: RunPolicy,
    of: Run | None = None,
    prefix: str = "",
) -> Found:
    """What the rules say; an accepted call is remembered, and what has acted is marked, as the gate does."""
    route = Route("a", None, None, None, False, "bot", None, None, None, GrantSubject())
    of = of or run()
    who = Who(route, None, of, None)
    found = judge_run(now, command, who, policies, prefix=prefix)
    if not found.failing:
        remember(now, command, prefix + of.key)
    if found.news:
        now.traces.setdefault(prefix + of.root_key, Trace([])).level = found.root_level
        now.traces.setdefault(prefix + of.key, Trace([])).level = found.level
    return found


def codes(found: Found) -> list[str]:
    return [kind.code for kind, _ in found.failing]


class TestWallTime:
    @pytest.mark.parametrize(
        ("passed", "expected"),
        [
            (timedelta(), []),
            (60 * SECOND, []),
            (61 * SECOND - TICK, []),
            (61 * SECOND, ["run_ceiling_reached"]),
            (timedelta(days=400), ["run_ceiling_reached"]),
        ],
    )
    def test_passes_with_the_last_whole_second(self, passed: timedelta, expected: list[str]) -> None:
        now = state(AT + passed)
        assert codes(judged(now, asked(), policy(max_seconds=60))) == expected

    def test_is_told_once(self) -> None:
        now = state(AT + timedelta(hours=1))
        found = [judged(now, asked(), policy(max_seconds=60)) for _ in range(3)]
        assert [len(each.news) for each in found] == [1, 0, 0]
        assert [len(each.failing) for each in found] == [1, 1, 1]
        assert found[0].news[0]["trigger"] == "run_ceiling"


class TestDepth:
    @pytest.mark.parametrize(
        ("most", "depth", "fits"), [(0, 0, True), (0, 1, False), (2, 2, True), (2, 3, False)]
    )
    def test_passes_with_the_deepest_allowed(self, most: int, depth: int, fits: bool) -> None:
        found = judged(state(), asked(), policy(max_depth=most), of=run(depth))
        assert codes(found) == ([] if fits else ["run_ceiling_reached"])

    def test_is_told_once_for_all_runs_below_a_root(self) -> None:
        now, found = state(), []
        for number in range(3):
            below = Run(f"id-{number}", f"child-{number}", "id", "r", "id", depth=1, root_started_at=AT)
            found.append(judged(now, asked(), policy(max_depth=0), of=below))
        assert [[each["target"] for each in one.news] for one in found] == [["r"], [], []]
        assert [codes(one) for one in found] == [["run_ceiling_reached"]] * 3

    def test_and_wall_time_are_two_incidents(self) -> None:
        now = state(AT + timedelta(hours=1))
        found = judged(now, asked(), policy(max_seconds=60, max_depth=0), of=run(1))
        assert [each["evidence"]["unit"] for each in found.news] == ["seconds", "depth"]


class TestAttempts:
    @pytest.mark.parametrize(
        ("attempt", "pause"), [(2, 1), (3, 2), (4, 4), (5, 8)], ids=["second", "third", "fourth", "fifth"]
    )
    def test_pass_when_exactly_their_pause_is_over(self, attempt: int, pause: int) -> None:
        now = state()
        judged(now, asked(step=1, attempt=attempt - 1))
        now.now = AT + pause * SECOND - TICK
        early = judged(now, asked(step=1, attempt=attempt))
        assert codes(early) == ["backoff_required"]
        assert early.failing[0][1].wait == 1
        now.now = AT + pause * SECOND
        assert codes(judged(now, asked(step=1, attempt=attempt))) == []

    def test_end_with_the_fifth_whatever_time_has_passed(self) -> None:
        now = state()
        judged(now, asked(step=1, attempt=5))
        now.now = AT + timedelta(days=9)
        found = [judged(now, asked(step=1, attempt=6)) for _ in range(2)]
        assert [codes(each) for each in found] == [["attempts_exceeded"]] * 2

    def test_of_another_step_or_without_a_step_are_free(self) -> None:
        now = state()
        judged(now, asked(step=1, attempt=1))
        for command in (asked(step=2, attempt=2), asked(attempt=2), asked(step=1)):
            assert codes(judged(now, command)) == []

    def test_obey_the_strictest_of_all_policies_and_then_not_the_house(self) -> None:
        now = state()
        policies = (
            policy("agent", attempts={"max": 3}),
            policy("organization", attempts={"max": 9, "first_ms": 0}),
        )
        judged(now, asked(step=1, attempt=2), *policies)
        assert codes(judged(now, asked(step=1, attempt=3), *policies)) == ["backoff_required"]
        assert codes(judged(now, asked(step=1, attempt=4), *policies)) == ["attempts_exceeded"]
        lenient = policy(attempts={"max": 50, "first_ms": 0})
        assert codes(judged(now, asked(step=2, attempt=50), lenient)) == []

    def test_count_after_those_that_were_accepted_whatever_they_say(self) -> None:
        now, found = state(), []
        for _ in range(7):
            found += codes(judged(now, asked(step=1, attempt=2)))
            now.now += 60 * SECOND
        assert found == ["attempts_exceeded"] * 3  # it was the second to the fifth

    def test_that_are_the_first_again_are_free_and_lower_nothing(self) -> None:
        now = state()
        judged(now, asked(step=1, attempt=5))
        assert codes(judged(now, asked(step=1, attempt=1))) == []
        now.now += timedelta(days=1)
        assert codes(judged(now, asked(step=1, attempt=2))) == ["attempts_exceeded"]

    def test_of_a_step_are_retries_only_when_it_was_tried(self) -> None:
        now = state()
        assert not is_retry(now, asked(step=1, attempt=2), "r")
        judged(now, asked(step=1, attempt=1))
        said = [
            asked(step=1, attempt=2),
            asked(step=1, attempt=1),
            asked(step=2, attempt=2),
            asked(attempt=2),
        ]
        assert [is_retry(now, command, "r") for command in said] == [True, False, False, False]
        assert not is_retry(now, said[0], SHADOW + "r")

    def test_have_no_default_in_the_shadow_gate(self) -> None:
        assert codes(judged(state(), asked(step=1, attempt=99), prefix=SHADOW)) == []


class TestRepeatedCalls:
    def repeated(self, now: OrganizationState, times: int, *policies: RunPolicy) -> list[Found]:
        return [judged(now, asked(say="same"), *policies) for _ in range(times)]

    def test_meet_each_level_of_the_house_at_its_number(self) -> None:
        found = self.repeated(state(), 20)
        assert [len(each.warnings) for each in found[:9]] == [0] * 9
        assert [[news["action"] for news in each.news] for each in found[9:]] == [
            ["warn"],
            *[[]] * 9,
            ["cap"],
        ]
        assert codes(found[-1]) == ["backoff_required"]

    def test_pass_when_exactly_the_cooldown_is_over(self) -> None:
        now = state()
        self.repeated(now, 19)
        now.now = AT + 30 * SECOND - TICK
        assert codes(judged(now, asked(say="same"))) == ["backoff_required"]
        now.now = AT + 30 * SECOND
        cooled = judged(now, asked(say="same"))
        assert (codes(cooled), cooled.cooldown_ms) == ([], 30_000)

    @pytest.mark.parametrize(("others", "warned"), [(40, True), (41, False)])
    def test_are_those_of_the_last_fifty(self, others: int, warned: bool) -> None:
        now = state()
        self.repeated(now, 9)
        for number in range(others):
            judged(now, asked(say=f"other-{number}"))
        assert bool(judged(now, asked(say="same")).warnings) is warned

    @pytest.mark.parametrize(("others", "warned"), [(7, True), (8, False)])
    def test_are_those_of_the_policys_window(self, others: int, warned: bool) -> None:
        rule = policy(loop={"window": 10, "levels": [{"repeats": 3, "action": "warn"}]})
        now = state()
        self.repeated(now, 2, rule)
        for number in range(others):
            judged(now, asked(say=f"other-{number}"), rule)
        assert bool(judged(now, asked(say="same"), rule).warnings) is warned

    def test_are_not_counted_when_they_were_refused(self) -> None:
        rule = policy(loop={"levels": [{"repeats": 2, "action": "cap", "cooldown_ms": 60_000}]})
        now = state()
        assert [codes(each) for each in self.repeated(now, 4, rule)] == [[], *[["backoff_required"]] * 3]
        assert [len(now.traces["r"].recent)] == [1]

    @pytest.mark.parametrize(("action", "switch"), [("pause", "pause"), ("stop", "stop")])
    def test_set_a_switch_once_where_it_is_said(self, action: str, switch: str) -> None:
        rule = policy(loop={"levels": [{"repeats": 3, "action": action}]})
        found = self.repeated(state(), 3, rule)[-1]
        assert (codes(found), [news["switch"] for news in found.news]) == (["loop_detected"], [switch])

    def test_obey_the_narrowest_policy_alone(self) -> None:
        wide = policy("organization", loop={"levels": [{"repeats": 2, "action": "stop"}]})
        narrow = policy("agent", loop={"levels": [{"repeats": 5, "action": "stop"}]})
        assert [codes(each) for each in self.repeated(state(), 5, wide, narrow)] == [
            *[[]] * 4,
            ["loop_detected"],
        ]

    def test_without_a_fingerprint_are_none(self) -> None:
        now = state()
        for _ in range(60):
            assert judged(now, asked()).warnings == []
        assert now.traces == {}

    def test_have_a_history_of_their_own_in_the_shadow_gate(self) -> None:
        rule, now = policy(loop={"levels": [{"repeats": 3, "action": "stop"}]}), state()
        self.repeated(now, 5)
        shadow = [judged(now, asked(say="same"), rule, prefix=SHADOW) for _ in range(3)]
        assert [codes(each) for each in shadow] == [[], [], ["loop_detected"]]
