"""Estimates before a call and a run, and how far estimates were off (S64b): hand-made histories, added up by hand."""

import random
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from common.money import parse_amount
from events.store import Cursor
from spend.queries.estimates import estimate_from_history
from tests.builders.gate import make_model
from tests.builders.orgs import (
    caller,
    make_agent,
    make_connection,
    make_organization,
    make_workflow,
    write,
)
from tests.builders.spend import Spender, spender


def units(text: str) -> int:
    return parse_amount(text, allow_zero=True)


def estimate(acme: Spender, **query: str) -> dict[str, Any]:
    answer = acme.client.get("/v1/estimates", **{"agent": "bot", **query})
    assert answer.status_code == 200, answer.json()
    found: dict[str, Any] = answer.json()
    return found


def errors(acme: Spender, **query: str) -> dict[str, Any]:
    answer = acme.client.get("/v1/reports/estimates", **query)
    assert answer.status_code == 200, answer.json()
    found: dict[str, Any] = answer.json()
    return found


def problem(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def nearest(values: list[int], percent: int) -> int:
    """The plain way: walk up until enough of the values are covered."""
    for place, value in enumerate(sorted(values), start=1):
        if place * 100 >= percent * len(values):
            return value
    raise AssertionError


def call_model(
    acme: Spender, model: str, input_tokens: int, output_tokens: int, **subject: Any
) -> dict[str, Any]:
    action = {"kind": "llm.chat", "provider": "acme", "model": model}
    made = acme.reserve("1", subject=subject, action=action).json()
    usage = {"input_tokens": input_tokens, "output_tokens": output_tokens}
    body = {"outcome": "completed", "usage": usage}
    answer = acme.client.post(f"/v1/reservations/{made['id']}/commit", body, key=made["id"])
    assert answer.status_code == 200, answer.json()
    found: dict[str, Any] = answer.json()
    return found


class TestOfACall:
    @pytest.mark.parametrize(("calls", "expected"), [(0, "low"), (4, "low"), (5, "medium")])
    def test_confidence_grows_with_the_calls(self, calls: int, expected: str) -> None:
        acme = spender()
        for _ in range(calls):
            acme.call("0.5")
        shown = estimate(acme)["call"]
        assert (shown["samples"], shown["confidence"]) == (calls, expected)
        assert shown["estimate"] == ({"amount": "0.5"} if calls >= 5 else None)
        assert (shown["charge"] is None) == (calls == 0)

    def test_has_the_percentiles_of_charge_and_tokens(self) -> None:
        acme, model = spender(), make_model()
        chance = random.Random(3)
        counts = [(chance.randrange(1, 9_000), chance.randrange(1, 900)) for _ in range(31)]
        charged = [units(call_model(acme, model, *count)["charged"]) for count in counts]
        acme.call("9")  # of no model
        shown = estimate(acme, provider="acme", model=model)["call"]
        assert (shown["samples"], shown["confidence"], shown["basis"]) == (31, "high", "as_asked")
        for percent in (50, 80, 95):
            name = f"p{percent}"
            assert units(shown["charge"][name]) == nearest(charged, percent)
            assert shown["input_tokens"][name] == nearest([count[0] for count in counts], percent)
            assert shown["output_tokens"][name] == nearest([count[1] for count in counts], percent)
        assert shown["estimate"] == {"amount": shown["charge"]["p95"]}

    def test_is_taken_by_a_reservation_as_it_is(self) -> None:
        acme = spender()
        for _ in range(5):
            acme.call("0.25")
        body = {"subject": {"agent": "bot"}, "estimate": estimate(acme)["call"]["estimate"]}
        answer = acme.client.post("/v1/reservations", body, key="as-estimated")
        assert (answer.status_code, answer.json()["held"]) == (201, "0.25")

    def test_is_of_the_workflow_where_it_has_enough_calls_else_of_the_agent(self) -> None:
        acme = spender()
        make_workflow(acme.organization)
        for _ in range(4):
            acme.call("1", subject={"workflow": "weekly"})
        for _ in range(3):
            acme.call("2")
        shown = estimate(acme, workflow="weekly")["call"]
        assert (shown["basis"], shown["samples"], shown["charge"]["p95"]) == ("without_workflow", 7, "2")
        acme.call("1", subject={"workflow": "weekly"})
        shown = estimate(acme, workflow="weekly")["call"]
        assert (shown["basis"], shown["samples"], shown["charge"]["p95"]) == ("as_asked", 5, "1")

    def test_leaves_out_what_failed(self) -> None:
        acme = spender()
        held = acme.reserve("3").json()["id"]
        acme.commit(held, "3", outcome="failed")
        assert estimate(acme)["call"]["samples"] == 0


class TestOfARun:
    def test_is_of_whole_root_runs_with_their_child_runs(self) -> None:
        acme = spender("1000")
        make_agent(acme.organization, "helper", "Helper")
        totals = []
        for number in range(1, 7):
            run = f"r-{number}"
            acme.call(str(number), subject={"run": run})
            acme.call("0.5", subject={"agent": "helper", "run": f"{run}-child", "parent_run": run})
            totals.append(number * 10**8 + 5 * 10**7)
        acme.call("77", subject={"agent": "helper", "run": "of-another"})
        acme.reserve("5", subject={"run": "not-ended"})
        shown = estimate(acme)["run"]
        assert (shown["samples"], shown["confidence"]) == (6, "medium")
        for percent in (50, 80, 95):
            assert units(shown["charge"][f"p{percent}"]) == nearest(totals, percent)
        assert shown["calls"] == {"p50": 2, "p80": 2, "p95": 2}
        assert shown["suggested_run_limit"] == "7.8"

    def test_suggests_no_limit_of_little_history(self) -> None:
        acme = spender()
        for number in range(4):
            acme.call("1", subject={"run": f"r-{number}"})
        shown = estimate(acme)["run"]
        assert (shown["samples"], shown["confidence"], shown["suggested_run_limit"]) == (4, "low", None)
        assert shown["charge"]["p95"] == "1"

    def test_is_one_of_the_workflow(self) -> None:
        acme = spender()
        make_workflow(acme.organization)
        acme.call("1", subject={"run": "r-1", "workflow": "weekly"})
        acme.call("2", subject={"run": "r-2"})
        assert estimate(acme, workflow="weekly")["run"]["samples"] == 1
        answer = acme.client.get("/v1/estimates", workflow="weekly").json()
        assert (answer["agent"], answer["run"]["samples"], answer["call"]["samples"]) == (None, 1, 1)


class TestTheGate:
    def test_takes_the_largest_charge_of_the_agent_where_a_call_states_no_estimate(self) -> None:
        acme = spender()
        for amount in ("0.1", "0.2", "0.4", "0.1", "0.1"):
            acme.call(amount)
        body = {"subject": {"agent": "bot"}, "action": {"kind": "llm.chat"}}
        answer = acme.client.post("/v1/reservations", body, key="no-estimate")
        assert (answer.status_code, answer.json()["held"]) == (201, "0.4")

    def test_would_take_that_of_the_workflow_first(self) -> None:
        acme = spender()
        workflow = make_workflow(acme.organization).id
        bot = UUID(acme.client.get("/v1/agents/bot").json()["id"])

        def taken(within: UUID | None) -> int | None:
            def read(cur: Cursor) -> int | None:
                found = estimate_from_history(
                    cur, organization=acme.organization, agent=bot, provider=None, model=None,
                    now=datetime.now(UTC), workflow=within,
                )  # fmt: skip
                return None if found is None else found.amount

            return write(read)

        for _ in range(4):
            acme.call("1", subject={"workflow": "weekly"})
        assert (taken(None), taken(workflow)) == (None, None)
        acme.call("2")
        assert (taken(None), taken(workflow)) == (units("2"), units("2"))
        acme.call("0.5", subject={"workflow": "weekly"})
        assert (taken(None), taken(workflow)) == (units("2"), units("1"))


class TestEstimateAgainstActual:
    def test_adds_up_by_agent_and_model(self) -> None:
        acme, model = spender(), make_model()
        make_agent(acme.organization, "crawler", "Crawler")
        for held, charged in (("2", "1"), ("2", "2"), ("2", "3.5")):
            acme.commit(acme.reserve(held).json()["id"], charged)
        action = {"provider": "acme", "model": model}
        acme.commit(acme.reserve("4", subject={"agent": "crawler"}, action=action).json()["id"], "1")
        acme.reserve("9")
        acme.client.post(
            f"/v1/reservations/{acme.reserve('9').json()['id']}/release", {"reason": "x"}, key="r"
        )
        shown = errors(acme)
        assert [(row["agent"], row["model"]) for row in shown["data"]] == [("crawler", model), ("bot", None)]
        assert shown["data"][1] == {
            "agent": "bot", "provider": None, "model": None, "calls": 3, "estimated": "6", "charged": "6.5",
            "error": "0.5", "absolute_error": "2.5", "underestimated_calls": 1, "overage": "1.5",
            "ratio": "1.0833", "ratio_p50": "1.0000", "ratio_p95": "1.7500",
        }  # fmt: skip
        assert shown["data"][0]["error"] == "-3"
        assert (shown["total"]["calls"], shown["total"]["error"], shown["total"]["absolute_error"]) == (
            4,
            "-2.5",
            "5.5",
        )
        assert [row["agent"] for row in errors(acme, agent="bot")["data"]] == ["bot"]
        assert errors(acme, model=model)["total"]["calls"] == 1

    def test_is_that_of_a_plain_second_computation(self) -> None:
        acme = spender("100000")
        chance = random.Random(5)
        pairs = [(chance.randrange(1, 300), chance.randrange(0, 300)) for _ in range(40)]
        for held, charged in pairs:
            acme.commit(acme.reserve(f"{held}.5").json()["id"], str(charged) if charged else "0.5")
        exact = [(held * 10**8 + 5 * 10**7, (charged * 10**8) or 5 * 10**7) for held, charged in pairs]
        (row,) = errors(acme)["data"]
        assert units(row["absolute_error"]) == sum(abs(charged - held) for held, charged in exact)
        assert units(row["overage"]) == sum(max(0, charged - held) for held, charged in exact)
        assert row["underestimated_calls"] == sum(charged > held for held, charged in exact)
        for percent in (50, 95):
            parts = nearest([charged * 10_000 // held for held, charged in exact], percent)
            assert row[f"ratio_p{percent}"] == f"{parts // 10_000}.{parts % 10_000:04d}"

    def test_of_nothing_is_zero(self) -> None:
        shown = caller(make_organization()).get("/v1/reports/estimates").json()
        assert (shown["data"], shown["total"]["calls"], shown["total"]["ratio"]) == ([], 0, None)

    def test_is_of_a_period(self) -> None:
        acme = spender()
        acme.call("1")
        old = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}
        assert errors(acme, **old)["total"]["calls"] == 0
        far = acme.client.get("/v1/reports/estimates", **{"from": "2100-01-01T00:00:00Z"})
        assert problem(far) == (400, "invalid_period")


class TestBadQueries:
    @pytest.mark.parametrize(
        ("path", "query", "code"),
        [
            ("estimates", {}, "invalid_parameter"),
            ("estimates", {"model": "gpt"}, "invalid_parameter"),
            ("estimates", {"agent": "bot", "from": "2026-01-01T00:00:00Z"}, "unknown_parameter"),
            ("reports/estimates", {"from": "yesterday"}, "invalid_parameter"),
            ("reports/estimates", {"workflow": "w"}, "unknown_parameter"),
            ("reports/estimates", {"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, "invalid_period"),
        ],
    )  # fmt: skip
    def test_are_refused(self, path: str, query: dict[str, str], code: str) -> None:
        assert problem(caller(make_organization()).get(f"/v1/{path}", **query)) == (400, code)


class TestWhoSeesThem:
    @pytest.mark.parametrize("path", ["estimates", "reports/estimates"])
    def test_nobody_of_another_organization(self, path: str) -> None:
        acme = spender("0")
        bot = acme.client.get("/v1/agents/bot").json()["id"]
        stranger = caller(make_organization())
        for name in (bot, "ghost"):
            assert problem(stranger.get(f"/v1/{path}", agent=name)) == (404, "not_found")
        assert problem(caller(acme.organization, "audit:read").get(f"/v1/{path}", agent="bot")) == (
            403,
            "forbidden",
        )

    def test_a_limited_key_of_its_own_calls_alone(self) -> None:
        acme = spender()
        make_agent(acme.organization, "crawler", "Crawler")
        make_connection(acme.organization, "main", "Main")
        make_workflow(acme.organization)
        for agent, connection, amount in (("bot", "main", "1"), ("bot", None, "2"), ("crawler", "main", "4")):
            line = {} if connection is None else {"connection": connection}
            acme.call(amount, subject={"agent": agent, "run": "r", "workflow": "weekly", **line})
        for limits, samples, charged in (
            ({"agents": ["bot"]}, 2, "3"),
            ({"connections": ["main"]}, 2, "5"),
            ({"agents": ["bot"], "connections": ["main"]}, 1, "1"),
        ):
            who = caller(acme.organization, "spend:read", **limits)
            shown = who.get("/v1/estimates", workflow="weekly").json()
            assert (shown["call"]["samples"], shown["run"]) == (samples, None)
            assert who.get("/v1/reports/estimates").json()["total"]["charged"] == charged
        who = caller(acme.organization, "spend:read", agents=["bot"])
        for path in ("estimates", "reports/estimates"):
            assert problem(who.get(f"/v1/{path}", agent="crawler")) == (404, "not_found")
