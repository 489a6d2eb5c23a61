"""Velocity rules through the API and the staff's pages: what they may be, who may change them, and what is kept."""

import secrets
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from common.ids import new_id
from orgs.operations.organizations import close_organization
from tests.builders.orgs import (
    AUTHOR,
    caller,
    config_epoch,
    events_of,
    make_agent,
    make_member,
    make_organization,
    make_team,
    platform,
    write,
)

PATH = "/v1/velocity-rules"
WIDE = {"scope": "organization"}


def problem(answer: Any) -> tuple[int, str, list[str]]:
    body = answer.json()
    return answer.status_code, body["code"], [error["pointer"] for error in body.get("errors", ())]


class TestMakingARule:
    def test_answers_with_everything_that_holds(self) -> None:
        organization = make_organization(currency="EUR")
        admin = caller(organization)
        made = admin.post(PATH, WIDE)
        assert made.status_code == 201
        shown = made.json()
        assert {name: shown[name] for name in shown if name not in ("id", "created_at")} == {
            "organization": str(organization),
            "scope": "organization",
            "target": None,
            "target_id": None,
            "factor": 5,
            "minimum": "1",
            "history_hours": 24,
            "action": "notify",
            "mode": "enforce",
            "currency": "EUR",
            "status": "active",
            "version": 1,
            "archived_at": None,
        }
        assert admin.get(f"{PATH}/{shown['id']}").json() == shown
        assert admin.get(PATH).json() == {"data": [shown], "next_cursor": None}

    def test_names_its_agent_by_key_or_by_id(self) -> None:
        organization = make_organization()
        admin = caller(organization)
        for key in ("one", "two"):
            agent = make_agent(organization, key, key)
            name = key if key == "one" else str(agent.id)
            made = admin.post(PATH, {"scope": "agent", "target": name, "factor": 3, "minimum": "0.5"}).json()
            assert (made["target"], made["target_id"]) == (key, str(agent.id))
            assert (made["factor"], made["minimum"]) == (3, "0.5")

    def test_is_repeated_under_its_key(self) -> None:
        organization = make_organization()
        admin = caller(organization)
        first = admin.post(PATH, WIDE, key="v-1")
        again = admin.post(PATH, WIDE, key="v-1")
        assert (again.status_code, again.content) == (201, first.content)
        assert [row[0] for row in events_of(organization)].count("velocity_rule.created") == 1

    def test_costs_the_gate_nothing(self) -> None:
        organization = make_organization()
        admin = caller(organization)
        before = config_epoch(organization)
        assert admin.post(PATH, WIDE).status_code == 201
        assert config_epoch(organization) == before

    def test_of_a_target_that_has_one_is_a_conflict(self) -> None:
        organization = make_organization()
        make_agent(organization)
        admin = caller(organization)
        for body in (WIDE, {"scope": "agent", "target": "research-bot"}):
            made = admin.post(PATH, body).json()
            assert problem(admin.post(PATH, body)) == (409, "name_conflict", ["/target"])
            admin.post(f"{PATH}/{made['id']}/archive")
            assert admin.post(PATH, body).status_code == 201


class TestWhatARuleMayNotBe:
    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({"scope": "team"}, (400, "invalid_field", ["/scope"])),
            ({"scope": None}, (400, "invalid_field", ["/scope"])),
            ({"scope": "agent"}, (400, "invalid_field", ["/target"])),
            ({"scope": "agent", "target": "ghost"}, (404, "not_found", ["/target"])),
            ({"target": str(new_id())}, (404, "not_found", ["/target"])),
            ({"factor": 1}, (400, "invalid_field", ["/factor"])),
            ({"factor": 1_001}, (400, "invalid_field", ["/factor"])),
            ({"factor": "5"}, (400, "invalid_field", ["/factor"])),
            ({"factor": 5.0}, (400, "invalid_field", ["/factor"])),
            ({"factor": True}, (400, "invalid_field", ["/factor"])),
            ({"minimum": "-1"}, (400, "invalid_amount", ["/minimum"])),
            ({"minimum": 1}, (400, "invalid_amount", ["/minimum"])),
            ({"minimum": None}, (400, "invalid_amount", ["/minimum"])),
            ({"minimum": "1e3"}, (400, "invalid_amount", ["/minimum"])),
            ({"minimum": "0.000000001"}, (400, "invalid_amount", ["/minimum"])),
            ({"history_hours": 0}, (400, "invalid_field", ["/history_hours"])),
            ({"history_hours": 169}, (400, "invalid_field", ["/history_hours"])),
            ({"action": "stop"}, (400, "invalid_field", ["/action"])),
            ({"mode": "on"}, (400, "invalid_field", ["/mode"])),
            ({"colour": "red"}, (400, "unknown_field", ["/colour"])),
            ({"status": "active"}, (400, "read_only_field", ["/status"])),
        ],
    )
    def test_is_refused_by_name_and_leaves_nothing(
        self, change: dict[str, Any], expected: tuple[int, str, list[str]]
    ) -> None:
        organization = make_organization()
        admin, before = caller(organization), events_of(organization)
        answer = admin.post(PATH, {**WIDE, **change})
        assert problem(answer) == expected
        assert events_of(organization) == before

    def test_one_of_an_archived_agent_or_a_closed_organization(self) -> None:
        organization = make_organization()
        make_agent(organization)
        admin = caller(organization)
        admin.post("/v1/agents/research-bot/archive")
        answer = admin.post(PATH, {"scope": "agent", "target": "research-bot"})
        assert problem(answer) == (409, "invalid_transition", ["/target"])
        write(lambda cur: close_organization(cur, organization=organization, author=AUTHOR))
        assert admin.post(PATH, WIDE).json()["code"] == "organization_closed"


class TestChangingARule:
    def test_is_kept_with_actor_old_and_new_value(self) -> None:
        organization = make_organization()
        admin = caller(organization)
        made = admin.post(PATH, WIDE).json()
        changed = admin.patch(f"{PATH}/{made['id']}", {"factor": 8, "minimum": "2", "action": "pause"}).json()
        assert (changed["factor"], changed["minimum"], changed["action"], changed["version"]) == (
            8,
            "2",
            "pause",
            2,
        )
        kind, _, version, actor, data = events_of(organization)[-1]
        assert (kind, version, actor[:4]) == ("velocity_rule.changed", 2, "key:")
        assert data["changed"] == {
            "factor": [5, 8],
            "minimum": [100_000_000, 200_000_000],
            "action": ["notify", "pause"],
        }

    def test_leaves_no_event_when_nothing_changes(self) -> None:
        organization = make_organization()
        admin = caller(organization)
        made = admin.post(PATH, WIDE).json()
        before = events_of(organization)
        assert admin.patch(f"{PATH}/{made['id']}", {"factor": 5}).json()["version"] == 1
        assert events_of(organization) == before

    @pytest.mark.parametrize("field", ["scope", "target"])
    def test_leaves_what_it_is_for(self, field: str) -> None:
        organization = make_organization()
        admin = caller(organization)
        made = admin.post(PATH, WIDE).json()
        answer = admin.patch(f"{PATH}/{made['id']}", {field: "agent"})
        assert problem(answer) == (400, "read_only_field", [f"/{field}"])

    def test_ends_with_its_archiving(self) -> None:
        organization = make_organization()
        admin = caller(organization)
        made = admin.post(PATH, WIDE).json()
        ended = admin.post(f"{PATH}/{made['id']}/archive").json()
        assert (ended["status"], ended["version"]) == ("archived", 2)
        again = admin.post(f"{PATH}/{made['id']}/archive").json()
        assert again == ended
        answer = admin.patch(f"{PATH}/{made['id']}", {"factor": 9})
        assert problem(answer)[:2] == (409, "invalid_transition")
        assert admin.get(PATH, archived="false").json()["data"] == []
        assert admin.get(PATH, archived="true").json()["data"] == [ended]


class TestWhoMayEdit:
    @pytest.mark.parametrize(
        ("role", "level", "allowed"),
        [
            (None, "organization", True),
            (None, "team", True),
            ("owner", "organization", True),
            ("owner", "team", False),
            ("team_owner", "organization", False),
            ("team_owner", "team", True),
            ("team_owner", "other", False),
            ("billing_admin", "organization", False),
            ("member", "team", False),
        ],
    )
    def test_is_decided_by_role_and_level(self, role: str | None, level: str, allowed: bool) -> None:
        organization = make_organization()
        make_team(organization, "mine", "Mine")
        make_team(organization, "other", "Other")
        make_agent(organization, "ours", "Ours", team="mine")
        make_agent(organization, "theirs", "Theirs", team="other")
        member = None
        if role is not None:
            team = "mine" if role in ("team_owner", "member") else None
            member = str(make_member(organization, role, team=team).id)
        who, admin = caller(organization, "admin", member=member), caller(organization)
        target = {"team": "ours", "other": "theirs"}.get(level)
        body = WIDE if target is None else {"scope": "agent", "target": target}
        made = who.post(PATH, body)
        assert made.status_code == (201 if allowed else 403)
        name = made.json()["id"] if allowed else admin.post(PATH, body).json()["id"]
        assert who.patch(f"{PATH}/{name}", {"factor": 9}).status_code == (200 if allowed else 403)
        assert who.post(f"{PATH}/{name}/archive").status_code == (200 if allowed else 403)

    def test_reading_needs_the_scope_only(self) -> None:
        organization = make_organization()
        assert caller(organization, "spend:read").get(PATH).status_code == 200
        assert caller(organization, "spend:read").post(PATH, WIDE).status_code == 403
        assert caller(organization, "billing:read").get(PATH).status_code == 403

    def test_a_key_for_some_agents_reads_none(self) -> None:
        organization = make_organization()
        make_agent(organization)
        answer = caller(organization, "spend:read", agents=["research-bot"]).get(PATH)
        assert (answer.status_code, answer.json()["code"]) == (403, "not_permitted")


class TestTenants:
    def test_another_organizations_rule_is_answered_like_an_unknown_one(self) -> None:
        made = caller(make_organization()).post(PATH, WIDE).json()
        other = caller(make_organization())
        for name in (made["id"], str(new_id()), "nothing"):
            for answer in (
                other.get(f"{PATH}/{name}"),
                other.patch(f"{PATH}/{name}", {"factor": 9}),
                other.post(f"{PATH}/{name}/archive"),
            ):
                assert (answer.status_code, answer.json()["code"]) == (404, "not_found")

    def test_the_platform_acts_for_the_organization_that_it_names(self) -> None:
        organization = make_organization()
        made = platform().post(PATH, {**WIDE, "organization": str(organization)}).json()
        assert made["organization"] == str(organization)
        assert platform().get(f"{PATH}/{made['id']}").json() == made
        assert platform().get(PATH, organization=str(organization)).json()["data"] == [made]
        assert platform().post(PATH, WIDE).status_code == 400


def staff(*permissions: str) -> tuple[User, Client]:
    user = User.objects.create_user(f"staff-{secrets.token_hex(4)}", is_staff=True, password=None)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return user, client


class TestTheStaff:
    PAGE = "/admin/spend/velocityrule/"

    def form(self, owner: UUID, **given: str) -> dict[str, str]:
        base = {
            "organization": str(owner),
            "scope": "organization",
            "target": "",
            "factor": "5",
            "least": "1",
        }
        return {**base, "history_hours": "24", "action": "notify", "mode": "enforce", **given}

    def test_makes_changes_and_archives_rules(self) -> None:
        organization = make_organization()
        user, client = staff("add_velocityrule", "view_velocityrule", "change_velocityrule")
        assert client.post(f"{self.PAGE}add/", self.form(organization, factor="7")).status_code == 302
        (made,) = caller(organization).get(PATH).json()["data"]
        assert (made["factor"], made["minimum"]) == (7, "1")
        page = f"{self.PAGE}{made['id']}/change/"
        assert b'value="7"' in client.get(page).content
        assert client.post(page, self.form(organization, least="0.25", action="pause")).status_code == 302
        kind, _, _, actor, data = events_of(organization)[-1]
        assert (kind, actor) == ("velocity_rule.changed", f"staff:{user.pk}")
        assert data["changed"]["minimum"] == [100_000_000, 25_000_000]
        chosen = {"action": "archive", "_selected_action": [made["id"]]}
        assert b"1 done" in client.post(self.PAGE, chosen, follow=True).content
        assert events_of(organization)[-1][0] == "velocity_rule.archived"
        assert b'name="_save"' not in client.get(page).content

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"least": "1e3"}, b"integer digits"),
            ({"factor": "1"}, b"greater than or equal to 2"),
            ({"scope": "agent"}, b"names its agent"),
            ({"scope": "agent", "target": "ghost"}, b"no such agent"),
            ({"organization": ""}, b"Whose rule"),
        ],
    )
    def test_is_refused_by_the_rules_of_the_api(self, change: dict[str, str], said: bytes) -> None:
        organization = make_organization()
        _, client = staff("add_velocityrule", "view_velocityrule")
        before = events_of(organization)
        answer = client.post(f"{self.PAGE}add/", self.form(organization, **change), follow=True)
        assert said in answer.content
        assert events_of(organization) == before

    def test_that_may_only_look_changes_nothing(self) -> None:
        organization = make_organization()
        caller(organization).post(PATH, WIDE)
        _, client = staff("view_velocityrule")
        assert client.get(self.PAGE).status_code == 200
        assert client.get(f"{self.PAGE}add/").status_code == 403
