"""What every endpoint of the gate answers to bad input, by the ids of the catalogue; each refusal moves nothing."""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.builders.gate import Customer, body_of, make_customer, make_model, usage_body
from tests.builders.orgs import http, unique
from tests.invariants import Still

Put = Callable[[dict[str, Any], Any], None]
BODY_ROUTES = (
    "reserve",
    "commit",
    "release",
    "extend",
    "usage",
    "reserve_batch",
    "commit_batch",
    "usage_batch",
)


class Route:
    """An endpoint with a body that it would accept, on a customer with one reservation."""

    def __init__(self, customer: Customer, name: str) -> None:
        self.customer, self.name = customer, name
        self.reservation = customer.reserved("1")["id"]
        one = f"/v1/reservations/{self.reservation}"
        reserve = {"subject": {"agent": "bot"}, "estimate": {"amount": "1"}}
        commit = {"outcome": "completed", "amount": "1"}
        used = usage_body("1", occurred_at="2026-11-01T00:00:00Z")
        self.path, self.body = {
            "reserve": ("/v1/reservations", reserve),
            "commit": (f"{one}/commit", commit),
            "release": (f"{one}/release", {"reason": "x"}),
            "extend": (f"{one}/extend", {"ttl_seconds": 60}),
            "usage": ("/v1/usage", used),
            "reserve_batch": (
                "/v1/reservations/batch",
                {"items": [{**reserve, "idempotency_key": unique()}]},
            ),
            "commit_batch": (
                "/v1/reservations/commit_batch",
                {"items": [{**commit, "id": self.reservation, "idempotency_key": unique()}]},
            ),
            "usage_batch": ("/v1/usage/batch", {"items": [used]}),
        }[name]

    def send(self, raw: bytes, **given: Any) -> Any:
        """POST these bytes."""
        headers = {"Authorization": f"Bearer {self.customer.api.secret}", "Idempotency-Key": unique()}
        headers |= given.pop("headers", {})
        media_type = given.pop("content_type", "application/json")
        return http().post(self.path, raw, content_type=media_type, headers=headers, **given)

    def refuses(self, raw: bytes, expected: tuple[int, str], **given: Any) -> Any:
        """Sent twice, the refusal is the same and nothing moves."""
        with Still(self.customer.id):
            first, second = self.send(raw, **given), self.send(raw, **given)
        assert result(first) == result(second) == expected
        return first

    def refuses_all(
        self, place: tuple[str, ...], rows: Mapping[str, bytes], expected: tuple[int, str]
    ) -> None:
        """Each of these values at the place is refused twice in the same way, and nothing moves."""
        bodies = {row: self.with_field(place, value) for row, value in rows.items()}
        with Still(self.customer.id):
            answers = {row: [result(self.send(raw)) for _ in range(2)] for row, raw in bodies.items()}
        assert answers == {row: [expected] * 2 for row in rows}

    def with_field(self, place: tuple[str, ...], value: bytes) -> bytes:
        """The body with these bytes as the value at the place; of a batch, in its item."""
        marker = "a-value-that-stands-for-another"
        body = json.loads(json.dumps(self.body))
        inner = body["items"][0] if "items" in body else body
        for name in place[:-1]:
            inner = inner.setdefault(name, {})
        inner[place[-1]] = marker
        return json.dumps(body).encode().replace(f'"{marker}"'.encode(), value)


def result(answer: Any) -> tuple[int, str]:
    """Status and code; of a batch, those of its only item."""
    body = answer.json()
    if "results" in body:
        (item,) = body["results"]
        return item["status"], item["body"].get("code")
    return answer.status_code, body.get("code")


@pytest.fixture(scope="module")
def customer() -> Customer:
    return make_customer("10000")


@pytest.fixture(params=BODY_ROUTES)
def route(request: pytest.FixtureRequest, customer: Customer) -> Route:
    return Route(customer, request.param)


AMOUNT_PLACES = {
    "reserve": ("estimate", "amount"),
    "commit": ("amount",),
    "release": ("amount",),
    "usage": ("amount",),
    "reserve_batch": ("estimate", "amount"),
    "commit_batch": ("amount",),
    "usage_batch": ("amount",),
}
AMOUNTS = {
    "B3": b'"NaN"',
    "B5": b"1e400",
    "B6": b'"1E+999999999"',
    "B7": b'"1E-999999999"',
    "B8": b"0.1",
    "B9": b'"0.000000001"',
    "B11": b'"-0"',
    "B12": b"-1",
    "B12 text": b'"-1"',
    "B14": b'"123456789012"',
    "B15": '"１０"'.encode(),
    "B17": b'"1_000"',
    "B18": b'"1,000"',
    "B19": b'" 1 "',
    "B20": b'"+1"',
    "B21": b'"0x10"',
    "B22": b"true",
    "B23": b"null",
    "B24": b"[]",
    "B26": b"1" * 5_000,
    "B27": b"9223372036854775808",
    "B27 text": b'"9223372036854775808"',
    "B28": b"-9223372036854775809",
    "B28 text": b'"-9223372036854775809"',
    "over the range": b'"92233720368.54775808"',
}


@pytest.mark.parametrize("name", AMOUNT_PLACES)
def test_an_amount_that_is_none_is_refused(customer: Customer, name: str) -> None:
    Route(customer, name).refuses_all(AMOUNT_PLACES[name], AMOUNTS, (400, "invalid_amount"))


@pytest.mark.parametrize("row", ["B6", "B7"])
def test_an_exponent_is_refused_at_once(customer: Customer, row: str) -> None:
    route = Route(customer, "reserve")
    raw = route.with_field(("estimate", "amount"), AMOUNTS[row])
    before = time.thread_time()
    assert result(route.send(raw)) == (400, "invalid_amount")
    assert time.thread_time() - before < 0.05


@pytest.mark.parametrize("name", AMOUNT_PLACES)
@pytest.mark.parametrize("literal", [b"NaN", b"Infinity", b"-Infinity"])
def test_a_literal_that_is_no_json_is_refused(
    customer: Customer, name: str, literal: bytes
) -> None:  # B1, B2
    route = Route(customer, name)
    with Still(customer.id):
        answer = route.send(route.with_field(AMOUNT_PLACES[name], literal))
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_json")


@pytest.mark.parametrize("name", ["reserve", "reserve_batch", "release"])
def test_an_amount_of_nothing_is_refused_where_more_is_due(customer: Customer, name: str) -> None:  # B13
    route = Route(customer, name)
    route.refuses(route.with_field(AMOUNT_PLACES[name], b'"0"'), (400, "invalid_amount"))


QUANTITIES = {
    "B29": b"1.0",
    "B30": b"1e3",
    "B39": b"-1",
    "B39 more": b"1000000000001",
    "text": b'"1"',
    "null": b"null",
    "true": b"true",
    "B27": b"9223372036854775808",
    "B26": b"1" * 5_000,
}
QUANTITY_PLACES = [
    ("reserve", ("estimate", "input_tokens")),
    ("reserve", ("estimate", "max_output_tokens")),
    ("reserve", ("estimate", "credits")),
    ("reserve", ("estimate", "tool_calls", "search")),
    ("commit", ("usage", "input_tokens")),
    ("commit", ("usage", "output_tokens")),
    ("commit", ("usage", "cache_read_input_tokens")),
    ("commit", ("usage", "tool_calls", "search")),
    ("commit", ("risk_points",)),
    ("usage", ("usage", "output_tokens")),
]


@pytest.mark.parametrize(("name", "place"), QUANTITY_PLACES)
def test_a_count_that_is_none_is_refused(customer: Customer, name: str, place: tuple[str, ...]) -> None:
    Route(customer, name).refuses_all(place, QUANTITIES, (400, "invalid_quantity"))


@pytest.mark.parametrize("name", ["reserve", "usage"])
def test_a_currency_that_is_none_is_refused(customer: Customer, name: str) -> None:  # B36
    values = ["usd", "USD ", "USĐ", "XXX", "", "US", None, 5]
    rows = {repr(value): json.dumps(value).encode() for value in values}
    Route(customer, name).refuses_all(("currency",), rows, (400, "invalid_currency"))


class TestABody:
    @pytest.mark.parametrize(
        ("raw", "expected"),
        [
            (b'{"a": "\xff"}', "invalid_json"),  # B45
            (b'\xef\xbb\xbf{"a": 1}', "invalid_json"),  # B46
            (b"", "invalid_json"),  # B48
            (b"[]", "invalid_json"),  # B49
            (b"null", "invalid_json"),  # B50
            (b'{"a": 1} junk', "invalid_json"),  # B51
            (b'{"amount": "1", "amount": "2"}', "duplicate_key"),  # B54
            (b'{"a":' * 40 + b"1" + b"}" * 40, "invalid_json"),
        ],
    )
    def test_that_is_not_strict_json_is_refused(self, route: Route, raw: bytes, expected: str) -> None:
        route.refuses(raw, (400, expected))

    def test_of_100_000_brackets_is_refused_at_once(self, route: Route) -> None:  # B52
        taken = []
        for _ in range(5):  # the fastest: what the body costs, not what the machine is busy with
            before = time.perf_counter()
            assert result(route.send(b"[" * 100_000)) == (400, "invalid_json")
            taken.append(time.perf_counter() - before)
        assert min(taken) < 0.1

    def test_with_an_unknown_field_is_refused(self, route: Route) -> None:  # B55
        answer = route.refuses(route.with_field(("colour",), b'"red"'), (400, "unknown_field"))
        problem = answer.json()
        problem = problem["results"][0]["body"] if "results" in problem else problem
        assert [error["pointer"] for error in problem["errors"]] == ["/colour"]

    def test_with_a_field_that_the_server_sets_is_refused(self, route: Route) -> None:  # B56
        callers = {"id"} if route.name in ("usage", "commit_batch", "usage_batch") else set()
        for field in {"id", "org", "balance", "status", "created_at", "approved_by"} - callers:
            route.refuses(route.with_field((field,), b'"x"'), (400, "read_only_field"))

    def test_over_a_megabyte_is_refused(self, route: Route) -> None:  # B57
        route.refuses(route.with_field(("reason",), b'"' + b"a" * 1_100_000 + b'"'), (413, "body_too_large"))

    @pytest.mark.parametrize(
        "media_type",
        [
            "application/json; charset=utf-7",  # B58
            "application/json; charset=iso-8859-1",
            "application/x-www-form-urlencoded",  # B60
            "multipart/form-data; boundary=x",
            "text/plain",
        ],
    )
    def test_of_another_type_is_refused(self, route: Route, media_type: str) -> None:
        raw = json.dumps(route.body).encode()
        route.refuses(raw, (415, "unsupported_media_type"), content_type=media_type)

    def test_in_another_encoding_is_refused(self, route: Route) -> None:
        raw = json.dumps(route.body).encode()
        route.refuses(raw, (415, "unsupported_media_type"), headers={"Content-Encoding": "gzip"})

    def test_to_an_address_with_a_query_is_refused(self, route: Route) -> None:
        route.path += "?colour=red"
        route.refuses(json.dumps(route.body).encode(), (400, "unknown_parameter"))

    def test_is_not_read_by_another_method(self, route: Route) -> None:
        headers = {"Authorization": f"Bearer {route.customer.api.secret}"}
        for method in ("put", "delete", "patch"):
            answer = getattr(http(), method)(
                route.path, b"{}", content_type="application/json", headers=headers
            )
            assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
            assert "POST" in answer.headers["Allow"]


TEXT_PLACES = [
    ("reserve", ("subject", "run")),
    ("reserve", ("subject", "user")),
    ("reserve", ("subject", "agent")),
    ("reserve", ("action", "model")),
    ("reserve", ("action", "fingerprint")),
    ("commit", ("response_id",)),
    ("commit", ("reason",)),
    ("release", ("reason",)),
    ("usage", ("source",)),
    ("usage", ("id",)),
    ("reserve_batch", ("subject", "run")),
]


HIDDEN = {
    "B41": b'"a\\u0000b"',
    "B42": b'"\\ud800"',
    "B61": b'"a\\u202eb"',
    "B61 zero width": b'"a\\u200bb"',
    "B61 isolate": b'"a\\u2066b"',
    "bell": b'"a\\u0007b"',
}


@pytest.mark.parametrize(("name", "place"), TEXT_PLACES)
def test_a_text_with_hidden_characters_is_refused(
    customer: Customer, name: str, place: tuple[str, ...]
) -> None:
    Route(customer, name).refuses_all(place, HIDDEN, (400, "invalid_text"))


@pytest.mark.parametrize("raw", [b'{"a\\u0000": 1}', b'{"a": "\\u0000"}', b'{"a": {"b": ["\\u0000"]}}'])
@pytest.mark.parametrize("name", ["commit", "usage"])
def test_nul_inside_free_json_is_refused(customer: Customer, name: str, raw: bytes) -> None:  # B43
    route = Route(customer, name)
    route.refuses(route.with_field(("provider_usage",), raw), (400, "invalid_text"))


def test_a_label_counts_code_points(customer: Customer) -> None:  # B63
    fits = customer.reserve("1", subject={"user": "\U0001f916" * 200})
    assert fits.status_code == 201
    with Still(customer.id):
        refused = customer.reserve("1", subject={"user": "\U0001f916" * 201})
    assert result(refused) == (400, "invalid_field")


class TestAPath:
    @pytest.mark.parametrize(
        "name",
        ["%EF%BC%91", "-1", "1" * 30, "%00", "..%2F", ";", "'", "0192D3C4-0000-7000-8000-000000000000"],
    )
    @pytest.mark.parametrize("verb", ["commit", "release", "extend"])
    def test_that_is_no_id_is_not_found(self, customer: Customer, verb: str, name: str) -> None:  # B65 to B74
        body = {
            "commit": {"outcome": "completed", "amount": "1"},
            "release": {},
            "extend": {"ttl_seconds": 1},
        }[verb]
        with Still(customer.id):
            answer = customer.api.post(f"/v1/reservations/{name}/{verb}", body, key=unique())
        assert result(answer) == (404, "not_found")

    def test_with_another_objects_id_is_not_found(self, customer: Customer) -> None:  # B71
        with Still(customer.id):
            assert result(customer.commit(str(customer.id), "1")) == (404, "not_found")

    @pytest.mark.parametrize("name", ["1", "", None, 5, "0192D3C4-0000-7000-8000-000000000000", "x" * 36])
    def test_in_a_batch_is_an_invalid_id(self, customer: Customer, name: Any) -> None:
        route = Route(customer, "commit_batch")
        route.refuses(route.with_field(("id",), json.dumps(name).encode()), (400, "invalid_id"))


class TestAHeader:
    def test_with_sql_is_no_credential(self, customer: Customer) -> None:  # B73
        route = Route(customer, "reserve")
        raw = json.dumps(route.body).encode()
        route.refuses(raw, (401, "invalid_credentials"), headers={"Authorization": "Bearer ' OR 1=1 --"})

    def test_with_sql_is_a_key_like_any_other(self, customer: Customer) -> None:
        key = f"'; DROP TABLE events; -- {unique()}"
        first, again = (customer.reserve("1", key=key) for _ in range(2))
        assert (first.status_code, again.content) == (201, again.content)
        assert first.json()["id"] == again.json()["id"]

    def test_that_names_the_request_is_replaced(self, customer: Customer) -> None:
        route = Route(customer, "reserve")
        answer = route.send(b"{", headers={"X-Request-Id": "'; DROP TABLE events; --"})
        assert "'" not in answer.headers["X-Request-Id"]
        assert answer.json()["request_id"] == answer.headers["X-Request-Id"]


class TestATime:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ('"2026-11-01T00:00:00"', "naive_datetime"),  # B85
            ('"2026-02-29T00:00:00Z"', "invalid_datetime"),  # B88
            ('"2026-11-01T00:00:60Z"', "invalid_datetime"),  # B89
            ('"2026-11-01T00:00:00+99:99"', "invalid_datetime"),  # B91
            ("1767225600", "invalid_datetime"),  # B92
            ('"1969-12-31T23:59:59Z"', "invalid_datetime"),
            ('"now"', "invalid_datetime"),
        ],
    )
    @pytest.mark.parametrize("name", ["usage", "usage_batch"])
    def test_that_is_none_is_refused(self, customer: Customer, name: str, value: str, expected: str) -> None:
        route = Route(customer, name)
        route.refuses(route.with_field(("occurred_at",), value.encode()), (400, expected))

    @pytest.mark.parametrize("name", ["reserve", "extend"])
    def test_to_live_is_1_to_86400_seconds(self, customer: Customer, name: str) -> None:
        rows = {text: text.encode() for text in ("0", "-1", "86401", "1.0", "1e2", '"60"', "true", "[]")}
        Route(customer, name).refuses_all(("ttl_seconds",), rows, (400, "invalid_field"))


class TestACommitsFields:
    @pytest.mark.parametrize("outcome", ["", "done", None, 5, "COMPLETED"])
    def test_have_an_outcome_of_three(self, customer: Customer, outcome: Any) -> None:
        route = Route(customer, "commit")
        route.refuses(route.with_field(("outcome",), json.dumps(outcome).encode()), (400, "invalid_field"))

    def test_say_what_was_used_when_it_is_completed(self, customer: Customer) -> None:
        route = Route(customer, "commit")
        route.refuses(b'{"outcome": "completed"}', (400, "invalid_field"))

    @pytest.mark.parametrize(
        "usage",
        [
            {"input_tokens": 10, "cache_read_input_tokens": 11},
            {"output_tokens": 10, "reasoning_output_tokens": 11},
        ],
    )
    def test_count_parts_no_higher_than_the_whole(self, customer: Customer, usage: dict[str, int]) -> None:
        model = make_model()
        held = customer.reserved("1", action={"kind": "llm.chat", "provider": "acme", "model": model})
        with Still(customer.id):
            answer = customer.commit(held["id"], usage=usage)
        assert answer.status_code == 400

    def test_name_only_components_of_the_book(self, customer: Customer) -> None:  # B40
        model = make_model()
        held = customer.reserved("1", action={"kind": "llm.chat", "provider": "acme", "model": model})
        with Still(customer.id):
            usage = {"components": [{"component": "video_minutes", "quantity": "3"}]}
            assert result(customer.commit(held["id"], usage=usage)) == (422, "price_unknown")


class TestSumsOutOfRange:
    def test_are_refused(self, customer: Customer) -> None:
        top = "92233720368.54775807"
        with Still(customer.id, decisions=1):
            assert result(customer.reserve(top)) == (402, "credit_exhausted")
        model = make_model()
        action = {"kind": "llm.chat", "provider": "acme", "model": model}
        estimate = {"amount": top, "input_tokens": 10**12, "max_output_tokens": 10**12}
        with Still(customer.id):
            refused = customer.reserve(None, estimate=estimate, action=action)
        assert result(refused) == (422, "amount_out_of_range")

    def test_of_a_budget_are_refused_too(self) -> None:
        customer = make_customer("0", funding="postpaid", credit_limit=None)
        top = "92233720368.54775807"
        customer.budget(top, window="lifetime")
        body_of(customer.commit(customer.reserved("1")["id"], top), 200)
        with Still(customer.id):
            assert result(customer.use("1", occurred_at="2026-11-01T00:00:00Z"))[0] == 422
