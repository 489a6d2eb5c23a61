"""Idempotency keys that are none, used twice, or for something else."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.builders.gate import Customer, body_of, make_customer
from tests.builders.orgs import unique
from tests.functional.gate.test_bad_inputs import Route, result
from tests.invariants import Still

KEYED = ("reserve", "commit", "release")


@pytest.fixture(scope="module")
def customer() -> Customer:
    return make_customer("10000")


class TestAnIdempotencyKey:
    @pytest.mark.parametrize("name", KEYED)
    def test_is_required(self, customer: Customer, name: str) -> None:  # B75
        route = Route(customer, name)
        with Still(customer.id):
            answer = customer.api.post(route.path, route.body)
        assert result(answer) == (400, "idempotency_key_required")

    @pytest.mark.parametrize("name", [*KEYED, "extend", "usage"])
    def test_has_1_to_255_printable_characters(self, customer: Customer, name: str) -> None:  # B76
        route = Route(customer, name)
        raw = json.dumps(route.body).encode()
        for key in ("", "x" * 256, "caf\u00e9", "a\tb"):
            route.refuses(raw, (400, "idempotency_key_invalid"), headers={"Idempotency-Key": key})

    @pytest.mark.parametrize("key", ["", "x" * 256, "caf\u00e9", None, 5, ["a"]])
    @pytest.mark.parametrize("name", ["reserve_batch", "commit_batch"])
    def test_of_an_item_is_the_same(self, customer: Customer, name: str, key: Any) -> None:
        route = Route(customer, name)
        wrong = "idempotency_key_invalid" if isinstance(key, str) else "idempotency_key_required"
        route.refuses(route.with_field(("idempotency_key",), json.dumps(key).encode()), (400, wrong))

    def test_of_255_characters_is_one(self, customer: Customer) -> None:
        assert customer.reserve("1", key=unique("k" * 245)).status_code == 201

    def test_with_another_body_is_refused(self, customer: Customer) -> None:  # B77
        key = unique()
        customer.reserved("1", key=key)
        with Still(customer.id):
            assert result(customer.reserve("2", key=key)) == (422, "idempotency_key_reused")
            assert result(customer.reserve("1", key=key, ttl_seconds=60)) == (422, "idempotency_key_reused")

    def test_with_another_path_is_refused(self, customer: Customer) -> None:
        first, second = customer.reserved("1")["id"], customer.reserved("1")["id"]
        key = unique()
        body_of(customer.release(first, key=key), 200)
        with Still(customer.id):
            assert result(customer.release(second, key=key)) == (422, "idempotency_key_reused")
            assert result(customer.commit(second, "1", key=key)) == (422, "idempotency_key_reused")

    def test_of_another_organization_is_another(self, customer: Customer) -> None:  # B79
        key, other = unique(), make_customer()
        first, second = customer.reserve("1", key=key), other.reserve("1", key=key)
        assert (first.status_code, second.status_code) == (201, 201)
        assert first.json()["id"] != second.json()["id"]

    def test_in_another_order_and_with_other_spaces_is_the_same(self, customer: Customer) -> None:  # B83
        route, key = Route(customer, "reserve"), unique()
        first = route.send(
            b'{"subject":{"agent":"bot"},"estimate":{"amount":"1"}}', headers={"Idempotency-Key": key}
        )
        with Still(customer.id):
            again = route.send(
                b'{ "estimate": {"amount":"\\u0031"},\n "subject" : {"agent" : "bot"} }',
                headers={"Idempotency-Key": key},
            )
        assert (first.status_code, again.status_code) == (201, 201)
        assert {**first.json(), "remaining_ttl_ms": 0} == {**again.json(), "remaining_ttl_ms": 0}
        assert again.headers["Idempotent-Replayed"] == "true"
        assert "Idempotent-Replayed" not in first.headers

    def test_computes_only_the_remaining_time_anew(self) -> None:
        customer, key = make_customer(), unique()
        first = customer.reserve("1", key=key, ttl_seconds=600)
        customer.pass_time(seconds=100)
        again = customer.reserve("1", key=key, ttl_seconds=600)
        spent = first.json()["remaining_ttl_ms"] - again.json()["remaining_ttl_ms"]
        assert 100_000 <= spent < 160_000
        mark = b'"remaining_ttl_ms":%d'
        assert again.content.replace(mark % again.json()["remaining_ttl_ms"], b"") == first.content.replace(
            mark % first.json()["remaining_ttl_ms"], b""
        )
        customer.pass_time(seconds=1_000)
        assert customer.reserve("1", key=key, ttl_seconds=600).json()["remaining_ttl_ms"] == 0

    @pytest.mark.parametrize("verb", ["commit", "release", "extend"])
    def test_replays_the_very_bytes(self, customer: Customer, verb: str) -> None:
        reservation, key = customer.reserved("1")["id"], unique()
        call: Callable[[], Any] = {
            "commit": lambda: customer.commit(reservation, "1", key=key),
            "release": lambda: customer.release(reservation, key=key),
            "extend": lambda: customer.extend(reservation, 1_000, key=key),
        }[verb]
        first = call()
        with Still(customer.id):
            again = call()
        assert (first.status_code, again.status_code) == (200, 200)
        if verb != "extend":
            assert again.content == first.content
        assert again.headers["Idempotent-Replayed"] == "true"

    def test_is_good_for_thirty_days(self) -> None:  # B84
        customer, key = make_customer(), unique()
        first = customer.reserved("1", key=key)
        customer.pass_time(days=2)
        assert body_of(customer.reserve("1", key=key), 201)["id"] == first["id"]
