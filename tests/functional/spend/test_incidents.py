"""Incidents through the API: what happened, on what evidence, and who released it (S59)."""

from typing import Any
from uuid import UUID

import pytest

from tests.builders.gate import Customer, make_customer
from tests.builders.incidents import open_incident
from tests.builders.orgs import (
    caller,
    config_epoch,
    events_of,
    make_agent,
    make_member,
    make_organization,
    make_team,
)

UNKNOWN = "01900000-0000-7000-8000-0000000000ff"
MENDED = {"reason": "prompt mended"}
INCIDENTS, SWITCHES = "/v1/incidents", "/v1/kill-switches"


def problem(answer: Any) -> tuple[int, str, list[str]]:
    body = answer.json()
    return answer.status_code, body["code"], [error["pointer"] for error in body.get("errors", ())]


def ok(answer: Any, status: int = 200) -> dict[str, Any]:
    assert answer.status_code == status, answer.content
    found: dict[str, Any] = answer.json()
    return found


@pytest.fixture
def customer() -> Customer:
    made = make_customer(scopes=("admin", "spend:write"))
    made.reserved(subject={"run": "r-1"})
    return made


def of_run(customer: Customer, **given: Any) -> Any:
    """An incident of the run r-1 of bot."""
    run = customer.api.get("/v1/runs/r-1").json()["id"]
    agent = customer.api.get("/v1/agents/bot").json()["id"]
    plain = {
        "scope": "run",
        "target_label": "r-1",
        "agent_id": UUID(agent),
        "run_id": UUID(run),
        "run_key": "r-1",
    }
    return open_incident(customer.id, **{"trigger": "loop", "action": "pause", **plain, **given})


class TestAnIncident:
    def test_shows_trigger_target_spend_action_and_time_to_stop(self, customer: Customer) -> None:
        made = of_run(customer, switch="pause", spent=123_000_000, evidence={"repeats": 20, "of": 50})
        shown = ok(customer.api.get(f"{INCIDENTS}/{made.id}"))
        times = {"began_at", "opened_at"}
        assert {name: value for name, value in shown.items() if name not in times} == {
            "id": str(made.id),
            "organization": str(customer.id),
            "trigger": "loop",
            "mode": "enforce",
            "action": "pause",
            "status": "open",
            "scope": "run",
            "target": "r-1",
            "target_id": None,
            "agent": "bot",
            "run": "r-1",
            "rule": None,
            "switch": str(made.switch_id),
            "spent": "1.23",
            "currency": "USD",
            "evidence": {"repeats": 20, "of": 50},
            "time_to_stop_ms": 1500,
            "released_at": None,
            "released_by": None,
            "release_reason": None,
            "version": 1,
        }
        assert customer.api.get(INCIDENTS).json()["data"] == [shown]
        switch = customer.api.get(f"{SWITCHES}/{made.switch_id}").json()
        assert (switch["incident"], switch["cause"], switch["set_by"]) == (
            str(made.id),
            "loop",
            "system:gate",
        )

    def test_names_its_target_by_key(self, customer: Customer) -> None:
        agent = UUID(customer.api.get("/v1/agents/bot").json()["id"])
        made = open_incident(customer.id, scope="agent", target_id=agent, agent_id=agent)
        shown = ok(customer.api.get(f"{INCIDENTS}/{made.id}"))
        assert (shown["target"], shown["target_id"], shown["agent"]) == ("bot", str(agent), "bot")


class TestReleasing:
    def test_lifts_the_switch_and_is_kept_with_who_and_why(self, customer: Customer) -> None:
        made = of_run(customer, switch="pause")
        epoch = config_epoch(customer.id)
        shown = ok(customer.api.post(f"{INCIDENTS}/{made.id}/release", MENDED))
        released, lifted = events_of(customer.id)[-2:]
        assert (released[0], released[2], lifted[0], lifted[2]) == (
            "incident.released",
            2,
            "switch.lifted",
            2,
        )
        actor = released[3]
        assert actor == lifted[3] and actor.startswith("key:")
        assert released[4]["changed"]["released_by"] == lifted[4]["changed"]["lifted_by"] == [None, actor]
        assert (shown["status"], shown["released_by"], shown["release_reason"]) == (
            "released",
            actor,
            "prompt mended",
        )
        assert shown["released_at"] is not None
        switch = customer.api.get(f"{SWITCHES}/{made.switch_id}").json()
        assert (switch["status"], switch["lift_reason"]) == ("lifted", "prompt mended")
        assert customer.api.get("/v1/runs/r-1").json()["switch"] is None
        assert config_epoch(customer.id) == epoch + 1

    def test_of_one_that_set_no_switch_only_notes_it(self, customer: Customer) -> None:
        made = of_run(customer, action="warn")
        epoch = config_epoch(customer.id)
        assert ok(customer.api.post(f"{INCIDENTS}/{made.id}/release", MENDED))["status"] == "released"
        assert config_epoch(customer.id) == epoch

    def test_twice_changes_nothing(self, customer: Customer) -> None:
        made = of_run(customer, switch="pause")
        first = ok(customer.api.post(f"{INCIDENTS}/{made.id}/release", MENDED))
        before = events_of(customer.id)
        assert ok(customer.api.post(f"{INCIDENTS}/{made.id}/release", {"reason": "again"})) == first
        assert events_of(customer.id) == before

    def test_leaves_a_stopped_run_stopped(self, customer: Customer) -> None:
        made = of_run(customer, switch="stop", action="stop")
        assert ok(customer.api.post(f"{INCIDENTS}/{made.id}/release", MENDED))["status"] == "released"
        assert customer.api.get("/v1/runs/r-1").json()["switch"]["id"] == str(made.switch_id)
        assert problem(customer.api.post("/v1/runs/r-1/resume", MENDED)) == (409, "invalid_transition", [])

    def test_leaves_alone_what_a_person_had_paused_before(self, customer: Customer) -> None:
        paused = ok(customer.api.post("/v1/runs/r-1/pause", {"reason": "by hand"}))
        made = of_run(customer, switch_id=UUID(paused["id"]))
        assert ok(customer.api.post(f"{INCIDENTS}/{made.id}/release", MENDED))["status"] == "released"
        assert customer.api.get("/v1/runs/r-1").json()["switch"] == paused

    def test_leaves_a_switch_alone_that_was_lifted_before(self, customer: Customer) -> None:
        made = of_run(customer, switch="kill")
        ok(customer.api.post(f"{SWITCHES}/{made.switch_id}/release", {"reason": "first"}))
        again = ok(customer.api.post(f"{INCIDENTS}/{made.id}/release", MENDED))
        assert again["release_reason"] == "first"

    @pytest.mark.parametrize("way", ["resume", "kill-switches"])
    def test_happens_when_its_switch_is_lifted(self, customer: Customer, way: str) -> None:
        made = of_run(customer, switch="pause")
        found_it_set = of_run(customer, trigger="velocity", switch_id=made.switch_id)
        another = of_run(customer, action="warn")
        path = "/v1/runs/r-1/resume" if way == "resume" else f"{SWITCHES}/{made.switch_id}/release"
        ok(customer.api.post(path, MENDED))
        shown = {row["id"]: row for row in customer.api.get(INCIDENTS).json()["data"]}
        for incident in (made, found_it_set):
            row = shown[str(incident.id)]
            assert (row["status"], row["release_reason"]) == ("released", "prompt mended")
        assert shown[str(another.id)]["status"] == "open"

    def test_is_repeated_under_its_key(self, customer: Customer) -> None:
        made = of_run(customer, switch="pause")
        path = f"{INCIDENTS}/{made.id}/release"
        first = customer.api.post(path, MENDED, key="i-1")
        again = customer.api.post(path, MENDED, key="i-1")
        assert (again.status_code, again.content) == (200, first.content)
        assert again.headers["Idempotent-Replayed"] == "true"

    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            ({}, (400, "invalid_field", ["/reason"])),
            ({"reason": ""}, (400, "invalid_field", ["/reason"])),
            ({"reason": "x" * 501}, (400, "invalid_field", ["/reason"])),
            ({**MENDED, "mode": "observe"}, (400, "unknown_field", ["/mode"])),
            ({**MENDED, "status": "open"}, (400, "read_only_field", ["/status"])),
        ],
    )
    def test_needs_a_reason_and_nothing_else(
        self, customer: Customer, body: Any, expected: tuple[int, str, list[str]]
    ) -> None:
        made = of_run(customer, switch="pause")
        before = events_of(customer.id)
        assert problem(customer.api.post(f"{INCIDENTS}/{made.id}/release", body)) == expected
        assert events_of(customer.id) == before


class TestWhoMayRelease:
    @pytest.mark.parametrize(
        ("role", "of", "allowed"),
        [
            (None, "organization", True),
            (None, "agent", True),
            ("owner", "organization", True),
            ("owner", "agent", True),
            ("team_owner", "organization", False),
            ("team_owner", "agent", True),
            ("team_owner", "other agent", False),
            ("billing_admin", "organization", False),
            ("member", "agent", False),
        ],
    )
    def test_is_decided_by_role_and_level(self, role: str | None, of: str, allowed: bool) -> None:
        organization = make_organization()
        given: dict[str, Any] = {"scope": "organization"}
        for team in ("research", "sales"):
            make_team(organization, team, team.title())
        if of != "organization":
            agent = make_agent(organization, team="research" if of == "agent" else "sales")
            given = {"scope": "agent", "target_id": agent.id, "agent_id": agent.id}
        made = open_incident(organization, switch="pause", **given)
        who = caller(organization)
        if role is not None:
            member = make_member(organization, role, team="research" if role == "team_owner" else None)
            who = caller(organization, "admin", "spend:read", member=str(member.id))
        before = events_of(organization)
        answer = who.post(f"{INCIDENTS}/{made.id}/release", MENDED)
        if allowed:
            assert ok(answer)["status"] == "released"
        else:
            assert problem(answer) == (403, "forbidden", [])
            assert events_of(organization) == before

    def test_reading_needs_the_scope_only(self) -> None:
        organization = make_organization()
        assert caller(organization, "spend:read").get(INCIDENTS).status_code == 200
        assert problem(caller(organization, "billing:read").get(INCIDENTS))[:2] == (403, "forbidden")


class TestTenants:
    def test_anothers_incident_is_answered_like_an_unknown_one(self, customer: Customer) -> None:
        made, who = of_run(customer, switch="pause"), caller(make_organization())
        before = events_of(customer.id)
        for name in (made.id, UNKNOWN, "-1", "%00", "%EF%BC%91", made.switch_id):
            assert problem(who.get(f"{INCIDENTS}/{name}")) == (404, "not_found", [])
            assert problem(who.post(f"{INCIDENTS}/{name}/release", MENDED)) == (404, "not_found", [])
        assert who.get(INCIDENTS).json()["data"] == []
        assert problem(who.get(INCIDENTS, organization=str(customer.id))) == (404, "not_found", [])
        assert problem(who.get(INCIDENTS, agent=str(made.agent_id))) == (404, "not_found", [])
        assert problem(customer.api.get(f"{INCIDENTS}/{made.switch_id}")) == (404, "not_found", [])
        assert events_of(customer.id) == before


class TestTheList:
    def test_is_filtered_and_read_page_by_page(self, customer: Customer) -> None:
        loop = of_run(customer, switch="pause")
        watched = of_run(customer, trigger="velocity", mode="observe")
        wide = open_incident(customer.id)
        ok(customer.api.post(f"{INCIDENTS}/{wide.id}/release", MENDED))

        def found(**query: str) -> list[str]:
            return [row["id"] for row in customer.api.get(INCIDENTS, **query).json()["data"]]

        assert found() == [str(wide.id), str(watched.id), str(loop.id)]
        assert found(open="true") == [str(watched.id), str(loop.id)]
        assert found(open="false") == [str(wide.id)]
        assert found(trigger="loop") == [str(loop.id)]
        assert found(mode="observe") == [str(watched.id)]
        assert found(agent="bot") == found(run="r-1") == [str(watched.id), str(loop.id)]
        first = customer.api.get(INCIDENTS, limit="2").json()
        rest = customer.api.get(INCIDENTS, limit="2", cursor=first["next_cursor"]).json()
        assert [row["id"] for row in first["data"] + rest["data"]] == found()

    @pytest.mark.parametrize(
        ("query", "code"),
        [
            ({"trigger": "mood"}, "invalid_parameter"),
            ({"open": "1"}, "invalid_parameter"),
            ({"mode": "off"}, "invalid_parameter"),
            ({"colour": "red"}, "unknown_parameter"),
        ],
    )
    def test_refuses_what_it_does_not_know(self, query: dict[str, str], code: str) -> None:
        assert problem(caller(make_organization()).get(INCIDENTS, **query))[:2] == (400, code)
