"""GET /v1/event-log."""

from uuid import uuid4

import pytest

from tests.builders.orgs import Caller, caller, make_agent, make_organization, make_team


@pytest.fixture
def acme() -> Caller:
    """An organization with two events of its own after its birth, seen by an auditor."""
    organization = make_organization()
    make_team(organization)
    make_agent(organization)
    return caller(organization, "audit:read")


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
