"""A switch in several processes: obeyed by every one at its next decision, also after a restart (S60)."""

import time
from typing import Any

from tests.builders.crowd import Client, Reply, at_once
from tests.builders.gate import Customer, make_customer, reserve_body
from tests.builders.orgs import events_of, unique
from tests.invariants import assert_sound
from tests.servers import Web, wait_until_ready

CLIENTS = 16
WHY = {"reason": "it burns money"}


def stopper() -> Customer:
    return make_customer("1000", scopes=("admin", "spend:write"))


def ok(answer: Any) -> dict[str, Any]:
    assert answer.status_code in (200, 201), answer.content
    found: dict[str, Any] = answer.json()
    return found


def reserve(client: Client, run: str = "r") -> Reply:
    return client.post("/v1/reservations", reserve_body("0.01", subject={"run": run}), key=unique())


def told(customer: Customer, webs: list[Web]) -> list[tuple[int, str | None]]:
    replies = []
    for web in webs:
        client = Client(web.url, customer.api.secret)
        replies.append(reserve(client))
        client.close()
    return [(reply.status, reply.code) for reply in replies]


def restart(web: Web) -> None:
    web.child.end()
    web.child.spawn()
    wait_until_ready(web.child)


def test_every_process_obeys_it_at_once_and_after_a_restart(webs: list[Web]) -> None:
    customer = stopper()
    assert told(customer, webs) == [(201, None)] * 2
    ok(customer.api.post("/v1/agents/bot/pause", WHY))
    assert told(customer, webs) == [(403, "paused")] * 2
    restart(webs[0])
    assert told(customer, webs) == [(403, "paused")] * 2
    ok(customer.api.post("/v1/agents/bot/resume", {"reason": "mended"}))
    assert told(customer, webs) == [(201, None)] * 2
    ok(customer.api.post("/v1/runs/r/stop", WHY))
    for web in webs:
        restart(web)
    assert told(customer, webs) == [(403, "blocked")] * 2
    assert_sound(customer.id)


def test_no_call_that_begins_after_it_is_granted_whoever_answers(webs: list[Web]) -> None:
    customer = stopper()
    granted: list[float] = []
    refused: list[str | None] = []
    returned: list[float] = []

    def work(place: int) -> None:
        if place == CLIENTS:
            time.sleep(0.5)
            ok(customer.api.post("/v1/kill-switches", {"scope": "organization", **WHY}))
            returned.append(time.monotonic())
            return
        client = Client(webs[place % 2].url, customer.api.secret)
        begun = time.monotonic()
        while time.monotonic() < begun + 30:
            started = time.monotonic()
            reply = reserve(client, f"r-{place}")
            if reply.status == 403:
                refused.append(reply.code)
                break
            if reply.status == 201:
                granted.append(started)
        client.close()

    at_once(work, callers=CLIENTS + 1)
    assert refused == ["blocked"] * CLIENTS
    assert granted and max(granted) <= returned[0]
    assert_sound(customer.id)


def test_many_who_stop_the_same_set_one_switch() -> None:
    customer = stopper()
    pauses = at_once(lambda _: ok(customer.api.post("/v1/agents/bot/pause", WHY))["id"], callers=CLIENTS)
    assert len(set(pauses)) == 1
    why = {"reason": "mended"}
    lifted = at_once(
        lambda _: ok(customer.api.post("/v1/agents/bot/resume", why))["version"], callers=CLIENTS
    )
    assert set(lifted) == {2}
    names = [event[0] for event in events_of(customer.id)]
    assert (names.count("switch.set"), names.count("switch.lifted")) == (1, 1)
