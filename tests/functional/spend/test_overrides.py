"""Overrides through the API: what they may be, who may make and end them, and what is kept of it."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from orgs.operations.clock import advance_clock
from tests.builders.orgs import (
    AUTHOR,
    Caller,
    caller,
    config_epoch,
    events_of,
    make_agent,
    make_key,
    make_member,
    make_organization,
    make_team,
    platform,
    write,
)

DAILY = {"scope": "organization", "window": "day", "limit": "100", "currency": "USD"}
FAR = "2100-01-01T00:00:00Z"
UNKNOWN = "01900000-0000-7000-8000-0000000000ff"


def problem(answer: Any) -> tuple[int, str, list[str]]:
    body = answer.json()
    return answer.status_code, body["code"], [error["pointer"] for error in body.get("errors", ())]


def made_budget(client: Caller, **given: Any) -> str:
    made = client.post("/v1/budgets", {**DAILY, **given})
    assert made.status_code == 201, made.json()
    name: str = made.json()["id"]
    return name


def raised(client: Caller, budget: str, **given: Any) -> Any:
    body = {"amount": "25", "until": FAR, "reason": "launch week", **given}
    return client.post(
        f"/v1/budgets/{budget}/override", {name: value for name, value in body.items() if value is not None}
    )


class TestMakingAnOverride:
    def test_answers_with_everything_that_holds_and_is_kept_with_its_actor(self) -> None:
        organization = make_organization()
        key = make_key(organization)
        admin = Caller(key.secret)
        budget = made_budget(admin)
        epoch = config_epoch(organization)
        answer = raised(admin, budget)
        assert answer.status_code == 201
        shown = answer.json()
        assert {name: shown[name] for name in shown if name not in ("id", "created_at")} == {
            "organization": str(organization),
            "budget_id": budget,
            "target": None,
            "run": None,
            "amount": "25",
            "currency": "USD",
            "unit": None,
            "reason": "launch week",
            "until": FAR,
            "status": "active",
            "created_by": f"key:{key.key.id}",
            "ended_by": None,
            "ended_at": None,
            "end_reason": None,
        }
        assert admin.get(f"/v1/budget-overrides/{shown['id']}").json() == shown
        assert admin.get(f"/v1/budgets/{budget}/overrides").json() == {"data": [shown], "next_cursor": None}
        kind, stream, version, actor, data = events_of(organization)[-1]
        assert (kind, str(stream), version, actor) == (
            "budget_override.created",
            shown["id"],
            1,
            f"key:{key.key.id}",
        )
        assert (data["budget_id"], data["extra"], data["expires_at"]) == (budget, 2_500_000_000, FAR)
        assert config_epoch(organization) == epoch + 1

    def test_names_a_limit_above_the_budgets_own(self) -> None:
        admin = caller(make_organization())
        budget = made_budget(admin)
        assert raised(admin, budget, amount=None, limit="125.5").json()["amount"] == "25.5"
        for limit in ("100", "99.99", "0"):
            assert problem(raised(admin, budget, amount=None, limit=limit)) == (
                422,
                "limit_not_raised",
                ["/limit"],
            )

    def test_counts_in_the_budgets_unit(self) -> None:
        admin = caller(make_organization())
        body = {"scope": "agent", "window": "day", "limit": "1000", "unit": "TOKENS"}
        budget = admin.post("/v1/budgets", body).json()["id"]
        shown = raised(admin, budget).json()
        assert (shown["amount"], shown["unit"], shown["currency"]) == ("25", "TOKENS", None)
        assert problem(raised(admin, budget, amount="2.5")) == (400, "invalid_amount", ["/amount"])

    def test_names_one_target_of_a_budget_that_everyone_has(self) -> None:
        organization = make_organization()
        admin, agent = caller(organization), make_agent(organization)
        budget = made_budget(admin, scope="agent")
        for name in (agent.key, str(agent.id)):
            shown = raised(admin, budget, target=name)
            assert (shown.status_code, shown.json()["target"]) == (201, agent.key)
        assert raised(admin, made_budget(admin, scope="user"), target="u-7").json()["target"] == "u-7"
        assert raised(admin, made_budget(admin, scope="run"), target="r-1").json()["target"] == "r-1"

    def test_is_for_one_run_that_may_be_still_to_come(self) -> None:
        admin = caller(make_organization())
        shown = raised(admin, made_budget(admin), run="run-81", until=None)
        assert (shown.status_code, shown.json()["run"], shown.json()["until"]) == (201, "run-81", None)

    def test_is_repeated_under_its_key(self) -> None:
        organization = make_organization()
        admin = caller(organization)
        path = f"/v1/budgets/{made_budget(admin)}/override"
        body = {"amount": "25", "until": FAR, "reason": "launch"}
        first, again = (admin.post(path, body, key="o-1") for _ in range(2))
        assert (again.status_code, again.content) == (201, first.content)
        assert [row[0] for row in events_of(organization)].count("budget_override.created") == 1

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({"amount": "-1"}, (400, "invalid_amount", ["/amount"])),
            ({"amount": 25}, (400, "invalid_amount", ["/amount"])),
            ({"amount": "0"}, (400, "invalid_amount", ["/amount"])),
            ({"amount": "1e3"}, (400, "invalid_amount", ["/amount"])),
            ({"amount": "0.000000001"}, (400, "invalid_amount", ["/amount"])),
            ({"amount": "92233720368"}, (422, "amount_out_of_range", [])),
            ({"limit": "125"}, (400, "invalid_field", ["/amount"])),
            ({"amount": None}, (400, "invalid_field", ["/amount"])),
            ({"until": None}, (400, "invalid_field", ["/until"])),
            ({"until": "2020-01-01T00:00:00Z"}, (400, "invalid_period", ["/until"])),
            ({"until": "2100-01-01T00:00:00"}, (400, "naive_datetime", ["/until"])),
            ({"until": 4102444800}, (400, "invalid_datetime", ["/until"])),
            ({"reason": None}, (400, "invalid_field", ["/reason"])),
            ({"reason": ""}, (400, "invalid_field", ["/reason"])),
            ({"reason": "x" * 501}, (400, "invalid_field", ["/reason"])),
            ({"reason": "a\u0000b"}, (400, "invalid_text", ["/reason"])),
            ({"run": "a\u202eb"}, (400, "invalid_text", ["/run"])),
            ({"run": 7}, (400, "invalid_field", ["/run"])),
            ({"target": "bot"}, (400, "invalid_field", ["/target"])),
            ({"id": UNKNOWN}, (400, "read_only_field", ["/id"])),
            ({"status": "active"}, (400, "read_only_field", ["/status"])),
            ({"colour": "red"}, (400, "unknown_field", ["/colour"])),
        ],
    )
    def test_is_refused_by_name_and_leaves_nothing(
        self, change: dict[str, Any], expected: tuple[int, str, list[str]]
    ) -> None:
        organization = make_organization()
        admin = caller(organization)
        budget = made_budget(admin)
        before = events_of(organization)
        for _ in range(2):
            assert problem(raised(admin, budget, **change)) == expected
        assert events_of(organization) == before

    def test_of_a_target_that_the_budget_has_not(self) -> None:
        organization = make_organization()
        admin, agent = caller(organization), make_agent(organization)
        everyones = made_budget(admin, scope="agent")
        assert problem(raised(admin, everyones, target="ghost")) == (404, "not_found", ["/target"])
        own = made_budget(admin, scope="agent", target=agent.key)
        assert problem(raised(admin, own, target=agent.key)) == (400, "invalid_field", ["/target"])
        one_run = made_budget(admin, scope="run", target="r-1")
        assert problem(raised(admin, one_run, run="r-2")) == (400, "invalid_field", ["/run"])
        assert raised(admin, one_run, run="r-1").status_code == 201

    def test_of_an_archived_budget(self) -> None:
        admin = caller(make_organization())
        budget = made_budget(admin)
        admin.post(f"/v1/budgets/{budget}/archive")
        assert problem(raised(admin, budget))[:2] == (409, "invalid_transition")

    def test_in_a_closed_organization(self) -> None:
        organization = make_organization()
        budget = made_budget(caller(organization))
        assert platform().post(f"/v1/organizations/{organization}/archive").status_code == 200
        assert problem(raised(platform(), budget))[:2] == (403, "organization_closed")


class TestEndingAnOverride:
    def test_is_kept_with_actor_and_reason_and_done_once(self) -> None:
        organization = make_organization()
        key = make_key(organization)
        admin = Caller(key.secret)
        name = raised(admin, made_budget(admin)).json()["id"]
        ended = admin.post(f"/v1/budget-overrides/{name}/end", {"reason": "over early"})
        assert ended.status_code == 200
        assert (ended.json()["status"], ended.json()["ended_by"]) == ("ended", f"key:{key.key.id}")
        assert ended.json()["end_reason"] == "over early"
        assert admin.get(f"/v1/budget-overrides/{name}").json() == ended.json()
        kind, _, version, _, data = events_of(organization)[-1]
        assert (kind, version, data["changed"]["ended_by"]) == (
            "budget_override.ended",
            2,
            [None, f"key:{key.key.id}"],
        )
        before = events_of(organization)
        again = admin.post(f"/v1/budget-overrides/{name}/end", {"reason": "again"})
        assert problem(again) == (409, "invalid_transition", [])
        assert events_of(organization) == before

    def test_needs_a_reason(self) -> None:
        admin = caller(make_organization())
        name = raised(admin, made_budget(admin)).json()["id"]
        assert problem(admin.post(f"/v1/budget-overrides/{name}/end", {})) == (
            400,
            "invalid_field",
            ["/reason"],
        )

    def test_happens_by_itself_when_its_time_is_over(self) -> None:
        organization = make_organization(sandbox=True)
        admin = caller(organization)
        budget = made_budget(admin)
        until = datetime.fromisoformat(admin.get(f"/v1/budgets/{budget}").json()["created_at"])
        soon = (until + timedelta(hours=1)).isoformat()
        name = raised(admin, budget, until=soon).json()["id"]
        write(lambda cur: advance_clock(cur, organization=organization, by=timedelta(hours=2), author=AUTHOR))
        assert admin.get(f"/v1/budget-overrides/{name}").json()["status"] == "expired"
        answer = admin.post(f"/v1/budget-overrides/{name}/end", {"reason": "late"})
        assert problem(answer)[:2] == (409, "invalid_transition")
        listed = {
            status: len(admin.get(f"/v1/budgets/{budget}/overrides", status=status).json()["data"])
            for status in ("active", "expired", "ended")
        }
        assert listed == {"active": 0, "expired": 1, "ended": 0}


class TestWhoMayRaiseABudget:
    """S43: only whoever may edit the budget."""

    @pytest.mark.parametrize(
        ("role", "level", "allowed"),
        [
            ("owner", "organization", True),
            ("owner", "team", False),
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
        admin = caller(organization)
        given: dict[str, Any] = {
            "organization": {},
            "team": {"scope": "team", "target": "research"},
            "other team": {"scope": "team", "target": "other"},
            "agent of team": {"scope": "agent", "target": "research-bot"},
        }[level]
        budget = made_budget(admin, **given)
        name = raised(admin, budget).json()["id"]
        editor = admin
        if role is not None:
            member = make_member(organization, role, team="research" if role == "team_owner" else None)
            editor = caller(organization, "admin", "spend:read", "spend:write", member=str(member.id))
        before = events_of(organization)
        answers = [
            raised(editor, budget),
            editor.post(f"/v1/budget-overrides/{name}/end", {"reason": "enough"}),
        ]
        if allowed:
            assert [answer.status_code for answer in answers] == [201, 200]
        else:
            assert [problem(answer)[:2] for answer in answers] == [(403, "forbidden")] * 2
            assert events_of(organization) == before

    def test_reading_needs_the_scope_only_and_no_limited_key(self) -> None:
        organization = make_organization()
        agent = make_agent(organization)
        budget = made_budget(caller(organization))
        path = f"/v1/budgets/{budget}/overrides"
        assert caller(organization, "spend:read").get(path).status_code == 200
        assert problem(caller(organization, "billing:read").get(path))[:2] == (403, "forbidden")
        limited = caller(organization, "spend:read", agents=(str(agent.id),))
        assert problem(limited.get(path))[:2] == (403, "not_permitted")


class TestTenants:
    def test_another_organizations_is_answered_like_an_unknown_one(self) -> None:
        mine, other = caller(make_organization()), caller(make_organization())
        budget = made_budget(other)
        theirs = raised(other, budget).json()["id"]
        for name in (budget, UNKNOWN, "-1", "%00"):
            assert problem(raised(mine, name)) == (404, "not_found", [])
            assert problem(mine.get(f"/v1/budgets/{name}/overrides")) == (404, "not_found", [])
        for name in (theirs, budget, UNKNOWN, "-1", "%00"):
            assert problem(mine.get(f"/v1/budget-overrides/{name}")) == (404, "not_found", [])
            answer = mine.post(f"/v1/budget-overrides/{name}/end", {"reason": "x"})
            assert problem(answer) == (404, "not_found", [])

    def test_the_platform_acts_for_the_budgets_organization(self) -> None:
        admin = caller(make_organization())
        made = raised(platform(), made_budget(admin))
        assert made.status_code == 201
        assert platform().get(f"/v1/budget-overrides/{made.json()['id']}").json() == made.json()


class TestLists:
    def test_are_read_page_by_page(self) -> None:
        admin = caller(make_organization())
        budget = made_budget(admin)
        names = [raised(admin, budget).json()["id"] for _ in range(3)]
        path = f"/v1/budgets/{budget}/overrides"
        first = admin.get(path, limit="2").json()
        second = admin.get(path, limit="2", cursor=first["next_cursor"]).json()
        assert [row["id"] for row in first["data"] + second["data"]] == names[::-1]
        assert second["next_cursor"] is None
        assert problem(admin.get(path, status="maybe"))[:2] == (400, "invalid_parameter")
        assert problem(admin.get(path, colour="red"))[:2] == (400, "unknown_parameter")
