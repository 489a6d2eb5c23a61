"""What ends a run that does not end by itself (S54 to S56): ceilings, attempts with their pause, repeated calls."""

from collections.abc import Sequence
from typing import Any

import pytest

from spend.operations.prices.publish import publish_tool_price
from tests.builders.crowd import at_once
from tests.builders.gate import Customer, body_of, commit_body, make_customer, reserve_body
from tests.builders.orgs import caller, events_of, make_agent, make_team, make_workflow, unique, write
from tests.invariants import Still, assert_sound

POLICIES = "/v1/run-policies"
WARN, CAP = {"repeats": 10, "action": "warn"}, {"repeats": 20, "action": "cap", "cooldown_ms": 30_000}


@pytest.fixture
def acme() -> Customer:
    return make_customer()


def policy(customer: Customer, **body: Any) -> str:
    """The id of a new run policy, of every run unless a scope is given."""
    made = body_of(caller(customer.id).post(POLICIES, {"scope": "run", **body}), 201)
    return str(made["id"])


def call(customer: Customer, run: str = "r", *, say: str | None = None, **subject: Any) -> Any:
    """The answer to a reservation in a run; `say` is its fingerprint."""
    action = {} if say is None else {"action": {"kind": "llm.chat", "fingerprint": say}}
    return customer.reserve("0.01", subject={"run": run, **subject}, **action)


def refused(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def statuses(answers: Sequence[Any]) -> list[int]:
    return [answer.status_code for answer in answers]


def incidents(customer: Customer, mode: str = "enforce") -> list[tuple[str, str, str | None]]:
    """Trigger, action and rule of every incident that was opened in this mode, in their order."""
    opened = [row[4] for row in events_of(customer.id) if row[0] == "incident.opened"]
    opened = [data for data in opened if data["mode"] == mode]
    return [(data["trigger"], data["action"], data["rule_id"]) for data in opened]


class TestSteps:
    def test_pass_up_to_the_ceiling_and_not_one_more(self, acme: Customer) -> None:
        rule = policy(acme, max_steps=3)
        for _ in range(3):
            assert call(acme).status_code == 201
        answer = call(acme)
        assert refused(answer) == (402, "run_ceiling_reached")
        binding = answer.json()["binding"]
        expected = {
            "scope": "run", "target": "r", "rule": rule, "unit": "steps", "limit": "3", "spent": "3", "requested": "1",
            "remaining": "0",
        }  # fmt: skip
        assert {name: binding[name] for name in expected} == expected
        assert call(acme, "another").status_code == 201

    def test_move_nothing_when_they_are_refused(self, acme: Customer) -> None:
        policy(acme, max_steps=1)
        call(acme)
        call(acme)
        with Still(acme.id, decisions=1):
            assert refused(call(acme)) == (402, "run_ceiling_reached")
        assert_sound(acme.id)

    def test_are_not_given_back_by_a_release(self, acme: Customer) -> None:
        policy(acme, max_steps=1)
        acme.release(call(acme).json()["id"])
        assert refused(call(acme)) == (402, "run_ceiling_reached")

    def test_are_not_used_by_a_retry(self, acme: Customer) -> None:
        policy(acme, max_steps=1, attempts={"first_ms": 0})
        assert call(acme, step=1, attempt=1).status_code == 201
        assert call(acme, step=1, attempt=2).status_code == 201
        assert refused(call(acme, step=2, attempt=1)) == (402, "run_ceiling_reached")

    def test_are_refused_with_one_incident(self, acme: Customer) -> None:
        rule = policy(acme, max_steps=2)
        for _ in range(6):
            call(acme)
        assert incidents(acme) == [("run_ceiling", "block", rule)]

    def test_go_on_when_the_ceiling_is_raised_or_archived(self, acme: Customer) -> None:
        rule, admin = policy(acme, max_steps=1), caller(acme.id)
        assert statuses([call(acme), call(acme)]) == [201, 402]
        admin.patch(f"{POLICIES}/{rule}", {"max_steps": 2})
        assert statuses([call(acme), call(acme)]) == [201, 402]
        admin.patch(f"{POLICIES}/{rule}", {"max_steps": 1})
        assert refused(call(acme)) == (402, "run_ceiling_reached")
        admin.post(f"{POLICIES}/{rule}/archive")
        assert call(acme).status_code == 201

    def test_are_not_widened_by_a_narrow_policy(self, acme: Customer) -> None:
        wide = policy(acme, scope="organization", max_steps=1)
        policy(acme, scope="agent", target="bot", max_steps=10)
        assert statuses([call(acme), call(acme)]) == [201, 402]
        assert call(acme).json()["binding"]["rule"] == wide

    def test_count_for_whom_the_policy_is(self, acme: Customer) -> None:
        make_team(acme.id)
        make_agent(acme.id, "teamed", "Teamed", team="research")
        make_workflow(acme.id)
        policy(acme, scope="team", target="research", max_steps=1)
        policy(acme, scope="workflow", target="weekly", max_steps=1)
        policy(acme, scope="run", target="one", max_steps=1)
        subjects: list[dict[str, Any]] = [
            {"agent": "teamed"}, {"workflow": "weekly"}, {"run": "one"}, {}
        ]  # fmt: skip
        found = [
            statuses([acme.reserve("0.01", subject={"run": f"r-{n}", **subject}) for _ in range(2)])
            for n, subject in enumerate(subjects)
        ]
        assert found == [[201, 402], [201, 402], [201, 402], [201, 201]]

    def test_are_judged_by_a_dry_run_that_uses_none(self, acme: Customer) -> None:
        policy(acme, max_steps=1)
        for _ in range(3):
            assert acme.dry("0.01", subject={"run": "r"})["decision"] == "allow"
        call(acme)
        dry = acme.dry("0.01", subject={"run": "r"})
        assert (dry["decision"], dry["code"]) == ("deny", "run_ceiling_reached")

    def test_are_not_asked_for_without_a_run(self, acme: Customer) -> None:
        policy(acme, scope="organization", max_steps=1)
        assert statuses([acme.reserve("0.01"), acme.reserve("0.01")]) == [201, 201]


class TestToolCalls:
    @pytest.fixture
    def tool(self, acme: Customer) -> str:
        name = unique("tool")
        write(lambda cur: publish_tool_price(cur, actor="system:test", pattern=name, amount="0.01"))
        return name

    def ask(self, customer: Customer, tool: str, calls: int, run: str = "r", **subject: Any) -> Any:
        estimate = {"tool_calls": {tool: calls}}
        return customer.reserve(None, estimate=estimate, subject={"run": run, **subject})

    def test_pass_up_to_the_ceiling_and_not_one_more(self, acme: Customer, tool: str) -> None:
        policy(acme, max_tool_calls=3)
        assert statuses([self.ask(acme, tool, 2), self.ask(acme, tool, 2), self.ask(acme, tool, 1)]) == [
            201,
            402,
            201,
        ]
        answer = self.ask(acme, tool, 1)
        assert refused(answer) == (402, "run_ceiling_reached")
        assert answer.json()["binding"]["unit"] == "tool_calls"
        assert call(acme).status_code == 201

    def test_count_what_was_really_used(self, acme: Customer, tool: str) -> None:
        policy(acme, max_tool_calls=3)
        first = self.ask(acme, tool, 3).json()["id"]
        assert refused(self.ask(acme, tool, 1)) == (402, "run_ceiling_reached")
        done = {**commit_body(), "usage": {"tool_calls": {tool: 1}}}
        body_of(acme.api.post(f"/v1/reservations/{first}/commit", done, key=unique()), 200)
        assert statuses([self.ask(acme, tool, 2), self.ask(acme, tool, 1)]) == [201, 402]

    def test_are_none_where_the_ceiling_is_zero(self, acme: Customer, tool: str) -> None:
        policy(acme, max_tool_calls=0)
        assert statuses([self.ask(acme, tool, 1), call(acme)]) == [402, 201]


class TestFanOut:
    """Twenty sub-agents under one root draw from its ceilings; no tree multiplies them."""

    @pytest.fixture
    def crowd(self) -> Customer:
        customer = make_customer(agents=("bot", *(f"sub-{n}" for n in range(20))))
        call(customer, "root")
        return customer

    def test_multiplies_no_steps(self, crowd: Customer) -> None:
        policy(crowd, max_steps=30)

        def work(n: int) -> list[int]:
            subject = {"agent": f"sub-{n}", "run": f"child-{n}", "parent_run": "root"}
            return statuses([crowd.reserve("0.01", subject=subject) for _ in range(3)])

        found = [status for answers in at_once(work, callers=20) for status in answers]
        assert (found.count(201), found.count(402)) == (30, 30)
        assert refused(call(crowd, "root")) == (402, "run_ceiling_reached")
        assert_sound(crowd.id)

    def test_multiplies_no_tool_calls(self, crowd: Customer) -> None:
        tool = unique("tool")
        write(lambda cur: publish_tool_price(cur, actor="system:test", pattern=tool, amount="0.01"))
        policy(crowd, max_tool_calls=25)
        items = []
        for n in range(20):
            subject = {"agent": f"sub-{n}", "run": f"child-{n}", "parent_run": "root"}
            body = reserve_body(None, subject=subject, estimate={"tool_calls": {tool: 2}})
            items.append({**body, "idempotency_key": unique()})
        results = body_of(crowd.api.post("/v1/reservations/batch", {"items": items}), 200)["results"]
        assert [each["status"] for each in results] == [201] * 12 + [402] * 8


class TestWallTime:
    def test_ends_the_run_and_all_below_it(self, acme: Customer) -> None:
        rule = policy(acme, max_seconds=3_600)
        call(acme)
        acme.pass_time(seconds=3_590)
        assert call(acme).status_code == 201
        assert call(acme, "child", parent_run="r").status_code == 201
        acme.pass_time(seconds=11)
        answer = call(acme, "child", parent_run="r")
        assert refused(answer) == (402, "run_ceiling_reached")
        binding = answer.json()["binding"]
        assert (binding["unit"], binding["rule"], binding["limit"], binding["target"]) == (
            "seconds",
            rule,
            "3600",
            "r",
        )
        assert call(acme, "later").status_code == 201


class TestDepth:
    def test_passes_up_to_the_ceiling_and_not_one_more(self, acme: Customer) -> None:
        rule = policy(acme, max_depth=2)
        for run, parent in (("r", None), ("child", "r"), ("grandchild", "child")):
            assert call(acme, run, parent_run=parent).status_code == 201
        answer = call(acme, "great-grandchild", parent_run="grandchild")
        assert refused(answer) == (402, "run_ceiling_reached")
        assert (answer.json()["binding"]["unit"], answer.json()["binding"]["rule"]) == ("depth", rule)
        assert caller(acme.id).get("/v1/runs/great-grandchild").status_code == 404
        assert call(acme, "another-grandchild", parent_run="child").status_code == 201

    def test_zero_is_no_child_run(self, acme: Customer) -> None:
        policy(acme, max_depth=0)
        assert statuses([call(acme), call(acme, "child", parent_run="r")]) == [201, 402]


class TestAttempts:
    """S55: without any policy 5 attempts of a step, with pauses of 1, 2, 4, 8 s."""

    def test_come_too_early_before_their_pause_is_over(self, acme: Customer) -> None:
        assert call(acme, step=1, attempt=3).status_code == 201
        early = call(acme, step=1, attempt=4)
        assert refused(early) == (429, "backoff_required")
        assert early.headers["Retry-After"] == "4"
        assert early.json()["retry_after"] == 4
        binding = early.json()["binding"]
        expected = {"scope": "run", "target": "r", "step": 1, "attempt": 4, "limit": "5", "pause_ms": 4_000}
        assert {name: binding[name] for name in expected} == expected
        acme.pass_time(seconds=4)
        assert call(acme, step=1, attempt=4).status_code == 201
        assert call(acme, step=1, attempt=5).headers["Retry-After"] == "8"

    def test_that_were_refused_begin_no_pause_anew(self, acme: Customer) -> None:
        call(acme, step=1, attempt=4)
        acme.pass_time(seconds=4)
        assert refused(call(acme, step=1, attempt=5)) == (429, "backoff_required")
        acme.pass_time(seconds=4)
        assert call(acme, step=1, attempt=5).status_code == 201

    def test_pause_twice_as_long_each_time_up_to_the_longest(self, acme: Customer) -> None:
        rule = policy(acme, attempts={"max": 10})
        assert call(acme, step=1, attempt=4).status_code == 201
        for attempt, seconds in ((5, 8), (6, 16), (7, 32), (8, 60), (9, 60), (10, 60)):
            acme.pass_time(seconds=seconds - 4)
            early = call(acme, step=1, attempt=attempt)
            assert refused(early) == (429, "backoff_required")
            assert (early.json()["binding"]["pause_ms"], early.json()["binding"]["rule"]) == (
                seconds * 1_000,
                rule,
            )
            acme.pass_time(seconds=4)
            assert call(acme, step=1, attempt=attempt).status_code == 201

    def test_end_with_the_fifth(self, acme: Customer) -> None:
        for attempt in range(1, 6):
            assert call(acme, step=1, attempt=attempt).status_code == 201
            acme.pass_time(seconds=60)
        sixth = call(acme, step=1, attempt=6)
        assert refused(sixth) == (403, "attempts_exceeded")
        assert (sixth.json()["retryable"], sixth.json()["binding"]["limit"]) == (False, "5")
        acme.pass_time(days=1)
        assert refused(call(acme, step=1, attempt=6)) == (403, "attempts_exceeded")
        assert incidents(acme) == [("attempts", "block", None)]
        assert call(acme, step=2, attempt=1).status_code == 201
        assert call(acme, "another", step=1, attempt=1).status_code == 201

    def test_are_as_many_as_the_policy_says(self, acme: Customer) -> None:
        rule = policy(acme, attempts={"max": 2, "first_ms": 0})
        assert statuses([call(acme, step=1, attempt=n) for n in (1, 2, 3)]) == [201, 201, 403]
        assert incidents(acme) == [("attempts", "block", rule)]

    def test_of_no_step_are_not_looked_at(self, acme: Customer) -> None:
        assert statuses([call(acme, attempt=9), call(acme, step=9)]) == [201, 201]

    def test_are_listed_as_decisions_in_order(self, acme: Customer) -> None:
        policy(acme, attempts={"max": 2, "first_ms": 60_000})
        for attempt in (1, 2, 3):
            call(acme, step=1, attempt=attempt)
        shown = body_of(caller(acme.id).get("/v1/decisions", run="r"), 200)["data"]
        assert sorted(row["code"] or "allowed" for row in shown) == [
            "allowed",
            "attempts_exceeded",
            "backoff_required",
        ]


class TestRepeatedCalls:
    """S56: without any policy 10 equal ones of the last 50 are a warning, 20 a cooldown of 30 s between equal calls."""

    def repeat(self, customer: Customer, times: int, *, say: str = "same") -> list[Any]:
        return [call(customer, say=say) for _ in range(times)]

    def test_are_warned_of_from_the_tenth_on(self, acme: Customer) -> None:
        answers = [body_of(answer, 201) for answer in self.repeat(acme, 11)]
        assert [answer["warnings"] for answer in answers[:9]] == [[]] * 9
        for count, answer in enumerate(answers[9:], 10):
            (warning,) = answer["warnings"]
            expected = {"code": "loop_suspected", "fingerprint": "same", "repeats": count, "window": 50}
            assert {name: warning[name] for name in expected} == expected
            assert answer["decision"] == "allow"
        assert incidents(acme) == [("loop", "warn", None)]

    def test_cool_down_from_the_twentieth_on(self, acme: Customer) -> None:
        self.repeat(acme, 19)
        acme.pass_time(seconds=30)
        twentieth = body_of(call(acme, say="same"), 201)
        assert (twentieth["decision"], twentieth["caps"]) == ("allow_with_caps", {"cooldown_ms": 30_000})
        early = call(acme, say="same")
        assert refused(early) == (429, "backoff_required")
        assert (early.headers["Retry-After"], early.json()["binding"]["cooldown_ms"]) == ("30", 30_000)
        assert body_of(call(acme, say="other"), 201)["decision"] == "allow"
        acme.pass_time(seconds=30)
        assert body_of(call(acme, say="same"), 201)["caps"] == {"cooldown_ms": 30_000}
        assert incidents(acme) == [("loop", "warn", None), ("loop", "cap", None)]

    def test_are_neither_paused_nor_stopped_unless_somebody_said_so(self, acme: Customer) -> None:
        for _ in range(45):
            assert call(acme, say="same").status_code == 201
            acme.pass_time(seconds=31)
        assert [action for _, action, _ in incidents(acme)] == ["warn", "cap"]

    def test_are_those_of_the_last_fifty(self, acme: Customer) -> None:
        self.repeat(acme, 9)
        for n in range(41):
            call(acme, say=f"other-{n}")
        assert body_of(call(acme, say="same"), 201)["warnings"] == []
        assert incidents(acme) == []

    def test_without_a_fingerprint_are_not_looked_at(self, acme: Customer) -> None:
        assert {answer.json()["decision"] for answer in [call(acme) for _ in range(25)]} == {"allow"}

    @pytest.mark.parametrize(("action", "then"), [("pause", "paused"), ("stop", "loop_detected")])
    def test_end_the_run_where_it_is_set(self, acme: Customer, action: str, then: str) -> None:
        levels = [{"repeats": 3, "action": "warn"}, {"repeats": 5, "action": action}]
        rule = policy(acme, loop={"levels": levels})
        answers = self.repeat(acme, 8)
        assert statuses(answers) == [201] * 4 + [403] * 4
        assert [answer.json()["code"] for answer in answers[4:]] == ["loop_detected", then, then, then]
        binding = answers[4].json()["binding"]
        assert (binding["fingerprint"], binding["repeats"], binding["rule"]) == ("same", 5, rule)
        assert refused(call(acme, say="other")) == (403, then)
        assert refused(call(acme)) == (403, then)
        assert call(acme, "another").status_code == 201
        assert incidents(acme) == [("loop", "warn", rule), ("loop", action, rule)]
        assert_sound(acme.id)

    def test_are_stopped_at_thirty_where_all_levels_are_set(self, acme: Customer) -> None:
        policy(acme, loop={"levels": [WARN, CAP, {"repeats": 30, "action": "stop"}]})
        accepted = 0
        while True:
            answer = call(acme, say="same")
            if answer.status_code != 201:
                break
            accepted += 1
            acme.pass_time(seconds=31)
        assert (accepted, *refused(answer)) == (29, 403, "loop_detected")
        assert [action for _, action, _ in incidents(acme)] == ["warn", "cap", "stop"]

    def test_follow_the_narrowest_policy(self, acme: Customer) -> None:
        policy(acme, scope="organization", loop={"levels": [{"repeats": 2, "action": "stop"}]})
        policy(acme, scope="agent", target="bot", loop={"levels": [{"repeats": 4, "action": "stop"}]})
        assert statuses(self.repeat(acme, 4)) == [201, 201, 201, 403]

    def test_act_once_for_each_level_also_in_one_batch(self, acme: Customer) -> None:
        action = {"kind": "llm.chat", "fingerprint": "same"}
        body = reserve_body("0.01", subject={"run": "r"}, action=action)
        items = [{**body, "idempotency_key": unique()} for _ in range(25)]
        results = body_of(acme.api.post("/v1/reservations/batch", {"items": items}), 200)["results"]
        assert [each["status"] for each in results] == [201] * 19 + [429] * 6
        assert [action for _, action, _ in incidents(acme)] == ["warn", "cap"]


class TestObserved:
    def test_refuse_nothing_and_say_what_they_would_have_refused(self, acme: Customer) -> None:
        rule = policy(acme, max_steps=2, max_depth=0, attempts={"max": 1}, mode="observe")
        answers = [body_of(call(acme), 201) for _ in range(4)]
        assert [answer["warnings"] for answer in answers[:2]] == [[], []]
        for answer in answers[2:]:
            (warning,) = answer["warnings"]
            assert (warning["code"], warning["rule"]) == ("would_be_refused", rule)
        deep = body_of(call(acme, "child", parent_run="r"), 201)
        assert {warning["code"] for warning in deep["warnings"]} == {"would_be_refused"}
        assert call(acme, "new", step=1, attempt=1).status_code == 201
        acme.pass_time(seconds=60)
        again = body_of(call(acme, "new", step=1, attempt=2), 201)
        assert [warning["kind"] for warning in again["warnings"]] == ["attempts"]
        assert incidents(acme) == []
        assert incidents(acme, "observe") == [
            ("run_ceiling", "block", rule),
            ("run_ceiling", "block", rule),
            ("attempts", "block", rule),
        ]

    def test_leave_the_house_its_defaults(self, acme: Customer) -> None:
        policy(acme, attempts={"max": 50, "first_ms": 0}, mode="observe")
        assert statuses([call(acme, step=1, attempt=n) for n in (5, 6)]) == [201, 403]

    def test_say_what_a_loop_would_have_met(self, acme: Customer) -> None:
        policy(acme, loop={"levels": [{"repeats": 3, "action": "stop"}]}, mode="observe")
        answers = [body_of(call(acme, say="same"), 201) for _ in range(4)]
        assert [len(answer["warnings"]) for answer in answers] == [0, 0, 1, 1]
        assert [answer["warnings"][0]["refusal"] for answer in answers[2:]] == ["loop_detected"] * 2
        assert (incidents(acme), len(incidents(acme, "observe"))) == ([], 1)
        assert caller(acme.id).get("/v1/runs/r").json()["status"] == "active"

    def test_are_off_when_they_are_off(self, acme: Customer) -> None:
        policy(acme, max_steps=1, mode="off")
        answers = [body_of(call(acme), 201) for _ in range(3)]
        assert [answer["warnings"] for answer in answers] == [[]] * 3
