"""Who may see and change which rate limits: levels of policy, other organizations, lists (S43)."""

import pytest

from tests.builders.orgs import (
    caller,
    events_of,
    make_agent,
    make_key,
    make_member,
    make_organization,
    make_team,
    platform,
)
from tests.functional.spend.test_rate_limits import OPEN, PER_MINUTE, UNKNOWN, problem


class TestWhoMayEditARateLimit:
    """S43: org and team owners edit only their own level; a member none."""

    @pytest.mark.parametrize(
        ("role", "level", "allowed"),
        [
            ("owner", "organization", True),
            ("owner", "key", True),
            ("owner", "team", False),
            ("owner", "agent of team", False),
            ("team_owner", "organization", False),
            ("team_owner", "key", False),
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
            "organization": PER_MINUTE,
            "key": {**PER_MINUTE, "scope": "key"},
            "team": {**PER_MINUTE, "scope": "team", "target": "research"},
            "other team": {**PER_MINUTE, "scope": "team", "target": "other"},
            "agent of team": {**PER_MINUTE, "scope": "agent", "target": "research-bot"},
        }[level]
        made = caller(organization).post("/v1/rate-limits", body).json()
        if role is None:
            editor = caller(organization)
        else:
            team = "research" if role == "team_owner" else None
            member = make_member(organization, role, team=team)
            editor = caller(organization, "admin", "spend:read", "spend:write", member=str(member.id))
        before = events_of(organization)
        answers = [
            editor.post("/v1/rate-limits", body),
            editor.patch(f"/v1/rate-limits/{made['id']}", {"limit": 100}),
            editor.post(f"/v1/rate-limits/{made['id']}/archive"),
        ]
        if allowed:
            assert [answer.status_code for answer in answers] == [201, 200, 200]
        else:
            assert [problem(answer)[:2] for answer in answers] == [(403, "forbidden")] * 3
            assert events_of(organization) == before

    def test_reading_needs_the_scope_only(self) -> None:
        organization = make_organization()
        made = caller(organization).post("/v1/rate-limits", PER_MINUTE).json()["id"]
        for path in ("/v1/rate-limits", f"/v1/rate-limits/{made}"):
            assert caller(organization, "spend:read").get(path).status_code == 200
            assert problem(caller(organization, "billing:read").get(path))[:2] == (403, "forbidden")

    def test_a_limited_key_reads_those_of_what_it_is_for(self) -> None:
        organization = make_organization()
        make_agent(organization)
        make_agent(organization, "other", "Other")
        admin = caller(organization)
        admin.post("/v1/rate-limits", PER_MINUTE)
        admin.post("/v1/rate-limits", {**PER_MINUTE, "scope": "agent", "target": "other"})
        mine = admin.post("/v1/rate-limits", {**PER_MINUTE, "scope": "agent", "target": "research-bot"})
        limited = caller(organization, "spend:read", "admin", agents=("research-bot",))
        assert limited.get("/v1/rate-limits").json()["data"] == [mine.json()]
        assert problem(limited.post("/v1/rate-limits", PER_MINUTE))[:2] == (403, "forbidden")


class TestTenants:
    def test_another_organizations_rate_limit_is_answered_like_an_unknown_one(self) -> None:
        mine, other = make_organization(), make_organization()
        theirs = caller(other).post("/v1/rate-limits", PER_MINUTE).json()["id"]
        admin = caller(mine)
        for name in (theirs, UNKNOWN, "-1", "%00", "%EF%BC%91"):
            path = f"/v1/rate-limits/{name}"
            assert problem(admin.get(path)) == (404, "not_found", [])
            assert problem(admin.patch(path, {"limit": 1})) == (404, "not_found", [])
            assert problem(admin.post(f"{path}/archive")) == (404, "not_found", [])
        assert admin.get("/v1/rate-limits").json()["data"] == []

    def test_another_organizations_target_is_answered_like_an_unknown_one(self) -> None:
        mine, other = make_organization(), make_organization()
        agent, key = make_agent(other), make_key(other).key
        named = [("agent", str(agent.id)), ("agent", agent.key), ("key", str(key.id)), ("agent", UNKNOWN)]
        named.append(("organization", str(other)))
        for scope, target in named:
            answer = caller(mine).post("/v1/rate-limits", {**PER_MINUTE, "scope": scope, "target": target})
            assert problem(answer) == (404, "not_found", ["/target"])

    def test_the_platform_acts_for_the_organization_that_it_names(self) -> None:
        organization = make_organization()
        made = platform().post("/v1/rate-limits", {**PER_MINUTE, "organization": str(organization)})
        assert (made.status_code, made.json()["organization"]) == (201, str(organization))
        assert platform().get(f"/v1/rate-limits/{made.json()['id']}").json() == made.json()


class TestLists:
    def test_are_read_page_by_page(self) -> None:
        admin = caller(make_organization())
        made = [admin.post("/v1/rate-limits", {**PER_MINUTE, "limit": n}).json()["id"] for n in range(5)]
        first = admin.get("/v1/rate-limits", limit="3").json()
        rest = admin.get("/v1/rate-limits", limit="3", cursor=first["next_cursor"]).json()
        assert [row["id"] for row in first["data"] + rest["data"]] == made[::-1]
        assert rest["next_cursor"] is None

    def test_are_filtered_by_scope_and_unit(self) -> None:
        admin = caller(make_organization())
        wide = admin.post("/v1/rate-limits", PER_MINUTE).json()
        opened = admin.post("/v1/rate-limits", OPEN).json()
        assert admin.get("/v1/rate-limits", scope="agent").json()["data"] == [opened]
        assert admin.get("/v1/rate-limits", unit="requests").json()["data"] == [wide]
        assert problem(admin.get("/v1/rate-limits", scope="run"))[:2] == (400, "invalid_parameter")
        assert problem(admin.get("/v1/rate-limits", unit="money"))[:2] == (400, "invalid_parameter")
        assert problem(admin.get("/v1/rate-limits", colour="red"))[:2] == (400, "unknown_parameter")
