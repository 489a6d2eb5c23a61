"""GET /v1/burn-rates and the burn rate of a run: money per minute, and how far it is known."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from common.money import format_amount, round_half_up
from tests.builders.gate import Customer, body_of, make_customer, units
from tests.builders.orgs import caller, make_agent, make_connection, platform, write
from tests.builders.pace import clock, read_minutes, spend_at, with_past

MINUTES = {"last_1_minute": 1, "last_5_minutes": 5, "last_60_minutes": 60}


@pytest.fixture
def customer() -> Customer:
    """At 20 seconds past a quarter past an hour."""
    return with_past(1)


def rates(customer: Customer, **query: str) -> list[dict[str, Any]]:
    read_minutes()
    found: list[dict[str, Any]] = body_of(customer.api.get("/v1/burn-rates", **query), 200)["data"]
    return found


class TestWindows:
    def test_a_rate_is_the_average_of_its_window(self, customer: Customer) -> None:
        spend_at(customer, "6")
        spend_at(customer, "24", timedelta(minutes=3))
        spend_at(customer, "30", timedelta(minutes=30))
        (row,) = rates(customer)
        assert row["burn_rate"] == {
            "last_1_minute": "6",
            "last_5_minutes": "6",
            "last_60_minutes": "1",
        }
        assert (row["scope"], row["id"], row["key"]) == ("organization", str(customer.id), None)

    def test_the_minute_in_which_a_window_began_counts_for_what_lies_in_it(self, customer: Customer) -> None:
        customer.pass_time(seconds=10)
        spend_at(customer, "60", timedelta(minutes=5))
        read_minutes()
        found = body_of(customer.api.get("/v1/burn-rates"), 200)
        (row,) = found["data"]
        left = 60_000_000 - datetime.fromisoformat(found["at"]).second * 1_000_000
        left -= datetime.fromisoformat(found["at"]).microsecond
        assert 0 < left < 60_000_000
        five = round_half_up(round_half_up(units("60") * left, 60_000_000), 5)
        assert row["burn_rate"]["last_5_minutes"] == format_amount(five)
        assert row["burn_rate"]["last_1_minute"] == "0"
        assert row["burn_rate"]["last_60_minutes"] == "1"

    def test_an_hour_later_everything_stands_still(self, customer: Customer) -> None:
        spend_at(customer, "6")
        assert rates(customer, scope="agent")[0]["key"] == "bot"
        customer.pass_time(minutes=62)
        assert rates(customer)[0]["burn_rate"] == dict.fromkeys(MINUTES, "0")
        assert rates(customer, scope="agent") == []

    def test_usage_dated_ahead_counts_when_its_minute_comes(self, customer: Customer) -> None:
        spend_at(customer, "5", timedelta(minutes=-3))
        assert rates(customer)[0]["burn_rate"]["last_5_minutes"] == "0"
        customer.pass_time(minutes=4)
        assert rates(customer)[0]["burn_rate"]["last_5_minutes"] == "1"

    def test_a_call_counts_with_its_commit(self, customer: Customer) -> None:
        held = customer.reserved("5")
        assert rates(customer)[0]["burn_rate"]["last_1_minute"] == "0"
        body_of(customer.commit(held["id"], "3"), 200)
        assert rates(customer)[0]["burn_rate"]["last_1_minute"] == "3"


class TestScopes:
    def test_agents_come_by_falling_rate_and_by_name(self, customer: Customer) -> None:
        make_agent(customer.id, "other", "Other")
        spend_at(customer, "5", run="r-1")
        spend_at(customer, "50", agent="other", run="r-2")
        rows = rates(customer, scope="agent")
        assert [(row["key"], row["burn_rate"]["last_5_minutes"]) for row in rows] == [
            ("other", "10"),
            ("bot", "1"),
        ]
        (row,) = rates(customer, scope="agent", target="bot")
        assert row["burn_rate"]["last_5_minutes"] == "1"

    def test_an_agent_that_stands_still_is_shown_when_it_is_asked_for(self, customer: Customer) -> None:
        (row,) = rates(customer, scope="agent", target="bot")
        assert row["burn_rate"] == dict.fromkeys(MINUTES, "0")

    def test_a_root_run_burns_with_all_below_it(self, customer: Customer) -> None:
        spend_at(customer, "5", run="root")
        spend_at(customer, "10", run="child", parent_run="root")
        spend_at(customer, "20", run="grandchild", parent_run="child")
        found = {row["key"]: row["burn_rate"]["last_5_minutes"] for row in rates(customer, scope="run")}
        assert found == {"root": "7"}
        (row,) = rates(customer, scope="run", target="child")
        assert (row["key"], row["agent"], row["burn_rate"]["last_5_minutes"]) == ("child", "bot", "6")
        shown = body_of(customer.api.get("/v1/runs/root"), 200)["burn_rate"]
        assert shown["last_5_minutes"] == "7"
        assert body_of(customer.api.get("/v1/runs/grandchild"), 200)["burn_rate"]["last_5_minutes"] == "4"

    def test_retries_and_tokens_are_counted_apart(self, customer: Customer) -> None:
        spend_at(customer, "1", run="r", step=1, attempt=1)
        spend_at(customer, "1", run="r", step=1, attempt=2)
        read_minutes()
        (row,) = minutes(customer.id)
        assert row == (2, 1, 0, 2 * 10**8)


class TestSeen:
    def test_says_until_when_all_usage_is_in_it(self, customer: Customer) -> None:
        read_minutes()
        spend_at(customer, "5")
        unseen = body_of(customer.api.get("/v1/burn-rates"), 200)
        assert unseen["data"][0]["burn_rate"]["last_5_minutes"] == "0"
        assert unseen["seen_until"] < unseen["at"]
        read_minutes()
        seen = body_of(customer.api.get("/v1/burn-rates"), 200)
        assert seen["data"][0]["burn_rate"]["last_5_minutes"] == "1"
        assert seen["seen_until"] == seen["at"]
        assert seen["at"] <= clock(customer).isoformat().replace("+00:00", "Z")


class TestWhoMayAsk:
    def test_other_organizations_targets_are_unknown(self, customer: Customer) -> None:
        other = make_customer(agents=("theirs",))
        body_of(other.use("5", subject={"agent": "theirs", "run": "their-run"}), 201)
        for scope, target in (
            ("agent", "theirs"),
            ("run", "their-run"),
            ("organization", str(other.id)),
            ("agent", "nobody"),
        ):
            answer = customer.api.get("/v1/burn-rates", scope=scope, target=target)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), scope

    def test_a_key_for_some_agents_sees_these_alone(self, customer: Customer) -> None:
        make_agent(customer.id, "other", "Other")
        spend_at(customer, "5")
        spend_at(customer, "5", agent="other")
        read_minutes()
        limited = caller(customer.id, "spend:read", agents=["bot"])
        found = body_of(limited.get("/v1/burn-rates", scope="agent"), 200)
        assert [row["key"] for row in found["data"]] == ["bot"]
        assert limited.get("/v1/burn-rates", scope="agent", target="other").status_code == 404
        for scope in ("organization", "run"):
            answer = limited.get("/v1/burn-rates", scope=scope)
            assert (answer.status_code, answer.json()["code"]) == (403, "not_permitted")

    def test_a_key_for_connections_sees_nothing(self, customer: Customer) -> None:
        make_connection(customer.id)
        limited = caller(customer.id, "spend:read", connections=["main"])
        assert limited.get("/v1/burn-rates", scope="agent").status_code == 403

    def test_the_platform_names_the_organization(self, customer: Customer) -> None:
        found = body_of(platform().get("/v1/burn-rates", organization=str(customer.id)), 200)
        assert found["data"][0]["id"] == str(customer.id)
        assert platform().get("/v1/burn-rates").status_code == 400

    @pytest.mark.parametrize(
        "query", [{"scope": "team"}, {"scope": "agent", "colour": "red"}, {"target": ""}]
    )
    def test_wrong_questions_are_refused(self, customer: Customer, query: dict[str, str]) -> None:
        assert customer.api.get("/v1/burn-rates", **query).status_code == 400

    def test_a_key_without_the_scope_is_refused(self, customer: Customer) -> None:
        assert caller(customer.id, "billing:read").get("/v1/burn-rates").status_code == 403


def minutes(organization: UUID) -> list[tuple[Any, ...]]:
    statement = (
        "SELECT calls, retries, tokens::int, charge::bigint FROM usage_by_minute WHERE organization = %s"
    )
    return write(lambda cur: cur.execute(statement, (organization,)).fetchall())
