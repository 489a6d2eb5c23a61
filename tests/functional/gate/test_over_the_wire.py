"""What only a real server shows: bodies that are too large, headers and paths that clients would not send."""

import http.client
import json
import time
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.builders.crowd import Client, Reply
from tests.builders.gate import make_customer, reserve_body
from tests.builders.orgs import unique
from tests.invariants import Still


def raw(url: str, path: str, body: bytes, headers: dict[str, str]) -> Reply:
    """One POST on a connection of its own."""
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=10)
    try:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        return Reply(answer.status, answer.read(), dict(answer.getheaders()))
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("body", "change", "expected"),
    [
        (b"x" * 10_000_000, {}, (413, "body_too_large")),  # B57
        (b'{"a": "' + b"x" * 1_048_576 + b'"}', {}, (413, "body_too_large")),
        (b"[" * 100_000, {}, (400, "invalid_json")),  # B52
        (
            b"{}",
            {"Content-Type": "application/json; charset=nonsense"},
            (415, "unsupported_media_type"),
        ),  # B58
        (b"{}", {"Content-Type": "multipart/form-data; boundary=x"}, (415, "unsupported_media_type")),  # B60
        (b"{}", {"Content-Encoding": "gzip"}, (415, "unsupported_media_type")),
        (b"{}", {"Authorization": "Bearer ' OR 1=1 --"}, (401, "invalid_credentials")),  # B73
        (b"{}", {"Idempotency-Key": ""}, (400, "idempotency_key_invalid")),  # B76
    ],
)
def test_a_wrong_call_is_answered_properly_and_moves_nothing(
    web: str, body: bytes, change: dict[str, str], expected: tuple[int, str]
) -> None:
    customer = make_customer()
    headers = {
        "Authorization": f"Bearer {customer.api.secret}",
        "Content-Type": "application/json",
        "Idempotency-Key": unique(),
        **change,
    }
    with Still(customer.id):
        reply = raw(web, "/v1/reservations", body, headers)
    assert (reply.status, reply.code) == expected
    assert reply.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("name", ["%EF%BC%91", "-1", "1" * 30, "%00", "..%2F..%2Fadmin", ";", "%27"])
def test_a_path_that_names_no_reservation_is_not_found(web: str, name: str) -> None:  # B65 to B74
    customer = make_customer()
    client = Client(web, customer.api.secret)
    with Still(customer.id):
        reply = client.post(f"/v1/reservations/{name}/commit", {"outcome": "failed"}, key=unique())
    client.close()
    assert (reply.status, reply.code) == (404, "not_found")


def test_a_whole_life_goes_over_one_connection(web: str) -> None:
    customer = make_customer("10")
    client = Client(web, customer.api.secret)

    def post(path: str, body: dict[str, Any]) -> Any:
        return client.post(path, body, key=unique()).json()

    held = post("/v1/reservations", reserve_body("4"))
    path = f"/v1/reservations/{held['id']}"
    assert post(f"{path}/extend", {"ttl_seconds": 1_800})["status"] == "active"
    assert post(f"{path}/commit", {"outcome": "completed", "amount": "3"})["released"] == "1"
    assert json.loads(client.send("GET", path).body)["status"] == "committed"
    assert json.loads(client.send("GET", "/v1/balance").body)["available"] == "7"
    client.close()


def test_brackets_take_no_time(web: str) -> None:
    customer = make_customer()
    client = Client(web, customer.api.secret)
    client.send("GET", "/v1/balance")
    took = []
    for _ in range(5):
        before = time.monotonic()
        client.send("POST", "/v1/reservations", b"[" * 100_000, key=unique())
        took.append(time.monotonic() - before)
    client.close()
    assert min(took) < 0.1
