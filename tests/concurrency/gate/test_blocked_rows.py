"""An idle transaction that holds an organization's row: its calls are refused in time, others do not notice (F31)."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import psycopg

from tests.builders.crowd import Client, Reply, crowd
from tests.builders.gate import make_customer, reserve_body
from tests.builders.orgs import unique
from tests.invariants import Still, assert_sound


@contextmanager
def held_row(organization: UUID) -> Iterator[None]:
    """Another session's open transaction on the organization's row."""
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        connection.execute("SELECT 1 FROM organizations WHERE id = %s FOR NO KEY UPDATE", (organization,))
        try:
            yield
        finally:
            connection.rollback()


def timed(client: Client, body: object, key: str) -> tuple[Reply, float]:
    before = time.monotonic()
    reply = client.post("/v1/reservations", body, key=key)
    return reply, time.monotonic() - before


def test_the_blocked_organization_is_refused_within_two_seconds_and_others_go_on(web: str) -> None:
    blocked, other = make_customer("100"), make_customer("100")
    stop, others = threading.Event(), []

    def go_on() -> None:
        client = Client(web, other.api.secret)
        while not stop.is_set():
            others.append(timed(client, reserve_body("0.01"), unique()))
        client.close()

    with Still(blocked.id), held_row(blocked.id):
        thread = threading.Thread(target=go_on)
        thread.start()
        refused = crowd(
            web, blocked.api.secret, lambda client, _: timed(client, reserve_body("1"), unique()), clients=24
        )
        stop.set()
        thread.join()
    assert {reply.status for reply, _ in refused} <= {409, 503}
    assert {reply.code for reply, _ in refused} <= {"gate_unavailable", "budget_busy"}
    assert all(reply.json()["retryable"] for reply, _ in refused)
    assert max(seconds for _, seconds in refused) < 2.5  # 2 s and what two busy cores add
    assert {reply.status for reply, _ in others} == {201}
    assert len(others) > 10
    assert_sound(blocked.id, other.id)


def test_the_row_is_free_again_afterwards(web: str) -> None:
    customer = make_customer("100")
    client = Client(web, customer.api.secret)
    with held_row(customer.id):
        refused = client.post("/v1/reservations", reserve_body("1"), key="k")
    assert (refused.status, refused.code) == (503, "gate_unavailable")
    assert client.post("/v1/reservations", reserve_body("1"), key="k").status == 201
    client.close()


def test_a_second_call_with_the_key_waits_two_seconds_at_most(web: str) -> None:  # B80
    customer = make_customer("100")
    with held_row(customer.id):
        replies = crowd(
            web, customer.api.secret, lambda client, _: timed(client, reserve_body("1"), "k"), clients=4
        )
    assert {reply.code for reply, _ in replies} <= {"gate_unavailable", "idempotency_in_flight"}
    assert all("Retry-After" in reply.headers for reply, _ in replies)
    assert max(seconds for _, seconds in replies) < 4
