"""What becomes of a key takes effect at its next call, in every process that remembers it."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orgs.operations.api_keys import IssuedKey, NewApiKey, create_api_key, revoke_api_key, update_api_key
from orgs.operations.archive import archive_member
from orgs.operations.update import update_member
from tests.builders.crowd import Client
from tests.builders.gate import Customer, make_customer, reserve_body
from tests.builders.orgs import AUTHOR, Caller, make_key, make_member, unique, write
from tests.invariants import Still

Ask = Callable[[IssuedKey, Any], tuple[int, str | None]]
GOOD = reserve_body("1")
WRONG = {"subject": {"agent": "bot"}, "colour": "red"}
BATCH = {"items": [{**GOOD, "idempotency_key": unique()}, {"colour": "red"}]}


def here(issued: IssuedKey, body: Any) -> tuple[int, str | None]:
    """Ask the entry in this process."""
    path = "/v1/reservations/batch" if "items" in body else "/v1/reservations"
    answer = Caller(issued.secret).post(path, body, key=unique())
    return answer.status_code, answer.json().get("code")


@pytest.fixture
def there(web: str) -> Ask:
    """Ask the one of another process."""

    def ask(issued: IssuedKey, body: Any) -> tuple[int, str | None]:
        client = Client(web, issued.secret)
        path = "/v1/reservations/batch" if "items" in body else "/v1/reservations"
        reply = client.post(path, body, key=unique())
        client.close()
        return reply.status, json.loads(reply.body).get("code")

    return ask


@pytest.fixture
def customer() -> Customer:
    return make_customer("1000")


@pytest.fixture
def used(customer: Customer, there: Ask) -> IssuedKey:
    """A key that both processes remember."""
    issued = make_key(customer.id, "spend:write")
    remember(issued, there)
    return issued


def remember(issued: IssuedKey, there: Ask) -> None:
    assert [ask(issued, GOOD)[0] for ask in (here, there)] == [201, 201]


def assert_refused(issued: IssuedKey, customer: Customer, there: Ask) -> None:
    """Whatever the call holds, valid or not, in both processes, more than once."""
    with Still(customer.id):
        for body in (WRONG, BATCH, GOOD, WRONG):
            assert [ask(issued, body) for ask in (here, there)] == [(401, "invalid_credentials")] * 2, body


def test_a_revoked_key_is_refused(customer: Customer, used: IssuedKey, there: Ask) -> None:
    name = str(used.key.id)
    write(lambda cur: revoke_api_key(cur, organization=customer.id, name=name, author=AUTHOR))
    assert_refused(used, customer, there)


@pytest.mark.parametrize("first", [WRONG, BATCH, GOOD], ids=["wrong", "batch", "good"])
def test_a_revoked_key_is_refused_by_the_first_call_already(
    customer: Customer, used: IssuedKey, there: Ask, first: Any
) -> None:
    name = str(used.key.id)
    write(lambda cur: revoke_api_key(cur, organization=customer.id, name=name, author=AUTHOR))
    with Still(customer.id):
        assert [ask(used, first) for ask in (here, there)] == [(401, "invalid_credentials")] * 2


def test_a_key_whose_end_is_moved_forward_ends_then(customer: Customer, used: IssuedKey, there: Ask) -> None:
    soon = {"expires_at": datetime.now(UTC) + timedelta(seconds=0.3)}
    name = str(used.key.id)
    write(lambda cur: update_api_key(cur, organization=customer.id, name=name, changes=soon, author=AUTHOR))
    time.sleep(0.4)
    assert_refused(used, customer, there)


def test_a_key_is_refused_when_its_member_has_left(customer: Customer, there: Ask) -> None:
    member = make_member(customer.id)
    new = NewApiKey(customer.id, "hers", ("spend:write",), member=str(member.id))
    issued = write(lambda cur: create_api_key(cur, new, author=AUTHOR))
    remember(issued, there)
    write(lambda cur: archive_member(cur, organization=customer.id, name=str(member.id), author=AUTHOR))
    assert_refused(issued, customer, there)


def test_a_member_of_another_role_may_do_no_more_than_that(customer: Customer, there: Ask) -> None:
    member = make_member(customer.id)
    new = NewApiKey(customer.id, "hers", ("spend:write",), member=str(member.id))
    issued = write(lambda cur: create_api_key(cur, new, author=AUTHOR))
    remember(issued, there)
    role = {"role": "billing_admin"}
    write(
        lambda cur: update_member(
            cur, organization=customer.id, name=str(member.id), changes=role, author=AUTHOR
        )
    )
    with Still(customer.id):
        for body in (WRONG, GOOD, BATCH):
            assert [ask(issued, body) for ask in (here, there)] == [(403, "forbidden")] * 2


def test_a_change_of_something_else_leaves_the_key_as_it_is(
    customer: Customer, used: IssuedKey, there: Ask
) -> None:
    customer.budget("500")
    assert [ask(used, GOOD)[0] for ask in (here, there)] == [201, 201]


def test_a_key_that_was_just_made_works_though_it_was_asked_for_before(
    customer: Customer, there: Ask
) -> None:
    assert here(IssuedKey(make_key(customer.id).key, "cfk_" + "0" * 40), GOOD) == (401, "invalid_credentials")
    remember(make_key(customer.id, "spend:write"), there)
