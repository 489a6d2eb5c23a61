"""S44: what every agent, workflow and run gets that nobody gave a cap, and what remains without one."""

from typing import Any

import pytest

from tests.builders.gate import body_of, make_customer
from tests.builders.orgs import (
    Caller,
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

PATH = "/v1/default-policies"
AGENTS = {"window": "day", "limit": "5.00"}
RUNS = {"window": "run", "limit": "1"}


def problem(answer: Any) -> tuple[int, str, list[str]]:
    body = answer.json()
    return answer.status_code, body["code"], [error["pointer"] for error in body.get("errors", ())]


def shown(answer: Any) -> dict[str, list[tuple[str, str, str]]]:
    """Window, limit and mode of the defaults, by scope."""
    found = body_of(answer, 200)
    return {
        scope: [(row["window"], row["limit"], row["mode"]) for row in found[scope]["budgets"]]
        for scope in ("agent", "workflow", "run")
    }


def uncapped(who: Caller) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = body_of(who.get("/v1/reports/uncapped"), 200)["data"]
    return found


class TestDefaults:
    def test_are_none_until_somebody_sets_them(self) -> None:
        made = platform().post(
            "/v1/organizations",
            {"name": "New", "currency": "USD", "time_zone": "UTC", "funding": "prepaid"},
            key="default-policies-new",
        )
        who = caller(make_organization()), platform()
        assert shown(who[0].get(PATH)) == {"agent": [], "workflow": [], "run": []}
        assert shown(who[1].get(PATH, organization=made.json()["id"])) == shown(who[0].get(PATH))

    def test_are_budgets_that_every_one_of_the_scope_gets(self) -> None:
        organization = make_organization(time_zone="Europe/Berlin")
        admin = caller(organization)
        body = {
            "agent": {"budgets": [AGENTS, {"window": "hour", "limit": "1000", "unit": "TOKENS"}]},
            "workflow": {"budgets": [{"window": "day", "limit": "9", "measure": "cost"}]},
            "run": {"budgets": [{**RUNS, "thresholds": [{"percent": 90, "action": "block"}]}]},
        }
        answer = body_of(admin.patch(PATH, body), 200)
        day, hour = answer["agent"]["budgets"]
        assert (day["scope"], day["target"], day["currency"], day["time_zone"], len(day["thresholds"])) == (
            "agent",
            None,
            "USD",
            "Europe/Berlin",
            3,
        )
        assert (hour["unit"], hour["currency"], hour["limit"]) == ("TOKENS", None, "1000")
        assert [row["measure"] for row in answer["workflow"]["budgets"]] == ["cost"]
        assert answer["run"]["budgets"][0]["thresholds"] == [{"percent": 90, "action": "block"}]
        assert admin.get(PATH).json() == answer
        listed = admin.get("/v1/budgets").json()["data"]
        every = [row for scope in ("agent", "workflow", "run") for row in answer[scope]["budgets"]]
        assert sorted(listed, key=lambda row: row["id"]) == sorted(every, key=lambda row: row["id"])

    def test_show_a_budget_that_was_made_without_a_target(self) -> None:
        admin = caller(make_organization())
        make = {"scope": "agent", "currency": "USD", **AGENTS}
        made = admin.post("/v1/budgets", make).json()
        admin.post("/v1/budgets", {**make, "scope": "user"})
        assert body_of(admin.get(PATH), 200) == {
            "agent": {"budgets": [made], "rate_limits": []},
            "workflow": {"budgets": [], "rate_limits": []},
            "run": {"budgets": []},
        }

    def test_are_changed_made_and_ended_by_the_list_that_is_stated(self) -> None:
        organization = make_organization()
        admin = caller(organization)
        first = body_of(
            admin.patch(
                PATH,
                {
                    "agent": {"budgets": [{**AGENTS, "overdraft": "1"}, {"window": "month", "limit": "50"}]},
                    "run": {"budgets": [RUNS]},
                },
            ),
            200,
        )
        day, month = first["agent"]["budgets"]
        epoch = config_epoch(organization)
        second = body_of(
            admin.patch(
                PATH, {"agent": {"budgets": [{"window": "week", "limit": "20"}, {**AGENTS, "limit": "4"}]}}
            ),
            200,
        )
        assert [(row["window"], row["limit"], row["overdraft"]) for row in second["agent"]["budgets"]] == [
            ("day", "4", "0"),
            ("week", "20", "0"),
        ]
        assert second["agent"]["budgets"][0]["id"] == day["id"]
        assert second["run"] == first["run"]
        ended, changed, made = events_of(organization)[-3:]
        assert [row[0] for row in (ended, changed, made)] == [
            "budget.archived",
            "budget.changed",
            "budget.created",
        ]
        assert (str(ended[1]), str(changed[1])) == (month["id"], day["id"])
        assert {row[3][:4] for row in (ended, changed, made)} == {"key:"}
        assert changed[4]["changed"]["amount_limit"] == [500_000_000, 400_000_000]
        assert changed[4]["changed"]["overdraft"] == [100_000_000, 0]
        assert config_epoch(organization) > epoch

    def test_leave_no_event_when_nothing_changes(self) -> None:
        organization = make_organization()
        admin = caller(organization)
        body = {"agent": {"budgets": [AGENTS]}, "run": {"budgets": [RUNS]}}
        first = body_of(admin.patch(PATH, body), 200)
        before = events_of(organization)
        for same in (body, {}, {"agent": {}}, {"workflow": {"budgets": []}}):
            assert body_of(admin.patch(PATH, same), 200) == first
        assert events_of(organization) == before
        assert shown(admin.patch(PATH, {"agent": {"budgets": []}})) == {
            "agent": [],
            "workflow": [],
            "run": [("run", "1", "enforce")],
        }

    def test_are_rate_limits_too(self) -> None:
        organization = make_organization()
        admin = caller(organization)
        per_minute = {"unit": "requests", "limit": 60, "window": "minute", "behaviour": "reject"}
        open_now = {"unit": "concurrent", "limit": 4, "behaviour": "reject"}
        body = {"agent": {"rate_limits": [{**per_minute, "burst": 5}, open_now], "budgets": [AGENTS]}}
        first = body_of(admin.patch(PATH, body), 200)["agent"]
        minute, concurrent = first["rate_limits"]
        assert (minute["target"], minute["limit"], minute["burst"], concurrent["limit"]) == (None, 60, 5, 4)
        listed = admin.get("/v1/rate-limits").json()["data"]
        assert [row["id"] for row in listed] == [concurrent["id"], minute["id"]]
        before = events_of(organization)
        assert body_of(admin.patch(PATH, body), 200)["agent"] == first
        assert events_of(organization) == before
        again = {
            "agent": {"rate_limits": [{**per_minute, "limit": 30}]},
            "workflow": {"rate_limits": [open_now]},
        }
        second = body_of(admin.patch(PATH, again), 200)
        (changed,) = second["agent"]["rate_limits"]
        assert (changed["id"], changed["limit"], changed["burst"]) == (minute["id"], 30, None)
        assert second["agent"]["budgets"] == first["budgets"]
        assert [row["unit"] for row in second["workflow"]["rate_limits"]] == ["concurrent"]
        kinds = [row[0] for row in events_of(organization)][-3:]
        assert kinds == ["rate_limit.archived", "rate_limit.changed", "rate_limit.created"]

    def test_leave_budgets_with_a_target_alone(self) -> None:
        organization = make_organization()
        make_agent(organization)
        admin = caller(organization)
        own = admin.post(
            "/v1/budgets", {"scope": "agent", "target": "research-bot", "currency": "USD", **AGENTS}
        ).json()
        admin.patch(PATH, {"agent": {"budgets": []}})
        assert admin.get(f"/v1/budgets/{own['id']}").json() == own

    def test_stop_a_new_agent_that_nobody_gave_a_cap(self) -> None:
        customer = make_customer()
        admin = caller(customer.id)
        admin.patch(PATH, {"agent": {"budgets": [AGENTS]}, "run": {"budgets": [RUNS]}})
        admin.post("/v1/agents", {"key": "newcomer", "name": "Newcomer"})
        subject = {"agent": "newcomer"}
        for _ in range(5):
            customer.reserved("1", subject=subject)
        assert problem(customer.reserve("0.01", subject=subject))[:2] == (409, "budget_busy")
        assert problem(customer.reserve("5.01", subject=subject))[:2] == (402, "too_large")
        assert customer.reserved("5", subject={"agent": "bot"})["held"] == "5"
        assert problem(customer.reserve("1.01", subject={"agent": "bot", "run": "r"}))[:2] == (
            402,
            "too_large",
        )


class TestWhatADefaultMayNotBe:
    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({"limit": "-1"}, (400, "invalid_amount", "/limit")),
            ({"limit": 5}, (400, "invalid_amount", "/limit")),
            ({"limit": None}, (400, "invalid_amount", "/limit")),
            ({"overdraft": "1e3"}, (400, "invalid_amount", "/overdraft")),
            ({"currency": "EUR"}, (422, "currency_mismatch", "/currency")),
            ({"currency": "USD", "unit": "TOKENS"}, (400, "invalid_field", "/unit")),
            ({"unit": "TOKENS"}, (400, "invalid_amount", "/limit")),
            ({"window": "fortnight"}, (400, "invalid_field", "/window")),
            ({"window": "rolling"}, (400, "invalid_field", "/rolling_seconds")),
            ({"thresholds": "all"}, (400, "invalid_thresholds", "/thresholds")),
            ({"thresholds": [{"percent": 0, "action": "block"}]}, (400, "invalid_thresholds", "/thresholds/0/percent")),
            ({"mode": "maybe"}, (400, "invalid_field", "/mode")),
            ({"scope": "agent"}, (400, "unknown_field", "/scope")),
            ({"target": "bot"}, (400, "unknown_field", "/target")),
            ({"id": "x"}, (400, "read_only_field", "/id")),
        ],
    )  # fmt: skip
    def test_is_refused_by_name_and_leaves_all_as_it_was(
        self, change: dict[str, Any], expected: tuple[int, str, str]
    ) -> None:
        organization = make_organization()
        admin = caller(organization)
        before = events_of(organization)
        body = {
            "agent": {"budgets": [AGENTS]},
            "run": {"budgets": [RUNS, {**RUNS, "limit": "0.50", **change}]},
        }
        status, code, place = expected
        for _ in range(2):
            assert problem(admin.patch(PATH, body)) == (status, code, [f"/run/budgets/1{place}"])
        assert events_of(organization) == before

    @pytest.mark.parametrize(
        ("body", "code", "pointer"),
        [
            ({"team": {"budgets": []}}, "unknown_field", "/team"),
            ({"agent": None}, "invalid_field", "/agent"),
            ({"agent": []}, "invalid_field", "/agent"),
            ({"agent": {"budgets": None}}, "invalid_field", "/agent/budgets"),
            ({"agent": {"budgets": {}}}, "invalid_field", "/agent/budgets"),
            ({"agent": {"budgets": ["5"]}}, "invalid_field", "/agent/budgets/0"),
            ({"agent": {"budgets": [{"window": "day"}]}}, "invalid_field", "/agent/budgets/0/limit"),
            ({"agent": {"budgets": [AGENTS] * 21}}, "invalid_field", "/agent/budgets"),
            ({"agent": {"limits": []}}, "unknown_field", "/agent/limits"),
            ({"run": {"rate_limits": []}}, "unknown_field", "/run/rate_limits"),
            (
                {"agent": {"rate_limits": [{"unit": "requests"}]}},
                "invalid_field",
                "/agent/rate_limits/0/limit",
            ),
            (
                {
                    "agent": {
                        "rate_limits": [
                            {"unit": "concurrent", "limit": 1, "window": "day", "behaviour": "reject"}
                        ]
                    }
                },
                "invalid_field",
                "/agent/rate_limits/0/window",
            ),
        ],
    )
    def test_is_refused_where_it_has_another_shape(self, body: Any, code: str, pointer: str) -> None:
        status, found, pointers = problem(caller(make_organization()).patch(PATH, body))
        assert (status, found, pointers[0]) == (400, code, pointer)


class TestWhoMaySetDefaults:
    @pytest.mark.parametrize(
        ("role", "allowed"), [("owner", True), ("team_owner", False), ("billing_admin", False), ("member", False)]
    )  # fmt: skip
    def test_is_the_organizations_level(self, role: str, allowed: bool) -> None:
        organization = make_organization()
        make_team(organization)
        member = make_member(organization, role, team="research" if role == "team_owner" else None)
        editor = caller(organization, "admin", "spend:read", "spend:write", member=str(member.id))
        before = events_of(organization)
        answer = editor.patch(PATH, {"agent": {"budgets": [AGENTS]}})
        if allowed:
            assert shown(answer)["agent"] == [("day", "5", "enforce")]
        else:
            assert problem(answer)[:2] == (403, "forbidden")
            assert events_of(organization) == before

    def test_needs_the_scope(self) -> None:
        organization = make_organization()
        make_agent(organization)
        assert caller(organization, "spend:read").get(PATH).status_code == 200
        assert problem(caller(organization, "billing:read").get(PATH))[:2] == (403, "forbidden")
        assert problem(caller(organization, "spend:write").patch(PATH, {}))[:2] == (403, "forbidden")
        limited = caller(organization, "admin", agents=["research-bot"])
        assert problem(limited.get(PATH))[:2] == (403, "not_permitted")
        assert problem(limited.patch(PATH, {"agent": {"budgets": []}}))[:2] == (403, "forbidden")

    def test_another_organizations_are_answered_like_unknown_ones(self) -> None:
        mine, other = caller(make_organization()), make_organization()
        named = str(other)
        assert problem(mine.get(PATH, organization=named))[:2] == (404, "not_found")
        assert problem(mine.patch(f"{PATH}?organization={named}", {"agent": {"budgets": []}}))[:2] == (
            404,
            "not_found",
        )
        assert problem(platform().get(PATH))[:2] == (400, "invalid_parameter")
        set_by_us = platform().patch(f"{PATH}?organization={named}", {"run": {"budgets": [RUNS]}})
        assert shown(set_by_us)["run"] == [("run", "1", "enforce")]

    def test_not_in_a_closed_organization(self) -> None:
        organization = make_organization()
        platform().post(f"/v1/organizations/{organization}/archive")
        answer = platform().patch(f"{PATH}?organization={organization}", {"agent": {"budgets": [AGENTS]}})
        assert problem(answer)[:2] == (403, "organization_closed")


class TestWhatRemainsUncapped:
    def test_offers_the_one_call_that_caps_it(self) -> None:
        organization = make_organization(currency="EUR")
        make_team(organization)
        make_agent(organization, team="research")
        make_workflow(organization)
        make_connection(organization)
        admin = caller(organization)
        rows = uncapped(admin)
        assert sorted(row["scope"] for row in rows) == sorted(
            ["team", "agent", "workflow", "connection", "organization", "run", "user"]
        )
        fixes = {row["scope"]: row["fix"] for row in rows}
        assert fixes["agent"] == {
            "method": "POST",
            "path": "/v1/budgets",
            "body": {"scope": "agent", "target": "research-bot", "window": "day", "currency": "EUR"},
            "add": ["limit"],
        }
        assert fixes["run"]["body"] == {"scope": "run", "window": "run", "currency": "EUR"}
        for row in rows:
            fix = row["fix"]
            made = admin.post(fix["path"], {**fix["body"], "limit": "10"})
            assert made.status_code == 201, (row, made.json())
        assert uncapped(admin) == []

    def test_is_nothing_that_a_default_caps(self) -> None:
        organization = make_organization()
        make_agent(organization)
        make_workflow(organization)
        admin = caller(organization)
        everything = {
            "agent": {"budgets": [AGENTS]},
            "workflow": {"budgets": [AGENTS]},
            "run": {"budgets": [RUNS]},
        }
        admin.patch(PATH, everything)
        assert [row["scope"] for row in uncapped(admin)] == ["organization", "user"]
        make_agent(organization, "newcomer", "Newcomer")
        assert [row["scope"] for row in uncapped(admin)] == ["organization", "user"]

    @pytest.mark.parametrize(
        "default",
        [
            {**AGENTS, "mode": "off"},
            {"window": "day", "limit": "1000", "unit": "TOKENS"},
        ],
    )
    def test_is_what_only_an_unenforced_or_moneyless_budget_counts(self, default: dict[str, Any]) -> None:
        organization = make_organization()
        make_agent(organization)
        admin = caller(organization)
        body_of(admin.patch(PATH, {"agent": {"budgets": [default]}}), 200)
        assert "research-bot" in [row["target"] for row in uncapped(admin)]
