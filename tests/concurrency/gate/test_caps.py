"""Caps under 64 clients at once: exactly what fits is granted, and nothing that fits is refused (S1, S2, S33)."""

from collections import Counter
from typing import Any

import pytest

from tests.builders.crowd import Client, Reply, crowd
from tests.builders.gate import Customer, make_customer, reserve_body
from tests.builders.orgs import make_connection, make_team, make_workflow, unique
from tests.invariants import assert_sound, reading

CLIENTS = 64
EACH = 3
SCOPES = ("organization", "team", "agent", "workflow", "connection", "user", "run")
SUBJECT = {"workflow": "weekly", "connection": "main", "user": "u", "run": "r"}


def reserve(client: Client, body: dict[str, Any] | None = None, *, key: str | None = None) -> Reply:
    return client.post("/v1/reservations", body or reserve_body("1"), key=key or unique())


def statuses(replies: list[list[Reply]]) -> Counter[int]:
    return Counter(reply.status for several in replies for reply in several)


def granted(customer: Customer) -> tuple[int, int]:
    with reading() as connection:
        row = connection.execute(
            "SELECT count(*), COALESCE(sum(held), 0) FROM v_reservations WHERE organization = %s",
            (customer.id,),
        ).fetchone()
    assert row is not None
    return row[0], int(row[1])


class TestACapForExactlySome:
    @pytest.mark.parametrize("fits", [1, 100])
    def test_of_credit_grants_exactly_those(self, web: str, fits: int) -> None:
        customer = make_customer(str(fits))
        replies = crowd(
            web,
            customer.api.secret,
            lambda client, _: [reserve(client) for _ in range(EACH)],
            clients=CLIENTS,
        )
        assert statuses(replies) == {201: fits, 409: CLIENTS * EACH - fits}
        assert {reply.code for several in replies for reply in several if reply.status == 409} == {
            "budget_busy"
        }
        assert granted(customer) == (fits, fits * 10**8)
        assert customer.available() == "0"
        assert_sound(customer.id, within_limits=True)

    @pytest.mark.parametrize("scope", ["organization", "run"])
    def test_of_a_budget_grants_exactly_those(self, web: str, scope: str) -> None:
        customer = make_customer("1000")
        customer.budget("100", scope=scope)
        body = reserve_body("1", subject={"run": "r"})
        replies = crowd(
            web,
            customer.api.secret,
            lambda client, _: [reserve(client, body) for _ in range(EACH)],
            clients=CLIENTS,
        )
        assert statuses(replies) == {201: 100, 409: CLIENTS * EACH - 100}
        assert granted(customer) == (100, 100 * 10**8)
        assert_sound(customer.id, within_limits=True)

    def test_is_met_again_while_others_commit_and_release(self, web: str) -> None:
        """What comes back is granted again: in the end all credit but the committed is held."""
        customer = make_customer("40")

        def work(client: Client, place: int) -> list[Reply]:
            replies = []
            for turn in range(4):
                held = reserve(client)
                replies.append(held)
                if held.status == 201:
                    path = f"/v1/reservations/{held.json()['id']}"
                    if (place + turn) % 2:
                        replies.append(client.post(f"{path}/release", {}, key=unique()))
                    else:
                        body = {"outcome": "completed", "amount": "0.5"}
                        replies.append(client.post(f"{path}/commit", body, key=unique()))
            return replies

        replies = crowd(web, customer.api.secret, work, clients=CLIENTS)
        assert set(statuses(replies)) <= {200, 201, 402, 409}
        commits = sum(
            1 for several in replies for reply in several if reply.status == 200 and b"charged" in reply.body
        )
        assert customer.available() in (str(40 - commits / 2).removesuffix(".0"),)
        assert_sound(customer.id, within_limits=True)


class TestLayersInOppositeOrders:
    def test_deadlock_no_client(self, web: str) -> None:  # F32
        customer = make_customer("1000", agents=("bot", "crawler"))
        make_team(customer.id)
        make_workflow(customer.id)
        make_connection(customer.id)
        for place in range(len(SCOPES)):
            # budgets are made in one order and met in two: by subjects that name them forwards and backwards
            customer.budget("500", scope=SCOPES[place], window=("day", "month")[place % 2])

        def work(client: Client, place: int) -> list[Reply]:
            names = list(SUBJECT.items())
            ordered = dict(names if place % 2 else reversed(names))
            agent = ("bot", "crawler")[place % 2]
            bodies = [
                reserve_body("1", subject={**ordered, "agent": agent}, ttl_seconds=60) for _ in range(4)
            ]
            items = [{**body, "idempotency_key": unique()} for body in bodies]
            if place % 4 > 1:
                items.reverse()
            batch = client.post("/v1/reservations/batch", {"items": items})
            return [batch, *(reserve(client, body) for body in bodies[:1])]

        replies = crowd(web, customer.api.secret, work, clients=CLIENTS)
        assert statuses(replies) == {200: CLIENTS, 201: CLIENTS}
        items = [item["status"] for several in replies for item in several[0].json()["results"]]
        assert Counter(items) == {201: CLIENTS * 4}
        assert_sound(customer.id, within_limits=True)

    def test_of_two_organizations_stay_apart(self, web: str) -> None:
        customers = [make_customer("20"), make_customer("20")]

        def work(client: Client, place: int) -> Reply:
            own = Client(web, customers[place % 2].api.secret)
            try:
                return reserve(own)
            finally:
                own.close()

        replies = crowd(web, "unused", work, clients=CLIENTS)
        for place, customer in enumerate(customers):
            assert Counter(reply.status for reply in replies[place::2]) == {201: 20, 409: CLIENTS // 2 - 20}
            assert granted(customer) == (20, 20 * 10**8)


class TestTheSameKey:
    def test_from_64_clients_has_one_effect_and_equal_bodies(self, web: str) -> None:  # B80, S3
        customer = make_customer("64")
        replies = crowd(
            web, customer.api.secret, lambda client, _: reserve(client, key="the-key"), clients=CLIENTS
        )
        assert {reply.status for reply in replies} == {201}
        bodies = [{**reply.json(), "remaining_ttl_ms": 0} for reply in replies]
        assert all(body == bodies[0] for body in bodies)
        assert sum("Idempotent-Replayed" not in reply.headers for reply in replies) == 1
        assert granted(customer) == (1, 10**8)
        assert_sound(customer.id, within_limits=True)

    def test_of_a_commit_books_once_and_answers_the_same_bytes(self, web: str) -> None:
        customer = make_customer("10")
        path = f"/v1/reservations/{customer.reserved('1')['id']}/commit"
        body = {"outcome": "completed", "amount": "0.4"}
        replies = crowd(
            web,
            customer.api.secret,
            lambda client, _: client.post(path, body, key="the-key"),
            clients=CLIENTS,
        )
        assert {reply.status for reply in replies} == {200}
        assert len({reply.body for reply in replies}) == 1
        assert customer.available() == "9.6"
        assert_sound(customer.id)

    def test_with_different_bodies_takes_one_of_them(self, web: str) -> None:
        customer = make_customer("100")
        replies = crowd(
            web,
            customer.api.secret,
            lambda client, place: reserve(client, reserve_body(str(1 + place % 2)), key="the-key"),
            clients=CLIENTS,
        )
        assert Counter(reply.status for reply in replies) == {201: CLIENTS // 2, 422: CLIENTS // 2}
        assert {reply.code for reply in replies if reply.status == 422} == {"idempotency_key_reused"}
        assert granted(customer)[0] == 1

    def test_of_different_commits_is_won_by_one(self, web: str) -> None:
        customer = make_customer("10")
        path = f"/v1/reservations/{customer.reserved('1')['id']}"

        def work(client: Client, place: int) -> Reply:
            if place % 2:
                return client.post(f"{path}/release", {}, key=unique())
            return client.post(f"{path}/commit", {"outcome": "completed", "amount": "0.4"}, key=unique())

        replies = crowd(web, customer.api.secret, work, clients=CLIENTS)
        commits = [reply for reply in replies[::2] if reply.status == 200]
        assert len(commits) <= 1
        assert customer.available() == ("9.6" if commits else "10")
        assert_sound(customer.id)

    def test_of_usage_is_booked_once(self, web: str) -> None:  # S21
        customer = make_customer("10")
        body = {
            "source": "s", "id": "one", "subject": {"agent": "bot"}, "amount": "1",
            "occurred_at": "2026-11-01T00:00:00Z", "outcome": "completed",
        }  # fmt: skip
        replies = crowd(
            web, customer.api.secret, lambda client, _: client.post("/v1/usage", body), clients=CLIENTS
        )
        assert {reply.status for reply in replies} == {201}
        assert len({reply.json()["id"] for reply in replies}) == 1
        assert customer.available() == "9"
        assert_sound(customer.id)
