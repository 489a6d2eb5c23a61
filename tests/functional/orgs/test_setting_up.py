"""Setting up an organization through the API: teams, agents, workflows, connections."""

from typing import Any

import pytest

from tests.builders.orgs import (
    caller,
    config_epoch,
    events_of,
    make_agent,
    make_organization,
    make_team,
    platform,
)

KINDS = ("teams", "agents", "workflows", "connections")


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code")


def pointers(answer: Any) -> list[str]:
    return [error["pointer"] for error in answer.json()["errors"]]


@pytest.mark.parametrize("kind", KINDS)
class TestEachKind:
    def test_is_made_and_read_by_key_and_by_id(self, kind: str) -> None:
        organization = make_organization()
        admin = caller(organization)
        made = admin.post(f"/v1/{kind}", {"key": "alpha", "name": "Alpha"})
        assert made.status_code == 201
        shown = made.json()
        assert (shown["key"], shown["name"], shown["status"]) == ("alpha", "Alpha", "active")
        assert shown["organization"] == str(organization)
        assert admin.get(f"/v1/{kind}/alpha").json() == shown
        assert admin.get(f"/v1/{kind}/{shown['id']}").json() == shown
        assert admin.get(f"/v1/{kind}").json() == {"data": [shown], "next_cursor": None}

    def test_is_renamed_with_old_and_new_value_in_the_event(self, kind: str) -> None:
        organization = make_organization()
        admin = caller(organization)
        admin.post(f"/v1/{kind}", {"key": "alpha", "name": "Alpha"})
        before = config_epoch(organization)
        renamed = admin.patch(f"/v1/{kind}/alpha", {"name": "Beta"})
        assert (renamed.status_code, renamed.json()["name"]) == (200, "Beta")
        last = events_of(organization)[-1]
        assert last[0] == f"{kind.removesuffix('s')}.changed"
        assert last[2] == 2
        assert last[4]["changed"]["name"] == ["Alpha", "Beta"]
        assert config_epoch(organization) == before + 1

    def test_leaves_no_event_when_nothing_changes(self, kind: str) -> None:
        organization = make_organization()
        admin = caller(organization)
        admin.post(f"/v1/{kind}", {"key": "alpha", "name": "Alpha"})
        before = events_of(organization)
        assert admin.patch(f"/v1/{kind}/alpha", {"name": "Alpha"}).status_code == 200
        assert admin.patch(f"/v1/{kind}/alpha", {}).status_code == 200
        assert events_of(organization) == before

    def test_is_archived_once_and_keeps_its_key(self, kind: str) -> None:
        organization = make_organization()
        admin = caller(organization)
        admin.post(f"/v1/{kind}", {"key": "alpha", "name": "Alpha"})
        first = admin.post(f"/v1/{kind}/alpha/archive")
        assert (first.status_code, first.json()["status"]) == (200, "archived")
        events = events_of(organization)
        assert admin.post(f"/v1/{kind}/alpha/archive").json() == first.json()
        assert events_of(organization) == events
        assert admin.get(f"/v1/{kind}/alpha").json()["status"] == "archived"
        assert admin.get(f"/v1/{kind}", archived="false").json()["data"] == []
        assert len(admin.get(f"/v1/{kind}", archived="true").json()["data"]) == 1
        assert code(admin.patch(f"/v1/{kind}/alpha", {"name": "B"})) == (409, "invalid_transition")
        again = admin.post(f"/v1/{kind}", {"key": "alpha", "name": "Other"})
        assert code(again) == (409, "name_conflict")

    def test_refuses_a_key_that_looks_like_another(self, kind: str) -> None:
        admin = caller(make_organization())
        admin.post(f"/v1/{kind}", {"key": "pay-bot-1", "name": "One"})
        events = events_of(make_organization())
        for key in ("pay-bot-1", "PAY-bot-1", "pay_bot_l", "pay-b0t-1"):
            answer = admin.post(f"/v1/{kind}", {"key": key, "name": key})
            assert code(answer) == (409, "name_conflict"), key
            assert pointers(answer) == ["/key"]
        assert len(events) == 1
        assert admin.post(f"/v1/{kind}", {"key": "pay-bot-11", "name": "Eleven"}).status_code == 201
        assert admin.post(f"/v1/{kind}", {"key": "pay-bot1", "name": "Together"}).status_code == 201

    def test_refuses_a_name_that_looks_like_another_but_not_the_very_same(self, kind: str) -> None:
        admin = caller(make_organization())
        admin.post(f"/v1/{kind}", {"key": "one", "name": "paypal"})
        lookalike = admin.post(f"/v1/{kind}", {"key": "two", "name": "pаypаl"})  # Cyrillic а
        assert code(lookalike) == (409, "name_conflict")
        assert pointers(lookalike) == ["/name"]
        assert admin.post(f"/v1/{kind}", {"key": "three", "name": "paypal"}).status_code == 201
        assert code(admin.patch(f"/v1/{kind}/three", {"name": "PayPal"})) == (409, "name_conflict")

    def test_shows_names_in_nfc(self, kind: str) -> None:
        admin = caller(make_organization())
        answer = admin.post(f"/v1/{kind}", {"key": "one", "name": "Cafe\u0301"})
        assert answer.json()["name"] == "Caf\u00e9"

    def test_is_made_by_the_platform_for_the_organization_that_it_names(self, kind: str) -> None:
        organization = make_organization()
        staff = platform()
        body = {"key": "alpha", "name": "Alpha", "organization": str(organization)}
        made = staff.post(f"/v1/{kind}", body)
        assert (made.status_code, made.json()["organization"]) == (201, str(organization))
        assert staff.get(f"/v1/{kind}/{made.json()['id']}").json() == made.json()
        assert staff.get(f"/v1/{kind}/alpha", organization=str(organization)).json() == made.json()
        assert code(staff.get(f"/v1/{kind}/alpha")) == (400, "invalid_parameter")
        assert code(staff.get(f"/v1/{kind}")) == (400, "invalid_parameter")
        assert code(staff.post(f"/v1/{kind}", {"key": "beta", "name": "Beta"})) == (400, "invalid_field")

    def test_is_not_made_inside_the_platform_itself(self, kind: str) -> None:
        from orgs import PLATFORM_ID

        body = {"key": "alpha", "name": "Alpha", "organization": str(PLATFORM_ID)}
        assert code(platform().post(f"/v1/{kind}", body)) == (409, "invalid_transition")

    def test_needs_the_scope_admin_to_be_made_and_a_reading_scope_to_be_seen(self, kind: str) -> None:
        organization = make_organization()
        reader = caller(organization, "spend:read")
        assert code(reader.post(f"/v1/{kind}", {"key": "a", "name": "A"})) == (403, "forbidden")
        assert reader.get(f"/v1/{kind}").status_code == 200
        assert code(caller(organization, "webhooks:read").get(f"/v1/{kind}")) == (403, "forbidden")

    def test_answers_a_repetition_under_its_key_with_the_same_bytes(self, kind: str) -> None:
        organization = make_organization()
        admin = caller(organization)
        first = admin.post(f"/v1/{kind}", {"key": "alpha", "name": "Alpha"}, key="once")
        events = events_of(organization)
        second = admin.post(f"/v1/{kind}", '{"name":"Alpha" , "key":"alpha"}', key="once")
        assert (second.status_code, second.content) == (201, first.content)
        assert second.headers["Idempotent-Replayed"] == "true"
        assert events_of(organization) == events
        other = admin.post(f"/v1/{kind}", {"key": "beta", "name": "Beta"}, key="once")
        assert code(other) == (422, "idempotency_key_reused")

    def test_names_the_key_as_the_actor_and_the_idempotency_key_of_the_event(self, kind: str) -> None:
        organization = make_organization()
        admin = caller(organization)
        admin.post(f"/v1/{kind}", {"key": "alpha", "name": "Alpha"}, key="once")
        events = events_of(organization)
        key_id = next(event[1] for event in events if event[0] == "api_key.created")
        assert events[-1][3] == f"key:{key_id}"


class TestAgents:
    def test_are_put_into_a_team_named_by_key_or_id(self) -> None:
        organization = make_organization()
        team = make_team(organization, "research")
        admin = caller(organization)
        by_key = admin.post("/v1/agents", {"key": "one", "name": "One", "team": "research"}).json()
        by_id = admin.post("/v1/agents", {"key": "two", "name": "Two", "team": str(team.id)}).json()
        for agent in (by_key, by_id):
            assert (agent["team"], agent["team_id"]) == ("research", str(team.id))
        admin.post("/v1/agents", {"key": "three", "name": "Three"})
        listed = admin.get("/v1/agents", team="research").json()["data"]
        assert [agent["key"] for agent in listed] == ["two", "one"]

    def test_change_their_team_and_leave_it(self) -> None:
        organization = make_organization()
        make_team(organization, "research")
        make_agent(organization, "bot")
        admin = caller(organization)
        assert admin.patch("/v1/agents/bot", {"team": "research"}).json()["team"] == "research"
        assert admin.patch("/v1/agents/bot", {"team": None}).json()["team"] is None

    def test_do_not_join_an_archived_or_an_unknown_team(self) -> None:
        organization = make_organization()
        team = make_team(organization, "research")
        admin = caller(organization)
        admin.post("/v1/teams/research/archive")
        archived = admin.post("/v1/agents", {"key": "a", "name": "A", "team": "research"})
        assert code(archived) == (409, "invalid_transition")
        unknown = admin.post("/v1/agents", {"key": "a", "name": "A", "team": "none"})
        assert code(unknown) == (404, "not_found")
        assert pointers(unknown) == ["/team"]
        agent = make_agent(organization, "bot")
        wrong_kind = admin.post("/v1/agents", {"key": "a", "name": "A", "team": str(agent.id)})
        assert code(wrong_kind) == (404, "not_found")
        assert team.id != agent.id

    def test_do_not_name_an_unknown_listing(self) -> None:
        organization = make_organization()
        admin = caller(organization)
        answer = admin.post("/v1/agents", {"key": "a", "name": "A", "listing": "x"})
        assert code(answer) == (404, "not_found")
        assert pointers(answer) == ["/listing"]


class TestConnections:
    def test_are_resold_unless_said_otherwise(self) -> None:
        admin = caller(make_organization())
        made = admin.post("/v1/connections", {"key": "a", "name": "A"}).json()
        own = admin.post("/v1/connections", {"key": "b", "name": "B", "billing": "own_key"}).json()
        assert (made["billing"], own["billing"]) == ("resold", "own_key")
        assert admin.patch("/v1/connections/a", {"billing": "own_key"}).json()["billing"] == "own_key"
        assert code(admin.patch("/v1/connections/a", {"billing": "free"})) == (400, "invalid_field")
