"""GET /v1/event-log."""

from uuid import UUID, uuid4

import pytest

from common.ids import new_id
from tests.builders.orgs import (
    Caller,
    caller,
    make_agent,
    make_key,
    make_member,
    make_organization,
    make_team,
    platform,
)


@pytest.fixture
def organization() -> UUID:
    """An organization with two events of its own after its birth."""
    made = make_organization()
    make_team(made)
    make_agent(made)
    return made


@pytest.fixture
def acme(organization: UUID) -> Caller:
    """Who administers it; the key is the last event."""
    return caller(organization, "admin")


def types(who: Caller, **query: str) -> list[str]:
    """The types of the events that somebody is shown."""
    answer = who.get("/v1/event-log", **query)
    assert answer.status_code == 200, answer.json()
    return [event["type"] for event in answer.json()["data"]]


class TestTheEventLog:
    def test_gives_the_organizations_events_in_order(self, acme: Caller) -> None:
        answer = acme.get("/v1/event-log").json()

        assert [event["type"] for event in answer["data"]] == [
            "organization.created", "team.created", "agent.created", "api_key.created",
        ]  # fmt: skip
        assert answer["next_cursor"] is None
        first = answer["data"][0]
        assert first["stream"].startswith("organization:")
        assert first["version"] == 1
        assert first["actor"] == "system:test"

    def test_is_filtered_by_type_stream_and_number(self, acme: Caller) -> None:
        team = acme.get("/v1/event-log", type="team.created").json()["data"]
        stream = acme.get("/v1/event-log", stream=team[0]["stream"]).json()["data"]
        kind = acme.get("/v1/event-log", stream="agent").json()["data"]
        later = acme.get("/v1/event-log", since=str(team[0]["seq"])).json()["data"]

        assert stream == team
        assert [event["type"] for event in kind] == ["agent.created"]
        assert [event["type"] for event in later] == ["agent.created", "api_key.created"]

    def test_is_paged(self, acme: Caller) -> None:
        first = acme.get("/v1/event-log", limit="3").json()
        rest = acme.get("/v1/event-log", limit="3", cursor=first["next_cursor"]).json()

        assert len(first["data"]) == 3
        assert [event["type"] for event in rest["data"]] == ["api_key.created"]
        assert rest["next_cursor"] is None

    def test_shows_nothing_of_a_keys_secret(self, acme: Caller) -> None:
        (created,) = acme.get("/v1/event-log", type="api_key.created").json()["data"]

        assert "secret_hash" not in created["data"]

    def test_shows_no_other_organizations_events(self, acme: Caller) -> None:
        stream = acme.get("/v1/event-log").json()["data"][0]["stream"]
        other = caller(make_organization(), "audit:read")

        assert other.get("/v1/event-log", stream=stream).json()["data"] == []

    def test_needs_a_scope_that_reads(self) -> None:
        answer = caller(make_organization(), "webhooks:read").get("/v1/event-log")

        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")

    @pytest.mark.parametrize(
        "query", [{"since": "-1"}, {"since": "1.0"}, {"stream": "Team"}, {"stream": f"team:{uuid4()!s}x"}]
    )
    def test_refuses_filters_that_mean_nothing(self, acme: Caller, query: dict[str, str]) -> None:
        answer = acme.get("/v1/event-log", **query)

        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")


class TestEventsAboutAccess:
    SEEN = ("organization.created", "team.created", "agent.created")

    @pytest.mark.parametrize("scope", ["spend:read", "audit:read", "spend:write"])
    def test_are_left_out_for_keys_that_do_not_administer(self, organization: UUID, scope: str) -> None:
        member = make_member(organization)
        who = caller(organization, scope)

        assert types(who) == list(self.SEEN)
        assert types(who, type="api_key.created") == []
        assert types(who, type="member.created") == []
        assert types(who, stream="api_key") == []
        assert types(who, stream=f"member:{member.id}") == []

    def test_do_not_shorten_a_page(self, organization: UUID) -> None:
        make_agent(organization, "second", "Second")
        make_member(organization)
        make_agent(organization, "third", "Third")
        first = caller(organization, "spend:read").get("/v1/event-log", limit="4").json()

        assert [event["type"] for event in first["data"]] == [*self.SEEN, "agent.created"]
        assert first["next_cursor"] is not None

    def test_are_shown_to_who_manages_members_and_keys(self, organization: UUID) -> None:
        owner = make_member(organization, "owner")
        who = caller(organization, "admin", member=str(owner.id))

        assert types(who)[3:] == ["member.created", "api_key.created"]

    def test_are_not_shown_to_a_team_owner(self, organization: UUID) -> None:
        owner = make_member(organization, "team_owner", team="research")
        who = caller(organization, "admin", "spend:read", member=str(owner.id))

        assert types(who) == list(self.SEEN)


class TestAPlatformKey:
    def test_reads_the_log_of_the_organization_that_it_names(self, organization: UUID) -> None:
        make_key(organization)

        assert types(platform(), organization=str(organization)) == [
            "organization.created", "team.created", "agent.created", "api_key.created",
        ]  # fmt: skip

    def test_reads_its_own_without_a_name(self) -> None:
        assert "agent.created" not in types(platform(), limit="100")

    def test_finds_no_log_of_an_organization_that_is_not_there(self) -> None:
        answer = platform().get("/v1/event-log", organization=str(new_id()))

        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")

    def test_cannot_use_the_cursor_of_one_log_for_another(self, organization: UUID) -> None:
        us = platform()
        first = us.get("/v1/event-log", organization=str(organization), limit="1").json()
        other = str(make_organization())
        answer = us.get("/v1/event-log", organization=other, cursor=first["next_cursor"])

        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


def test_another_organizations_log_is_an_unknown_one(organization: UUID, acme: Caller) -> None:
    bodies = []
    for named in (make_organization(), new_id()):
        answer = acme.get("/v1/event-log", organization=str(named))
        assert answer.status_code == 404
        body = answer.json()
        body.pop("request_id")
        bodies.append(body)

    assert bodies[0] == bodies[1]
    assert types(acme, organization=str(organization)) == types(acme)
