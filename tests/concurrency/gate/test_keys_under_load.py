"""What becomes of a key takes effect at its very next call, in both of two web processes that remember it, while both
are busy with it and with other keys of its organization: also in calls that share a transaction with theirs.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orgs.operations.api_keys import IssuedKey, NewApiKey, create_api_key, revoke_api_key, update_api_key
from orgs.operations.archive import archive_member
from orgs.operations.update import update_member
from tests.builders.crowd import Client, Reply, at_once
from tests.builders.gate import Customer, make_customer, reserve_body
from tests.builders.orgs import AUTHOR, make_key, make_member, unique, write
from tests.invariants import assert_sound, reading
from tests.servers import Web

CLIENTS = 32
BEFORE, AFTER = 1.0, 1.0
Change = Callable[[Customer, IssuedKey], Any]


@dataclass
class Heard:
    """An answer to the key that is changed: when the call was sent, and what came."""

    sent: float
    heard: float
    status: int
    code: str | None


def of_member(customer: Customer) -> IssuedKey:
    member = make_member(customer.id)
    new = NewApiKey(customer.id, "hers", ("spend:write",), member=str(member.id))
    return write(lambda cur: create_api_key(cur, new, author=AUTHOR))


def of_nobody(customer: Customer) -> IssuedKey:
    return make_key(customer.id, "spend:write")


def revoke(customer: Customer, issued: IssuedKey) -> Any:
    name = str(issued.key.id)
    return write(lambda cur: revoke_api_key(cur, organization=customer.id, name=name, author=AUTHOR))


def leave(customer: Customer, issued: IssuedKey) -> Any:
    member = str(issued.key.member_id)
    return write(lambda cur: archive_member(cur, organization=customer.id, name=member, author=AUTHOR))


def get_another_role(customer: Customer, issued: IssuedKey) -> Any:
    member, role = str(issued.key.member_id), {"role": "billing_admin"}
    return write(
        lambda cur: update_member(cur, organization=customer.id, name=member, changes=role, author=AUTHOR)
    )


def end_now(customer: Customer, issued: IssuedKey) -> Any:
    """The key is to end in a moment, which has come when this returns."""
    name, until = str(issued.key.id), datetime.now(UTC) + timedelta(seconds=0.2)
    changes = {"expires_at": until}
    changed = write(
        lambda cur: update_api_key(cur, organization=customer.id, name=name, changes=changes, author=AUTHOR)
    )
    time.sleep(max(0, (until - datetime.now(UTC)).total_seconds()))
    return changed


UNKNOWN, FORBIDDEN = (401, "invalid_credentials"), (403, "forbidden")


@pytest.mark.parametrize(
    ("make", "change", "expected"),
    [
        (of_nobody, revoke, UNKNOWN),
        (of_member, leave, UNKNOWN),
        (of_member, get_another_role, FORBIDDEN),
        (of_nobody, end_now, UNKNOWN),
    ],
    ids=["revoked", "its member left", "its member has another role", "its end came"],
)
def test_a_key_is_refused_by_both_from_its_next_call_on(
    webs: list[Web], make: Callable[[Customer], IssuedKey], change: Change, expected: tuple[int, str]
) -> None:
    customer = make_customer("1000000")
    issued = make(customer)
    victims, others, changed = under_load(webs, customer, issued.secret, lambda: change(customer, issued))
    before = Counter((one.status, one.code) for one in victims if one.heard < changed[0])
    after = Counter((one.status, one.code) for one in victims if one.sent > changed[1])
    assert set(before) == {(201, None)}
    assert min(before.total(), after.total()) > CLIENTS
    assert set(after) == {expected}
    assert {reply.status for reply in others} == {201}
    with reading() as connection:
        row = connection.execute(
            "SELECT count(*) FROM v_reservations WHERE organization = %s", (customer.id,)
        ).fetchone()
    assert row == (len(others) + sum(one.status == 201 for one in victims),)
    assert_sound(customer.id)


def test_a_key_for_one_agent_stays_with_it_when_its_organization_changes_all_the_time(
    webs: list[Web],
) -> None:
    """Each change makes both read the key again, also between others' commands; its limits are never lost."""
    customer = make_customer("1000000", agents=("bot", "crawler"))
    limited = make_key(customer.id, "spend:write", agents=["bot"])
    is_over = threading.Event()

    def work(place: int) -> list[tuple[str, int, str | None]]:
        if place == CLIENTS:
            began = time.monotonic()
            while time.monotonic() < began + 2:
                customer.budget("900000")
                time.sleep(0.02)
            is_over.set()
            return []
        told = []
        client = Client(webs[place % 2].url, limited.secret if place % 4 < 2 else customer.api.secret)
        while not is_over.is_set():
            agent = ("bot", "crawler")[len(told) % 2]
            reply = client.post(
                "/v1/reservations", reserve_body("0.01", subject={"agent": agent}), key=unique()
            )
            told.append((f"{'limited' if place % 4 < 2 else 'open'} {agent}", reply.status, _code(reply)))
        client.close()
        return told

    told = {one for several in at_once(work, callers=CLIENTS + 1) for one in several}
    assert told == {
        ("limited bot", 201, None), ("limited crawler", 403, "not_permitted"), ("open bot", 201, None),
        ("open crawler", 201, None),
    }  # fmt: skip


def under_load(
    webs: Sequence[Web], customer: Customer, secret: str, change: Callable[[], Any]
) -> tuple[list[Heard], list[Reply], tuple[float, float]]:
    """What the key's clients and those of another key heard, and when the change began and was done."""
    is_over, victims, others = threading.Event(), list[Heard](), list[Reply]()
    times: list[float] = []

    def work(place: int) -> None:
        if place == CLIENTS:
            time.sleep(BEFORE)
            times.append(time.monotonic())
            change()
            times.append(time.monotonic())
            time.sleep(AFTER)
            is_over.set()
            return
        is_victim = place % 4 < 2
        client = Client(webs[place % 2].url, secret if is_victim else customer.api.secret)
        while not is_over.is_set():
            sent = time.monotonic()
            reply = _call(client)
            if is_victim:
                victims.append(Heard(sent, time.monotonic(), reply.status, _code(reply)))
            else:
                others.append(reply)
        client.close()

    at_once(work, callers=CLIENTS + 1)
    return victims, others, (times[0], times[1])


def _call(client: Client) -> Reply:
    """A reservation; again when the gate asks for it: too many in a second, or a row that is locked."""
    while True:
        reply = client.post("/v1/reservations", reserve_body("0.01"), key=unique())
        if reply.status not in (429, 503):
            return reply
        time.sleep(0.05)


def _code(reply: Reply) -> str | None:
    return None if reply.status == 201 else reply.code
