"""What a key that is limited to agents or connections reads: its own, or nothing (S43, S109)."""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from billing.api.urls import urlpatterns as of_billing
from common.ids import new_id
from tests.builders.gate import Customer, body_of, make_customer
from tests.builders.orgs import Caller, caller, make_connection, make_team, make_workflow
from webhooks.api.urls import urlpatterns as of_webhooks

READS = ("spend:read", "audit:read", "spend:write")
NARROWED = {
    "/v1/reservations", "/v1/reservations/{name}", "/v1/usage", "/v1/usage/{name}", "/v1/usage/attribution",
    "/v1/decisions", "/v1/budgets", "/v1/budgets/{name}", "/v1/agents", "/v1/agents/{name}", "/v1/connections",
    "/v1/connections/{name}", "/v1/teams", "/v1/teams/{name}", "/v1/workflows", "/v1/workflows/{name}",
    "/v1/organizations", "/v1/organizations/{name}", "/v1/reports/observed", "/v1/reports/estimates", "/v1/estimates",
    "/v1/rate-limits", "/v1/rate-limits/{name}", "/v1/reports/funding",
    "/v1/suggestions/limits", "/v1/burn-rates",
}  # fmt: skip
REFUSED = {
    "/v1/funding",
    "/v1/runs", "/v1/runs/{name}", "/v1/reports/uncapped", "/v1/balance", "/v1/credits/grants",
    "/v1/credits/grants/{name}", "/v1/entries", "/v1/entries/{name}", "/v1/accounts", "/v1/accounts/{name}",
    "/v1/accounts/{name}/statement", "/v1/trial-balance", "/v1/adjustments", "/v1/adjustments/{name}",
    "/v1/event-log", "/v1/kill-switches", "/v1/kill-switches/{name}", "/v1/incidents", "/v1/incidents/{name}",
    "/v1/default-policies", "/v1/velocity-rules", "/v1/velocity-rules/{name}",
    "/v1/run-policies", "/v1/run-policies/{name}",
    "/v1/approvals", "/v1/approvals/{name}", "/v1/budgets/{name}/overrides", "/v1/budget-overrides/{name}",
}  # fmt: skip
# Refused, too; `web` answers it (functional/live/test_stream.py).
BY_WEB = {"/v1/stream"}
# 403 forbidden to every key of these scopes, limited or not.
OF_OTHERS = {
    "/v1/members", "/v1/members/{name}", "/v1/organizations/{name}/api-keys",
    "/v1/organizations/{name}/api-keys/{key}", "/v1/price-changes", "/v1/price-changes/{name}", "/v1/prices",
    "/v1/prices/{name}", "/v1/tool-prices", "/v1/tool-prices/{name}", "/v1/markups", "/v1/markups/{name}",
    "/v1/exchange-rates", "/v1/exchange-rates/{name}", "/v1/organizations/{name}/clock",
}  # fmt: skip
# Decided by the scopes and roles of these apps, which these keys do not have; their functional tests look at them.
UPPER = {"/v1/" + re.sub(r"<\w+:(\w+)>", r"{\1}", str(each.pattern)) for each in (*of_billing, *of_webhooks)}


@dataclass
class Acme:
    """Two agents that spent over two connections; by agent the ids of what they made."""

    customer: Customer
    reservations: dict[str, str]
    records: dict[str, str]

    def key(self, **limits: Any) -> Caller:
        return caller(self.customer.id, *READS, **limits)


@pytest.fixture(scope="module")
def acme() -> Acme:
    customer = make_customer("100", agents=("bot", "crawler"))
    make_connection(customer.id, "main", "Main")
    make_connection(customer.id, "side", "Side")
    make_team(customer.id)
    make_workflow(customer.id)
    for scope in ("organization", "agent", "connection"):
        customer.budget("50", scope=scope)
    reservations, records = {}, {}
    for agent, line, amount in (("bot", "main", "2"), ("crawler", "side", "3")):
        subject = {"agent": agent, "connection": line, "run": "shared", "user": "u"}
        held = customer.reserved(amount, subject=subject)
        reservations[agent] = held["id"]
        records[agent] = body_of(customer.commit(held["id"], amount), 200)["usage_record"]
        assert customer.reserve("99", subject=subject).status_code == 402
    return Acme(customer, reservations, records)


LIMITS: dict[str, dict[str, Any]] = {
    "agent": {"agents": ["bot"]},
    "connection": {"connections": ["main"]},
    "both": {"agents": ["bot"], "connections": ["main"]},
}
by_limit = pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS)


def problem(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def rows(who: Caller, path: str, **query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = body_of(who.get(path, **query), 200)["data"]
    return found


def read_paths() -> set[str]:
    paths = json.loads(Client().get("/v1/openapi.json").content)["paths"]
    return {path for path, item in paths.items() if "get" in item}


def test_every_read_of_the_api_is_decided_here() -> None:
    assert read_paths() - UPPER == NARROWED | REFUSED | OF_OTHERS | BY_WEB


@by_limit
@pytest.mark.parametrize("path", sorted(REFUSED))
def test_what_cannot_be_told_of_them_alone_is_refused(acme: Acme, limits: dict[str, Any], path: str) -> None:
    who, open_key = acme.key(**limits), acme.key()
    place = path.replace("{name}", str(new_id()))
    assert problem(who.get(place)) == (403, "not_permitted")
    assert open_key.get(place).status_code != 403


@by_limit
class TestCalls:
    def test_reservations_are_their_own(self, acme: Acme, limits: dict[str, Any]) -> None:
        who = acme.key(**limits)
        assert [row["id"] for row in rows(who, "/v1/reservations")] == [acme.reservations["bot"]]
        assert [row["id"] for row in rows(who, "/v1/reservations", run="shared")] == [
            acme.reservations["bot"]
        ]
        assert who.get(f"/v1/reservations/{acme.reservations['bot']}").status_code == 200
        foreign, unknown = (
            who.get(f"/v1/reservations/{name}") for name in (acme.reservations["crawler"], new_id())
        )
        assert problem(foreign) == problem(unknown) == (404, "not_found")

    def test_usage_and_denials_are_their_own(self, acme: Acme, limits: dict[str, Any]) -> None:
        who = acme.key(**limits)
        found = rows(who, "/v1/usage")
        assert {row["subject"]["agent"] for row in found} == {"bot"}
        assert sorted(row["object"] for row in found) == ["denial", "usage"]
        assert [row["cost"] for row in rows(who, "/v1/usage", outcome="completed", user="u")] == ["2"]
        assert who.get(f"/v1/usage/{acme.records['bot']}").status_code == 200
        assert problem(who.get(f"/v1/usage/{acme.records['crawler']}")) == (404, "not_found")

    @pytest.mark.parametrize("dimension", ["agent", "team", "workflow", "connection", "model", "provider"])
    def test_attribution_sums_to_their_own_total(
        self, acme: Acme, limits: dict[str, Any], dimension: str
    ) -> None:
        who = acme.key(**limits)
        edge = (datetime.now(UTC) - timedelta(hours=3, minutes=7)).isoformat().replace("+00:00", "Z")
        for period in ({}, {"from": edge}):
            shown = body_of(who.get("/v1/usage/attribution", group_by=dimension, **period), 200)
            assert (shown["total"]["charge"], shown["total"]["calls"]) == ("2", 1)
        everything = body_of(acme.key().get("/v1/usage/attribution", group_by=dimension), 200)
        assert everything["total"]["charge"] == "5"

    @pytest.mark.parametrize("dimension", ["user", "run", "tool"])
    def test_attribution_by_what_others_share_is_refused(
        self, acme: Acme, limits: dict[str, Any], dimension: str
    ) -> None:
        answer = acme.key(**limits).get("/v1/usage/attribution", group_by=dimension)
        assert problem(answer) == (403, "not_permitted")


class TestFilters:
    def test_name_others_as_if_they_were_unknown(self, acme: Acme) -> None:
        who, line = acme.key(agents=["bot"]), acme.key(connections=["main"])
        for path in ("/v1/reservations", "/v1/usage", "/v1/decisions"):
            assert problem(who.get(path, agent="crawler")) == problem(who.get(path, agent="ghost"))
            assert who.get(path, agent="bot").status_code == 200
        assert problem(line.get("/v1/usage", connection="side")) == (404, "not_found")


class TestDecisions:
    def test_are_those_of_the_keys_agents(self, acme: Acme) -> None:
        found = rows(acme.key(agents=["bot"]), "/v1/decisions")
        assert [(row["agent"], row["answer"]) for row in found] == [("bot", "allow"), ("bot", "deny")]

    @pytest.mark.parametrize("name", ["connection", "both"])
    def test_are_refused_to_a_key_for_connections(self, acme: Acme, name: str) -> None:
        assert problem(acme.key(**LIMITS[name]).get("/v1/decisions")) == (403, "not_permitted")


class TestBudgets:
    @pytest.mark.parametrize(
        ("name", "target", "spent"), [("agent", "bot", "2"), ("connection", "main", "2")]
    )
    def test_are_those_of_their_own_scope_with_their_own_counters(
        self, acme: Acme, name: str, target: str, spent: str
    ) -> None:
        who = acme.key(**LIMITS[name])
        (budget,) = rows(who, "/v1/budgets")
        assert budget["scope"] == name
        counters = [(row["target"], row["spent"]) for row in budget["counters"]]
        assert counters == [(target, spent)]
        shown = body_of(who.get(f"/v1/budgets/{budget['id']}"), 200)
        assert len(shown["counters"]) == 1
        everything = rows(acme.key(), "/v1/budgets")
        assert {row["scope"] for row in everything} == {"organization", "agent", "connection"}
        for other in everything:
            if other["scope"] != name:
                assert problem(who.get(f"/v1/budgets/{other['id']}")) == (404, "not_found")

    def test_of_another_target_are_not_there(self, acme: Acme) -> None:
        other = acme.customer.budget("9", scope="agent", target="crawler")
        who = acme.key(agents=["bot"])
        assert problem(who.get(f"/v1/budgets/{other.id}")) == (404, "not_found")
        assert str(other.id) not in [row["id"] for row in rows(who, "/v1/budgets")]

    def test_are_refused_to_a_key_for_both(self, acme: Acme) -> None:
        assert problem(acme.key(**LIMITS["both"]).get("/v1/budgets")) == (403, "not_permitted")


class TestNames:
    def test_of_agents_and_connections_are_those_that_the_key_is_for(self, acme: Acme) -> None:
        who = acme.key(**LIMITS["both"])
        for path, mine, other in (("agents", "bot", "crawler"), ("connections", "main", "side")):
            assert [row["key"] for row in rows(who, f"/v1/{path}")] == [mine]
            assert who.get(f"/v1/{path}/{mine}").status_code == 200
            assert problem(who.get(f"/v1/{path}/{other}")) == (404, "not_found")
        assert len(rows(acme.key(agents=["bot"]), "/v1/connections")) == 2

    def test_of_teams_and_workflows_and_the_organization_are_shown(self, acme: Acme) -> None:
        who = acme.key(agents=["bot"])
        assert len(rows(who, "/v1/teams")) == 1
        assert len(rows(who, "/v1/workflows")) == 1
        assert [row["id"] for row in rows(who, "/v1/organizations")] == [str(acme.customer.id)]


def test_an_admin_key_that_is_limited_reads_no_more(acme: Acme) -> None:
    who = caller(acme.customer.id, "admin", agents=["bot"])
    assert problem(who.get("/v1/balance")) == (403, "not_permitted")
    assert who.get("/v1/members").status_code == 403
    assert len(rows(who, "/v1/reservations")) == 1
