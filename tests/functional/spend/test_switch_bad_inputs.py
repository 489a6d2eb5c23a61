"""What every address that pauses, stops, kills or lets go on answers to bad input; each refusal moves nothing."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from tests.builders.gate import make_customer
from tests.builders.incidents import open_incident
from tests.builders.orgs import Caller, events_of, http
from tests.invariants import Still

PAUSE, RUN = "/v1/agents/bot/pause", "/v1/runs/r-1"
ROUTES = (
    "agent pause", "agent resume", "run pause", "run resume", "run stop", "kill", "release of a switch",
    "release of an incident",
)  # fmt: skip


@dataclass
class House:
    """A paused agent and run, and an incident, so that every route would be accepted."""

    organization: UUID
    api: Caller
    paths: dict[str, str]

    def send(self, route: str, raw: bytes, *, kind: str = "application/json", **headers: str) -> Any:
        sent = {"Authorization": f"Bearer {self.api.secret}", **headers}
        return http().post(self.paths[route], raw, content_type=kind, headers=sent)

    def body(self, route: str, **given: Any) -> dict[str, Any]:
        return {"reason": "x", **({"scope": "agent", "target": "bot"} if route == "kill" else {}), **given}

    def refuses(self, route: str, answers: Any, expected: tuple[int, str]) -> None:
        before = events_of(self.organization)
        with Still(self.organization):
            for _ in range(2):
                answer = answers()
                assert (answer.status_code, answer.json()["code"]) == expected, route
        assert events_of(self.organization) == before


@pytest.fixture(scope="module")
def house() -> House:
    customer = make_customer(scopes=("admin", "spend:write"))
    customer.reserved(subject={"run": "r-1"})
    switches = [customer.api.post(path, {"reason": "x"}).json()["id"] for path in (PAUSE, f"{RUN}/pause")]
    incident = open_incident(customer.id)
    paths = (
        PAUSE, "/v1/agents/bot/resume", f"{RUN}/pause", f"{RUN}/resume", f"{RUN}/stop", "/v1/kill-switches",
        f"/v1/kill-switches/{switches[0]}/release", f"/v1/incidents/{incident.id}/release",
    )  # fmt: skip
    return House(customer.id, customer.api, dict(zip(ROUTES, paths, strict=True)))


@pytest.mark.parametrize("route", ROUTES)
class TestABody:
    @pytest.mark.parametrize(
        ("raw", "expected"),
        [
            (b'{"reason": "a\\u0000b"}', "invalid_text"),  # B41
            (b'{"reason": "\\ud800"}', "invalid_text"),  # B42
            (b'{"reason": "\xff"}', "invalid_json"),  # B45
            (b'\xef\xbb\xbf{"reason": "x"}', "invalid_json"),  # B46
            (b"", "invalid_json"),  # B48
            (b"[]", "invalid_json"),  # B49
            (b"null", "invalid_json"),  # B50
            (b'{"reason": "x"} junk', "invalid_json"),  # B51
            (b"[" * 100_000, "invalid_json"),  # B52
            (b'{"reason": "a", "reason": "b"}', "duplicate_key"),  # B54
        ],
    )
    def test_that_is_not_strict_json_is_refused(
        self, house: House, route: str, raw: bytes, expected: str
    ) -> None:
        if expected == "invalid_text" and route == "kill":
            raw = raw.replace(b"{", b'{"scope": "organization", ')
        house.refuses(route, lambda: house.send(route, raw), (400, expected))

    @pytest.mark.parametrize("name", ["id", "org", "balance", "status", "created_at", "approved_by"])
    def test_with_a_server_set_field_is_refused(self, house: House, route: str, name: str) -> None:
        body = house.body(route, **{name: "x"})  # B56
        house.refuses(route, lambda: house.api.post(house.paths[route], body), (400, "read_only_field"))

    @pytest.mark.parametrize("reason", ["", "   ", 5, None, True, ["a"], {"a": "b"}, "x" * 501])
    def test_with_no_reason_is_refused(self, house: House, route: str, reason: Any) -> None:
        body = house.body(route, reason=reason)
        house.refuses(route, lambda: house.api.post(house.paths[route], body), (400, "invalid_field"))

    @pytest.mark.parametrize("character", ["\u202e", "\u200b", "\x07"])
    def test_with_invisible_characters_is_refused(self, house: House, route: str, character: str) -> None:
        body = house.body(route, reason=f"a{character}b")  # B61
        house.refuses(route, lambda: house.api.post(house.paths[route], body), (400, "invalid_text"))

    @pytest.mark.parametrize(
        "kind",
        ["application/json; charset=utf-7", "application/x-www-form-urlencoded", "multipart/form-data"],
    )
    def test_of_another_media_type_is_refused(self, house: House, route: str, kind: str) -> None:
        raw = b'{"reason": "x"}'  # B58, B60
        house.refuses(route, lambda: house.send(route, raw, kind=kind), (415, "unsupported_media_type"))

    def test_over_one_megabyte_is_refused(self, house: House, route: str) -> None:
        raw = b'{"reason": "' + b"x" * 2**20 + b'"}'  # B57
        house.refuses(route, lambda: house.send(route, raw), (413, "body_too_large"))

    def test_with_a_wrong_idempotency_key_is_refused(self, house: House, route: str) -> None:
        raw = b'{"reason": "x", "scope": "organization"}' if route == "kill" else b'{"reason": "x"}'
        for key in ("", "k" * 256):  # B76
            expected = (400, "idempotency_key_invalid")
            house.refuses(route, lambda key=key: house.send(route, raw, **{"Idempotency-Key": key}), expected)

    def test_without_credentials_or_with_a_parameter_is_refused(self, house: House, route: str) -> None:
        answer = http().post(house.paths[route], house.body(route), content_type="application/json")
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_credentials")
        path = f"{house.paths[route]}?colour=red"
        house.refuses(route, lambda: house.api.post(path, house.body(route)), (400, "unknown_parameter"))

    def test_does_not_get_put_or_patched(self, house: House, route: str) -> None:
        answer = house.api.patch(house.paths[route], {"reason": "x"})
        assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")


def test_a_key_that_was_used_for_another_body_is_refused(house: House) -> None:
    first = house.api.post(PAUSE, {"reason": "a"}, key="used")
    assert first.status_code == 200
    again = house.api.post(PAUSE, {"reason": "b"}, key="used")  # B77
    assert (again.status_code, again.json()["code"]) == (422, "idempotency_key_reused")


def test_cells_that_spreadsheets_would_run_are_texts_like_others(house: House) -> None:
    for text in ("=1+1", "+1", "-1", "@x", "＝1"):  # B125: neutralised where it is exported
        made = house.api.post("/v1/kill-switches", {"scope": "user", "target": text, "reason": text})
        assert (made.status_code, made.json()["reason"], made.json()["target"]) == (201, text, text)
