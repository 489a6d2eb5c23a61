"""Velocity alerts: a burst is one incident, steady growth is none (S57)."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from spend.operations.velocity.judge import judge_velocity
from tests.builders.crowd import at_once
from tests.builders.gate import UNIT, Customer, body_of
from tests.builders.orgs import caller, make_agent
from tests.builders.pace import (
    clock,
    judged,
    opened,
    read_minutes,
    spend_all,
    spend_at,
    steady,
    switched,
    with_past,
)


def used_to(amount: str, *, days: int = 7) -> Customer:
    """A customer whose agent spent so much in every hour of the last days: a twelfth of it in five minutes."""
    customer = with_past()
    steady(customer, amount, days=days)
    return customer


@pytest.fixture
def customer() -> Customer:
    """One whose agent is used to 0.10 in five minutes."""
    return used_to("1.2")


def rule(customer: Customer, **given: Any) -> dict[str, Any]:
    """A rule of the organization, or of its agent."""
    body = {"scope": "organization", **given}
    return body_of(customer.api.post("/v1/velocity-rules", body), 201)


def burst(customer: Customer, total: int = 10, **subject: Any) -> None:
    """So many calls of 0.50 each."""
    for _ in range(total):
        body_of(customer.commit(customer.reserved("0.5", subject=subject)["id"], "0.5"), 200)


class TestABurst:
    def test_is_an_incident_within_one_window(self, customer: Customer) -> None:
        before = clock(customer)
        burst(customer, run="loop")
        judged()
        (incident,) = opened(customer.id)
        assert clock(customer) - before < timedelta(minutes=5)
        assert (incident["trigger"], incident["scope"], incident["action"], incident["mode"]) == (
            "velocity",
            "agent",
            "notify",
            "enforce",
        )
        evidence = incident["evidence"]
        assert (evidence["metric"], evidence["window_seconds"], evidence["factor"]) == ("charge", 300, 5)
        assert evidence["value"] == 5 * UNIT
        assert evidence["baseline"] == UNIT // 10
        assert evidence["minimum"] == UNIT
        assert evidence["history_seconds"] == 7 * 86_400
        assert incident["run_key"] == "loop"
        assert incident["spent"] == 5 * UNIT
        assert (incident["rule_id"], incident["switch_id"]) == (None, None)
        assert datetime.fromisoformat(incident["began_at"]) <= datetime.fromisoformat(incident["opened_at"])
        assert switched(customer.id) == []

    def test_is_an_incident_once(self, customer: Customer) -> None:
        for _ in range(4):
            burst(customer, 3)
            judged(customer)
            customer.pass_time(minutes=1)
        assert len(opened(customer.id)) == 1

    def test_that_goes_on_for_long_stays_one(self, customer: Customer) -> None:
        for _ in range(12):
            burst(customer, 2)
            judged(customer)
            customer.pass_time(minutes=2)
        assert len(opened(customer.id)) == 1

    def test_alerts_again_after_five_slow_minutes(self, customer: Customer) -> None:
        burst(customer)
        judged(customer)
        for _ in range(7):  # its last five minutes are fast for five minutes more
            customer.pass_time(minutes=1)
            judged(customer)
        burst(customer)
        judged(customer)
        assert len(opened(customer.id)) == 1
        for _ in range(12):
            customer.pass_time(minutes=1)
            judged(customer)
        burst(customer)
        judged(customer)
        assert len(opened(customer.id)) == 2

    def test_of_many_runs_names_none_of_them(self, customer: Customer) -> None:
        for number in range(20):
            burst(customer, 1, run=f"r-{number}")
        judged(customer)
        (incident,) = opened(customer.id)
        assert (incident["run_id"], incident["run_key"]) == (None, None)
        assert incident["evidence"]["value"] == 10 * UNIT
        assert len(incident["evidence"]["runs"]) == 3

    def test_of_one_agent_says_nothing_of_the_others(self, customer: Customer) -> None:
        make_agent(customer.id, "other", "Other")
        burst(customer)
        judged(customer)
        assert [row["agent_id"] for row in opened(customer.id)] == [opened(customer.id)[0]["agent_id"]]
        assert opened(customer.id)[0]["target_id"] == opened(customer.id)[0]["agent_id"]

    def test_is_an_incident_once_however_many_workers_judge_at_once(self, customer: Customer) -> None:
        burst(customer)
        read_minutes()
        found = at_once(lambda _: judge_velocity(), callers=4)
        assert sum(found) >= 1
        assert len(opened(customer.id)) == 1

    def test_pauses_once_however_many_workers_judge_at_once(self, customer: Customer) -> None:
        rule(customer, action="pause")
        burst(customer)
        read_minutes()
        at_once(lambda _: judge_velocity(), callers=4)
        assert (len(opened(customer.id)), len(switched(customer.id))) == (1, 1)


class TestNoAlert:
    def test_comes_of_steady_growth(self) -> None:
        customer = with_past()
        week = [  # from 1.20 an hour to 3.60
            (f"{1.2 + 2.4 * (168 - hours) / 168:.2f}", timedelta(hours=hours))
            for hours in range(7 * 24, 0, -1)
        ]
        spend_all(customer, [*week, *(("0.35", timedelta(minutes=minutes)) for minutes in range(60, 0, -5))])
        rule(customer, minimum="0")
        for _ in range(6):
            judged(customer)
            customer.pass_time(minutes=5)
            spend_at(customer, "0.40")
        judged(customer)
        assert opened(customer.id) == []

    def test_comes_of_pennies(self) -> None:
        customer = used_to("0.0012", days=2)
        spend_at(customer, "0.99")
        judged(customer)
        assert opened(customer.id) == []

    def test_comes_below_the_factor(self, customer: Customer) -> None:
        rule(customer, minimum="0")
        spend_at(customer, "0.49")
        judged(customer)
        assert opened(customer.id) == []
        spend_at(customer, "0.01")  # five times 0.10: the factor is reached
        judged(customer)
        assert len(opened(customer.id)) == 1

    def test_comes_of_an_agent_that_is_too_young(self) -> None:
        customer = with_past(0.9)
        burst(customer)
        judged(customer)
        assert opened(customer.id) == []
        customer.pass_time(hours=5)
        burst(customer)
        judged(customer)
        assert len(opened(customer.id)) == 1

    def test_comes_of_usage_that_is_told_late(self, customer: Customer) -> None:
        for hours in (2, 5, 30):
            spend_at(customer, "50", timedelta(hours=hours))
        judged(customer)
        assert opened(customer.id) == []


class TestRules:
    def test_that_pause_set_a_switch_with_the_incident(self, customer: Customer) -> None:
        made = rule(customer, scope="agent", target="bot", action="pause")
        burst(customer)
        judged(customer)
        (incident,), (switch,) = opened(customer.id), switched(customer.id)
        assert (incident["action"], incident["rule_id"]) == ("pause", made["id"])
        assert (switch["scope"], switch["kind"], switch["cause"]) == ("agent", "pause", "velocity")
        assert (switch["target_id"], switch["set_by"]) == (incident["target_id"], "system:velocity")
        assert switch["reason"] == "It was charged 5 in five minutes; it is used to 0.1."

    def test_that_pause_stop_the_agents_next_call_and_no_other_agents(self, customer: Customer) -> None:
        make_agent(customer.id, "other", "Other")
        rule(customer, scope="agent", target="bot", action="pause")
        in_flight = customer.reserved("0.5")
        burst(customer)
        judged(customer)
        refused = body_of(customer.reserve("0.1"), 403)
        assert (refused["code"], refused["binding"]["scope"]) == ("paused", "agent")
        body_of(customer.commit(in_flight["id"], "0.5"), 200)
        customer.reserved("0.1", subject={"agent": "other"})

    def test_that_observe_tell_and_do_nothing(self, customer: Customer) -> None:
        rule(customer, action="pause", mode="observe")
        burst(customer)
        judged(customer)
        (incident,) = opened(customer.id)
        assert (incident["mode"], incident["action"], incident["switch_id"]) == ("observe", "pause", None)
        assert switched(customer.id) == []

    def test_that_are_off_are_silent(self, customer: Customer) -> None:
        rule(customer, mode="off")
        burst(customer)
        judged(customer)
        assert opened(customer.id) == []

    def test_of_an_agent_go_before_the_organizations(self, customer: Customer) -> None:
        rule(customer, mode="off")
        mine = rule(customer, scope="agent", target="bot", factor=40)
        burst(customer, 6)
        judged(customer)
        assert opened(customer.id) == []
        burst(customer, 2)
        judged(customer)
        assert opened(customer.id)[0]["rule_id"] == mine["id"]

    def test_that_are_archived_leave_it_to_the_wider_one(self, customer: Customer) -> None:
        made = rule(customer, scope="agent", target="bot", mode="off")
        body_of(customer.api.post(f"/v1/velocity-rules/{made['id']}/archive"), 200)
        burst(customer)
        judged(customer)
        assert len(opened(customer.id)) == 1


def test_a_customer_without_a_word_about_it_is_watched() -> None:
    customer = used_to("0.12", days=1)
    assert caller(customer.id, "spend:read").get("/v1/velocity-rules").json()["data"] == []
    burst(customer, 3)
    judged(customer)
    assert len(opened(customer.id)) == 1
