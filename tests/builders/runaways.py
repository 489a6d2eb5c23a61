"""Agents that run away, and others at work beside them: over HTTP, against a server that is killed meanwhile.

A runaway never waits and never gives up: whatever it is told, it calls again. What it is granted it commits.
"""

import itertools
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any

from tests.builders.crowd import Client, Reply, at_once
from tests.builders.gate import Customer, commit_body, reserve_body, units
from tests.builders.orgs import unique
from tests.builders.sizes import IS_FULL
from tests.invariants import reading
from tests.servers import Web, wait_until_ready

CALLS = int(os.environ.get("RUNAWAY_CALLS", "300"))
CLIENTS = int(os.environ.get("RUNAWAY_CLIENTS", "16"))
WORKING = "helper"
"""The agent beside."""
RESTARTS_EVERY = 1 if IS_FULL else 3
"""After so many runaways a server dies once more when they were stopped: each start takes seconds of two processors."""
_stopped = itertools.count()
LEAST_BESIDE = 10
PATIENCE_SECONDS = 60
HELD, CHARGED = "1", "0.6"
"""What a call may cost, and what it does cost."""
Charged = str | dict[str, Any] | None
"""An amount, the fields of a commit, or nothing: then it stays open."""
NOT_DECIDED = ((503, "gate_unavailable"), (409, "idempotency_in_flight"))


def fits(limit: str, *, held: str = HELD, charged: str = CHARGED) -> int:
    """How many calls of this kind a limit lets through, one after the other: while spent + held <= limit."""
    room = units(limit) - units(held)
    return room // units(charged) + 1 if room >= 0 else 0


class Caller:
    """One client that asks again under the same key while the server is away."""

    def __init__(self, url: str, secret: str) -> None:
        self._url, self._secret = url, secret
        self._client = Client(url, secret)

    def post(self, path: str, body: Any, key: str | None = None) -> Reply:
        """The answer of the gate. Fails when it stays away."""
        key, until = key or unique(), time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            try:
                reply = self._client.post(path, body, key=key)
            except (OSError, HTTPException):
                self._client = Client(self._url, self._secret)
                time.sleep(0.05)
                continue
            if (
                reply.status,
                reply.code if reply.status >= 400 else None,
            ) not in NOT_DECIDED and not _is_hasty(reply):
                assert reply.status < 500, reply.body
                return reply
            time.sleep(0.02)
        raise AssertionError(f"{path} was never answered")

    def make(self, body: dict[str, Any], charged: Charged) -> tuple[Reply, Reply | None]:
        """Reserve and, where that is granted, commit; charged None leaves it open."""
        reserved = self.post("/v1/reservations", body)
        if reserved.status != 201 or charged is None:
            return reserved, None
        path = f"/v1/reservations/{reserved.json()['id']}/commit"
        done = commit_body(charged) if isinstance(charged, str) else commit_body(**charged)
        committed = self.post(path, done)
        assert committed.status == 200, committed.body
        return reserved, committed

    def close(self) -> None:
        """Hang up."""
        self._client.close()


def _is_hasty(reply: Reply) -> bool:
    """Whether the key alone makes more calls than a second has room for: that is no rule of the customer's."""
    return reply.status == 429 and reply.code == "rate_limited" and "binding" not in reply.json()


@dataclass
class Burn:
    """What the runaway was told, call by call, and what the others were told meanwhile."""

    granted: list[dict[str, Any]] = field(default_factory=list)
    committed: list[dict[str, Any]] = field(default_factory=list)
    refused: list[Reply] = field(default_factory=list)
    beside: list[Reply] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def codes(self) -> Counter[str | None]:
        """How often it was refused, by code."""
        return Counter(reply.code for reply in self.refused)

    @property
    def charged(self) -> int:
        """What its calls were charged, in units."""
        return sum(units(body["charged"]) for body in self.committed)

    @property
    def overage(self) -> int:
        """What they were charged above what was held, in units."""
        return sum(units(body["overage"]) for body in self.committed)

    def add(self, reserved: Reply, committed: Reply | None) -> None:
        """Note a call."""
        with self.lock:
            if reserved.status == 201:
                self.granted.append(reserved.json())
            else:
                self.refused.append(reserved)
            if committed is not None:
                self.committed.append(committed.json())


def kill_and_restart(server: Web) -> None:
    """kill -9, and the same again at the same address."""
    assert server.child.process is not None
    os.killpg(server.child.process.pid, signal.SIGKILL)
    server.child.process.wait()
    server.child.spawn()
    wait_until_ready(server.child)


def run_away(
    server: Web,
    customer: Customer,
    body: Callable[[int], dict[str, Any]],
    *,
    calls: int = CALLS,
    clients: int = CLIENTS,
    charged: Charged = CHARGED,
    beside: Customer | None = None,
    meanwhile: Callable[[], None] | None = None,
    is_killed: bool = False,
) -> Burn:
    """Make so many calls as fast as the clients can, `body` by number; after a third of them
    `meanwhile` happens and, with `is_killed`, the server is killed and started again. An agent of `beside` (else of the
    customer) works all the while.
    """
    burn, numbers, is_over = Burn(), itertools.count(), threading.Event()
    third, left = threading.Event(), threading.Semaphore(0)

    def burning() -> None:
        client = Caller(server.url, customer.api.secret)
        for number in numbers:
            if number >= calls:
                break
            if number >= calls // 3:
                third.set()
            burn.add(*client.make(body(number), charged))
        client.close()
        left.release()

    def work(place: int) -> None:
        if place < clients:
            burning()
        elif place == clients:
            _work_beside(server, beside or customer, burn, is_over)
        else:
            third.wait()
            if is_killed:
                kill_and_restart(server)
            if meanwhile is not None:
                meanwhile()
            for _ in range(clients):
                left.acquire()
            is_over.set()

    at_once(work, callers=clients + 2)
    return burn


def _work_beside(server: Web, customer: Customer, burn: Burn, is_over: threading.Event) -> None:
    client = Caller(server.url, customer.api.secret)
    done = 0
    while done < LEAST_BESIDE or not is_over.is_set():
        if done % LEAST_BESIDE == 0:
            run = unique("beside")
        reply, _ = client.make(reserve_body("0.01", subject={"agent": WORKING, "run": run}), "0.01")
        burn.beside.append(reply)
        done += 1
    client.close()


def go_on(server: Web, customer: Customer, body: dict[str, Any], *, charged: Charged = CHARGED) -> Burn:
    """Call one after the other until a call is refused, so that nothing in flight is in the way; then once more, of
    every RESTARTS_EVERY runaways after a death of the server."""
    burn = Burn()
    for _ in range(CALLS):
        client = Caller(server.url, customer.api.secret)
        burn.add(*client.make(body, charged))
        client.close()
        if burn.refused:
            break
    assert burn.refused, "it was never stopped"
    if next(_stopped) % RESTARTS_EVERY == 0:
        kill_and_restart(server)
    client = Caller(server.url, customer.api.secret)
    burn.add(*client.make(body, charged))
    client.close()
    return burn


def incidents_of(customer: Customer, **wanted: str) -> list[dict[str, Any]]:
    """The incidents of the customer as the API shows them, oldest first."""
    found: list[dict[str, Any]] = customer.api.get("/v1/incidents", limit="100", **wanted).json()["data"]
    return found[::-1]


def windows_of(customer: Customer) -> dict[tuple[str, str], tuple[int, int, int]]:
    """(limit, spent, held) in units of each budget's windows, by scope and target."""
    with reading() as connection:
        rows = connection.execute(
            "SELECT scope, target, amount_limit, spent, held FROM v_budgets WHERE organization = %s",
            (customer.id,),
        ).fetchall()
    return {(scope, target): (limit, spent, held) for scope, target, limit, spent, held in rows}
