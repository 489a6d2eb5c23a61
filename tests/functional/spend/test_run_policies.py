"""Run policies through the API: what they may be, who may change them, and that a change is kept with both values."""

from typing import Any

import pytest

from tests.builders.gate import make_customer
from tests.builders.orgs import (
    caller,
    config_epoch,
    events_of,
    make_agent,
    make_member,
    make_organization,
    make_team,
    make_workflow,
    platform,
)

PATH = "/v1/run-policies"
STEPS = {"scope": "organization", "max_steps": 200}
SCOPES = ("organization", "team", "agent", "workflow", "run")
HOUSE_LOOP = {
    "window": 50,
    "levels": [
        {"repeats": 10, "action": "warn"},
        {"repeats": 20, "action": "cap", "cooldown_ms": 30_000},
    ],
}
UNKNOWN = "01900000-0000-7000-8000-0000000000ff"


def problem(answer: Any) -> tuple[int, str, list[str]]:
    body = answer.json()
    return answer.status_code, body["code"], [error["pointer"] for error in body.get("errors", ())]


class TestMakingARunPolicy:
    def test_answers_with_everything_that_holds(self) -> None:
        organization = make_organization()
        admin = caller(organization)
        loop = {
            "window": 50,
            "levels": [
                {"repeats": 10, "action": "warn"},
                {"repeats": 20, "action": "cap", "cooldown_ms": 5_000},
                {"repeats": 25, "action": "pause"},
                {"repeats": 30, "action": "stop"},
            ],
        }
        rules = {
            "max_steps": 200,
            "max_tool_calls": 0,
            "max_seconds": 3_600,
            "max_depth": 3,
            "attempts": {"max": 3, "first_ms": 500, "longest_ms": 8_000},
            "loop": loop,
        }
        made = admin.post(PATH, {"scope": "organization", **rules})
        assert made.status_code == 201
        shown = made.json()
        assert {name: shown[name] for name in shown if name not in ("id", "created_at")} == {
            "organization": str(organization),
            "scope": "organization",
            "target": None,
            "target_id": None,
            **rules,
            "mode": "enforce",
            "status": "active",
            "version": 1,
            "archived_at": None,
        }
        assert admin.get(f"{PATH}/{shown['id']}").json() == shown
        assert admin.get(PATH).json() == {"data": [shown], "next_cursor": None}

    def test_fills_in_the_defaults_of_the_house(self) -> None:
        admin = caller(make_organization())
        shown = admin.post(PATH, {"scope": "run", "attempts": {"max": 2}, "loop": {}}).json()
        assert shown["attempts"] == {"max": 2, "first_ms": 1_000, "longest_ms": 60_000}
        assert shown["loop"] == HOUSE_LOOP
        assert (shown["max_steps"], shown["max_tool_calls"], shown["max_seconds"], shown["max_depth"]) == (
            None,
            None,
            None,
            None,
        )
        slow = admin.post(PATH, {"scope": "run", "attempts": {"first_ms": 120_000}}).json()
        assert slow["attempts"] == {"max": 5, "first_ms": 120_000, "longest_ms": 120_000}

    @pytest.mark.parametrize("scope", SCOPES)
    @pytest.mark.parametrize("mode", ["off", "observe", "enforce"])
    def test_takes_every_scope_and_mode(self, scope: str, mode: str) -> None:
        made = caller(make_organization()).post(PATH, {**STEPS, "scope": scope, "mode": mode})
        assert (made.status_code, made.json()["scope"], made.json()["mode"]) == (201, scope, mode)

    @pytest.mark.parametrize(
        ("scope", "make"), [("team", make_team), ("agent", make_agent), ("workflow", make_workflow)]
    )
    def test_names_its_target_by_key_or_by_id(self, scope: str, make: Any) -> None:
        organization = make_organization()
        subject, admin = make(organization), caller(organization)
        for name in (subject.key, str(subject.id)):
            made = admin.post(PATH, {**STEPS, "scope": scope, "target": name})
            assert (made.status_code, made.json()["target"], made.json()["target_id"]) == (
                201,
                subject.key,
                str(subject.id),
            )

    def test_takes_a_run_that_is_still_to_come(self) -> None:
        made = caller(make_organization()).post(PATH, {**STEPS, "scope": "run", "target": "run-81"})
        assert (made.status_code, made.json()["target"], made.json()["target_id"]) == (201, "run-81", None)

    def test_is_repeated_under_its_key(self) -> None:
        organization = make_organization()
        admin = caller(organization)
        first = admin.post(PATH, STEPS, key="p-1")
        again = admin.post(PATH, STEPS, key="p-1")
        assert (again.status_code, again.content) == (201, first.content)
        assert again.headers["Idempotent-Replayed"] == "true"
        assert problem(admin.post(PATH, {**STEPS, "max_steps": 9}, key="p-1"))[:2] == (
            422,
            "idempotency_key_reused",
        )
        assert [row[0] for row in events_of(organization)].count("run_policy.created") == 1

    def test_is_kept_with_its_actor_and_raises_the_epoch(self) -> None:
        organization = make_organization()
        admin = caller(organization)
        before = config_epoch(organization)
        made = admin.post(PATH, STEPS).json()
        kind, stream, version, actor, data = events_of(organization)[-1]
        assert (kind, str(stream), version) == ("run_policy.created", made["id"], 1)
        assert (actor[:4], data["rules"]) == ("key:", {"max_steps": 200})
        assert config_epoch(organization) == before + 1


class TestWhatARunPolicyMayNotBe:
    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({"max_steps": 0}, (400, "invalid_field", ["/max_steps"])),
            ({"max_steps": 1_000_001}, (400, "invalid_field", ["/max_steps"])),
            ({"max_steps": "200"}, (400, "invalid_field", ["/max_steps"])),
            ({"max_steps": True}, (400, "invalid_field", ["/max_steps"])),
            ({"max_steps": 1.0}, (400, "invalid_field", ["/max_steps"])),
            ({"max_steps": None}, (400, "invalid_field", [""])),
            ({"max_tool_calls": -1}, (400, "invalid_field", ["/max_tool_calls"])),
            ({"max_seconds": 0}, (400, "invalid_field", ["/max_seconds"])),
            ({"max_seconds": 366 * 86_400 + 1}, (400, "invalid_field", ["/max_seconds"])),
            ({"max_depth": 1_001}, (400, "invalid_field", ["/max_depth"])),
            ({"attempts": 5}, (400, "invalid_field", ["/attempts"])),
            ({"attempts": {"max": 0}}, (400, "invalid_field", ["/attempts/max"])),
            ({"attempts": {"max": 101}}, (400, "invalid_field", ["/attempts/max"])),
            ({"attempts": {"first_ms": -1}}, (400, "invalid_field", ["/attempts/first_ms"])),
            ({"attempts": {"first_ms": 1e3}}, (400, "invalid_field", ["/attempts/first_ms"])),
            ({"attempts": {"longest_ms": 999}}, (400, "invalid_field", ["/attempts/longest_ms"])),
            ({"attempts": {"pause": 1}}, (400, "unknown_field", ["/attempts/pause"])),
            ({"loop": []}, (400, "invalid_field", ["/loop"])),
            ({"loop": {"window": 1}}, (400, "invalid_field", ["/loop/window"])),
            ({"loop": {"window": 51}}, (400, "invalid_field", ["/loop/window"])),
            ({"loop": {"window": 19}}, (400, "invalid_field", ["/loop/levels"])),
            ({"loop": {"levels": []}}, (400, "invalid_field", ["/loop/levels"])),
            ({"loop": {"levels": {}}}, (400, "invalid_field", ["/loop/levels"])),
            ({"loop": {"levels": ["warn"]}}, (400, "invalid_field", ["/loop/levels/0"])),
            ({"loop": {"colour": 1}}, (400, "unknown_field", ["/loop/colour"])),
            ({"mode": "maybe"}, (400, "invalid_field", ["/mode"])),
            ({"scope": "connection"}, (400, "invalid_field", ["/scope"])),
            ({"scope": "user"}, (400, "invalid_field", ["/scope"])),
            ({"id": "x"}, (400, "read_only_field", ["/id"])),
            ({"status": "active"}, (400, "read_only_field", ["/status"])),
            ({"max_tokens": 5}, (400, "unknown_field", ["/max_tokens"])),
            ({"scope": "agent", "target": "ghost"}, (404, "not_found", ["/target"])),
            ({"scope": "run", "target": "a\u202eb"}, (400, "invalid_text", ["/target"])),
            ({"scope": "run", "target": " "}, (400, "invalid_field", ["/target"])),
        ],
    )
    def test_is_refused_by_name_and_leaves_nothing(
        self, change: dict[str, Any], expected: tuple[int, str, list[str]]
    ) -> None:
        organization = make_organization()
        admin = caller(organization)
        before = events_of(organization)
        for _ in range(2):
            assert problem(admin.post(PATH, {**STEPS, **change})) == expected
        assert events_of(organization) == before

    @pytest.mark.parametrize(
        ("levels", "pointer"),
        [
            ([{"repeats": 10, "action": "warn"}, {"repeats": 10, "action": "stop"}], "/1/repeats"),
            ([{"repeats": 10, "action": "warn"}, {"repeats": 9, "action": "stop"}], "/1/repeats"),
            ([{"repeats": 51, "action": "warn"}], "/0/repeats"),
            ([{"repeats": 1, "action": "warn"}], "/0/repeats"),
            ([{"repeats": "10", "action": "warn"}], "/0/repeats"),
            ([{"action": "warn"}], "/0/repeats"),
            ([{"repeats": 10}], "/0/action"),
            ([{"repeats": 10, "action": "notify"}], "/0/action"),
            ([{"repeats": 10, "action": "cap", "cooldown_ms": 0}], "/0/cooldown_ms"),
            ([{"repeats": 10, "action": "cap", "cooldown_ms": 3_600_001}], "/0/cooldown_ms"),
            ([{"repeats": 10, "action": "warn", "cooldown_ms": 1_000}], "/0/cooldown_ms"),
        ],
    )
    def test_levels_are_distinct_ascending_and_inside_the_window(
        self, levels: list[dict[str, Any]], pointer: str
    ) -> None:
        answer = caller(make_organization()).post(PATH, {"scope": "run", "loop": {"levels": levels}})
        assert problem(answer) == (400, "invalid_field", [f"/loop/levels{pointer}"])

    def test_a_policy_without_any_rule(self) -> None:
        answer = caller(make_organization()).post(PATH, {"scope": "run", "mode": "observe"})
        assert problem(answer) == (400, "invalid_field", [""])
        assert problem(caller(make_organization()).post(PATH, {"max_steps": 1})) == (
            400,
            "invalid_field",
            ["/scope"],
        )

    def test_every_wrong_place_is_named_at_once(self) -> None:
        body = {"scope": "run", "attempts": {"max": 0}, "loop": {"window": 1}}
        answer = caller(make_organization()).post(PATH, body)
        assert problem(answer) == (400, "invalid_field", ["/attempts/max", "/loop/window"])

    def test_one_for_a_child_run(self) -> None:
        customer = make_customer()
        customer.reserved("1", subject={"run": "root"})
        child = customer.reserved("1", subject={"run": "child", "parent_run": "root"})
        assert child["status"] == "active"
        admin = caller(customer.id)
        answer = admin.post(PATH, {**STEPS, "scope": "run", "target": "child"})
        assert problem(answer) == (422, "run_is_child", ["/target"])
        root = admin.get("/v1/runs/root").json()["id"]
        assert admin.post(PATH, {**STEPS, "scope": "run", "target": root}).json()["target"] == "root"

    def test_an_archived_target(self) -> None:
        organization = make_organization()
        make_agent(organization, "a")
        admin = caller(organization)
        admin.post("/v1/agents/a/archive")
        answer = admin.post(PATH, {**STEPS, "scope": "agent", "target": "a"})
        assert problem(answer) == (409, "invalid_transition", ["/target"])

    def test_one_of_a_closed_organization(self) -> None:
        organization = make_organization()
        made = caller(organization).post(PATH, STEPS).json()["id"]
        assert platform().post(f"/v1/organizations/{organization}/archive").status_code == 200
        answers = [
            platform().post(PATH, {**STEPS, "organization": str(organization)}),
            platform().patch(f"{PATH}/{made}", {"max_steps": 9}),
        ]
        assert [problem(answer)[:2] for answer in answers] == [(403, "organization_closed")] * 2


class TestChangingARunPolicy:
    def test_is_kept_with_actor_old_and_new_rules(self) -> None:
        organization = make_organization()
        admin = caller(organization)
        made = admin.post(PATH, {**STEPS, "max_depth": 2}).json()
        epoch = config_epoch(organization)
        change = {"max_steps": 50, "max_depth": None, "attempts": {"max": 3}, "mode": "observe"}
        changed = admin.patch(f"{PATH}/{made['id']}", change)
        assert changed.status_code == 200
        assert changed.json() == {
            **made,
            "max_steps": 50,
            "max_depth": None,
            "attempts": {"max": 3, "first_ms": 1_000, "longest_ms": 60_000},
            "mode": "observe",
            "version": 2,
        }
        kind, stream, version, actor, data = events_of(organization)[-1]
        assert (kind, str(stream), version, actor[:4]) == ("run_policy.changed", made["id"], 2, "key:")
        attempts = {"max": 3, "first_ms": 1_000, "longest_ms": 60_000}
        assert data["changed"] == {
            "rules": [{"max_steps": 200, "max_depth": 2}, {"max_steps": 50, "attempts": attempts}],
            "mode": ["enforce", "observe"],
        }
        assert config_epoch(organization) == epoch + 1

    def test_leaves_no_event_when_nothing_changes(self) -> None:
        organization = make_organization()
        admin = caller(organization)
        made = admin.post(PATH, {**STEPS, "loop": HOUSE_LOOP}).json()
        before = events_of(organization)
        for same in ({}, {"max_steps": 200}, {"loop": made["loop"]}, {"max_seconds": None}):
            assert admin.patch(f"{PATH}/{made['id']}", same).json() == made
        assert events_of(organization) == before

    def test_never_takes_the_last_rule_away(self) -> None:
        admin = caller(make_organization())
        made = admin.post(PATH, STEPS).json()
        assert problem(admin.patch(f"{PATH}/{made['id']}", {"max_steps": None})) == (
            400,
            "invalid_field",
            [""],
        )
        assert admin.get(f"{PATH}/{made['id']}").json() == made

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({"scope": "run"}, (400, "read_only_field", ["/scope"])),
            ({"target": "x"}, (400, "read_only_field", ["/target"])),
            ({"id": "x"}, (400, "read_only_field", ["/id"])),
            ({"mode": None}, (400, "invalid_field", ["/mode"])),
            ({"max_steps": -5}, (400, "invalid_field", ["/max_steps"])),
            ({"loop": {"levels": []}}, (400, "invalid_field", ["/loop/levels"])),
            ({"colour": "red"}, (400, "unknown_field", ["/colour"])),
        ],
    )
    def test_is_refused_by_name(self, change: dict[str, Any], expected: tuple[int, str, list[str]]) -> None:
        organization = make_organization()
        admin = caller(organization)
        made = admin.post(PATH, STEPS).json()
        before = events_of(organization)
        assert problem(admin.patch(f"{PATH}/{made['id']}", change)) == expected
        assert events_of(organization) == before

    def test_ends_with_its_archiving(self) -> None:
        organization = make_organization()
        admin = caller(organization)
        made = admin.post(PATH, STEPS).json()
        first = admin.post(f"{PATH}/{made['id']}/archive")
        assert (first.status_code, first.json()["status"]) == (200, "archived")
        before = events_of(organization)
        assert (before[-1][0], before[-1][4]["changed"].keys()) == ("run_policy.archived", {"archived_at"})
        assert admin.post(f"{PATH}/{made['id']}/archive").json() == first.json()
        assert problem(admin.patch(f"{PATH}/{made['id']}", {"max_steps": 1}))[:2] == (
            409,
            "invalid_transition",
        )
        assert events_of(organization) == before
        assert admin.get(PATH, archived="false").json()["data"] == []
        assert len(admin.get(PATH, archived="true").json()["data"]) == 1


class TestWhoMayEditARunPolicy:
    """S43: org and team owners edit only their own level; a member none (B120)."""

    @pytest.mark.parametrize(
        ("role", "level", "allowed"),
        [
            ("owner", "organization", True),
            ("owner", "run", True),
            ("owner", "every agent", True),
            ("owner", "team", False),
            ("owner", "agent of team", False),
            ("team_owner", "organization", False),
            ("team_owner", "every agent", False),
            ("team_owner", "run", False),
            ("team_owner", "team", True),
            ("team_owner", "agent of team", True),
            ("team_owner", "other team", False),
            ("member", "organization", False),
            ("member", "team", False),
            ("billing_admin", "organization", False),
            (None, "organization", True),
            (None, "team", True),
        ],
    )
    def test_is_decided_by_role_and_level(self, role: str | None, level: str, allowed: bool) -> None:
        organization = make_organization()
        make_team(organization)
        make_team(organization, "other", "Other")
        make_agent(organization, team="research")
        body = {
            "organization": STEPS,
            "run": {**STEPS, "scope": "run"},
            "every agent": {**STEPS, "scope": "agent"},
            "team": {**STEPS, "scope": "team", "target": "research"},
            "other team": {**STEPS, "scope": "team", "target": "other"},
            "agent of team": {**STEPS, "scope": "agent", "target": "research-bot"},
        }[level]
        made = caller(organization).post(PATH, body).json()
        if role is None:
            editor = caller(organization)
        else:
            member = make_member(organization, role, team="research" if role == "team_owner" else None)
            editor = caller(organization, "admin", "spend:read", "spend:write", member=str(member.id))
        before = events_of(organization)
        answers = [
            editor.post(PATH, body),
            editor.patch(f"{PATH}/{made['id']}", {"max_steps": 100}),
            editor.post(f"{PATH}/{made['id']}/archive"),
        ]
        if allowed:
            assert [answer.status_code for answer in answers] == [201, 200, 200]
        else:
            assert [problem(answer)[:2] for answer in answers] == [(403, "forbidden")] * 3
            assert events_of(organization) == before

    def test_reading_needs_the_scope_only(self) -> None:
        organization = make_organization()
        make_agent(organization)
        assert caller(organization, "spend:read").get(PATH).status_code == 200
        assert problem(caller(organization, "billing:read").get(PATH))[:2] == (403, "forbidden")
        assert problem(caller(organization, "spend:write").post(PATH, STEPS))[:2] == (403, "forbidden")
        limited = caller(organization, "admin", agents=["research-bot"])
        assert problem(limited.get(PATH))[:2] == (403, "not_permitted")
        assert problem(limited.post(PATH, STEPS))[:2] == (403, "forbidden")


class TestTenants:
    def test_another_organizations_policy_is_answered_like_an_unknown_one(self) -> None:
        mine, other = make_organization(), make_organization()
        theirs = caller(other).post(PATH, STEPS).json()["id"]
        admin = caller(mine)
        budget = admin.post(
            "/v1/budgets", {"scope": "run", "window": "run", "limit": "1", "currency": "USD"}
        ).json()["id"]
        for name in (theirs, UNKNOWN, budget, "-1", "%00", "%EF%BC%91"):
            assert problem(admin.get(f"{PATH}/{name}")) == (404, "not_found", [])
            assert problem(admin.patch(f"{PATH}/{name}", {"max_steps": 1})) == (404, "not_found", [])
            assert problem(admin.post(f"{PATH}/{name}/archive")) == (404, "not_found", [])
        assert admin.get(PATH).json()["data"] == []
        assert problem(admin.get(PATH, organization=str(other)))[:2] == (404, "not_found")

    def test_another_organizations_target_is_answered_like_an_unknown_one(self) -> None:
        mine, other = make_organization(), make_organization()
        agent = make_agent(other)
        answers = [
            caller(mine).post(PATH, {**STEPS, "scope": "agent", "target": name})
            for name in (str(agent.id), agent.key, UNKNOWN)
        ]
        answers.append(caller(mine).post(PATH, {**STEPS, "target": str(other)}))
        assert [problem(answer) for answer in answers] == [(404, "not_found", ["/target"])] * 4

    def test_the_platform_acts_for_the_organization_that_it_names(self) -> None:
        organization = make_organization()
        made = platform().post(PATH, {**STEPS, "organization": str(organization)})
        assert (made.status_code, made.json()["organization"]) == (201, str(organization))
        assert platform().get(f"{PATH}/{made.json()['id']}").json() == made.json()


class TestLists:
    def test_are_read_page_by_page_and_filtered_by_scope(self) -> None:
        admin = caller(make_organization())
        made = [admin.post(PATH, {**STEPS, "max_steps": n}).json()["id"] for n in range(1, 6)]
        first = admin.get(PATH, limit="3").json()
        rest = admin.get(PATH, limit="3", cursor=first["next_cursor"]).json()
        assert [row["id"] for row in first["data"] + rest["data"]] == made[::-1]
        assert rest["next_cursor"] is None
        run = admin.post(PATH, {**STEPS, "scope": "run"}).json()
        assert admin.get(PATH, scope="run").json()["data"] == [run]
        assert problem(admin.get(PATH, scope="galaxy"))[:2] == (400, "invalid_parameter")
        assert problem(admin.get(PATH, colour="red"))[:2] == (400, "unknown_parameter")
