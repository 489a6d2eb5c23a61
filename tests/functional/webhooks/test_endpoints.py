"""Webhook endpoints through HTTP: who sets them up, what is refused, secrets shown once (S113)."""

from typing import Any

import pytest

from common.idempotency import unpacked
from common.ids import new_id
from tests.builders.orgs import (
    caller,
    events_of,
    make_agent,
    make_member,
    make_organization,
    platform,
    unique,
    write,
)
from tests.builders.webhooks import told
from webhooks.rules.outbound.endpoints import MAX_ENDPOINTS

ENDPOINTS = "/v1/webhook-endpoints"
URL = "https://93.184.215.14/hooks"


def body(**given: Any) -> dict[str, Any]:
    return {"url": URL, "event_types": ["invoice.*"], **given}


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def pointers(answer: Any) -> list[str]:
    return [error["pointer"] for error in answer.json()["errors"]]


class TestMakingAnEndpoint:
    def test_shows_its_secret_once(self) -> None:
        api = caller(make_organization(), "admin")
        answer = api.post(ENDPOINTS, body(description="books"))
        made = answer.json()
        assert answer.status_code == 201
        assert answer.headers["Cache-Control"] == "no-store"
        secret = made.pop("secret")
        assert secret.startswith("whsec_")
        assert (made["status"], made["enabled"], made["low_credit"]) == ("enabled", True, [])
        assert api.get(f"{ENDPOINTS}/{made['id']}").json() == made
        assert api.get(ENDPOINTS).json()["data"] == [made]

    def test_keeps_its_secret_sealed_wherever_it_lies(self) -> None:
        organization = make_organization()
        answer = caller(organization, "admin").post(ENDPOINTS, body(), key=unique())
        secret = answer.json()["secret"].removeprefix("whsec_")

        def stored(cur: Any) -> list[str]:
            found = [row[0] for row in cur.execute("SELECT sealed FROM webhook_secrets").fetchall()]
            rows = cur.execute(
                "SELECT body FROM api_idempotency_keys WHERE organization = %s", (organization,)
            )
            return found + [unpacked(bytes(row[0])).decode() for row in rows.fetchall()]

        assert all(secret not in text for text in write(stored))
        assert secret not in str(events_of(organization))

    def test_repeated_under_its_key_is_one_endpoint_with_one_secret(self) -> None:
        api = caller(make_organization(), "admin")
        key = unique()
        first, again = (api.post(ENDPOINTS, body(), key=key) for _ in range(2))
        assert again.headers["Idempotent-Replayed"] == "true"
        assert again.json() == first.json()
        assert len(api.get(ENDPOINTS).json()["data"]) == 1
        assert code(api.post(ENDPOINTS, body(description="x"), key=key)) == (422, "idempotency_key_reused")

    @pytest.mark.parametrize(
        ("given", "expected", "pointer"),
        [
            ({"event_types": []}, "invalid_field", "/event_types"),
            ({"event_types": ["nothing.happened"]}, "invalid_field", "/event_types/0"),
            ({"event_types": ["invoice.*", "invoice.pa*"]}, "invalid_field", "/event_types/1"),
            ({"low_credit": ["-1"]}, "invalid_amount", "/low_credit"),
            ({"low_credit": ["1", "2", "3", "4", "5", "6"]}, "invalid_field", "/low_credit"),
            ({"url": None}, "invalid_url", "/url"),
            ({"url": 4}, "invalid_url", "/url"),
            ({"secret": "whsec_x"}, "unknown_field", "/secret"),
            ({"status": "enabled"}, "read_only_field", "/status"),
        ],
        ids=str,
    )
    def test_refuses_what_does_not_fit_and_makes_nothing(
        self, given: dict[str, Any], expected: str, pointer: str
    ) -> None:
        organization = make_organization()
        api = caller(organization, "admin")
        before = events_of(organization)
        answer = api.post(ENDPOINTS, body(**given))
        assert code(answer) == (400, expected)
        assert pointers(answer) == [pointer] or pointers(answer)[0].startswith(pointer)
        assert events_of(organization) == before
        assert api.get(ENDPOINTS).json()["data"] == []

    def test_is_refused_from_the_twenty_first_on_until_one_is_archived(self) -> None:
        api = caller(make_organization(), "admin")
        made = [api.post(ENDPOINTS, body()).json()["id"] for _ in range(MAX_ENDPOINTS)]
        assert code(api.post(ENDPOINTS, body())) == (409, "too_many_endpoints")
        assert api.delete(f"{ENDPOINTS}/{made[0]}").json()["status"] == "archived"
        assert api.post(ENDPOINTS, body()).status_code == 201


class TestWhoMay:
    def test_set_up_is_an_admin_key_an_owner_or_webhooks_write(self) -> None:
        organization = make_organization()
        owner = make_member(organization, "owner")
        for api in (
            caller(organization, "admin"),
            caller(organization, "admin", member=str(owner.id)),
            caller(organization, "webhooks:write"),
        ):
            assert api.post(ENDPOINTS, body()).status_code == 201
        answer = platform().post(ENDPOINTS, body(organization=str(organization)))
        assert answer.status_code == 201

    def test_others_may_not_write_and_without_the_scope_not_read(self) -> None:
        organization = make_organization()
        member, agent = make_member(organization, "member"), make_agent(organization)
        made = caller(organization, "admin").post(ENDPOINTS, body()).json()["id"]
        before = events_of(organization)
        refused = (
            caller(organization, "webhooks:read"),
            caller(organization, "spend:write"),
            caller(organization, "admin", "webhooks:write", member=str(member.id)),
            caller(organization, "webhooks:write", agents=[agent.key]),
        )
        for api in refused:
            assert code(api.post(ENDPOINTS, body())) == (403, "forbidden")
            assert code(api.patch(f"{ENDPOINTS}/{made}", {"enabled": False})) == (403, "forbidden")
            assert code(api.post(f"{ENDPOINTS}/{made}/rotate-secret")) == (403, "forbidden")
        assert caller(organization, "webhooks:read").get(ENDPOINTS).status_code == 200
        assert code(caller(organization, "spend:read").get(ENDPOINTS)) == (403, "forbidden")
        kinds = [event[0] for event in events_of(organization)[len(before) :]]
        assert set(kinds) <= {"api_key.created"}

    def test_another_organizations_endpoint_and_delivery_are_unknown(self) -> None:
        mine = told(URL)
        delivery = mine.post("/test").json()["id"]
        stranger = caller(make_organization(), "admin")
        for path in ("", "/archive", "/rotate-secret", "/test"):
            call = stranger.get if not path else stranger.post
            assert code(call(f"{ENDPOINTS}/{mine.endpoint}{path}")) == (404, "not_found")
        since = {"since": "2026-01-01T00:00:00Z"}
        assert code(stranger.post(f"{ENDPOINTS}/{mine.endpoint}/replay", since)) == (404, "not_found")
        assert code(stranger.patch(f"{ENDPOINTS}/{mine.endpoint}", {"enabled": False})) == (404, "not_found")
        assert code(stranger.delete(f"{ENDPOINTS}/{mine.endpoint}")) == (404, "not_found")
        assert code(stranger.get(f"/v1/webhook-deliveries/{delivery}")) == (404, "not_found")
        assert code(stranger.post(f"/v1/webhook-deliveries/{delivery}/replay")) == (404, "not_found")
        assert stranger.get("/v1/webhook-deliveries").json()["data"] == []
        assert mine.get()["status"] == "enabled"
        assert code(mine.api.get(f"{ENDPOINTS}/{new_id()}")) == (404, "not_found")


class TestChanging:
    def test_writes_each_change_as_an_event_and_nothing_where_nothing_changes(self) -> None:
        mine = told(URL, "invoice.*")
        path = f"{ENDPOINTS}/{mine.endpoint}"
        changed = mine.api.patch(path, {"event_types": ["*"], "low_credit": ["5", "10"]}).json()
        assert (changed["event_types"], changed["low_credit"]) == (["*"], ["10", "5"])
        count = len(events_of(mine.organization))
        mine.api.patch(path, {"event_types": ["*"]})
        assert len(events_of(mine.organization)) == count
        assert events_of(mine.organization)[-1][0] == "webhook_endpoint.changed"

    def test_switches_off_and_on(self) -> None:
        mine = told(URL)
        path = f"{ENDPOINTS}/{mine.endpoint}"
        off = mine.api.patch(path, {"enabled": False}).json()
        assert (off["status"], off["disabled_reason"]) == ("disabled", "manual")
        assert code(mine.post("/test")) == (409, "invalid_transition")
        on = mine.api.patch(path, {"enabled": True}).json()
        assert (on["status"], on["disabled_reason"], on["disabled_at"]) == ("enabled", None, None)

    def test_an_archived_one_changes_no_more_and_has_no_secret(self) -> None:
        mine = told(URL)
        for _ in range(2):
            assert mine.post("/archive").json()["status"] == "archived"
        assert code(mine.api.patch(f"{ENDPOINTS}/{mine.endpoint}", {"enabled": True})) == (
            409,
            "invalid_transition",
        )
        assert code(mine.post("/rotate-secret")) == (409, "invalid_transition")
        assert code(mine.post("/test")) == (409, "invalid_transition")
        assert mine.api.get(ENDPOINTS).json()["data"] == []
        assert [row["id"] for row in mine.api.get(ENDPOINTS, status="archived").json()["data"]] == [
            mine.endpoint
        ]
        kept = write(
            lambda cur: cur.execute(
                "SELECT count(*) FROM webhook_secrets WHERE endpoint = %s", (mine.endpoint,)
            ).fetchone()
        )
        assert kept == (0,)
        kinds = [event[0] for event in events_of(mine.organization)]
        assert kinds.count("webhook_endpoint.archived") == 1
