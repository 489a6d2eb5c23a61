"""Entitlements through the API: from the plans of live subscriptions, and what credit does to them."""

from typing import Any
from uuid import UUID

from common.ids import new_id
from ledger.operations.organizations import NewOrganization, create_organization
from orgs.operations.facts import Author
from tests.builders.catalog import make_plan
from tests.builders.orgs import caller, make_agent, make_organization, platform, write

PATH = "/v1/entitlements"


def customer() -> UUID:
    """A prepaid customer with books."""
    return write(lambda cur: create_organization(cur, NewOrganization("Acme"), author=Author("system:test")))


def subscribe(organization: UUID, plan: str) -> dict[str, Any]:
    answer = caller(organization, "admin", "billing:write").post(
        "/v1/subscriptions", {"plan": plan}, key=plan
    )
    assert answer.status_code == 201, answer.content
    made: dict[str, Any] = answer.json()
    return made


class TestEntitlements:
    def test_come_from_the_plan_that_is_subscribed_to(self) -> None:
        organization, plan = customer(), make_plan(credits=[{"amounts": {"USD": "20"}}])
        who = caller(organization, "billing:read")
        before = who.get(PATH).json()
        assert (before["features"], before["can_spend"], before["reasons"]) == (
            {},
            False,
            ["credit", "no_plan"],
        )
        subscribe(organization, plan.plan_key)
        shown = who.get(PATH).json()
        source = f"plan:{plan.plan_key}@1"
        assert shown["features"] == {
            "max_agents": {"value": 10, "source": source, "gate": True},
            "sso": {"value": True, "source": source, "gate": False},
        }
        assert (shown["access"], shown["can_spend"], shown["reasons"]) == ("full", True, [])

    def test_of_several_subscriptions_are_the_most_generous(self) -> None:
        organization = customer()
        small, large = make_plan(features={"max_agents": 2}), make_plan(features={"max_agents": 50})
        for plan in (large, small):
            subscribe(organization, plan.plan_key)
        shown = caller(organization, "billing:read").get(PATH).json()
        assert shown["features"]["max_agents"] == {
            "value": 50, "source": f"plan:{large.plan_key}@1", "gate": True,
        }  # fmt: skip

    def test_end_with_the_subscription(self) -> None:
        organization, plan = customer(), make_plan()
        made = subscribe(organization, plan.plan_key)
        who = caller(organization, "admin", "billing:write")
        answer = who.post(f"/v1/subscriptions/{made['id']}/cancel", {"when": "now"}, key="end")
        assert answer.status_code == 200, answer.content
        assert who.get(PATH).json()["features"] == {}

    def test_are_read_with_the_scope_and_of_the_own_organization(self) -> None:
        organization, other = make_organization(), make_organization()
        make_agent(organization)
        assert caller(organization, "spend:read").get(PATH).status_code == 403
        assert caller(organization, "billing:read", agents=["research-bot"]).get(PATH).status_code == 200
        for name in (str(other), str(new_id())):
            answer = caller(organization, "billing:read").get(PATH, organization=name)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert platform().get(PATH, organization=str(other)).json()["organization"] == str(other)
        assert platform().get(PATH).status_code == 400
