"""Pauses, kill switches and stopped runs through the API: who sets and lifts them, what is kept of it (S58, S60)."""

from typing import Any
from uuid import UUID

import pytest

from orgs import PLATFORM_ID
from tests.builders.gate import Customer, make_customer
from tests.builders.orgs import (
    Caller,
    caller,
    config_epoch,
    events_of,
    make_agent,
    make_connection,
    make_key,
    make_member,
    make_organization,
    make_team,
    make_workflow,
    platform,
)

UNKNOWN = "01900000-0000-7000-8000-0000000000ff"
WHY = {"reason": "it burns money"}
MENDED = {"reason": "mended"}
SWITCHES = "/v1/kill-switches"


def problem(answer: Any) -> tuple[int, str, list[str]]:
    body = answer.json()
    return answer.status_code, body["code"], [error["pointer"] for error in body.get("errors", ())]


def ok(answer: Any, status: int = 200) -> dict[str, Any]:
    assert answer.status_code == status, answer.content
    found: dict[str, Any] = answer.json()
    return found


@pytest.fixture
def customer() -> Customer:
    return make_customer(scopes=("admin", "spend:write"))


@pytest.fixture
def organization() -> UUID:
    return make_organization()


class TestPausingAnAgent:
    @pytest.mark.parametrize("by", ["key", "id"])
    def test_says_who_why_and_when(self, organization: UUID, by: str) -> None:
        agent, admin = make_agent(organization), caller(organization)
        name = agent.key if by == "key" else str(agent.id)
        shown = ok(admin.post(f"/v1/agents/{name}/pause", WHY))
        actor = events_of(organization)[-1][3]
        assert {name: shown[name] for name in shown if name not in ("id", "set_at")} == {
            "organization": str(organization),
            "scope": "agent",
            "target": "research-bot",
            "target_id": str(agent.id),
            "kind": "pause",
            "mode": "enforce",
            "status": "live",
            "cause": "manual",
            "incident": None,
            "reason": "it burns money",
            "set_by": actor,
            "lifted_by": None,
            "lifted_at": None,
            "lift_reason": None,
            "version": 1,
        }
        assert actor.startswith("key:")
        assert admin.get(f"{SWITCHES}/{shown['id']}").json() == shown
        assert admin.get(SWITCHES, agent=agent.key, live="true").json()["data"] == [shown]

    def test_is_an_event_that_the_gate_sees_at_its_next_decision(self, organization: UUID) -> None:
        make_agent(organization)
        admin = caller(organization)
        epoch = config_epoch(organization)
        shown = ok(admin.post("/v1/agents/research-bot/pause", WHY))
        kind, stream, version, actor, data = events_of(organization)[-1]
        assert (kind, str(stream), version, data["set_by"]) == ("switch.set", shown["id"], 1, actor)
        assert config_epoch(organization) == epoch + 1

    def test_twice_answers_the_one_that_stands(self, organization: UUID) -> None:
        make_agent(organization)
        admin = caller(organization)
        first = ok(admin.post("/v1/agents/research-bot/pause", WHY))
        before = events_of(organization)
        assert ok(admin.post("/v1/agents/research-bot/pause", {"reason": "again"})) == first
        assert events_of(organization) == before

    def test_that_is_only_observed_hinders_no_real_one(self, organization: UUID) -> None:
        make_agent(organization)
        admin = caller(organization)
        observed = ok(admin.post("/v1/agents/research-bot/pause", {**WHY, "mode": "observe"}))
        real = ok(admin.post("/v1/agents/research-bot/pause", WHY))
        assert (observed["mode"], real["mode"], observed["id"] == real["id"]) == ("observe", "enforce", False)
        answer = ok(admin.post("/v1/agents/research-bot/resume", MENDED))
        assert (answer["id"], answer["status"]) == (real["id"], "lifted")
        assert admin.get(SWITCHES, live="true").json()["data"] == []

    def test_is_repeated_under_its_key(self, organization: UUID) -> None:
        make_agent(organization)
        admin = caller(organization)
        first = admin.post("/v1/agents/research-bot/pause", WHY, key="p-1")
        ok(admin.post("/v1/agents/research-bot/resume", MENDED))
        again = admin.post("/v1/agents/research-bot/pause", WHY, key="p-1")
        assert (again.status_code, again.content) == (200, first.content)
        assert again.headers["Idempotent-Replayed"] == "true"
        assert admin.get(SWITCHES, live="true").json()["data"] == []


class TestResumingAnAgent:
    def test_is_kept_with_actor_old_and_new_value(self, organization: UUID) -> None:
        make_agent(organization)
        paused = ok(caller(organization).post("/v1/agents/research-bot/pause", WHY))
        admin = caller(organization)
        epoch = config_epoch(organization)
        lifted = ok(admin.post("/v1/agents/research-bot/resume", MENDED))
        kind, stream, version, actor, data = events_of(organization)[-1]
        assert (kind, str(stream), version) == ("switch.lifted", paused["id"], 2)
        assert data["changed"]["lift_reason"] == [None, "mended"]
        assert data["changed"]["lifted_by"] == [None, actor] != [None, paused["set_by"]]
        assert (lifted["status"], lifted["lift_reason"], lifted["lifted_by"]) == ("lifted", "mended", actor)
        assert config_epoch(organization) == epoch + 1

    def test_twice_changes_nothing(self, organization: UUID) -> None:
        make_agent(organization)
        admin = caller(organization)
        ok(admin.post("/v1/agents/research-bot/pause", WHY))
        first = ok(admin.post("/v1/agents/research-bot/resume", MENDED))
        before = events_of(organization)
        assert ok(admin.post("/v1/agents/research-bot/resume", {"reason": "again"})) == first
        assert events_of(organization) == before

    def test_of_one_that_was_never_paused_is_refused(self, organization: UUID) -> None:
        make_agent(organization)
        answer = caller(organization).post("/v1/agents/research-bot/resume", MENDED)
        assert problem(answer) == (409, "invalid_transition", [])

    def test_leaves_a_kill_switch_where_it_is(self, organization: UUID) -> None:
        make_agent(organization)
        admin = caller(organization)
        ok(admin.post("/v1/agents/research-bot/pause", WHY))
        killed = ok(admin.post(SWITCHES, {"scope": "agent", "target": "research-bot", **WHY}), 201)
        ok(admin.post("/v1/agents/research-bot/resume", MENDED))
        assert admin.get(SWITCHES, live="true").json()["data"] == [killed]


class TestRuns:
    def test_are_paused_and_resumed_by_key_or_id(self, customer: Customer) -> None:
        customer.reserved(subject={"run": "r-1"})
        run = customer.api.get("/v1/runs/r-1").json()
        assert run["switch"] is None
        paused = ok(customer.api.post("/v1/runs/r-1/pause", WHY))
        assert (paused["scope"], paused["target"], paused["target_id"], paused["kind"]) == (
            "run", "r-1", None, "pause",
        )  # fmt: skip
        assert customer.api.get("/v1/runs/r-1").json()["switch"] == paused
        resumed = ok(customer.api.post(f"/v1/runs/{run['id']}/resume", MENDED))
        assert (resumed["id"], resumed["status"]) == (paused["id"], "lifted")
        assert customer.api.get("/v1/runs/r-1").json()["switch"] is None

    def test_are_stopped_for_good(self, customer: Customer) -> None:
        customer.reserved(subject={"run": "r-1"})
        stopped = ok(customer.api.post("/v1/runs/r-1/stop", WHY))
        assert (stopped["kind"], stopped["status"]) == ("stop", "live")
        before = events_of(customer.id)
        for path in ("/v1/runs/r-1/resume", "/v1/runs/r-1/pause", f"{SWITCHES}/{stopped['id']}/release"):
            assert problem(customer.api.post(path, MENDED)) == (409, "invalid_transition", [])
        assert ok(customer.api.post("/v1/runs/r-1/stop", WHY)) == stopped
        assert events_of(customer.id) == before

    def test_below_show_the_switch_of_the_run_above(self, customer: Customer) -> None:
        customer.reserved(subject={"run": "root"})
        customer.reserved(subject={"run": "child", "parent_run": "root"})
        customer.reserved(subject={"run": "grandchild", "parent_run": "child"})
        child = ok(customer.api.post("/v1/runs/child/pause", WHY))
        assert child["target"] == "child"
        assert customer.api.get("/v1/runs/root").json()["switch"] is None
        for name in ("child", "grandchild"):
            assert customer.api.get(f"/v1/runs/{name}").json()["switch"] == child
        root = ok(customer.api.post("/v1/runs/root/stop", WHY))
        for name in ("root", "child", "grandchild"):
            assert customer.api.get(f"/v1/runs/{name}").json()["switch"] == root
        assert problem(customer.api.post("/v1/runs/child/resume", MENDED)) == (409, "invalid_transition", [])

    def test_that_no_call_has_begun_are_not_there(self, customer: Customer) -> None:
        for what in ("pause", "resume", "stop"):
            assert problem(customer.api.post(f"/v1/runs/r-9/{what}", WHY)) == (404, "not_found", [])
        answer = customer.api.post(SWITCHES, {"scope": "run", "target": "r-9", **WHY})
        assert problem(answer) == (404, "not_found", ["/target"])


class TestKillSwitches:
    @pytest.mark.parametrize(
        ("scope", "make"),
        [
            ("team", make_team),
            ("agent", make_agent),
            ("workflow", make_workflow),
            ("connection", make_connection),
        ],
    )
    def test_name_their_target_by_key_or_by_id(self, organization: UUID, scope: str, make: Any) -> None:
        subject, admin = make(organization), caller(organization)
        first = ok(admin.post(SWITCHES, {"scope": scope, "target": subject.key, **WHY}), 201)
        assert (first["scope"], first["target"], first["target_id"], first["kind"]) == (
            scope, subject.key, str(subject.id), "kill",
        )  # fmt: skip
        again = admin.post(SWITCHES, {"scope": scope, "target": str(subject.id), **WHY})
        assert ok(again, 201) == first

    def test_stop_a_user_a_key_and_a_run(self, customer: Customer) -> None:
        customer.reserved(subject={"run": "r-1", "user": "u-7"})
        key = str(make_key(customer.id, "spend:write").key.id)
        for scope, target, identifier in (("user", "u-7", None), ("key", key, key), ("run", "r-1", None)):
            made = ok(customer.api.post(SWITCHES, {"scope": scope, "target": target, **WHY}), 201)
            assert (made["scope"], made["target"], made["target_id"]) == (scope, target, identifier)
            lifted = ok(customer.api.post(f"{SWITCHES}/{made['id']}/release", MENDED))
            assert (lifted["status"], lifted["version"]) == ("lifted", 2)

    @pytest.mark.parametrize("named", [False, True])
    def test_stop_the_whole_organization(self, organization: UUID, named: bool) -> None:
        body = {"scope": "organization", **WHY, **({"target": str(organization)} if named else {})}
        made = ok(caller(organization).post(SWITCHES, body), 201)
        assert (made["target"], made["target_id"]) == (None, None)

    def test_are_lifted_once(self, organization: UUID) -> None:
        admin = caller(organization)
        made = ok(admin.post(SWITCHES, {"scope": "organization", **WHY}), 201)
        first = ok(admin.post(f"{SWITCHES}/{made['id']}/release", MENDED))
        before = events_of(organization)
        assert ok(admin.post(f"{SWITCHES}/{made['id']}/release", {"reason": "again"})) == first
        assert events_of(organization) == before
        new = ok(admin.post(SWITCHES, {"scope": "organization", **WHY}), 201)
        assert new["id"] != made["id"]

    def test_of_the_platform_are_the_platforms_own(self, organization: UUID) -> None:
        us, admin = platform(), caller(organization)
        body = {"scope": "platform", "mode": "observe", **WHY}
        assert problem(admin.post(SWITCHES, body)) == (403, "forbidden", [])
        made = ok(us.post(SWITCHES, body), 201)
        assert (made["organization"], made["scope"], made["target"]) == (str(PLATFORM_ID), "platform", None)
        assert made in us.get(SWITCHES, scope="platform", live="true").json()["data"]
        assert us.get(f"{SWITCHES}/{made['id']}").json() == made
        assert problem(admin.get(f"{SWITCHES}/{made['id']}")) == (404, "not_found", [])
        assert problem(admin.post(f"{SWITCHES}/{made['id']}/release", MENDED)) == (404, "not_found", [])
        assert admin.get(SWITCHES, scope="platform").json()["data"] == []
        foreign = us.post(SWITCHES, {**body, "organization": str(organization)})
        assert problem(foreign) == (400, "invalid_field", ["/organization"])
        assert ok(us.post(f"{SWITCHES}/{made['id']}/release", MENDED))["status"] == "lifted"

    def test_are_set_by_the_platform_where_it_names_the_organization(self, organization: UUID) -> None:
        agent = make_agent(organization)
        us = platform()
        nowhere = us.post(SWITCHES, {"scope": "organization", **WHY})
        assert problem(nowhere) == (400, "invalid_field", ["/organization"])
        made = ok(us.post(SWITCHES, {"scope": "organization", "organization": str(organization), **WHY}), 201)
        assert us.get(SWITCHES, organization=str(organization)).json()["data"] == [made]
        assert ok(us.post(f"/v1/agents/{agent.id}/pause", WHY))["target"] == agent.key

    def test_are_repeated_under_their_key(self, organization: UUID) -> None:
        admin = caller(organization)
        first = admin.post(SWITCHES, {"scope": "organization", **WHY}, key="k-1")
        again = admin.post(SWITCHES, {"scope": "organization", **WHY}, key="k-1")
        assert (again.status_code, again.content) == (201, first.content)
        assert again.headers["Idempotent-Replayed"] == "true"
        assert [event[0] for event in events_of(organization)].count("switch.set") == 1


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({"scope": "galaxy"}, (400, "invalid_field", ["/scope"])),
            ({"scope": None}, (400, "invalid_field", ["/scope"])),
            ({"reason": None}, (400, "invalid_field", ["/reason"])),
            ({"reason": ""}, (400, "invalid_field", ["/reason"])),
            ({"reason": 5}, (400, "invalid_field", ["/reason"])),
            ({"reason": "x" * 501}, (400, "invalid_field", ["/reason"])),
            ({"reason": "a\x00b"}, (400, "invalid_text", ["/reason"])),  # B41
            ({"reason": "a\u202eb"}, (400, "invalid_text", ["/reason"])),  # B61
            ({"mode": "off"}, (400, "invalid_field", ["/mode"])),
            ({"kind": "pause"}, (400, "unknown_field", ["/kind"])),  # B55
            ({"id": UNKNOWN}, (400, "read_only_field", ["/id"])),  # B56
            ({"status": "live"}, (400, "read_only_field", ["/status"])),
            ({"target": None}, (400, "invalid_field", ["/target"])),
            ({"target": "ghost"}, (404, "not_found", ["/target"])),
            ({"target": UNKNOWN}, (404, "not_found", ["/target"])),
            ({"target": "a\u200bb"}, (400, "invalid_text", ["/target"])),
            ({"scope": "team", "target": "research-bot"}, (404, "not_found", ["/target"])),  # B71
            ({"scope": "key", "target": "research-bot"}, (404, "not_found", ["/target"])),
            ({"scope": "user", "target": " "}, (400, "invalid_field", ["/target"])),
            ({"scope": "organization"}, (404, "not_found", ["/target"])),
        ],
    )
    def test_is_named_and_leaves_nothing(
        self, organization: UUID, change: dict[str, Any], expected: tuple[int, str, list[str]]
    ) -> None:
        make_agent(organization)
        admin = caller(organization)
        body = {"scope": "agent", "target": "research-bot", **WHY, **change}
        before = events_of(organization)
        for _ in range(2):
            assert problem(admin.post(SWITCHES, body)) == expected
        assert events_of(organization) == before

    @pytest.mark.parametrize(
        "path", ["agents/research-bot/pause", "agents/research-bot/resume", "runs/r/stop"]
    )
    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            ({}, (400, "invalid_field", ["/reason"])),
            ({"reason": " \u2060"}, (400, "invalid_text", ["/reason"])),
            ({**WHY, "scope": "agent"}, (400, "unknown_field", ["/scope"])),
        ],
    )
    def test_is_a_pause_without_a_reason(
        self, organization: UUID, path: str, body: Any, expected: tuple[int, str, list[str]]
    ) -> None:
        make_agent(organization)
        assert problem(caller(organization).post(f"/v1/{path}", body)) == expected

    def test_is_an_empty_body(self, organization: UUID) -> None:
        make_agent(organization)
        answer = caller(organization).post("/v1/agents/research-bot/pause", "")
        assert problem(answer)[:2] == (400, "invalid_json")

    def test_is_an_archived_target_or_a_revoked_key(self, organization: UUID) -> None:
        make_agent(organization)
        admin, key = caller(organization), make_key(organization).key
        standing = ok(admin.post("/v1/agents/research-bot/pause", WHY))
        ok(admin.post("/v1/agents/research-bot/archive"))
        ok(admin.post(f"/v1/organizations/{organization}/api-keys/{key.id}/revoke"))
        before = events_of(organization)
        for scope, name in (("agent", "research-bot"), ("key", str(key.id))):
            answer = admin.post(SWITCHES, {"scope": scope, "target": name, **WHY})
            assert problem(answer) == (409, "invalid_transition", ["/target"])
        assert ok(admin.post("/v1/agents/research-bot/pause", WHY)) == standing
        assert events_of(organization) == before
        assert ok(admin.post("/v1/agents/research-bot/resume", MENDED))["status"] == "lifted"

    def test_is_one_of_a_closed_organization(self, organization: UUID) -> None:
        ok(platform().post(f"/v1/organizations/{organization}/archive"))
        body = {"scope": "organization", "organization": str(organization), **WHY}
        assert problem(platform().post(SWITCHES, body))[:2] == (403, "organization_closed")


PLACES = ("organization", "workflow", "team", "agent", "run", "other team", "other agent", "other run")


@pytest.fixture(scope="module")
def house() -> Customer:
    customer = make_customer(agents=(), scopes=("admin", "spend:write"))
    for team in ("research", "sales"):
        make_team(customer.id, team, team.title())
        make_agent(customer.id, f"{team}-bot", f"{team} bot", team=team)
        customer.reserved(subject={"agent": f"{team}-bot", "run": f"{team}-run"})
    make_workflow(customer.id)
    return customer


class TestWhoMayStopWhom:
    """S43: an owner the whole organization, a team owner the own team, its agents and their runs, others nobody."""

    @pytest.mark.parametrize("place", PLACES)
    @pytest.mark.parametrize(
        ("role", "allowed"),
        [
            (None, PLACES),
            ("owner", PLACES),
            ("team_owner", ("team", "agent", "run")),
            ("billing_admin", ()),
            ("member", ()),
        ],
    )
    def test_is_decided_by_role_and_level(
        self, house: Customer, role: str | None, allowed: tuple[str, ...], place: str
    ) -> None:
        team = "sales" if place.startswith("other") else "research"
        scope = place.split()[-1]
        target = {"team": team, "agent": f"{team}-bot", "run": f"{team}-run", "workflow": "weekly"}.get(scope)
        body = {"scope": scope, **({"target": target} if target else {}), **WHY}
        who = self.caller_of(house, role)
        standing = ok(house.api.post(SWITCHES, body), 201)
        before = events_of(house.id)
        answers = [who.post(SWITCHES, body), who.post(f"{SWITCHES}/{standing['id']}/release", MENDED)]
        if scope in ("agent", "run"):
            answers.append(who.post(f"/v1/{scope}s/{target}/pause", WHY))
            answers.append(who.post(f"/v1/{scope}s/{target}/resume", MENDED))
        if place in allowed:
            assert {answer.status_code for answer in answers} <= {200, 201}
        else:
            assert {problem(answer)[:2] for answer in answers} == {(403, "forbidden")}
            assert events_of(house.id) == before

    def caller_of(self, house: Customer, role: str | None) -> Caller:
        if role is None:
            return caller(house.id)
        member = make_member(house.id, role, team="research" if role == "team_owner" else None)
        return caller(house.id, "admin", "spend:read", "spend:write", member=str(member.id))

    def test_reading_needs_the_scope_only(self, house: Customer) -> None:
        assert caller(house.id, "spend:read").get(SWITCHES).status_code == 200
        assert problem(caller(house.id, "billing:read").get(SWITCHES))[:2] == (403, "forbidden")

    @pytest.mark.parametrize("scopes", [("spend:write",), ("spend:read",)])
    def test_stopping_needs_the_scope_admin(self, house: Customer, scopes: tuple[str, ...]) -> None:
        who = caller(house.id, *scopes)
        for path in ("agents/research-bot/pause", "runs/research-run/stop", "kill-switches"):
            assert problem(who.post(f"/v1/{path}", WHY))[:2] == (403, "forbidden")

    def test_a_limited_key_stops_nobody_and_reads_nothing(self, house: Customer) -> None:
        who = caller(house.id, "admin", "spend:read", agents=["research-bot"])
        before = events_of(house.id)
        assert problem(who.post("/v1/agents/research-bot/pause", WHY))[:2] == (403, "forbidden")
        assert problem(who.get(SWITCHES))[:2] == (403, "not_permitted")
        assert events_of(house.id) == before


class TestTenants:
    def test_anothers_objects_are_answered_like_unknown_ones(self, customer: Customer) -> None:
        customer.reserved(subject={"run": "r-1"})
        switch = ok(customer.api.post("/v1/agents/bot/pause", WHY))["id"]
        agent = customer.api.get("/v1/agents/bot").json()["id"]
        run = customer.api.get("/v1/runs/r-1").json()["id"]
        key = str(make_key(customer.id).key.id)
        who, before = caller(make_organization()), events_of(customer.id)
        for name in (switch, UNKNOWN, "-1", "%00", "%EF%BC%91"):
            assert problem(who.get(f"{SWITCHES}/{name}")) == (404, "not_found", [])
            assert problem(who.post(f"{SWITCHES}/{name}/release", MENDED)) == (404, "not_found", [])
        for name in (agent, "bot", UNKNOWN, "-1", "%00", "%EF%BC%91"):
            for what in ("pause", "resume"):
                assert problem(who.post(f"/v1/agents/{name}/{what}", WHY)) == (404, "not_found", [])
        for name in (run, "r-1", UNKNOWN, "-1", "%00", "%EF%BC%91"):
            assert problem(who.get(f"/v1/runs/{name}")) == (404, "not_found", [])
            for what in ("pause", "resume", "stop"):
                assert problem(who.post(f"/v1/runs/{name}/{what}", WHY)) == (404, "not_found", [])
        for scope, name in (("agent", agent), ("run", run), ("key", key), ("organization", str(customer.id))):
            answer = who.post(SWITCHES, {"scope": scope, "target": name, **WHY})
            assert problem(answer) == (404, "not_found", ["/target"])
        assert problem(who.get(SWITCHES, agent=agent)) == (404, "not_found", [])
        assert problem(who.get(SWITCHES, run=run)) == (404, "not_found", [])
        assert problem(who.get(SWITCHES, organization=str(customer.id))) == (404, "not_found", [])
        assert who.get(SWITCHES).json()["data"] == []
        assert events_of(customer.id) == before


class TestTheList:
    def test_is_filtered_and_read_page_by_page(self, customer: Customer) -> None:
        api = customer.api
        customer.reserved(subject={"run": "r-1"})
        pause = ok(api.post("/v1/agents/bot/pause", WHY))
        stop = ok(api.post("/v1/runs/r-1/stop", WHY))
        kill = ok(api.post(SWITCHES, {"scope": "organization", "mode": "observe", **WHY}), 201)
        lifted = ok(api.post("/v1/agents/bot/resume", MENDED))

        def found(**query: str) -> list[str]:
            return [row["id"] for row in api.get(SWITCHES, **query).json()["data"]]

        assert found() == [kill["id"], stop["id"], pause["id"]]
        assert found(live="true") == [kill["id"], stop["id"]]
        assert found(live="false") == [lifted["id"]]
        assert found(scope="run") == found(kind="stop") == found(run="r-1") == [stop["id"]]
        assert found(mode="observe") == [kill["id"]]
        assert found(agent="bot") == [pause["id"]]
        assert found(run="r-9") == []
        first = api.get(SWITCHES, limit="2").json()
        rest = api.get(SWITCHES, limit="2", cursor=first["next_cursor"]).json()
        assert [row["id"] for row in first["data"] + rest["data"]] == found()

    @pytest.mark.parametrize(
        ("query", "code"),
        [
            ({"scope": "galaxy"}, "invalid_parameter"),
            ({"kind": "off"}, "invalid_parameter"),
            ({"mode": "off"}, "invalid_parameter"),
            ({"live": "yes"}, "invalid_parameter"),
            ({"limit": "0"}, "invalid_parameter"),
            ({"cursor": "AAAA"}, "invalid_cursor"),
            ({"colour": "red"}, "unknown_parameter"),
        ],
    )
    def test_refuses_what_it_does_not_know(
        self, organization: UUID, query: dict[str, str], code: str
    ) -> None:
        assert problem(caller(organization).get(SWITCHES, **query))[:2] == (400, code)
