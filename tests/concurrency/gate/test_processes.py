"""Several processes at one organization: two web processes on one database, and the gate of this process as workers and
commands use it. What holds within one process holds among them; the death of one takes nothing with it that it said.
"""

import itertools
import os
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any

import pytest

from common.errors import GateUnavailable
from spend.operations.gate.submit import submit
from spend.rules.budgets import Threshold
from spend.rules.commands import Action, Estimate, RequestKey, Reserve, Subject
from spend.rules.commands import Caller as GateCaller
from tests.builders.controls import make_limit
from tests.builders.crowd import Client, Reply, at_once
from tests.builders.gate import Customer, make_customer, reserve_body, units
from tests.builders.orgs import unique
from tests.invariants import assert_sound, reading
from tests.servers import Web

CLIENTS = 64
COME_AGAIN = ((429, "rate_limited"), (503, "gate_unavailable"), (409, "idempotency_in_flight"))
GATE = GateCaller(actor="system:test")


def granted(customer: Customer) -> int:
    with reading() as connection:
        row = connection.execute(
            "SELECT count(*) FROM v_reservations WHERE organization = %s", (customer.id,)
        ).fetchone()
    assert row is not None
    number: int = row[0]
    return number


def submitted(customer: Customer, amount: str = "1") -> str:
    """What the gate of this process says to a reservation."""
    key = unique()
    command = Reserve(
        customer.id, GATE, RequestKey(key, key.encode().ljust(32, b"0")), Subject("bot", run="r"), Action("custom"),
        Estimate(amount=units(amount)), "USD",
    )  # fmt: skip
    for _ in range(100):
        try:
            answer = submit([command])[0]
        except GateUnavailable:
            time.sleep(0.05)
            continue
        return "201" if answer.error is None else answer.error.code
    raise AssertionError("never answered")


def patiently(client: Client, path: str, body: Any, key: str) -> Reply:
    """The answer to a call that comes again while it is told to: nothing else of 5xx may be shown."""
    for _ in range(100):
        reply = client.post(path, body, key=key)
        if reply.status < 300 or (reply.status, reply.code) not in COME_AGAIN:
            assert reply.status < 500, reply.body
            return reply
        assert reply.json()["retryable"] and "Retry-After" in reply.headers
        time.sleep(0.05)
    raise AssertionError("never answered")


@pytest.mark.parametrize("scope", ["credit", "organization", "run"])
def test_together_they_grant_exactly_what_there_is(webs: list[Web], scope: str) -> None:
    customer, each, fits = make_customer("100" if scope == "credit" else "1000"), 4, 100
    if scope != "credit":
        customer.budget("100", scope=scope, window="run" if scope == "run" else "day")

    def work(place: int) -> list[str]:
        if place % 4 == 3:
            return [submitted(customer) for _ in range(each)]
        client = Client(webs[place % 2].url, customer.api.secret)
        body = reserve_body("1", subject={"run": "r"})
        replies = [patiently(client, "/v1/reservations", body, unique()) for _ in range(each)]
        client.close()
        return [str(reply.status) if reply.status == 201 else str(reply.code) for reply in replies]

    told = Counter(one for several in at_once(work, callers=CLIENTS) for one in several)
    assert told == {"201": fits, "budget_busy": CLIENTS * each - fits}
    assert granted(customer) == fits
    assert_sound(customer.id, within_limits=True)


@pytest.mark.parametrize(
    "limit",
    [
        {"unit": "requests", "window": "day", "limit": 100},
        {"unit": "requests", "window": "day", "limit": 1, "burst": 100},
        {"unit": "concurrent", "limit": 100},
    ],
    ids=["fixed", "gcra", "concurrent"],
)
def test_together_they_admit_exactly_what_a_limit_lets_pass(webs: list[Web], limit: dict[str, Any]) -> None:
    customer = make_customer("1000")
    levels = tuple(Threshold("notify", percent) for percent in range(10, 90, 10))
    customer.budget("200", thresholds=levels)
    make_limit(customer, scope="organization", **limit)

    def work(place: int) -> list[str]:
        if place % 4 == 3:
            return [submitted(customer) for _ in range(4)]
        client = Client(webs[place % 2].url, customer.api.secret)
        replies = [client.post("/v1/reservations", reserve_body("1"), key=unique()) for _ in range(4)]
        client.close()
        return [str(reply.status) if reply.status == 201 else str(reply.code) for reply in replies]

    told = Counter(one for several in at_once(work, callers=CLIENTS) for one in several)
    assert told == {"201": 100, "rate_limited": CLIENTS * 4 - 100}
    with reading() as connection:
        fired = connection.execute(
            "SELECT data->'percent' FROM v_events WHERE organization = %s AND type = 'threshold.crossed' ORDER BY seq",
            (customer.id,),
        ).fetchall()
    assert fired == [(percent,) for percent in range(10, 60, 10)]
    assert_sound(customer.id, within_limits=True)


def test_a_pause_that_one_sets_stops_all_of_them_at_once(webs: list[Web]) -> None:
    """The call that reaches the level is the last one that passes, whoever made it."""
    customer = make_customer("1000")
    customer.budget("1000", thresholds=(Threshold("pause", 5), Threshold("block", 100)))

    def work(place: int) -> list[str]:
        client = Client(webs[place % 2].url, customer.api.secret)
        replies = [patiently(client, "/v1/reservations", reserve_body("1"), unique()) for _ in range(4)]
        client.close()
        return [str(reply.status) if reply.status == 201 else str(reply.code) for reply in replies]

    told = Counter(one for several in at_once(work, callers=CLIENTS) for one in several)
    assert told == {"201": 50, "paused": CLIENTS * 4 - 50}
    assert_sound(customer.id, within_limits=True)


def test_the_same_key_at_all_of_them_has_one_effect_and_equal_bodies(webs: list[Web]) -> None:
    customer = make_customer("64")

    def work(place: int) -> Reply:
        client = Client(webs[place % 2].url, customer.api.secret)
        try:
            return patiently(client, "/v1/reservations", reserve_body("1"), "the-key")
        finally:
            client.close()

    replies = at_once(work, callers=CLIENTS)
    assert {reply.status for reply in replies} == {201}
    bodies = [{**reply.json(), "remaining_ttl_ms": 0} for reply in replies]
    assert all(body == bodies[0] for body in bodies)
    assert sum("Idempotent-Replayed" not in reply.headers for reply in replies) == 1
    assert granted(customer) == 1

    path = f"/v1/reservations/{bodies[0]['id']}/commit"

    def commit(place: int) -> Reply:
        client = Client(webs[place % 2].url, customer.api.secret)
        try:
            return patiently(client, path, {"outcome": "completed", "amount": "0.4"}, "the-commit")
        finally:
            client.close()

    replies = at_once(commit, callers=CLIENTS)
    assert {(reply.status, reply.body) for reply in replies} == {(200, replies[0].body)}
    assert customer.available() == "63.6"
    assert_sound(customer.id)


def test_what_they_do_crosswise_deadlocks_nobody(webs: list[Web]) -> None:
    """Batches, commits at the other process, releases, sweeps and this process's own calls, on two organizations."""
    customers = [make_customer("500"), make_customer("500")]
    for customer in customers:
        for scope, window in (("run", "run"), ("user", "day"), ("agent", "hour"), ("organization", "month")):
            customer.budget("400", scope=scope, window=window)

    def work(place: int) -> None:
        customer, other = customers[place % 2], customers[(place + 1) % 2]
        if place % 8 == 7:
            for _ in range(4):
                assert submitted(customer, "0.5") == "201"
                other.sweep()
            return
        clients = [Client(web.url, customer.api.secret) for web in webs]
        if place % 4 > 1:
            clients.reverse()
        subjects = [{"run": f"r{n}", "user": f"u{n}"} for n in range(3)]
        if place % 3:
            subjects.reverse()
        for _ in range(2):
            items = [
                {**reserve_body("0.5", subject=subject), "idempotency_key": unique()} for subject in subjects
            ]
            made = patiently(clients[0], "/v1/reservations/batch", {"items": items}, unique()).json()[
                "results"
            ]
            names = [result["body"]["id"] for result in made]
            ends = [
                {"id": name, "outcome": "completed", "amount": "0.75", "idempotency_key": unique()}
                for name in reversed(names[1:])
            ]
            batch = patiently(clients[1], "/v1/reservations/commit_batch", {"items": ends}, unique())
            assert [result["status"] for result in batch.json()["results"]] == [200, 200]
            assert patiently(clients[1], f"/v1/reservations/{names[0]}/release", {}, unique()).status == 200
        for client in clients:
            client.close()

    at_once(work, callers=CLIENTS)
    assert_sound(*(customer.id for customer in customers), within_limits=True)


@dataclass
class Acknowledged:
    """What clients were told, by the key of their call, and the calls of which they heard nothing."""

    told: dict[str, dict[str, Any]] = field(default_factory=dict)
    unheard: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)


def test_the_death_of_one_loses_nothing_that_it_said(webs: list[Web]) -> None:
    """Its clients go to the other with the same keys: what was said is said again, what was not said happens once.

    tests/crash kills what the supervisor brings back; here nobody comes back, and the other has never heard of the
    calls.
    """
    customer = make_customer("1000000")
    kept, is_over, numbers = Acknowledged(), threading.Event(), itertools.count()

    def work(place: int) -> None:
        urls = [webs[place % 2].url, webs[1].url]
        clients = [Client(url, customer.api.secret, timeout=10) for url in urls]

        def call(path: str, body: Any, key: str) -> dict[str, Any]:
            while True:
                try:
                    reply = patiently(clients[0], path, body, key)
                except (OSError, HTTPException):
                    assert len(clients) == 2, "the one that lives has hung up"
                    clients.pop(0).close()
                    with kept.lock:
                        kept.unheard.add(key)
                    continue
                assert reply.status in (200, 201), reply.body
                with kept.lock:
                    kept.told[key] = reply.json()
                return kept.told[key]

        while not is_over.is_set():
            number = next(numbers)
            made = call(
                "/v1/reservations", reserve_body("0.5", subject={"run": f"r{number % 5}"}), f"r-{number}"
            )
            if number % 3:
                done = {"outcome": "completed", "amount": f"0.{1 + number % 8}"}
                call(f"/v1/reservations/{made['id']}/commit", done, f"c-{number}")
        for client in clients:
            client.close()

    def kill(place: int) -> None:
        if place < CLIENTS:
            work(place)
            return
        time.sleep(1.5)
        process = webs[0].child.process
        assert process is not None
        os.killpg(process.pid, signal.SIGKILL)
        time.sleep(1.5)
        is_over.set()

    at_once(kill, callers=CLIENTS + 1)
    assert kept.unheard, "nobody was killed in the midst of a call"
    with reading() as connection:
        rows = connection.execute(
            "SELECT idempotency_key, count(*), min(stream), min(type) FROM v_events WHERE organization = %s "
            "AND type IN ('reservation.reserved', 'reservation.committed') GROUP BY 1",
            (customer.id,),
        ).fetchall()
    assert {key for key, *_ in rows} == set(kept.told)
    for key, count, stream, kind in rows:
        assert (count, stream) == (1, f"reservation:{kept.told[key]['id']}"), key
        assert kind == ("reservation.committed" if key.startswith("c-") else "reservation.reserved")
    client = Client(webs[1].url, customer.api.secret)
    for key in kept.unheard:
        number = int(key[2:])
        if key.startswith("r-"):
            again = client.post(
                "/v1/reservations", reserve_body("0.5", subject={"run": f"r{number % 5}"}), key=key
            )
            assert again.headers["Idempotent-Replayed"] == "true"
            assert again.json()["id"] == kept.told[key]["id"]
    client.close()
    assert_sound(customer.id, within_limits=True)
