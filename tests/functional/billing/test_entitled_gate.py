"""What a plan or contract entitles to, as the gate obeys it from the next call on (S79)."""

from datetime import UTC, time, timedelta
from typing import Any
from uuid import UUID

import pytest

from billing.operations.entitling import entitle_due
from billing.queries.entitlementintegrity import violations
from events.store import Cursor
from tests.builders.books import rows
from tests.builders.contracts import acted as acted_contract
from tests.builders.contracts import agreed, run_contracts
from tests.builders.gate import Customer, body_of, make_customer, make_model
from tests.builders.orgs import caller, events_of, platform, write
from tests.builders.subscribed import fee
from tests.builders.subscriptions import acted, now_of, owner, sell, subscribe
from tests.invariants import Still, assert_sound

CHAT = {"kind": "llm.chat", "provider": "acme", "model": "small"}


def entitled(**features: Any) -> tuple[Customer, dict[str, Any]]:
    """A customer with credit whose plan has these features, and its subscription."""
    customer = make_customer("100")
    return customer, subscribe(owner(customer.id), sell(fee("30"), features=features))


def called(customer: Customer, **action: Any) -> tuple[int, str | None]:
    """Status and code of a call."""
    answer = customer.reserve("0.01", action=action or {"kind": "tool.call"})
    return answer.status_code, answer.json().get("code")


def problem_of(customer: Customer, **action: Any) -> dict[str, Any]:
    """The refusal of a call, which moved nothing."""
    with Still(customer.id, decisions=1):
        return body_of(customer.reserve("0.01", action=action), 403)


def assert_told(organization: UUID) -> None:
    """The gate has what plans and contracts say, and everything else holds."""

    def read(cur: Cursor) -> list[str]:
        return [str(each) for each in violations(cur) if each.organization == organization]

    assert write(read) == []
    assert_sound(organization)


def new_agent(customer: Customer, key: str) -> Any:
    """The answer to POST /v1/agents."""
    return caller(customer.id, "admin").post("/v1/agents", {"key": key, "name": key.capitalize()})


PASSED = (201, None)
REFUSED = (403, "not_permitted")


class TestModelsProvidersAndTools:
    def test_that_are_not_on_the_list_are_refused_with_what_is(self) -> None:
        good, bad = make_model(), make_model()
        customer, _ = entitled(allowed_models=[good])
        assert called(customer, kind="llm.chat", provider="acme", model=good) == PASSED
        problem = problem_of(customer, kind="llm.chat", provider="acme", model=bad)
        assert (problem["code"], problem["retryable"]) == ("not_permitted", False)
        binding = problem["binding"]
        assert (binding["scope"], binding["feature"], binding["asked"], binding["allowed"]) == (
            "organization", "allowed_models", bad, [good],
        )  # fmt: skip
        assert binding["source"].startswith("plan:")
        assert binding["resolution"].startswith("Choose a plan")
        assert_told(customer.id)

    def test_are_judged_each_by_its_own_list(self) -> None:
        customer, _ = entitled(allowed_providers=["acme"], allowed_tools=["search"])
        model, other = make_model("acme"), make_model("other")
        assert called(customer, kind="llm.chat", provider="acme", model=model) == PASSED
        assert called(customer, kind="llm.chat", provider="other", model=other) == REFUSED
        assert called(customer, kind="tool.call", tool="search") == PASSED
        assert called(customer, kind="tool.call", tool="pay") == REFUSED
        assert called(customer, kind="tool.call") == PASSED
        assert_told(customer.id)

    @pytest.mark.parametrize(
        ("value", "answer"),
        [(None, PASSED), (True, PASSED), (False, REFUSED), ([], REFUSED), ("search", PASSED)],
        ids=["null", "true", "false", "none", "text"],
    )
    def test_may_be_all_or_none_and_a_text_is_the_customers_own(self, value: Any, answer: Any) -> None:
        customer, _ = entitled(allowed_tools=value)
        assert called(customer, kind="tool.call", tool="search") == answer
        shown = body_of(owner(customer.id).get("/v1/entitlements"), 200)["features"]["allowed_tools"]
        assert (shown["value"], shown["gate"]) == (value, value != "search")
        assert_told(customer.id)

    def test_of_several_plans_are_all_that_are_on_either_list(self) -> None:
        customer, made = entitled(allowed_tools=["search"])
        subscribe(owner(customer.id), sell(fee("5"), features={"allowed_tools": ["pay"]}))
        assert {called(customer, kind="tool.call", tool=tool) for tool in ("search", "pay")} == {PASSED}
        acted(owner(customer.id), made, "cancel", {"when": "now"})
        assert called(customer, kind="tool.call", tool="search") == REFUSED
        assert_told(customer.id)

    def test_are_told_by_a_dry_run_and_do_not_stop_what_was_used(self) -> None:
        customer, _ = entitled(allowed_tools=["search"])
        told = customer.dry("0.01", action={"kind": "tool.call", "tool": "pay"})
        assert (told["decision"], told["code"], told["binding"]["feature"]) == (
            "deny", "not_permitted", "allowed_tools",
        )  # fmt: skip
        assert customer.use("0.01", action={"kind": "tool.call", "tool": "pay"}).status_code == 201
        assert_told(customer.id)

    def test_let_open_reservations_settle(self) -> None:
        customer = make_customer("100")
        action = {"kind": "tool.call", "tool": "pay"}
        first, second = (customer.reserved("1", action=action)["id"] for _ in range(2))
        subscribe(owner(customer.id), sell(fee("30"), features={"allowed_tools": ["search"]}))
        assert called(customer, **action) == REFUSED
        assert customer.commit(first, "1").status_code == 200
        assert customer.extend(second, 3_600).status_code == 200
        assert customer.release(second).status_code == 200
        assert_told(customer.id)


class TestAgentsThatAreOff:
    def test_make_no_new_calls_until_the_plan_has_them_on(self) -> None:
        customer, made = entitled(agents_enabled=False)
        problem = problem_of(customer, kind="tool.call")
        assert (problem["code"], problem["binding"]["feature"]) == ("not_permitted", "agents_enabled")
        assert problem["detail"].startswith("The organization's plan, or its contract, does not allow this")
        better = sell(fee("40"), features={"agents_enabled": True}, upgrade="prorate")
        acted(owner(customer.id), made, "change", {"plan": better.plan_key, "mode": "prorate"})
        assert called(customer) == PASSED
        assert_told(customer.id)


class TestHowMuchAtOnce:
    def test_is_a_rate_limit_with_the_kind_entitlement(self) -> None:
        customer, made = entitled(requests_per_minute=2)
        answers = [customer.reserve("0.01") for _ in range(7)]
        refused = [answer.json() for answer in answers if answer.status_code == 429]
        assert 3 <= len(refused) <= 5  # the minute may end meanwhile
        assert refused[0]["code"] == "rate_limited"
        assert (refused[0]["binding"]["kind"], refused[0]["binding"]["feature"]) == (
            "entitlement", "requests_per_minute",
        )  # fmt: skip
        assert 0 < refused[0]["retry_after"] <= 60
        acted(owner(customer.id), made, "cancel", {"when": "now"})
        assert {called(customer) for _ in range(4)} == {PASSED}
        assert_told(customer.id)

    def test_is_as_many_open_reservations(self) -> None:
        customer, _ = entitled(max_open_reservations=2)
        held = [customer.reserved("0.01")["id"] for _ in range(2)]
        refused = body_of(customer.reserve("0.01"), 429)
        assert (refused["code"], refused["binding"]["feature"]) == ("rate_limited", "max_open_reservations")
        assert customer.commit(held[0], "0.01").status_code == 200
        assert called(customer) == PASSED
        assert_told(customer.id)

    def test_may_be_nothing_or_without_limit(self) -> None:
        nothing, _ = entitled(requests_per_minute=0)
        endless, _ = entitled(requests_per_minute=None, max_open_reservations=None)
        assert called(nothing) == (429, "rate_limited")
        assert {called(endless) for _ in range(5)} == {PASSED}


class TestAgents:
    def test_are_as_many_as_the_plan_allows_and_those_that_are_there_stay(self) -> None:
        customer, _ = entitled(max_agents=2)
        assert new_agent(customer, "second").status_code == 201
        before = events_of(customer.id)
        answer = new_agent(customer, "third")
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (409, "entitlement_reached")
        assert (problem["feature"], problem["limit"]) == ("max_agents", 2)
        assert "allows 2 agents" in problem["detail"]
        assert [row for row in events_of(customer.id) if not row[0].startswith("api_key.")] == [
            row for row in before if not row[0].startswith("api_key.")
        ]
        archived = caller(customer.id, "admin").post("/v1/agents/second/archive")
        assert archived.status_code == 200, archived.content
        assert new_agent(customer, "third").status_code == 201
        assert_told(customer.id)

    def test_that_are_more_after_a_downgrade_work_on(self) -> None:
        customer = make_customer("10", agents=("bot", "two", "three"))
        subscribe(owner(customer.id), sell(fee("30"), features={"max_agents": 1}))
        for agent in ("bot", "two", "three"):
            assert customer.reserve("0.01", subject={"agent": agent}).status_code == 201
        assert new_agent(customer, "four").status_code == 409


class TestAPause:
    def test_lifts_no_limit_at_the_gate(self) -> None:
        customer, made = entitled(max_agents=2, allowed_tools=["search"], sso=True)
        who = owner(customer.id)
        assert new_agent(customer, "second").status_code == 201
        acted(who, made, "pause", {"resumes_at": None})
        assert new_agent(customer, "third").json()["code"] == "entitlement_reached"
        assert called(customer, kind="tool.call", tool="pay") == REFUSED
        assert called(customer, kind="tool.call", tool="search") == PASSED
        shown = body_of(who.get("/v1/entitlements"), 200)["features"]
        assert {name: each["value"] for name, each in shown.items()} == {
            "allowed_tools": ["search"], "max_agents": 2,
        }  # fmt: skip
        assert_told(customer.id)
        acted(who, made, "cancel", {"when": "now"})
        assert called(customer, kind="tool.call", tool="pay") == PASSED
        assert_told(customer.id)

    def test_says_nothing_of_what_another_plan_names(self) -> None:
        customer, made = entitled(max_agents=500, allowed_tools=["pay"], agents_enabled=False)
        who = owner(customer.id)
        subscribe(who, sell(fee("5"), features={"max_agents": 1, "allowed_tools": ["search"]}))
        acted(who, made, "pause", {"resumes_at": None})
        assert new_agent(customer, "second").status_code == 409
        shown = body_of(who.get("/v1/entitlements"), 200)["features"]
        assert {name: each["value"] for name, each in shown.items()} == {
            "agents_enabled": False, "allowed_tools": ["search"], "max_agents": 1,
        }  # fmt: skip
        assert_told(customer.id)
        acted(who, made, "resume")
        assert new_agent(customer, "second").status_code == 201
        assert_told(customer.id)

    def test_says_nothing_of_what_a_contract_names(self) -> None:
        customer, made = entitled(allowed_tools=["search"])
        agreed(customer.id, days=30, features={"allowed_tools": ["pay"]})
        acted(owner(customer.id), made, "pause", {"resumes_at": None})
        tools = ("search", "pay")
        assert [called(customer, kind="tool.call", tool=tool) for tool in tools] == [REFUSED, PASSED]
        assert_told(customer.id)


class TestAContract:
    def test_goes_before_the_plan_from_its_begin_to_its_end(self) -> None:
        customer, _ = entitled(allowed_tools=["search"])
        agreed(customer.id, offset=1, days=30, features={"allowed_tools": ["pay"]})
        tools = ("search", "pay")
        assert [called(customer, kind="tool.call", tool=tool) for tool in tools] == [PASSED, REFUSED]
        customer.pass_time(days=1)
        entitle_due()
        assert [called(customer, kind="tool.call", tool=tool) for tool in tools] == [REFUSED, PASSED]
        assert_told(customer.id)
        customer.pass_time(days=31)
        run_contracts(customer.id)
        entitle_due()
        assert [called(customer, kind="tool.call", tool=tool) for tool in tools] == [PASSED, REFUSED]

    def test_that_is_terminated_says_nothing_any_more(self) -> None:
        customer = make_customer("10")
        made = agreed(customer.id, days=30, features={"agents_enabled": False})
        assert called(customer) == REFUSED
        acted_contract(made, "terminate", {})
        assert called(customer) == PASSED
        assert_told(customer.id)


class TestWhoAsks:
    def test_is_told_the_same_by_gate_api_and_staff(self) -> None:
        customer, _ = entitled(allowed_tools=["search"], sso=True, max_agents=5)
        shown = body_of(owner(customer.id).get("/v1/entitlements"), 200)["features"]
        assert {name: (each["value"], each["gate"]) for name, each in shown.items()} == {
            "allowed_tools": (["search"], True), "max_agents": (5, True), "sso": (True, False),
        }  # fmt: skip

    def test_of_another_organization_is_not_touched(self) -> None:
        other = make_customer("10")
        entitled(agents_enabled=False)
        assert called(other) == PASSED


class TestASimulation:
    def test_stops_where_a_contract_that_only_entitles_begins(self) -> None:
        customer = make_customer("10")
        agreed(customer.id, offset=2, days=30, features={"agents_enabled": False})
        body = {
            "organization": str(customer.id),
            "until": (now_of(customer.id) + timedelta(days=3)).isoformat(),
        }
        assert called(customer) == PASSED
        passed = body_of(platform().post("/v1/simulations", body, key="pass"), 200)
        assert passed["finished"] is True
        assert called(customer) == REFUSED
        ((at,),) = rows("SELECT published_at FROM gate_entitlements WHERE organization = %s", customer.id)
        assert at.astimezone(UTC).time() < time(0, 1)
        assert_told(customer.id)
