"""The gate obeys switches: who is paused, killed or stopped is refused at the next decision, nobody else (S58, S60)."""

from typing import Any

import pytest

from tests.builders.gate import Customer, body_of, make_customer, reserve_body
from tests.builders.incidents import open_incident
from tests.builders.orgs import Caller, make_connection, make_key, make_team, make_workflow, platform, unique
from tests.invariants import Still

WHY, SWITCHES = {"reason": "it burns money"}, "/v1/kill-switches"
SUBJECT = {"agent": "bot", "workflow": "weekly", "connection": "main", "run": "r-1", "user": "u-7"}
TARGETS = {
    "organization": None, "team": "research", "agent": "bot", "workflow": "weekly", "connection": "main",
    "user": "u-7", "run": "r-1",
}  # fmt: skip


def ok(answer: Any) -> dict[str, Any]:
    assert answer.status_code in (200, 201), answer.content
    found: dict[str, Any] = answer.json()
    return found


def told(answer: Any) -> tuple[int, str | None]:
    return answer.status_code, answer.json().get("code")


@pytest.fixture
def customer() -> Customer:
    made = make_customer(agents=("bot", "crawler", "writer"), scopes=("admin", "spend:write"))
    make_team(made.id)
    make_workflow(made.id)
    make_connection(made.id)
    ok(made.api.patch("/v1/agents/bot", {"team": "research"}))
    made.reserved(subject=SUBJECT)
    return made


def kill(customer: Customer, scope: str, **given: Any) -> dict[str, Any]:
    target = {} if TARGETS[scope] is None else {"target": TARGETS[scope]}
    return ok(customer.api.post(SWITCHES, {"scope": scope, **target, **WHY, **given}))


def release(customer: Customer, switch: dict[str, Any]) -> None:
    ok(customer.api.post(f"{SWITCHES}/{switch['id']}/release", {"reason": "mended"}))


class TestOneOfThree:
    def test_is_paused_while_the_others_of_its_budget_go_on(self, customer: Customer) -> None:
        customer.budget("50")
        ok(customer.api.post("/v1/agents/bot/pause", WHY))
        answers = {
            agent: told(customer.reserve(subject={"agent": agent})) for agent in ("bot", "crawler", "writer")
        }
        assert answers == {"bot": (403, "paused"), "crawler": (201, None), "writer": (201, None)}
        ok(customer.api.post("/v1/agents/bot/resume", {"reason": "mended"}))
        assert told(customer.reserve()) == (201, None)


class TestAKillSwitch:
    @pytest.mark.parametrize("scope", TARGETS)
    def test_refuses_the_next_call_until_it_is_lifted(self, customer: Customer, scope: str) -> None:
        assert told(customer.reserve(subject=SUBJECT)) == (201, None)
        switch = kill(customer, scope)
        with Still(customer.id, decisions=1):
            answer = customer.reserve(subject=SUBJECT)
        assert told(answer) == (403, "blocked")
        body = answer.json()
        assert (body["retryable"], body["binding"]["scope"], body["binding"]["target"]) == (
            False, scope, TARGETS[scope],
        )  # fmt: skip
        release(customer, switch)
        assert told(customer.reserve(subject=SUBJECT)) == (201, None)

    @pytest.mark.parametrize("scope", [scope for scope in TARGETS if scope != "organization"])
    def test_leaves_the_others_alone(self, customer: Customer, scope: str) -> None:
        kill(customer, scope)
        assert told(customer.reserve(subject={"agent": "crawler", "run": "r-2"})) == (201, None)

    def test_of_a_key_refuses_that_key_alone(self, customer: Customer) -> None:
        key = make_key(customer.id, "spend:write")
        ok(customer.api.post(SWITCHES, {"scope": "key", "target": str(key.key.id), **WHY}))
        killed = Caller(key.secret).post("/v1/reservations", reserve_body(), key=unique())
        assert told(killed) == (403, "blocked")
        assert told(customer.reserve()) == (201, None)

    def test_of_the_platform_refuses_everybody(self, customer: Customer) -> None:
        other = make_customer()
        switch = ok(platform().post(SWITCHES, {"scope": "platform", **WHY}))
        try:
            assert [told(each.reserve()) for each in (customer, other)] == [(403, "blocked")] * 2
        finally:
            ok(platform().post(f"{SWITCHES}/{switch['id']}/release", {"reason": "drill is over"}))
        assert [told(each.reserve()) for each in (customer, other)] == [(201, None)] * 2

    def test_lets_what_is_in_flight_settle(self, customer: Customer) -> None:
        held, more = customer.reserved(), customer.reserved()
        kill(customer, "organization")
        assert told(customer.commit(held["id"], "1.5")) == (200, None)
        assert told(customer.release(more["id"])) == (200, None)
        assert told(customer.use()) == (201, None)

    def test_leaves_a_decision_and_a_blocked_call_in_usage(self, customer: Customer) -> None:
        kill(customer, "agent")
        customer.reserve(subject=SUBJECT)
        (decision,) = customer.api.get("/v1/decisions", run="r-1", answer="deny").json()["data"]
        assert (decision["code"], decision["binding_scope"], decision["binding"]["target"]) == (
            "blocked", "agent", "bot",
        )  # fmt: skip
        (denied,) = customer.api.get("/v1/usage", outcome="blocked").json()["data"]
        assert (denied["reason"], denied["cost"]) == ("blocked", "0")

    def test_refuses_dry_runs_and_items_of_batches(self, customer: Customer) -> None:
        kill(customer, "agent")
        dry = customer.dry()
        assert (dry["decision"], dry["code"]) == ("deny", "blocked")
        items = [
            {**reserve_body(subject={"agent": agent}), "idempotency_key": unique()}
            for agent in ("bot", "crawler")
        ]
        results = ok(customer.api.post("/v1/reservations/batch", {"items": items}))["results"]
        assert [each["status"] for each in results] == [403, 201]

    def test_that_only_observes_refuses_nobody_and_is_told(self, customer: Customer) -> None:
        observed = kill(customer, "agent", mode="observe")
        (warning,) = body_of(customer.reserve(subject=SUBJECT), 201)["warnings"]
        assert (warning["code"], warning["refusal"], warning["scope"], warning["rule"]) == (
            "would_be_refused", "blocked", "agent", observed["id"],
        )  # fmt: skip
        enforced = kill(customer, "agent")
        assert told(customer.reserve(subject=SUBJECT)) == (403, "blocked")
        release(customer, enforced)
        assert told(customer.reserve(subject=SUBJECT)) == (201, None)

    def test_comes_before_money(self, customer: Customer) -> None:
        customer.budget("0")
        assert told(customer.reserve())[0] == 402
        kill(customer, "agent")
        assert told(customer.reserve()) == (403, "blocked")


class TestARun:
    @pytest.fixture
    def tree(self, customer: Customer) -> Customer:
        for run, above in (("root", None), ("child", "root"), ("grandchild", "child"), ("sibling", "root")):
            customer.reserved(subject={"run": run, **({"parent_run": above} if above else {})})
        return customer

    def answers(self, tree: Customer) -> dict[str, str | None]:
        runs = ("root", "child", "grandchild", "sibling")
        found = {run: told(tree.reserve(subject={"run": run})) for run in runs}
        assert {status for status, code in found.values() if code is not None} <= {403}
        return {run: code for run, (_, code) in found.items()}

    def test_that_is_stopped_takes_all_below_it_with_it_for_good(self, tree: Customer) -> None:
        ok(tree.api.post("/v1/runs/root/stop", WHY))
        assert set(self.answers(tree).values()) == {"blocked"}
        new = tree.reserve(subject={"run": "late", "parent_run": "child"})
        assert told(new) == (403, "blocked")
        assert told(tree.api.post("/v1/runs/root/resume", WHY)) == (409, "invalid_transition")
        assert set(self.answers(tree).values()) == {"blocked"}

    @pytest.mark.parametrize(("verb", "code"), [("pause", "paused"), ("stop", "blocked")])
    def test_below_another_is_stopped_alone(self, tree: Customer, verb: str, code: str) -> None:
        ok(tree.api.post(f"/v1/runs/child/{verb}", WHY))
        assert self.answers(tree) == {"root": None, "child": code, "grandchild": code, "sibling": None}

    def test_that_is_paused_goes_on_when_it_is_resumed(self, tree: Customer) -> None:
        ok(tree.api.post("/v1/runs/root/pause", WHY))
        assert set(self.answers(tree).values()) == {"paused"}
        ok(tree.api.post("/v1/runs/root/resume", {"reason": "mended"}))
        assert set(self.answers(tree).values()) == {None}

    def test_that_a_loop_stopped_says_so(self, customer: Customer) -> None:
        made = open_incident(
            customer.id, switch="stop", trigger="loop", action="stop", scope="run", target_label="r-1", run_key="r-1"
        )  # fmt: skip
        answer = customer.reserve(subject=SUBJECT)
        assert told(answer) == (403, "loop_detected")
        ok(customer.api.post(f"/v1/incidents/{made.id}/release", {"reason": "seen"}))
        assert told(customer.reserve(subject=SUBJECT)) == (403, "loop_detected")


class TestTwoOnOneTarget:
    @pytest.mark.parametrize("order", ["pause first", "kill first"])
    def test_must_both_be_lifted(self, customer: Customer, order: str) -> None:
        def pause() -> None:
            ok(customer.api.post("/v1/agents/bot/pause", WHY))

        if order == "pause first":
            pause()
        switch = kill(customer, "agent")
        if order == "kill first":
            pause()
        assert told(customer.reserve())[0] == 403
        release(customer, switch)
        assert told(customer.reserve()) == (403, "paused")
        ok(customer.api.post("/v1/agents/bot/resume", {"reason": "mended"}))
        assert told(customer.reserve()) == (201, None)


def test_an_incident_that_is_released_lets_go_on(customer: Customer) -> None:
    agent = customer.api.get("/v1/agents/bot").json()["id"]
    made = open_incident(customer.id, switch="pause", scope="agent", target_id=agent, agent_id=agent)
    assert told(customer.reserve()) == (403, "paused")
    assert body_of(customer.reserve(), 403)["binding"]["scope"] == "agent"
    ok(customer.api.post(f"/v1/incidents/{made.id}/release", {"reason": "mended"}))
    assert told(customer.reserve()) == (201, None)


class TestWhatARuleStopped:
    """An incident from the gate itself, from the call that led to it until a person releases it (S59)."""

    def test_by_a_threshold_goes_on_when_the_incident_is_released(self, customer: Customer) -> None:
        thresholds = [{"percent": 50, "action": "pause"}]
        body = {"scope": "agent", "target": "bot", "window": "day", "limit": "10", "currency": "USD"}
        budget = ok(customer.api.post("/v1/budgets", {**body, "thresholds": thresholds}))
        held = customer.reserved("5", subject=SUBJECT)
        assert told(customer.reserve(subject=SUBJECT)) == (403, "paused")
        assert told(customer.reserve(subject={"agent": "crawler"})) == (201, None)
        ok(customer.commit(held["id"], "5"))
        (incident,) = customer.api.get("/v1/incidents", open="true").json()["data"]
        shown = {
            name: incident[name]
            for name in ("trigger", "action", "mode", "target", "agent", "run", "rule", "spent")
        }
        assert shown == {
            "trigger": "budget_threshold", "action": "pause", "mode": "enforce", "target": "bot", "agent": "bot",
            "run": "r-1", "rule": budget["id"], "spent": "5",
        }  # fmt: skip
        switch = customer.api.get(f"{SWITCHES}/{incident['switch']}").json()
        assert (switch["kind"], switch["cause"], switch["incident"]) == ("pause", "threshold", incident["id"])
        released = ok(
            customer.api.post(f"/v1/incidents/{incident['id']}/release", {"reason": "budget checked"})
        )
        assert released["release_reason"] == "budget checked"
        assert told(customer.reserve(subject=SUBJECT)) == (201, None)
        assert customer.api.get("/v1/incidents", open="true").json()["data"] == []

    def test_by_loop_detection_is_a_stopped_run_with_its_evidence(self, customer: Customer) -> None:
        levels = [{"repeats": 3, "action": "stop"}]
        ok(
            customer.api.post(
                "/v1/run-policies", {"scope": "organization", "loop": {"window": 10, "levels": levels}}
            )
        )
        again = {"kind": "llm.chat", "fingerprint": "the same"}
        codes = [told(customer.reserve("0.01", subject=SUBJECT, action=again))[1] for _ in range(5)]
        assert codes[:2] == [None, None] and codes[3:] == ["loop_detected"] * 2
        (incident,) = customer.api.get("/v1/incidents", trigger="loop").json()["data"]
        assert (incident["action"], incident["target"], incident["run"]) == ("stop", "r-1", "r-1")
        assert incident["evidence"] != {} and incident["time_to_stop_ms"] >= 0
        shown = customer.api.get("/v1/runs/r-1").json()["switch"]
        assert (shown["id"], shown["kind"], shown["cause"]) == (incident["switch"], "stop", "loop")
        assert (
            ok(customer.api.post(f"/v1/incidents/{incident['id']}/release", {"reason": "seen"}))["status"]
            == "released"
        )
        assert told(customer.reserve(subject=SUBJECT)) == (403, "loop_detected")
        assert told(customer.reserve(subject={**SUBJECT, "run": "r-2"})) == (201, None)

    def test_by_loop_detection_goes_on_when_the_run_is_resumed(self, customer: Customer) -> None:
        levels = [{"repeats": 2, "action": "pause"}]
        ok(
            customer.api.post(
                "/v1/run-policies", {"scope": "organization", "loop": {"window": 10, "levels": levels}}
            )
        )
        again = {"kind": "llm.chat", "fingerprint": "the same"}
        while told(customer.reserve("0.01", subject=SUBJECT, action=again))[1] is None:
            pass
        assert told(customer.reserve(subject=SUBJECT)) == (403, "paused")
        ok(customer.api.post("/v1/runs/r-1/resume", {"reason": "mended"}))
        assert told(customer.reserve(subject=SUBJECT)) == (201, None)
        assert customer.api.get("/v1/incidents", open="true").json()["data"] == []
