"""Budgets through the API: what they may be, who may change them, and that a change is kept with old and new value."""

from typing import Any

import pytest

from tests.builders.orgs import (
    caller,
    config_epoch,
    events_of,
    make_agent,
    make_connection,
    make_member,
    make_organization,
    make_team,
    make_workflow,
    platform,
)

DAILY = {"scope": "organization", "window": "day", "limit": "5.00", "currency": "USD"}
SCOPES = ("organization", "team", "agent", "workflow", "run", "connection", "user")
WINDOWS = ("hour", "day", "week", "month", "quarter", "year", "billing_cycle", "lifetime")


def problem(answer: Any) -> tuple[int, str, list[str]]:
    body = answer.json()
    return answer.status_code, body["code"], [error["pointer"] for error in body.get("errors", ())]


class TestMakingABudget:
    def test_answers_with_everything_that_holds(self) -> None:
        organization = make_organization(time_zone="Europe/Berlin")
        admin = caller(organization)
        made = admin.post("/v1/budgets", DAILY)
        assert made.status_code == 201
        shown = made.json()
        assert {name: shown[name] for name in shown if name not in ("id", "created_at")} == {
            "organization": str(organization),
            "scope": "organization",
            "target": None,
            "target_id": None,
            "window": "day",
            "rolling_seconds": None,
            "limit": "5",
            "currency": "USD",
            "unit": None,
            "measure": "charge",
            "time_zone": "Europe/Berlin",
            "overdraft": "0",
            "mode": "enforce",
            "thresholds": [
                {"percent": 50, "action": "notify"},
                {"percent": 80, "action": "notify"},
                {"percent": 100, "action": "block"},
            ],
            "status": "active",
            "version": 1,
            "archived_at": None,
            "counters": [],
        }
        assert admin.get(f"/v1/budgets/{shown['id']}").json() == shown
        assert admin.get("/v1/budgets").json() == {"data": [shown], "next_cursor": None}

    @pytest.mark.parametrize("scope", SCOPES)
    @pytest.mark.parametrize("window", WINDOWS)
    def test_takes_every_scope_with_every_window(self, scope: str, window: str) -> None:
        made = caller(make_organization()).post("/v1/budgets", {**DAILY, "scope": scope, "window": window})
        assert (made.status_code, made.json()["scope"], made.json()["window"]) == (201, scope, window)

    @pytest.mark.parametrize(
        ("scope", "make"),
        [
            ("team", make_team),
            ("agent", make_agent),
            ("workflow", make_workflow),
            ("connection", make_connection),
        ],
    )
    def test_names_its_target_by_key_or_by_id(self, scope: str, make: Any) -> None:
        organization = make_organization()
        subject = make(organization)
        admin = caller(organization)
        for name in (subject.key, str(subject.id)):
            made = admin.post("/v1/budgets", {**DAILY, "scope": scope, "target": name})
            assert made.status_code == 201
            assert (made.json()["target"], made.json()["target_id"]) == (subject.key, str(subject.id))

    @pytest.mark.parametrize("scope", ["run", "user"])
    def test_takes_a_run_or_user_that_is_still_to_come(self, scope: str) -> None:
        made = caller(make_organization()).post("/v1/budgets", {**DAILY, "scope": scope, "target": "run-81"})
        assert (made.status_code, made.json()["target"], made.json()["target_id"]) == (201, "run-81", None)

    @pytest.mark.parametrize("unit", ["TOKENS", "CREDITS", "RISK_POINTS"])
    def test_counts_whole_things_where_it_has_a_unit(self, unit: str) -> None:
        body = {"scope": "agent", "window": "day", "limit": "1000000000000", "unit": unit, "overdraft": "7"}
        made = caller(make_organization()).post("/v1/budgets", body).json()
        assert (made["limit"], made["overdraft"], made["unit"], made["currency"]) == (
            "1000000000000",
            "7",
            unit,
            None,
        )

    def test_takes_a_rolling_window_with_its_length(self) -> None:
        body = {**DAILY, "window": "rolling", "rolling_seconds": 3600}
        assert caller(make_organization()).post("/v1/budgets", body).json()["rolling_seconds"] == 3600

    def test_keeps_thresholds_of_its_own(self) -> None:
        thresholds: list[dict[str, Any]] = [
            {"percent": 10, "action": "notify"},
            {"percent": 20, "action": "throttle", "per_minute": 6},
            {"percent": 30, "action": "cap", "caps": {"max_output_tokens": 100, "models": ["small"]}},
            {"percent": 40, "action": "cap"},
            {"percent": 50, "action": "require_approval"},
            {"percent": 60, "action": "pause"},
            {"percent": 90, "action": "block"},
        ]
        amounts = [{"amount": "2.5", "action": "notify"}]
        made = caller(make_organization()).post("/v1/budgets", {**DAILY, "thresholds": thresholds + amounts})
        assert made.json()["thresholds"] == thresholds + amounts

    @pytest.mark.parametrize("mode", ["off", "observe", "enforce"])
    def test_takes_every_mode_now_and_later(self, mode: str) -> None:
        admin = caller(make_organization())
        made = admin.post("/v1/budgets", {**DAILY, "mode": mode}).json()
        assert made["mode"] == mode
        for other in ("observe", "off", "enforce"):
            assert admin.patch(f"/v1/budgets/{made['id']}", {"mode": other}).json()["mode"] == other

    def test_is_repeated_under_its_key(self) -> None:
        organization = make_organization()
        admin = caller(organization)
        first = admin.post("/v1/budgets", DAILY, key="b-1")
        again = admin.post("/v1/budgets", DAILY, key="b-1")
        assert (again.status_code, again.content) == (201, first.content)
        assert again.headers["Idempotent-Replayed"] == "true"
        assert [row[0] for row in events_of(organization)].count("budget.created") == 1

    def test_raises_the_epoch_that_the_gate_compares(self) -> None:
        organization = make_organization()
        admin = caller(organization)
        before = config_epoch(organization)
        admin.post("/v1/budgets", DAILY)
        assert config_epoch(organization) == before + 1


class TestWhatABudgetMayNotBe:
    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({"limit": "-1"}, (400, "invalid_amount", ["/limit"])),
            ({"limit": 5}, (400, "invalid_amount", ["/limit"])),
            ({"limit": None}, (400, "invalid_amount", ["/limit"])),
            ({"limit": "0.000000001"}, (400, "invalid_amount", ["/limit"])),
            ({"limit": "92233720369"}, (400, "invalid_amount", ["/limit"])),
            ({"limit": "100000000000"}, (400, "invalid_amount", ["/limit"])),
            ({"overdraft": "1e3"}, (400, "invalid_amount", ["/overdraft"])),
            ({"limit": "92233720368", "overdraft": "1"}, (422, "amount_out_of_range", [])),
            ({"currency": "usd"}, (400, "invalid_currency", ["/currency"])),
            ({"currency": "EUR"}, (422, "currency_mismatch", ["/currency"])),
            ({"unit": "TOKENS"}, (400, "invalid_field", ["/unit"])),
            ({"scope": "galaxy"}, (400, "invalid_field", ["/scope"])),
            ({"window": "fortnight"}, (400, "invalid_field", ["/window"])),
            ({"window": "rolling"}, (400, "invalid_field", ["/rolling_seconds"])),
            ({"rolling_seconds": 60}, (400, "invalid_field", ["/rolling_seconds"])),
            ({"window": "rolling", "rolling_seconds": 0}, (400, "invalid_field", ["/rolling_seconds"])),
            ({"measure": "tokens"}, (400, "invalid_field", ["/measure"])),
            ({"time_zone": "Mars/Olympus"}, (400, "invalid_field", ["/time_zone"])),
            ({"mode": "maybe"}, (400, "invalid_field", ["/mode"])),
            ({"fail_mode": "closed"}, (400, "not_available_yet", ["/fail_mode"])),
            ({"fail_mode": "open_capped"}, (400, "not_available_yet", ["/fail_mode"])),
            ({"id": "x"}, (400, "read_only_field", ["/id"])),
            ({"status": "active"}, (400, "read_only_field", ["/status"])),
            ({"colour": "red"}, (400, "unknown_field", ["/colour"])),
            ({"scope": "agent", "target": "ghost"}, (404, "not_found", ["/target"])),
            ({"scope": "user", "target": "a\u202eb"}, (400, "invalid_text", ["/target"])),
        ],
    )
    def test_is_refused_by_name_and_leaves_nothing(
        self, change: dict[str, Any], expected: tuple[int, str, list[str]]
    ) -> None:
        organization = make_organization()
        admin = caller(organization)
        before = events_of(organization)
        for _ in range(2):
            assert problem(admin.post("/v1/budgets", {**DAILY, **change})) == expected
        assert events_of(organization) == before

    def test_neither_currency_nor_unit(self) -> None:
        body = {name: value for name, value in DAILY.items() if name != "currency"}
        expected = (400, "invalid_field", ["/currency"])
        assert problem(caller(make_organization()).post("/v1/budgets", body)) == expected

    def test_a_money_limit_in_tokens(self) -> None:
        body = {"scope": "agent", "window": "day", "limit": "5.00", "unit": "TOKENS"}
        expected = (400, "invalid_amount", ["/limit"])
        assert problem(caller(make_organization()).post("/v1/budgets", body)) == expected

    @pytest.mark.parametrize(
        "thresholds",
        [
            [{"percent": 80, "action": "notify"}, {"percent": 80, "action": "block"}],
            [{"percent": 80, "action": "notify"}, {"percent": 50, "action": "notify"}],
            [{"percent": 0, "action": "notify"}],
            [{"percent": 101, "action": "block"}],
            [{"percent": "80", "action": "notify"}],
            [{"percent": True, "action": "notify"}],
            [{"percent": 80.5, "action": "notify"}],
            [{"action": "notify"}],
            [{"percent": 80, "amount": "1", "action": "notify"}],
            [{"amount": "0", "action": "notify"}],
            [{"percent": 80, "action": "throttle"}],
            [{"percent": 80, "action": "throttle", "per_minute": 6, "rate_percent": 50}],
            [{"percent": 80, "action": "notify", "per_minute": 6}],
            [{"percent": 80, "action": "pause", "caps": {"steps": 1}}],
            ["notify"],
            "notify",
            {},
        ],
    )
    def test_thresholds_that_are_not_distinct_ascending_percentages(self, thresholds: Any) -> None:
        answer = caller(make_organization()).post("/v1/budgets", {**DAILY, "thresholds": thresholds})
        assert problem(answer)[:2] == (400, "invalid_thresholds")

    def test_an_archived_target(self) -> None:
        organization = make_organization()
        admin = caller(organization)
        admin.post("/v1/agents", {"key": "a", "name": "A"})
        admin.post("/v1/agents/a/archive")
        answer = admin.post("/v1/budgets", {**DAILY, "scope": "agent", "target": "a"})
        assert problem(answer) == (409, "invalid_transition", ["/target"])

    def test_one_of_a_closed_organization(self) -> None:
        organization = make_organization()
        made = caller(organization).post("/v1/budgets", DAILY).json()["id"]
        assert platform().post(f"/v1/organizations/{organization}/archive").status_code == 200
        body = {**DAILY, "organization": str(organization)}
        assert problem(platform().post("/v1/budgets", body))[:2] == (403, "organization_closed")
        assert problem(platform().patch(f"/v1/budgets/{made}", {"limit": "9"}))[:2] == (
            403,
            "organization_closed",
        )


class TestChangingABudget:
    def test_is_kept_with_actor_old_and_new_value(self) -> None:
        organization = make_organization()
        admin = caller(organization)
        made = admin.post("/v1/budgets", DAILY).json()
        epoch = config_epoch(organization)
        changed = admin.patch(f"/v1/budgets/{made['id']}", {"limit": "2.5", "mode": "off"})
        assert changed.status_code == 200
        assert (changed.json()["limit"], changed.json()["mode"], changed.json()["version"]) == (
            "2.5",
            "off",
            2,
        )
        kind, stream, version, actor, data = events_of(organization)[-1]
        assert (kind, str(stream), version) == ("budget.changed", made["id"], 2)
        assert actor.startswith("key:")
        assert data["changed"] == {
            "amount_limit": [500000000, 250000000],
            "arming": [1, 2],
            "mode": ["enforce", "off"],
        }
        assert config_epoch(organization) == epoch + 1

    def test_leaves_no_event_when_nothing_changes(self) -> None:
        organization = make_organization()
        admin = caller(organization)
        made = admin.post("/v1/budgets", DAILY).json()
        before = events_of(organization)
        assert admin.patch(f"/v1/budgets/{made['id']}", {"limit": "5"}).json() == made
        assert admin.patch(f"/v1/budgets/{made['id']}", {}).json() == made
        assert events_of(organization) == before

    @pytest.mark.parametrize(
        "field",
        ["scope", "target", "window", "rolling_seconds", "currency", "unit", "measure", "time_zone", "id"],
    )
    def test_leaves_what_its_counters_mean(self, field: str) -> None:
        admin = caller(make_organization())
        made = admin.post("/v1/budgets", DAILY).json()
        answer = admin.patch(f"/v1/budgets/{made['id']}", {field: "x"})
        assert problem(answer) == (400, "read_only_field", [f"/{field}"])

    def test_takes_limits_in_its_own_unit_only(self) -> None:
        admin = caller(make_organization())
        made = admin.post(
            "/v1/budgets", {"scope": "agent", "window": "day", "limit": "9", "unit": "TOKENS"}
        ).json()
        answer = admin.patch(f"/v1/budgets/{made['id']}", {"limit": "1.5"})
        assert problem(answer) == (400, "invalid_amount", ["/limit"])
        assert admin.patch(f"/v1/budgets/{made['id']}", {"limit": "0"}).json()["limit"] == "0"

    def test_ends_with_its_archiving(self) -> None:
        organization = make_organization()
        admin = caller(organization)
        made = admin.post("/v1/budgets", DAILY).json()
        first = admin.post(f"/v1/budgets/{made['id']}/archive")
        assert (first.status_code, first.json()["status"]) == (200, "archived")
        before = events_of(organization)
        assert admin.post(f"/v1/budgets/{made['id']}/archive").json() == first.json()
        assert problem(admin.patch(f"/v1/budgets/{made['id']}", {"limit": "1"}))[:2] == (
            409,
            "invalid_transition",
        )
        assert events_of(organization) == before
        assert admin.get("/v1/budgets", archived="false").json()["data"] == []
        assert len(admin.get("/v1/budgets", archived="true").json()["data"]) == 1


class TestWhoMayEditABudget:
    """S43: org and team owners edit only their own level; a member none (B120)."""

    @pytest.mark.parametrize(
        ("role", "level", "allowed"),
        [
            ("owner", "organization", True),
            ("owner", "team", False),
            ("owner", "agent of team", False),
            ("team_owner", "organization", False),
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
            "organization": DAILY,
            "team": {**DAILY, "scope": "team", "target": "research"},
            "other team": {**DAILY, "scope": "team", "target": "other"},
            "agent of team": {**DAILY, "scope": "agent", "target": "research-bot"},
        }[level]
        made = caller(organization).post("/v1/budgets", body).json()
        if role is None:
            editor = caller(organization)
        else:
            team = "research" if role == "team_owner" else None
            member = make_member(organization, role, team=team)
            editor = caller(organization, "admin", "spend:read", "spend:write", member=str(member.id))
        before = events_of(organization)
        answers = [
            editor.post("/v1/budgets", body),
            editor.patch(f"/v1/budgets/{made['id']}", {"limit": "100"}),
            editor.post(f"/v1/budgets/{made['id']}/archive"),
        ]
        if allowed:
            assert [answer.status_code for answer in answers] == [201, 200, 200]
        else:
            assert [problem(answer)[:2] for answer in answers] == [(403, "forbidden")] * 3
            assert events_of(organization) == before

    def test_reading_needs_the_scope_only(self) -> None:
        organization = make_organization()
        assert caller(organization, "spend:read").get("/v1/budgets").status_code == 200
        assert problem(caller(organization, "billing:read").get("/v1/budgets"))[:2] == (403, "forbidden")


class TestTenants:
    def test_another_organizations_budget_is_answered_like_an_unknown_one(self) -> None:
        mine, other = make_organization(), make_organization()
        theirs = caller(other).post("/v1/budgets", DAILY).json()["id"]
        admin = caller(mine)
        unknown = "01900000-0000-7000-8000-0000000000ff"
        for name in (theirs, unknown, "-1", "%00", "%EF%BC%91"):
            assert problem(admin.get(f"/v1/budgets/{name}")) == (404, "not_found", [])
            assert problem(admin.patch(f"/v1/budgets/{name}", {"limit": "1"})) == (404, "not_found", [])
        assert admin.get("/v1/budgets").json()["data"] == []

    def test_another_organizations_target_is_answered_like_an_unknown_one(self) -> None:
        mine, other = make_organization(), make_organization()
        agent = make_agent(other)
        answers = [
            caller(mine).post("/v1/budgets", {**DAILY, "scope": "agent", "target": name})
            for name in (str(agent.id), agent.key, "01900000-0000-7000-8000-0000000000ff")
        ]
        assert [problem(answer) for answer in answers] == [(404, "not_found", ["/target"])] * 3
        foreign = caller(mine).post("/v1/budgets", {**DAILY, "target": str(other)})
        assert problem(foreign) == (404, "not_found", ["/target"])

    def test_the_platform_acts_for_the_organization_that_it_names(self) -> None:
        organization = make_organization()
        made = platform().post("/v1/budgets", {**DAILY, "organization": str(organization)})
        assert (made.status_code, made.json()["organization"]) == (201, str(organization))
        assert platform().get(f"/v1/budgets/{made.json()['id']}").json() == made.json()


class TestLists:
    def test_are_read_page_by_page(self) -> None:
        admin = caller(make_organization())
        made = [admin.post("/v1/budgets", {**DAILY, "limit": str(n)}).json()["id"] for n in range(1, 6)]
        first = admin.get("/v1/budgets", limit="3").json()
        rest = admin.get("/v1/budgets", limit="3", cursor=first["next_cursor"]).json()
        assert [row["id"] for row in first["data"] + rest["data"]] == made[::-1]
        assert rest["next_cursor"] is None

    def test_are_filtered_by_scope(self) -> None:
        admin = caller(make_organization())
        admin.post("/v1/budgets", DAILY)
        made = admin.post("/v1/budgets", {**DAILY, "scope": "user"}).json()
        assert admin.get("/v1/budgets", scope="user").json()["data"] == [made]
        assert problem(admin.get("/v1/budgets", scope="galaxy"))[:2] == (400, "invalid_parameter")
        assert problem(admin.get("/v1/budgets", colour="red"))[:2] == (400, "unknown_parameter")
