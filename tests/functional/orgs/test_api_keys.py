"""API keys through HTTP: made once, rotated with two live keys, revoked at once, limited by scope and role."""

import hashlib
import io
import json
import re
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from common.ids import new_id
from orgs import PLATFORM_ID
from orgs.queries.authentication import authenticate
from orgs.rules.rows import ApiKey
from tests.builders.orgs import (
    Caller,
    caller,
    config_epoch,
    events_of,
    http,
    make_agent,
    make_connection,
    make_key,
    make_member,
    make_organization,
    make_team,
    platform,
    write,
)


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code")


def pointers(answer: Any) -> list[str]:
    return [error["pointer"] for error in answer.json()["errors"]]


class TestMakingAKey:
    def test_shows_the_secret_once_and_stores_only_its_digest(self) -> None:
        organization = make_organization()
        admin = caller(organization)
        made = admin.post(
            f"/v1/organizations/{organization}/api-keys", {"name": "ci", "scopes": ["spend:read"]}, key="k1"
        )
        assert made.status_code == 201
        assert made.headers["Cache-Control"] == "no-store"
        shown = made.json()
        secret = shown.pop("secret")
        assert re.fullmatch(r"cfk_[0-9a-f]{40}", secret)
        assert shown["prefix"] == secret[:12]
        assert shown["scopes"] == ["spend:read"]
        one = admin.get(f"/v1/organizations/{organization}/api-keys/{shown['id']}")
        assert one.json() == shown
        last = events_of(organization)[-1]
        assert last[4]["secret_hash"] == hashlib.sha256(secret.encode()).hexdigest()
        assert secret not in json.dumps(last[4])

    def test_answers_a_repetition_with_the_same_secret_which_lies_nowhere_in_clear(self) -> None:
        organization = make_organization()
        admin = caller(organization)
        body = {"name": "ci", "scopes": ["spend:read"]}
        path = f"/v1/organizations/{organization}/api-keys"
        first, second = admin.post(path, body, key="k1"), admin.post(path, body, key="k1")
        assert second.content == first.content
        assert second.headers["Idempotent-Replayed"] == "true"
        secret = first.json()["secret"]
        assert Caller(secret).get("/v1/agents").status_code == 200

        def stored(cur: Any) -> bytes:
            from common.idempotency import unpacked

            cur.execute("SELECT body FROM api_idempotency_keys WHERE organization = %s", (organization,))
            return b"".join(unpacked(bytes(row[0])) for row in cur.fetchall())

        assert secret[4:].encode() not in write(stored)

    def test_refuses_unknown_scopes_an_end_in_the_past_and_a_member_of_nobody(self) -> None:
        organization = make_organization()
        admin = caller(organization)
        path = f"/v1/organizations/{organization}/api-keys"
        unknown = admin.post(path, {"name": "x", "scopes": ["everything"]})
        assert code(unknown) == (400, "invalid_field")
        empty = admin.post(path, {"name": "x", "scopes": []})
        assert code(empty) == (400, "invalid_field")
        past = admin.post(path, {"name": "x", "scopes": ["admin"], "expires_at": "2020-01-01T00:00:00Z"})
        assert code(past) == (400, "invalid_period")
        naive = admin.post(path, {"name": "x", "scopes": ["admin"], "expires_at": "2040-01-01T00:00:00"})
        assert code(naive) == (400, "naive_datetime")
        nobody = admin.post(path, {"name": "x", "scopes": ["admin"], "member": str(new_id())})
        assert code(nobody) == (404, "not_found")
        assert pointers(nobody) == ["/member"]
        assert [event[0] for event in events_of(organization)] == ["organization.created", "api_key.created"]

    def test_gives_the_scope_platform_to_keys_of_the_platform_only(self) -> None:
        organization = make_organization()
        path = f"/v1/organizations/{organization}/api-keys"
        body = {"name": "x", "scopes": ["platform"]}
        assert code(caller(organization).post(path, body)) == (403, "forbidden")
        assert code(platform().post(path, body)) == (400, "invalid_field")
        made = platform().post(f"/v1/organizations/{PLATFORM_ID}/api-keys", body)
        assert made.status_code == 201
        assert Caller(made.json()["secret"]).get("/v1/organizations/" + str(organization)).status_code == 200

    def test_is_refused_to_a_key_that_is_itself_limited(self) -> None:
        organization = make_organization()
        make_agent(organization, "bot")
        limited = caller(organization, "admin", agents=["bot"])
        answer = limited.post(
            f"/v1/organizations/{organization}/api-keys", {"name": "x", "scopes": ["admin"]}
        )
        assert code(answer) == (403, "forbidden")


class TestLimits:
    def test_to_agents_and_connections_are_known_by_their_ids(self) -> None:
        organization = make_organization()
        agent, connection = make_agent(organization, "bot"), make_connection(organization, "main")
        made = caller(organization).post(
            f"/v1/organizations/{organization}/api-keys",
            {"name": "x", "scopes": ["spend:write"], "agents": ["bot"], "connections": [str(connection.id)]},
        )
        assert made.json()["agents"] == [str(agent.id)]
        principal = write(lambda cur: authenticate(cur, made.json()["secret"]))
        assert principal is not None
        assert principal.agent_ids == frozenset({agent.id})
        assert principal.connection_ids == frozenset({connection.id})
        assert principal.scopes == frozenset({"spend:write", "spend:read"})


class TestRotation:
    def test_leaves_two_live_keys_until_the_overlap_is_over(self) -> None:
        organization = make_organization()
        admin = caller(organization)
        old = make_key(organization, "spend:read")
        path = f"/v1/organizations/{organization}/api-keys/{old.key.id}/rotate"
        rotated = admin.post(path, {"overlap_seconds": 3600})
        assert rotated.status_code == 201
        new = rotated.json()
        assert new["rotated_from"] == str(old.key.id)
        assert new["scopes"] == ["spend:read"]
        for secret in (old.secret, new["secret"]):
            assert Caller(secret).get("/v1/agents").status_code == 200
        assert code(admin.post(path, {})) == (409, "invalid_transition")
        shown = admin.get(f"/v1/organizations/{organization}/api-keys/{old.key.id}").json()
        assert shown["expires_at"] is not None

    def test_without_overlap_ends_the_old_key_at_once(self) -> None:
        organization = make_organization()
        old = make_key(organization, "spend:read")
        path = f"/v1/organizations/{organization}/api-keys/{old.key.id}/rotate"
        new = caller(organization).post(path, {"overlap_seconds": 0}).json()
        assert code(Caller(old.secret).get("/v1/agents")) == (401, "invalid_credentials")
        assert Caller(new["secret"]).get("/v1/agents").status_code == 200

    def test_never_leaves_three_live_keys(self) -> None:
        organization = make_organization()
        admin = caller(organization)
        first = make_key(organization, "spend:read")
        path = f"/v1/organizations/{organization}/api-keys"
        second = admin.post(f"{path}/{first.key.id}/rotate").json()
        third = admin.post(f"{path}/{second['id']}/rotate").json()
        assert code(Caller(first.secret).get("/v1/agents")) == (401, "invalid_credentials")
        for secret in (second["secret"], third["secret"]):
            assert Caller(secret).get("/v1/agents").status_code == 200

    def test_is_repeated_under_its_key_with_the_same_secret(self) -> None:
        organization = make_organization()
        admin = caller(organization)
        old = make_key(organization, "spend:read")
        path = f"/v1/organizations/{organization}/api-keys/{old.key.id}/rotate"
        assert admin.post(path, {}, key="r").content == admin.post(path, {}, key="r").content

    def test_of_a_revoked_key_is_refused(self) -> None:
        organization = make_organization()
        admin = caller(organization)
        old = make_key(organization, "spend:read")
        path = f"/v1/organizations/{organization}/api-keys/{old.key.id}"
        admin.post(f"{path}/revoke")
        assert code(admin.post(f"{path}/rotate")) == (409, "invalid_transition")

    def test_refuses_an_overlap_out_of_range(self) -> None:
        organization = make_organization()
        old = make_key(organization, "spend:read")
        path = f"/v1/organizations/{organization}/api-keys/{old.key.id}/rotate"
        for overlap in (-1, 31 * 86_400, "60", 1.5):
            answer = caller(organization).post(path, {"overlap_seconds": overlap})
            assert code(answer) == (400, "invalid_field")


class TestRevocation:
    @pytest.mark.parametrize("way", ["revoke", "delete"])
    def test_stops_the_key_at_its_next_request_in_every_process(self, way: str) -> None:
        organization = make_organization()
        admin = caller(organization)
        key = make_key(organization, "spend:read")
        with psycopg.connect(settings.GATE_DATABASE_URL, autocommit=True) as gate, gate.cursor() as cur:
            assert authenticate(cur, key.secret) is not None
            before = config_epoch(organization)
            path = f"/v1/organizations/{organization}/api-keys/{key.key.id}"
            answer = admin.post(f"{path}/revoke") if way == "revoke" else admin.delete(path)
            assert (answer.status_code, answer.json()["status"]) == (200, "revoked")
            assert authenticate(cur, key.secret) is None
            assert config_epoch(organization) == before + 1
        assert code(Caller(key.secret).get("/v1/agents")) == (401, "invalid_credentials")
        events = events_of(organization)
        assert admin.post(f"{path}/revoke").status_code == 200
        assert events_of(organization) == events

    def test_follows_when_the_member_leaves(self) -> None:
        organization = make_organization()
        member = make_member(organization, "owner")
        key = make_key(organization, "admin", member=str(member.id))
        assert Caller(key.secret).get("/v1/members").status_code == 200
        caller(organization).post(f"/v1/members/{member.id}/archive")
        assert code(Caller(key.secret).get("/v1/members")) == (401, "invalid_credentials")


class TestCredentials:
    @pytest.mark.parametrize(
        "header",
        [
            None,
            "",
            "Bearer",
            "Bearer ",
            "Basic cfk_0000000000000000000000000000000000000000",
            "Bearer cfk_0000000000000000000000000000000000000000",
            "Bearer cfk_' OR '1'='1",
            "Bearer " + "x" * 10_000,
            "Bearer cfk_\u00e9000000000000000000000000000000000000000",
        ],
    )
    def test_that_are_absent_malformed_or_unknown_are_answered_alike(self, header: str | None) -> None:
        headers = {} if header is None else {"Authorization": header}
        answer = http().get("/v1/agents", headers=headers)
        assert code(answer) == (401, "invalid_credentials")
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.json()["detail"] == "No valid credentials were given."

    def test_are_noted_as_used_at_most_once_a_minute(self) -> None:
        organization = make_organization()
        key = make_key(organization, "spend:read")
        admin = caller(organization)
        path = f"/v1/organizations/{organization}/api-keys/{key.key.id}"
        assert admin.get(path).json()["last_used_at"] is None
        Caller(key.secret).get("/v1/agents")
        first = admin.get(path).json()["last_used_at"]
        assert first is not None
        Caller(key.secret).get("/v1/agents")
        assert admin.get(path).json()["last_used_at"] == first


class TestTheCommand:
    def test_makes_a_key_of_the_platform(self) -> None:
        out = io.StringIO()
        call_command("create_api_key", "--platform", "--json", stdout=out)
        made = json.loads(out.getvalue())
        assert made["organization"] == str(PLATFORM_ID)
        assert made["scopes"] == ["platform"]
        assert Caller(made["secret"]).get("/v1/organizations").status_code == 200

    def test_makes_a_key_of_an_organization_with_the_given_scopes(self) -> None:
        organization = make_organization()
        out = io.StringIO()
        call_command(
            "create_api_key", "--organization", str(organization), "--scopes", "spend:read", stdout=out
        )
        assert Caller(out.getvalue().strip()).get("/v1/agents").json()["data"] == []

    @pytest.mark.parametrize(
        "arguments",
        [
            ("--organization", str(new_id())),
            ("--organization", "acme"),
            ("--platform", "--scopes", "everything"),
            ("--platform", "--scopes", ""),
        ][:3],
    )
    def test_refuses_what_is_not_there(self, arguments: tuple[str, ...]) -> None:
        with pytest.raises(CommandError):
            call_command("create_api_key", *arguments)


class TestRoles:
    """S43 and the limits of a member's key."""

    def _member(self, organization: Any, role: str, team: str | None = None) -> Caller:
        member = make_member(organization, role, team)
        return caller(
            organization, "admin", "spend:write", "spend:read", "billing:read", member=str(member.id)
        )

    def test_decide_who_sets_up_what(self) -> None:
        organization = make_organization()
        make_team(organization, "own", "Own")
        make_team(organization, "other", "Other")
        allowed = {
            "owner": {"team", "workflow", "loose", "own", "other", "member", "key"},
            "billing_admin": set(),
            "team_owner": {"own"},
            "member": set(),
        }
        for role, may in allowed.items():
            who = self._member(organization, role, "own" if role == "team_owner" else None)
            tag = role.replace("_", "")
            attempts = {
                "team": who.post("/v1/teams", {"key": f"t-{tag}", "name": f"T {tag}"}),
                "workflow": who.post("/v1/workflows", {"key": f"w-{tag}", "name": f"W {tag}"}),
                "loose": who.post("/v1/agents", {"key": f"a-{tag}", "name": f"A {tag}"}),
                "own": who.post("/v1/agents", {"key": f"b-{tag}", "name": f"B {tag}", "team": "own"}),
                "other": who.post("/v1/agents", {"key": f"c-{tag}", "name": f"C {tag}", "team": "other"}),
                "member": who.post("/v1/members", {"name": "Bob", "role": "member"}),
                "key": who.post(
                    f"/v1/organizations/{organization}/api-keys", {"name": "k", "scopes": ["spend:read"]}
                ),
            }
            for what, answer in attempts.items():
                expected = (201, None) if what in may else (403, "forbidden")
                assert code(answer) == expected, (role, what)

    def test_keep_a_team_owner_from_moving_agents_in_or_out_of_the_own_team(self) -> None:
        organization = make_organization()
        make_team(organization, "own", "Own")
        make_team(organization, "other", "Other")
        make_agent(organization, "mine", "Mine", team="own")
        make_agent(organization, "foreign", "Foreign", team="other")
        who = self._member(organization, "team_owner", "own")
        assert who.patch("/v1/agents/mine", {"name": "Mine too"}).status_code == 200
        events = events_of(organization)
        assert code(who.patch("/v1/agents/mine", {"team": "other"})) == (403, "forbidden")
        assert code(who.patch("/v1/agents/mine", {"team": None})) == (403, "forbidden")
        assert code(who.patch("/v1/agents/foreign", {"team": "own"})) == (403, "forbidden")
        assert code(who.post("/v1/agents/foreign/archive")) == (403, "forbidden")
        assert events_of(organization) == events
        assert who.post("/v1/agents/mine/archive").status_code == 200

    def test_of_an_owner_make_no_key_that_can_do_more(self) -> None:
        organization = make_organization()
        make_team(organization, "own", "Own")
        owner, lead, member = (
            str(make_member(organization, role, team).id)
            for role, team in (("owner", None), ("team_owner", "own"), ("member", None))
        )
        make_agent(organization)
        who, path = caller(organization, "admin", member=owner), f"/v1/organizations/{organization}/api-keys"
        before = events_of(organization)
        for more in ({}, {"member": lead}):
            answer = who.post(path, {"name": "k", "scopes": ["admin", "spend:read"], **more})
            assert code(answer) == (403, "forbidden"), more
        assert events_of(organization) == before
        for scopes, less in (
            (["admin"], {"member": owner}),
            (["admin"], {"member": member}),
            (["admin"], {"agents": ["research-bot"]}),
            (["spend:write", "spend:read"], {}),
            (["spend:write"], {"member": lead}),
        ):
            assert who.post(path, {"name": "k", "scopes": scopes, **less}).status_code == 201, less

    def test_of_an_owner_rotate_no_key_that_can_do_more(self) -> None:
        organization = make_organization()
        who = caller(organization, "admin", member=str(make_member(organization, "owner").id))
        path = f"/v1/organizations/{organization}/api-keys"
        above, beside = make_key(organization, "admin"), make_key(organization, "spend:read")
        before = events_of(organization)
        assert code(who.post(f"{path}/{above.key.id}/rotate")) == (403, "forbidden")
        assert events_of(organization) == before
        assert who.post(f"{path}/{beside.key.id}/rotate").status_code == 201
        assert who.post(f"{path}/{above.key.id}/revoke").status_code == 200

    def test_of_an_owner_see_no_secret_of_a_key_that_another_made(self) -> None:
        organization = make_organization()
        owner = str(make_member(organization, "owner").id)
        admin, who = caller(organization, "admin"), caller(organization, "admin", member=owner)
        path, body = f"/v1/organizations/{organization}/api-keys", {"name": "k", "scopes": ["admin"]}
        first = admin.post(path, body, key="made-once")
        assert code(who.post(path, body, key="made-once")) == (403, "forbidden")
        assert admin.post(path, body, key="made-once").json() == first.json()

    def test_of_an_admin_key_without_a_member_make_every_key(self) -> None:
        organization = make_organization()
        who, path = caller(organization, "admin"), f"/v1/organizations/{organization}/api-keys"
        assert who.post(path, {"name": "k", "scopes": ["admin", "spend:write"]}).status_code == 201
        assert who.post(f"{path}/{make_key(organization, 'admin').key.id}/rotate").status_code == 201

    def test_of_today_count_not_those_of_the_day_when_the_key_was_made(self) -> None:
        organization = make_organization()
        member = make_member(organization, "owner")
        who = caller(organization, "admin", member=str(member.id))
        assert who.get("/v1/members").status_code == 200
        caller(organization).patch(f"/v1/members/{member.id}", {"role": "billing_admin"})
        assert code(who.get("/v1/members")) == (403, "forbidden")

    def test_leave_a_key_no_scope_beyond_those_of_the_role(self) -> None:
        organization = make_organization()
        member = make_member(organization, "member")
        issued = make_key(organization, "admin", "billing:write", "spend:read", member=str(member.id))
        principal = write(lambda cur: authenticate(cur, issued.secret))
        assert principal is not None
        assert principal.scopes == frozenset({"spend:read"})
        assert isinstance(issued.key, ApiKey)
