"""What a request must look like, and what an exception of any kind becomes."""

import json
import re

import pytest

from tests.unit.common.api.conftest import ApiClient

THING = {"name": "x", "amount": "1.50", "currency": "USD"}


class TestTheBody:
    @pytest.mark.parametrize(
        ("row", "raw"),
        [
            ("B45", b'{"a": "\xff"}'), ("B46", b"\xef\xbb\xbf{}"), ("B48", b""), ("B49", b"[]"), ("B50", b"null"),
            ("B51", b"{} x"), ("B52", b"[" * 100_000), ("B1", b'{"amount": NaN}'),
        ],
    )  # fmt: skip
    def test_it_is_one_json_object(self, api: ApiClient, row: str, raw: bytes) -> None:
        assert api.refused("POST", "/v1/things", raw=raw) == (400, "invalid_json")

    @pytest.mark.parametrize(
        ("row", "content_type"),
        [
            ("B58", "application/json; charset=utf-7"), ("B58", "application/json; charset=klingon"),
            ("B58", 'application/json; charset="utf-16"'), ("B60", "application/x-www-form-urlencoded"),
            ("B60", "multipart/form-data; boundary=x"), ("B60", "text/plain"), ("none", ""),
            ("near miss", "application/json5"), ("parameters", "application/json; charset=utf-8; charset=utf-7"),
        ],
    )  # fmt: skip
    def test_it_is_json_in_utf_8(self, api: ApiClient, row: str, content_type: str) -> None:
        refused = api.refused("POST", "/v1/things", THING, content_type=content_type)
        assert refused == (415, "unsupported_media_type")

    @pytest.mark.parametrize("encoding", ["gzip", "identity", "br, gzip"])
    def test_it_is_not_encoded_again(self, api: ApiClient, encoding: str) -> None:
        assert api.refused("POST", "/v1/things", THING, Content_Encoding=encoding)[0] == 415

    @pytest.mark.parametrize(
        "content_type",
        ["application/json", "application/json; charset=utf-8", 'APPLICATION/JSON;charset="UTF-8"'],
    )
    def test_the_charset_may_be_named(self, api: ApiClient, content_type: str) -> None:
        response = api.call("POST", "/v1/things", THING, content_type=content_type)
        assert response.status_code == 201

    def test_it_has_at_most_a_megabyte_b57(self, api: ApiClient) -> None:
        raw = json.dumps({"name": "x" * 10_000_000}).encode()
        assert api.refused("POST", "/v1/things", raw=raw) == (413, "body_too_large")

    @pytest.mark.parametrize(
        ("row", "body", "code", "pointer"),
        [
            ("B41", {**THING, "name": "a\x00"}, "invalid_text", "/name"),
            ("B43", {**THING, "metadata": {"k": "\x00"}}, "invalid_text", "/metadata/k"),
            ("B55", {**THING, "nme": 1}, "unknown_field", "/nme"),
            ("B56", {**THING, "status": "x"}, "read_only_field", "/status"),
            ("B56", {**THING, "total": "1"}, "read_only_field", "/total"),
            ("later", {**THING, "fail_mode": "closed"}, "not_available_yet", "/fail_mode"),
            ("B8", {**THING, "amount": 0.1}, "invalid_amount", "/amount"),
            ("B13", {**THING, "amount": "0"}, "invalid_amount", "/amount"),
            ("B22", {**THING, "amount": True}, "invalid_amount", "/amount"),
            ("B23", {**THING, "amount": None}, "invalid_amount", "/amount"),
            ("B23", {**THING, "limit": None}, "invalid_amount", "/limit"),
            ("B27", {**THING, "amount": 2**63}, "invalid_amount", "/amount"),
            ("B29", {**THING, "tokens": 1.0}, "invalid_quantity", "/tokens"),
            ("B36", {**THING, "currency": "usd"}, "invalid_currency", "/currency"),
            ("B37", {**THING, "amount": "10.5", "currency": "JPY"}, "invalid_amount", "/amount"),
            ("B39", {**THING, "tokens": -1}, "invalid_quantity", "/tokens"),
            ("B61", {**THING, "name": "a\u202eb"}, "invalid_text", "/name"),
            ("B63", {**THING, "name": "😀" * 101}, "invalid_field", "/name"),
            ("B64", {**THING, "metadata": {str(n): "v" for n in range(10_000)}}, "invalid_metadata", "/metadata"),
            ("id", {**THING, "ref": "1"}, "invalid_id", "/ref"),
            ("B85", {**THING, "at": "2026-01-01T00:00:00"}, "naive_datetime", "/at"),
            ("B88", {**THING, "day": "2026-02-29"}, "invalid_datetime", "/day"),
            ("B92", {**THING, "at": 1_772_323_200}, "invalid_datetime", "/at"),
            ("word", {**THING, "window": "hour"}, "invalid_field", "/window"),
            ("words", {**THING, "scopes": ["admin", "admin"]}, "invalid_field", "/scopes"),
            ("range", {**THING, "ttl": 61}, "invalid_field", "/ttl"),
            ("text for number", {**THING, "ttl": "5"}, "invalid_field", "/ttl"),
            ("number for text", {**THING, "name": 5}, "invalid_field", "/name"),
            ("zone", {**THING, "zone": "Mars"}, "invalid_field", "/zone"),
            ("flag", {**THING, "flag": "true"}, "invalid_field", "/flag"),
            ("missing", {"name": "x", "currency": "USD"}, "invalid_field", "/amount"),
            ("nested", {**THING, "subject": {"agent": "a", "step": "1"}}, "invalid_quantity", "/subject/step"),
            ("nested name", {**THING, "subject": {"agent": "a", "x": 1}}, "unknown_field", "/subject/x"),
            ("nested missing", {**THING, "subject": {}}, "invalid_field", "/subject/agent"),
            ("no object", {**THING, "subject": "a"}, "invalid_field", "/subject"),
        ],
    )  # fmt: skip
    def test_its_fields_are_checked_strictly(
        self, api: ApiClient, row: str, body: object, code: str, pointer: str
    ) -> None:
        response = api.call("POST", "/v1/things", body)
        members = response.json()
        assert (response.status_code, members["code"]) == (400, code)
        assert [(error["pointer"], error["code"]) for error in members["errors"]] == [(pointer, code)]

    def test_a_key_that_occurs_twice_is_refused_b54(self, api: ApiClient) -> None:
        assert api.refused("POST", "/v1/things", raw=b'{"name":"a","name":"b"}') == (400, "duplicate_key")

    def test_all_wrong_fields_are_listed(self, api: ApiClient) -> None:
        members = api.call("POST", "/v1/things", {"zz": 1, "amount": 1, "currency": "usd"}).json()
        assert members["code"] == "unknown_field"
        assert sorted((error["pointer"], error["code"]) for error in members["errors"]) == [
            ("/amount", "invalid_amount"),
            ("/currency", "invalid_currency"),
            ("/name", "invalid_field"),
            ("/zz", "unknown_field"),
        ]

    def test_good_values_come_back_in_their_written_form(self, api: ApiClient) -> None:
        body = {
            **THING, "limit": "0", "tokens": 5, "metered": "2.5", "price": "0.000003", "key": "k-1", "owner": "o",
            "ref": "0198c5a2-0000-7000-8000-000000000000", "at": "2026-03-01T12:00:00+02:00", "day": "2026-03-01",
            "flag": False, "window": "day", "scopes": ["admin"], "ttl": 60, "zone": "Europe/Berlin",
            "metadata": {"k": "v"}, "raw": {"a": [1]}, "subject": {"agent": "a", "step": 3},
        }  # fmt: skip
        response = api.call("POST", "/v1/things", body)
        assert response.status_code == 201
        assert response.json()["data"] == {**body, "amount": "1.5", "at": "2026-03-01T10:00:00Z"}

    def test_null_in_an_optional_field_is_its_default(self, api: ApiClient) -> None:
        answer = api.call("POST", "/v1/things", {**THING, "zone": None, "flag": None, "key": None}).json()[
            "data"
        ]
        assert (answer["zone"], answer["flag"], "key" in answer) == ("UTC", True, False)

    def test_a_change_names_only_what_it_changes(self, api: ApiClient) -> None:
        assert api.call("PATCH", "/v1/things", {"name": "y"}).json() == {"given": ["name"]}
        assert api.refused("PATCH", "/v1/things", {"key": None}) == (400, "invalid_field")

    def test_a_method_may_come_without_a_body_where_that_is_said(self, api: ApiClient) -> None:
        assert api.call("POST", "/v1/things/a").json() == {"stopped": "a"}


class TestCredentials:
    @pytest.mark.parametrize("header", [None, "Bearer x", "Basic one", "' OR 1=1 --", "Bearer one'"])
    def test_without_valid_ones_nothing_is_answered_b73(self, api: ApiClient, header: str | None) -> None:
        response = api.call("GET", "/v1/things", caller=header)
        assert (response.status_code, response.json()["code"]) == (401, "invalid_credentials")
        assert response.headers["WWW-Authenticate"] == "Bearer"

    def test_a_scope_that_is_missing_is_forbidden(self, api: ApiClient) -> None:
        assert api.refused("GET", "/v1/things", caller="Bearer poor") == (403, "forbidden")

    def test_what_is_public_needs_none(self, api: ApiClient) -> None:
        assert api.call("GET", "/v1/open", caller=None).json() == {"open": True}


class TestPaths:
    @pytest.mark.parametrize(
        ("row", "path"),
        [
            ("B65", "/v1/things/%EF%BC%91"), ("B67", "/v1/things/-1"), ("B68", "/v1/things/" + "1" * 30),
            ("B69", "/v1/things/%00"), ("B74", "/v1/things/../x"), ("B74", "/v1/things/;"), ("B74", "/v1/;"),
            ("upper case", "/v1/things/0198C5A2-0000-7000-8000-000000000000"), ("unknown", "/v1/nothing"),
            ("slash", "/v1/things/"),
        ],
    )  # fmt: skip
    def test_what_is_no_id_or_no_path_is_not_found(self, api: ApiClient, row: str, path: str) -> None:
        assert api.refused("GET", path) == (404, "not_found")

    def test_another_method_is_not_allowed(self, api: ApiClient) -> None:
        response = api.call("DELETE", "/v1/things")
        assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")
        assert response.headers["Allow"] == "GET, POST, PATCH, HEAD"
        assert api.refused("OPTIONS", "/v1/things") == (405, "method_not_allowed")

    def test_json_is_answered_whatever_is_accepted(self, api: ApiClient) -> None:
        response = api.call("GET", "/v1/open", Accept="text/html")
        assert (response.status_code, response.headers["Content-Type"]) == (200, "application/json")

    def test_an_unknown_host_is_a_bad_request(self, api: ApiClient) -> None:
        assert api.refused("GET", "/v1/open", Host="evil.example") == (400, "bad_request")


class TestWhatGoesWrong:
    @pytest.mark.parametrize("path", ["/v1/broken/defect", "/v1/unguarded"])
    def test_a_defect_shows_nothing_of_itself(self, api: ApiClient, path: str) -> None:
        assert api.refused("GET", path) == (500, "internal_error")

    def test_a_missing_object_is_not_found(self, api: ApiClient) -> None:
        assert api.refused("GET", "/v1/broken/gone") == (404, "not_found")


class TestTheRequestId:
    def test_a_plain_one_is_kept(self, api: ApiClient) -> None:
        assert api.call("GET", "/v1/open", X_Request_Id="job-7.a_b").headers["X-Request-Id"] == "job-7.a_b"

    @pytest.mark.parametrize("given", ["a'b", '"; DROP TABLE', "a b", "", "x" * 65, "-a", "ä"])
    def test_another_is_replaced_b73(self, api: ApiClient, given: str) -> None:
        answered = api.call("GET", "/v1/things", caller=None, X_Request_Id=given)
        own = answered.headers["X-Request-Id"]
        assert re.fullmatch("[0-9a-f-]{36}", own)
        assert answered.json()["request_id"] == own
