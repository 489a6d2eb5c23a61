"""Thresholds, limits, runs, switches and observe mode meet in one decision: each acts, and none takes from another."""

import os
from typing import Any

import psycopg
import pytest

from spend.rules.budgets import Caps, Threshold
from tests.builders.gate import Customer, body_of, make_customer
from tests.builders.orgs import caller
from tests.invariants import reading


def code(reply: Any) -> tuple[int, str]:
    """Status and code of a refusal."""
    return reply.status_code, reply.json()["code"]


def limit(customer: Customer, **given: Any) -> dict[str, Any]:
    """A rate limit made through the API."""
    return admin_post(customer, "/v1/rate-limits", given)


def policy(customer: Customer, **given: Any) -> dict[str, Any]:
    """A run policy made through the API."""
    return admin_post(customer, "/v1/run-policies", given)


def admin_post(customer: Customer, path: str, body: dict[str, Any]) -> dict[str, Any]:
    reply = caller(customer.id).post(path, body)
    assert reply.status_code == 201, reply.content
    answer: dict[str, Any] = reply.json()
    return answer


def events(customer: Customer, kind: str) -> list[dict[str, Any]]:
    """Data of the organization's events of a type."""
    with reading() as connection:
        rows = connection.execute(
            "SELECT data FROM v_events WHERE organization = %s AND type = %s ORDER BY seq",
            (customer.id, kind),
        ).fetchall()
    return [row[0] for row in rows]


class TestThresholds:
    def test_fire_once_each_in_a_window(self) -> None:
        customer = make_customer("100")
        customer.budget(
            "10", thresholds=(Threshold("notify", 50), Threshold("notify", 80), Threshold("block", 100))
        )
        for _ in range(10):
            customer.reserved("1")
        assert code(customer.reserve("1"))[0] == 409
        crossed = events(customer, "threshold.crossed")
        assert [(one["percent"], one["action"]) for one in crossed] == [
            (50, "notify"),
            (80, "notify"),
            (100, "block"),
        ]

    def test_that_blocks_tells_of_its_first_refusal(self) -> None:
        customer = make_customer("100")
        customer.budget("10", thresholds=(Threshold("block", 100),))
        customer.use("9")
        for _ in range(3):
            assert code(customer.reserve("2")) == (402, "budget_exhausted")
        assert [one["action"] for one in events(customer, "threshold.crossed")] == ["block"]
        assert [one["action"] for one in events(customer, "incident.opened")] == ["block"]

    def test_pause_until_a_person_resumes(self) -> None:
        customer = make_customer("100")
        customer.budget("10", scope="agent", thresholds=(Threshold("pause", 50), Threshold("block", 100)))
        customer.reserved("5")
        refused = customer.reserve("1")
        assert code(refused) == (403, "paused")
        assert refused.json()["binding"]["scope"] == "agent"

    def test_wait_for_approval(self) -> None:
        customer = make_customer("100")
        customer.budget("10", thresholds=(Threshold("require_approval", 50), Threshold("block", 100)))
        customer.reserved("5")
        assert code(customer.reserve("1")) == (403, "approval_required")
        assert len(events(customer, "approval.requested")) == 1

    def test_throttle_to_their_rate(self) -> None:
        customer = make_customer("100")
        customer.budget("10", thresholds=(Threshold("throttle", 50, per_minute=2), Threshold("block", 100)))
        customer.use("5")
        customer.reserved("1")
        customer.reserved("1")
        refused = customer.reserve("1")
        assert code(refused) == (429, "rate_limited")
        assert 1 <= refused.json()["retry_after"] <= 30

    def test_cap_what_may_be_asked(self) -> None:
        customer = make_customer("100")
        caps = Caps(models=("small",), max_output_tokens=500)
        customer.budget("10", thresholds=(Threshold("cap", 50, caps=caps), Threshold("block", 100)))
        customer.use("5")
        body = customer.reserved("1")
        assert body["decision"] == "allow_with_caps"
        assert body["caps"] == {"max_output_tokens": 500, "models": ["small"]}

    def test_fire_at_a_commit_that_takes_more(self) -> None:
        customer = make_customer("100")
        customer.budget("10", thresholds=(Threshold("notify", 80), Threshold("block", 100)))
        name = customer.reserved("1")["id"]
        body_of(customer.commit(name, "9"), 200)
        assert [one["percent"] for one in events(customer, "threshold.crossed")] == [80]


class TestLimits:
    @pytest.mark.parametrize(
        "given", [{"window": "minute"}, {"window": "minute", "burst": 3}, {"window": "day"}]
    )
    def test_of_requests_let_so_many_pass(self, given: dict[str, Any]) -> None:
        customer = make_customer("100")
        limit(customer, scope="agent", unit="requests", limit=3, behaviour="reject", **given)
        for _ in range(3):
            customer.reserved("1")
        refused = customer.reserve("1")
        assert code(refused) == (429, "rate_limited")
        assert refused.json()["retry_after"] >= 1

    def test_of_open_reservations_are_freed_by_every_end(self) -> None:
        customer = make_customer("100")
        limit(customer, scope="organization", unit="concurrent", limit=2, behaviour="reject")
        first, second = (customer.reserved("1")["id"] for _ in range(2))
        assert code(customer.reserve("1")) == (429, "rate_limited")
        customer.commit(first, "1")
        third = customer.reserved("1", ttl_seconds=60)["id"]
        customer.release(second)
        customer.reserved("1")
        assert code(customer.reserve("1")) == (429, "rate_limited")
        customer.pass_time(seconds=61)
        customer.reserved("1")
        assert third

    def test_that_escalate_pause_their_target(self) -> None:
        customer = make_customer("100")
        limit(
            customer, scope="agent", unit="requests", limit=1, window="hour", behaviour="reject",
            escalate={"denials": 3, "seconds": 60},
        )  # fmt: skip
        customer.reserved("1")
        for _ in range(3):
            assert code(customer.reserve("1")) == (429, "rate_limited")
        assert code(customer.reserve("1")) == (403, "paused")
        assert [one["trigger"] for one in events(customer, "incident.opened")] == ["rate_escalation"]


class TestRuns:
    def test_stop_at_their_steps(self) -> None:
        customer = make_customer("100")
        policy(customer, scope="organization", max_steps=2)
        for child in ("a", "b"):
            customer.reserved("1", subject={"run": child, "parent_run": "root"})
        refused = customer.reserve("1", subject={"run": "c", "parent_run": "root"})
        assert code(refused) == (402, "run_ceiling_reached")
        assert len(events(customer, "incident.opened")) == 1
        assert code(customer.reserve("1", subject={"run": "c", "parent_run": "root"}))[0] == 402
        assert len(events(customer, "incident.opened")) == 1

    def test_refuse_a_retry_that_comes_too_early_and_one_too_many(self) -> None:
        customer = make_customer("100")
        step = {"run": "r", "step": 1}
        customer.reserved("1", subject={**step, "attempt": 1})
        refused = customer.reserve("1", subject={**step, "attempt": 2})
        assert code(refused) == (429, "backoff_required")
        customer.pass_time(seconds=1)
        customer.reserved("1", subject={**step, "attempt": 2})
        assert code(customer.reserve("1", subject={**step, "attempt": 6})) == (403, "attempts_exceeded")
        assert [one["trigger"] for one in events(customer, "incident.opened")] == ["attempts"]

    def test_are_told_that_they_repeat_themselves(self) -> None:
        customer = make_customer("100")
        action = {"kind": "custom", "fingerprint": "same"}
        bodies = [customer.reserved("1", subject={"run": "r"}, action=action) for _ in range(19)]
        assert [len(body["warnings"]) for body in bodies] == [0] * 9 + [1] * 10
        refused = customer.reserve("1", subject={"run": "r"}, action=action)
        assert code(refused) == (429, "backoff_required")
        customer.pass_time(seconds=30)
        body = customer.reserved("1", subject={"run": "r"}, action=action)
        assert body["decision"] == "allow_with_caps" and body["caps"]["cooldown_ms"] == 30_000
        assert [one["action"] for one in events(customer, "incident.opened")] == ["warn", "cap"]

    def test_are_stopped_where_it_is_set(self) -> None:
        customer = make_customer("100")
        loop = {"window": 10, "levels": [{"repeats": 3, "action": "stop"}]}
        policy(customer, scope="agent", target="bot", loop=loop)
        action = {"kind": "custom", "fingerprint": "same"}
        for _ in range(2):
            customer.reserved("1", subject={"run": "r"}, action=action)
        assert code(customer.reserve("1", subject={"run": "r"}, action=action)) == (403, "loop_detected")
        assert code(customer.reserve("1", subject={"run": "r"})) == (403, "loop_detected")
        customer.reserved("1", subject={"run": "other"})


class TestObserving:
    def test_refuses_nothing_and_says_what_it_would_have(self) -> None:
        customer = make_customer("100")
        budget = customer.budget("3", mode="observe", thresholds=(Threshold("block", 100),))
        bodies = [customer.reserved("1") for _ in range(5)]
        told = [[warning["code"] for warning in body["warnings"]] for body in bodies]
        assert told == [[]] * 3 + [["would_be_refused"]] * 2
        with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
            rows = connection.execute(
                "SELECT held, target FROM budget_counters WHERE budget_id = %s ORDER BY target", (budget.id,)
            ).fetchall()
        assert rows == [(5 * 10**8, ""), (3 * 10**8, "\x02")]
