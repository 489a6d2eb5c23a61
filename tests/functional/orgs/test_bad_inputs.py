"""What the routes of this app answer to bad input; each refusal moves nothing."""

from typing import Any
from uuid import UUID

import pytest

from common.ids import new_id
from tests.builders.orgs import (
    Caller,
    caller,
    events_of,
    http,
    make_agent,
    make_connection,
    make_key,
    make_member,
    make_organization,
    make_team,
    make_workflow,
    platform,
)

KINDS = ("teams", "agents", "workflows", "connections")
GOOD: dict[str, dict[str, Any]] = {
    **{kind: {"key": "alpha", "name": "Alpha"} for kind in KINDS},
    "members": {"name": "Ada", "role": "member"},
}


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code")


def pointers(answer: Any) -> list[str]:
    return [error["pointer"] for error in answer.json()["errors"]]


@pytest.fixture
def organization() -> UUID:
    return make_organization()


@pytest.fixture
def admin(organization: UUID) -> Caller:
    return caller(organization)


def refused(admin: Caller, organization: UUID, path: str, body: Any, expected: tuple[int, str]) -> Any:
    """Sent twice, the answer is the same and no event was written."""
    before = events_of(organization)
    first, second = admin.post(path, body), admin.post(path, body)
    assert code(first) == code(second) == expected
    assert events_of(organization) == before
    return first


@pytest.mark.parametrize("route", GOOD)
class TestABody:
    def test_with_an_unknown_field_is_refused(self, route: str, admin: Caller, organization: UUID) -> None:
        body = {**GOOD[route], "colour": "red"}  # B55
        answer = refused(admin, organization, f"/v1/{route}", body, (400, "unknown_field"))
        assert pointers(answer) == ["/colour"]

    @pytest.mark.parametrize("field", ["id", "org", "balance", "status", "created_at", "approved_by"])
    def test_with_a_server_set_field_is_refused(
        self, route: str, field: str, admin: Caller, organization: UUID
    ) -> None:
        body = {**GOOD[route], field: "x"}  # B56
        answer = refused(admin, organization, f"/v1/{route}", body, (400, "read_only_field"))
        assert pointers(answer) == [f"/{field}"]

    @pytest.mark.parametrize(
        ("raw", "expected"),
        [
            (b'{"name": "a\\u0000b", "key": "k", "role": "member"}', "invalid_text"),  # B41
            (b'{"name": "\\ud800", "key": "k", "role": "member"}', "invalid_text"),  # B42
            (b'{"name": "\xff"}', "invalid_json"),  # B45
            (b'\xef\xbb\xbf{"name": "a"}', "invalid_json"),  # B46
            (b"", "invalid_json"),  # B48
            (b"[]", "invalid_json"),  # B49
            (b"null", "invalid_json"),  # B50
            (b'{"name": "a"} junk', "invalid_json"),  # B51
            (b"[" * 100_000, "invalid_json"),  # B52
            (b'{"name": "a", "name": "b"}', "duplicate_key"),  # B54
        ],
    )
    def test_that_is_not_strict_json_is_refused(
        self, route: str, raw: bytes, expected: str, admin: Caller, organization: UUID
    ) -> None:
        before = events_of(organization)
        headers = {"Authorization": f"Bearer {admin.secret}"}
        answer = http().post(f"/v1/{route}", raw, content_type="application/json", headers=headers)
        assert code(answer) == (400, expected)
        assert events_of(organization) == before

    @pytest.mark.parametrize("character", ["\u202e", "\u200b", "\u2066", "\x07", "\u2028"])
    def test_with_invisible_characters_in_a_name_is_refused(
        self, route: str, character: str, admin: Caller, organization: UUID
    ) -> None:
        body = {**GOOD[route], "name": f"a{character}b"}  # B61
        answer = refused(admin, organization, f"/v1/{route}", body, (400, "invalid_text"))
        assert pointers(answer) == ["/name"]

    def test_counts_code_points_of_a_name(self, route: str, admin: Caller, organization: UUID) -> None:
        too_long = {**GOOD[route], "name": "\U0001f916" * 101}  # B63
        refused(admin, organization, f"/v1/{route}", too_long, (400, "invalid_field"))
        fits = admin.post(f"/v1/{route}", {**GOOD[route], "name": "\U0001f916" * 100})
        assert fits.status_code == 201
        assert fits.json()["name"] == "\U0001f916" * 100

    @pytest.mark.parametrize("name", ["", "   ", 5, None, True, ["a"], {"a": "b"}])
    def test_with_no_text_for_a_name_is_refused(
        self, route: str, name: Any, admin: Caller, organization: UUID
    ) -> None:
        body = {**GOOD[route], "name": name}
        answer = refused(admin, organization, f"/v1/{route}", body, (400, "invalid_field"))
        assert pointers(answer) == ["/name"]

    def test_of_another_media_type_is_refused(self, route: str, admin: Caller, organization: UUID) -> None:
        before = events_of(organization)
        headers = {"Authorization": f"Bearer {admin.secret}"}
        for media_type in (
            "application/json; charset=utf-7",
            "application/x-www-form-urlencoded",
            "text/plain",
        ):
            answer = http().post(f"/v1/{route}", b"{}", content_type=media_type, headers=headers)
            assert code(answer) == (415, "unsupported_media_type")  # B58, B60
        assert events_of(organization) == before

    def test_over_one_megabyte_is_refused(self, route: str, admin: Caller, organization: UUID) -> None:
        body = {**GOOD[route], "name": "a" * 1_100_000}  # B57
        refused(admin, organization, f"/v1/{route}", body, (413, "body_too_large"))

    def test_with_a_wrong_idempotency_key_is_refused(
        self, route: str, admin: Caller, organization: UUID
    ) -> None:
        before = events_of(organization)
        for key in ("x" * 256, "caf\u00e9"):  # B76
            assert code(admin.post(f"/v1/{route}", GOOD[route], key=key)) == (400, "idempotency_key_invalid")
        assert events_of(organization) == before

    def test_of_the_same_key_in_another_organization_is_independent(
        self, route: str, admin: Caller, organization: UUID
    ) -> None:
        other = caller(make_organization())  # B79
        first, second = (who.post(f"/v1/{route}", GOOD[route], key="same") for who in (admin, other))
        assert (first.status_code, second.status_code) == (201, 201)
        assert first.json()["id"] != second.json()["id"]


@pytest.mark.parametrize("kind", KINDS)
class TestAKey:
    @pytest.mark.parametrize(
        ("key", "expected"),
        [
            ("", "invalid_field"),
            (" a", "invalid_field"),
            ("a b", "invalid_field"),
            ("-a", "invalid_field"),
            ("a/b", "invalid_field"),
            ("caf\u00e9", "invalid_field"),
            ("a\u200bb", "invalid_text"),
            ("a" * 101, "invalid_field"),
            ("01900000-0000-7000-8000-000000000001", "invalid_field"),
            (7, "invalid_field"),
        ],
    )
    def test_that_is_no_slug_is_refused(
        self, kind: str, key: Any, expected: str, admin: Caller, organization: UUID
    ) -> None:
        body = {"key": key, "name": "Alpha"}
        answer = refused(admin, organization, f"/v1/{kind}", body, (400, expected))
        assert pointers(answer) == ["/key"]

    def test_does_not_change(self, kind: str, admin: Caller) -> None:
        admin.post(f"/v1/{kind}", GOOD[kind])
        answer = admin.patch(f"/v1/{kind}/alpha", {"key": "beta"})
        assert code(answer) == (400, "read_only_field")


class TestAPath:
    @pytest.mark.parametrize("kind", [*KINDS, "members"])
    @pytest.mark.parametrize(
        "name",
        ["%EF%BC%91", "-1", "1" * 30, "%00", "a%00b", "..%2F", ";", "%27%20OR%201", "%FF", "x" * 5_000],
    )
    def test_that_names_nothing_is_not_found(self, kind: str, name: str, admin: Caller) -> None:
        for answer in (  # B65 to B69, B74
            admin.get(f"/v1/{kind}/{name}"),
            admin.patch(f"/v1/{kind}/{name}", {"name": "B"}),
            admin.post(f"/v1/{kind}/{name}/archive"),
        ):
            assert code(answer) == (404, "not_found")

    @pytest.mark.parametrize("name", ["%EF%BC%91", "-1", "1" * 30, "%00", "acme"])
    def test_of_an_organization_that_is_no_id_is_not_found(self, name: str, admin: Caller) -> None:
        for who in (admin, platform()):
            assert code(who.get(f"/v1/organizations/{name}")) == (404, "not_found")
            assert code(who.get(f"/v1/organizations/{name}/api-keys")) == (404, "not_found")

    def test_with_the_id_of_another_kind_is_not_found(self, admin: Caller, organization: UUID) -> None:
        ids = {  # B71
            "teams": make_team(organization).id,
            "agents": make_agent(organization).id,
            "workflows": make_workflow(organization).id,
            "connections": make_connection(organization).id,
            "members": make_member(organization).id,
            f"organizations/{organization}/api-keys": make_key(organization).key.id,
        }
        for route in ids:
            for kind, identifier in ids.items():
                answer = admin.get(f"/v1/{route}/{identifier}")
                assert answer.status_code == (200 if kind == route else 404), (route, kind)

    def test_in_upper_case_is_another_one(self, admin: Caller, organization: UUID) -> None:
        identifier = str(make_agent(organization).id).upper()
        assert code(admin.get(f"/v1/agents/{identifier}")) == (404, "not_found")


class TestMethods:
    def test_that_are_not_there_are_refused(self, admin: Caller, organization: UUID) -> None:
        make_agent(organization, "bot")
        answer = admin.delete("/v1/agents/bot")
        assert code(answer) == (405, "method_not_allowed")
        assert "GET" in answer.headers["Allow"]


@pytest.mark.parametrize("route", [*KINDS, "members", "api-keys"])
class TestLists:
    def _path(self, route: str, organization: UUID) -> str:
        return f"/v1/organizations/{organization}/{route}" if route == "api-keys" else f"/v1/{route}"

    def _fill(self, route: str, organization: UUID, admin: Caller) -> None:
        for place in ("one", "two", "three", "four", "five"):
            body: dict[str, Any] = {"key": place, "name": place}
            if route == "members":
                body = {"name": place, "role": "member"}
            if route == "api-keys":
                body = {"name": place, "scopes": ["spend:read"]}
            assert admin.post(self._path(route, organization), body).status_code == 201

    def test_are_paged_newest_first_without_gap_or_repetition(
        self, route: str, admin: Caller, organization: UUID
    ) -> None:
        self._fill(route, organization, admin)
        path, names, query = self._path(route, organization), [], {"limit": "2"}
        while True:
            page = admin.get(path, **query).json()
            names += [item["name"] for item in page["data"]]
            if page["next_cursor"] is None:
                break
            assert len(page["data"]) == 2
            query["cursor"] = page["next_cursor"]
        assert names[:5] == ["five", "four", "three", "two", "one"]
        assert names[5:] == (["test"] if route == "api-keys" else [])

    @pytest.mark.parametrize("limit", ["0", "-1", "1000000000", "101", "x", "1.5", "", "１"])
    def test_refuse_a_limit_out_of_range(
        self, route: str, limit: str, admin: Caller, organization: UUID
    ) -> None:
        answer = admin.get(self._path(route, organization), limit=limit)  # B126
        assert code(answer) == (400, "invalid_parameter")

    def test_refuse_cursors_of_others_and_edited_ones(
        self, route: str, admin: Caller, organization: UUID
    ) -> None:
        self._fill(route, organization, admin)
        other_organization = make_organization()
        other = caller(other_organization)
        self._fill(route, other_organization, other)
        path = self._path(route, organization)
        cursor = admin.get(path, limit="1").json()["next_cursor"]
        foreign = other.get(self._path(route, other_organization), limit="1").json()["next_cursor"]
        edited = cursor[:-1] + ("A" if cursor[-1] != "A" else "B")
        for wrong in (foreign, edited, "x", cursor + "=", "\u00e9"):
            assert code(admin.get(path, cursor=wrong)) == (400, "invalid_cursor")
        assert admin.get(path, cursor=cursor).status_code == 200

    def test_refuse_unknown_parameters(self, route: str, admin: Caller, organization: UUID) -> None:
        path = self._path(route, organization)
        for name in ("colour", "Limit", "offset", "org"):
            assert code(admin.get(path, **{name: "1"})) == (400, "unknown_parameter")


class TestTimes:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ("2040-01-01T00:00:00", "naive_datetime"),  # B85
            ("2040-02-30T00:00:00Z", "invalid_datetime"),  # B88
            ("2040-01-01T00:00:60Z", "invalid_datetime"),  # B89
            ("2040-01-01T00:00:00+99:99", "invalid_datetime"),  # B91
            (2_208_988_800, "invalid_datetime"),  # B92
            ("2001-01-01T00:00:00Z", "invalid_period"),
        ],
    )
    def test_of_a_keys_end_are_strict(
        self, value: Any, expected: str, admin: Caller, organization: UUID
    ) -> None:
        body = {"name": "k", "scopes": ["spend:read"], "expires_at": value}
        path = f"/v1/organizations/{organization}/api-keys"
        answer = refused(admin, organization, path, body, (400, expected))
        assert pointers(answer) == ["/expires_at"]


class TestTheCreditLimit:
    @pytest.mark.parametrize(
        "value", ["1e3", "-5", "+5", " 5", "05", 5, 5.5, "\uff15", "100000000000", "NaN"]
    )
    def test_is_a_strict_amount(self, value: Any) -> None:
        organization = make_organization(funding="postpaid")
        answer = platform().patch(f"/v1/organizations/{organization}", {"credit_limit": value})
        assert code(answer) == (400, "invalid_amount")
        assert pointers(answer) == ["/credit_limit"]


class TestAnUnknownOrganization:
    def test_is_not_there_for_the_platform_either(self) -> None:
        staff, nobody = platform(), new_id()
        body = {"key": "a", "name": "A", "organization": str(nobody)}
        for answer in (
            staff.get(f"/v1/organizations/{nobody}"),
            staff.patch(f"/v1/organizations/{nobody}", {"name": "B"}),
            staff.post(f"/v1/organizations/{nobody}/archive"),
            staff.post(f"/v1/organizations/{nobody}/api-keys", {"name": "k", "scopes": ["admin"]}),
            staff.post("/v1/agents", body),
            staff.get(f"/v1/agents/{new_id()}"),
        ):
            assert code(answer) == (404, "not_found")

    def test_with_a_malformed_id_in_a_body_is_refused(self) -> None:
        body = {"key": "a", "name": "A", "organization": "acme"}
        assert code(platform().post("/v1/agents", body)) == (400, "invalid_id")
