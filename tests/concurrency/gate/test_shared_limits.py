"""Rate limits over several processes and through a restart (S53): they stand in the database, not in a process."""

import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sandbox.places import free_port
from tests.builders.crowd import Client, Reply, at_once
from tests.builders.gate import Customer, reserve_body
from tests.builders.limits import counters, limit, limited, move_to_morning
from tests.builders.orgs import unique
from tests.servers import Web, serving, web_spec

CLIENTS = 32
EACH = 4
FITS = 40
KINDS: dict[str, dict[str, Any]] = {
    "window": {"window": "day"},
    "meter": {"window": "billing_cycle", "burst": FITS},  # one unit in more than half a day
    "concurrent": {"unit": "concurrent"},
}


def ask(client: Client) -> str:
    """What the gate says to one reservation, asked again while it is too busy to say anything."""
    key = unique()
    for _ in range(100):
        reply: Reply = client.post("/v1/reservations", reserve_body("1"), key=key)
        if reply.status != 503 and reply.code != "idempotency_in_flight":
            return "201" if reply.status == 201 else str(reply.code)
        time.sleep(0.05)
    raise AssertionError("never answered")


def ready(kind: str) -> tuple[Customer, dict[str, Any]]:
    customer = limited()
    move_to_morning(customer)
    return customer, limit(customer, FITS, **KINDS[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_let_exactly_the_limit_pass_together(webs: list[Web], kind: str) -> None:
    customer, made = ready(kind)

    def work(place: int) -> list[str]:
        client = Client(webs[place % 2].url, customer.api.secret)
        try:
            return [ask(client) for _ in range(EACH)]
        finally:
            client.close()

    told = Counter(one for several in at_once(work, callers=CLIENTS) for one in several)
    assert told == {"201": FITS, "rate_limited": CLIENTS * EACH - FITS}
    assert [row["remaining"] for row in counters(customer, made)] == [0]


def test_a_restart_forgets_nothing(tmp_path: Path) -> None:
    customers = {kind: ready(kind)[0] for kind in KINDS}
    told: dict[str, list[Counter[str]]] = {kind: [] for kind in KINDS}
    for name in ("before", "after"):
        port = free_port()
        with serving(web_spec(port), folder=tmp_path / name):
            for kind, customer in customers.items():
                client = Client(f"http://127.0.0.1:{port}", customer.api.secret)
                told[kind].append(Counter(ask(client) for _ in range(30)))
                client.close()
    expected = [{"201": 30}, {"201": FITS - 30, "rate_limited": 60 - FITS}]
    assert told == dict.fromkeys(KINDS, expected)


def test_a_change_in_one_process_holds_in_the_other_at_once(webs: list[Web]) -> None:
    customer, made = ready("window")
    clients = [Client(web.url, customer.api.secret) for web in webs]
    assert [ask(client) for client in clients] == ["201", "201"]
    for amount, expected in ((2, "rate_limited"), (4, "201"), (3, "rate_limited")):
        assert customer.api.patch(f"/v1/rate-limits/{made['id']}", {"limit": amount}).status_code == 200
        assert {ask(client) for client in clients} == {expected}
    for client in clients:
        client.close()
