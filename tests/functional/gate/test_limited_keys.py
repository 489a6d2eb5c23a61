"""A key for some agents or connections touches no money of the others, at whatever step of a call (S43)."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.builders.gate import Customer, body_of, make_customer
from tests.builders.orgs import caller, make_agent, make_connection, unique
from tests.invariants import Still, assert_sound

Act = Callable[[Customer, str], Any]
ACTS: dict[str, Act] = {
    "commit": lambda key, reservation: key.commit(reservation, "1"),
    "commit what cannot be priced": lambda key, reservation: key.commit(
        reservation, usage={"tool_calls": {"unknown": 1}}
    ),
    "release": lambda key, reservation: key.release(reservation),
    "extend": lambda key, reservation: key.extend(reservation, 3_600),
    "use": lambda key, reservation: key.use("1", reservation=reservation),
}


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code")


def limited_to(customer: Customer, **limits: Any) -> Customer:
    return Customer(customer.id, caller(customer.id, "spend:write", **limits))


@pytest.fixture
def customer() -> Customer:
    made = make_customer(agents=("bot", "crawler"))
    make_connection(made.id)
    return made


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
class TestAReservationOfAnother:
    def test_agent_is_not_for_the_key(self, customer: Customer, act: Act) -> None:
        held = customer.reserved("2", subject={"agent": "crawler"})
        key = limited_to(customer, agents=("bot",))
        with Still(customer.id):
            assert code(act(key, held["id"])) == (403, "not_permitted")

    def test_connection_is_not_for_the_key(self, customer: Customer, act: Act) -> None:
        held = customer.reserved("2")
        key = limited_to(customer, connections=("main",))
        with Still(customer.id):
            assert code(act(key, held["id"])) == (403, "not_permitted")


def test_a_batch_of_commits_takes_only_what_is_for_the_key(customer: Customer) -> None:
    key = limited_to(customer, agents=("bot",))
    own, foreign = customer.reserved("2"), customer.reserved("2", subject={"agent": "crawler"})
    items = [
        {"id": held["id"], "outcome": "completed", "amount": "1", "idempotency_key": unique()}
        for held in (foreign, own)
    ]
    results = body_of(key.api.post("/v1/reservations/commit_batch", {"items": items}), 200)["results"]
    assert [(result["status"], result["body"].get("code")) for result in results] == [
        (403, "not_permitted"),
        (200, None),
    ]
    assert_sound(customer.id)


def test_usage_of_another_agent_or_connection_is_not_for_the_key(customer: Customer) -> None:
    of_bot, over_main = limited_to(customer, agents=("bot",)), limited_to(customer, connections=("main",))
    with Still(customer.id):
        for key, subject in ((of_bot, {"agent": "crawler"}), (over_main, {})):
            assert code(key.use("1", subject=subject)) == (403, "not_permitted")


def test_a_key_ends_what_it_began(customer: Customer) -> None:
    make_agent(customer.id, "other")
    key = limited_to(customer, agents=("bot",), connections=("main",))
    over = {"connection": "main"}
    body_of(key.commit(key.reserved("2", subject=over)["id"], "1"), 200)
    body_of(key.release(key.reserved("2", subject=over)["id"]), 200)
    body_of(key.use("1", subject=over), 201)
    assert customer.available() == "98"


@pytest.mark.parametrize("limits", [{"agents": ()}, {"connections": ()}])
def test_a_key_for_no_agent_or_connection_at_all_spends_nothing(
    customer: Customer, limits: dict[str, Any]
) -> None:
    key = limited_to(customer, **limits)
    with Still(customer.id, decisions=1):
        assert code(key.reserve("1")) == (403, "not_permitted")
