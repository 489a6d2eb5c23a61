"""A refusal for a duty names what it is about: the archived object, or the one that the key is not for (S38)."""

from typing import Any

import pytest

from tests.builders.gate import Customer, body_of, make_customer
from tests.builders.orgs import caller, make_connection, make_workflow

SUBJECT = {"agent": "bot", "workflow": "weekly", "connection": "main"}
NAMES = {"agent": "bot", "workflow": "weekly", "connection": "main"}


@pytest.fixture
def customer() -> Customer:
    """An organization with one of each, and a second agent and connection."""
    made = make_customer(agents=("bot", "crawler"))
    make_workflow(made.id)
    make_connection(made.id, "main", "Main")
    make_connection(made.id, "side", "Side")
    return made


def archive(customer: Customer, kind: str) -> None:
    answer = caller(customer.id, "admin").post(f"/v1/{kind}s/{NAMES[kind]}/archive")
    assert answer.status_code == 200, answer.json()


def limited(customer: Customer, **limits: Any) -> Customer:
    return Customer(customer.id, caller(customer.id, "spend:write", "spend:read", **limits))


def refused(who: Customer, code: str) -> dict[str, Any]:
    """The binding of the refusal, which a dry run tells as well."""
    body = body_of(who.reserve("1", subject=SUBJECT), 403)
    dry = who.dry("1", subject=SUBJECT)
    assert (body["code"], dry["code"], dry["binding"]) == (code, code, body["binding"])
    found: dict[str, Any] = body["binding"]
    return found


@pytest.mark.parametrize("kind", NAMES)
def test_what_is_archived_is_named_by_its_key(customer: Customer, kind: str) -> None:
    archive(customer, kind)
    assert refused(customer, "archived") == {"scope": kind, "target": NAMES[kind]}


@pytest.mark.parametrize(
    ("limits", "kind"), [({"agents": ["crawler"]}, "agent"), ({"connections": ["side"]}, "connection")]
)
def test_what_the_key_is_not_for_is_named_by_its_key(
    customer: Customer, limits: dict[str, Any], kind: str
) -> None:
    assert refused(limited(customer, **limits), "not_permitted") == {"scope": kind, "target": NAMES[kind]}


def test_a_call_over_no_connection_has_none_to_name(customer: Customer) -> None:
    body = body_of(limited(customer, connections=["side"]).reserve("1"), 403)
    assert body["binding"] == {"scope": "connection", "target": None}


def test_the_decision_keeps_the_name(customer: Customer) -> None:
    archive(customer, "agent")
    customer.reserve("1", subject=SUBJECT)
    (decision,) = customer.api.get("/v1/decisions").json()["data"]
    assert decision["binding"] == {"scope": "agent", "target": "bot"}
