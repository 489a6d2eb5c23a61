"""S109: every route and every id of this app, tried with another organization's object.

The answer to another organization's object is compared byte by byte with the answer to an unknown one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from common.ids import new_id
from tests.builders.orgs import (
    Caller,
    caller,
    events_of,
    make_agent,
    make_connection,
    make_key,
    make_member,
    make_organization,
    make_team,
    make_workflow,
)


@dataclass
class Tenant:
    organization: UUID
    ids: dict[str, str]
    keys: dict[str, str]


@pytest.fixture(scope="module")
def victim() -> Tenant:
    organization = make_organization(name="Victim")
    subjects = {
        "teams": make_team(organization, "victim-team"),
        "agents": make_agent(organization, "victim-agent"),
        "workflows": make_workflow(organization, "victim-flow"),
        "connections": make_connection(organization, "victim-line"),
    }
    ids = {name: str(subject.id) for name, subject in subjects.items()}
    ids |= {"members": str(make_member(organization).id), "api-keys": str(make_key(organization).key.id)}
    return Tenant(organization, ids, {name: subject.key for name, subject in subjects.items()})


@pytest.fixture(scope="module")
def attacker() -> tuple[UUID, Caller]:
    organization = make_organization(name="Attacker")
    return organization, caller(organization)


SUBJECTS = ("teams", "agents", "workflows", "connections")
CALLS: dict[str, Callable[[Caller, str], Any]] = {
    "GET": lambda who, path: who.get(path),
    "PATCH": lambda who, path: who.patch(path, {"name": "Mine now"}),
    "archive": lambda who, path: who.post(f"{path}/archive"),
}
KEY_CALLS: dict[str, Callable[[Caller, str], Any]] = {
    "GET": lambda who, path: who.get(path),
    "PATCH": lambda who, path: who.patch(path, {"name": "Mine now"}),
    "DELETE": lambda who, path: who.delete(path),
    "revoke": lambda who, path: who.post(f"{path}/revoke"),
    "rotate": lambda who, path: who.post(f"{path}/rotate"),
}


def same(foreign: Any, unknown: Any) -> None:
    """The two answers differ in nothing but the id of the request."""
    bodies = []
    for answer in (foreign, unknown):
        assert answer.status_code == 404
        body = answer.json()
        body.pop("request_id")
        bodies.append(body)
    assert bodies[0] == bodies[1]
    assert bodies[0]["code"] == "not_found"


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("route", [*SUBJECTS, "members"])
def test_another_organizations_object_is_an_unknown_one(
    route: str, call: str, victim: Tenant, attacker: tuple[UUID, Caller]
) -> None:
    _, who = attacker
    before = events_of(victim.organization)
    same(CALLS[call](who, f"/v1/{route}/{victim.ids[route]}"), CALLS[call](who, f"/v1/{route}/{new_id()}"))
    if route in SUBJECTS:
        same(CALLS[call](who, f"/v1/{route}/{victim.keys[route]}"), CALLS[call](who, f"/v1/{route}/nobody"))
    assert events_of(victim.organization) == before


@pytest.mark.parametrize("call", KEY_CALLS)
def test_another_organizations_api_key_is_an_unknown_one(
    call: str, victim: Tenant, attacker: tuple[UUID, Caller]
) -> None:
    own, who = attacker
    before = events_of(victim.organization)
    make = KEY_CALLS[call]
    foreign, unknown = victim.ids["api-keys"], str(new_id())
    same(
        make(who, f"/v1/organizations/{own}/api-keys/{foreign}"),
        make(who, f"/v1/organizations/{own}/api-keys/{unknown}"),
    )
    same(
        make(who, f"/v1/organizations/{victim.organization}/api-keys/{foreign}"),
        make(who, f"/v1/organizations/{new_id()}/api-keys/{foreign}"),
    )
    assert events_of(victim.organization) == before


def test_another_organization_is_an_unknown_one(victim: Tenant, attacker: tuple[UUID, Caller]) -> None:
    _, who = attacker
    before = events_of(victim.organization)
    for make in (
        lambda place: who.get(f"/v1/organizations/{place}"),
        lambda place: who.patch(f"/v1/organizations/{place}", {"name": "Mine now"}),
        lambda place: who.get(f"/v1/organizations/{place}/api-keys"),
        lambda place: who.post(f"/v1/organizations/{place}/api-keys", {"name": "k", "scopes": ["admin"]}),
    ):
        same(make(victim.organization), make(new_id()))
    assert events_of(victim.organization) == before


@pytest.mark.parametrize("route", [*SUBJECTS, "members"])
def test_another_organization_named_beside_is_an_unknown_one(
    route: str, victim: Tenant, attacker: tuple[UUID, Caller]
) -> None:
    _, who = attacker
    before = events_of(victim.organization)
    body = {"key": "a", "name": "A"} if route in SUBJECTS else {"name": "A", "role": "member"}
    for make in (
        lambda place: who.get(f"/v1/{route}", organization=str(place)),
        lambda place: who.get(f"/v1/{route}/{victim.ids[route]}", organization=str(place)),
        lambda place: who.post(f"/v1/{route}", {**body, "organization": str(place)}),
    ):
        same(make(victim.organization), make(new_id()))
    assert events_of(victim.organization) == before


def test_references_in_bodies_and_filters_to_others_objects_are_unknown_ones(
    victim: Tenant, attacker: tuple[UUID, Caller]
) -> None:
    own, who = attacker
    before = events_of(own)
    key_path = f"/v1/organizations/{own}/api-keys"
    key = {"name": "k", "scopes": ["spend:read"]}
    for team in (victim.ids["teams"], victim.keys["teams"]):
        unknown = str(new_id())
        for make in (
            lambda name: who.post("/v1/agents", {"key": "a", "name": "A", "team": name}),
            lambda name: who.post("/v1/members", {"name": "A", "role": "team_owner", "team": name}),
            lambda name: who.get("/v1/agents", team=name),
        ):
            same(make(team), make(unknown))
    for field, value in (
        ("member", victim.ids["members"]),
        ("agents", [victim.ids["agents"]]),
        ("agents", [victim.keys["agents"]]),
        ("connections", [victim.ids["connections"]]),
    ):
        unknown_value = [str(new_id())] if isinstance(value, list) else str(new_id())
        same(who.post(key_path, {**key, field: value}), who.post(key_path, {**key, field: unknown_value}))
    assert events_of(own) == before


def test_lists_hold_nothing_of_others(victim: Tenant, attacker: tuple[UUID, Caller]) -> None:
    own, who = attacker
    for route in (*SUBJECTS, "members"):
        for item in who.get(f"/v1/{route}", limit="100").json()["data"]:
            assert item["organization"] == str(own)
            assert item["id"] != victim.ids[route]
    for item in who.get(f"/v1/organizations/{own}/api-keys", limit="100").json()["data"]:
        assert item["organization"] == str(own)


def test_the_same_keys_live_side_by_side_in_two_organizations(attacker: tuple[UUID, Caller]) -> None:
    _, who = attacker
    other = caller(make_organization())
    made = [each.post("/v1/agents", {"key": "shared", "name": "Shared"}) for each in (who, other)]
    assert [answer.status_code for answer in made] == [201, 201]
    assert who.get("/v1/agents/shared").json()["id"] != other.get("/v1/agents/shared").json()["id"]


def test_every_route_of_this_app_is_in_this_matrix() -> None:
    tried = {f"{route}/<str:name>" for route in (*SUBJECTS, "members")}
    tried |= {f"{route}/<str:name>/archive" for route in (*SUBJECTS, "members")}
    tried |= {*SUBJECTS, "members", "organizations/<str:name>", "organizations/<str:name>/api-keys"}
    tried |= {f"organizations/<str:name>/api-keys/<str:key>{end}" for end in ("", "/revoke", "/rotate")}
    # The platform's own; and tests/functional/events tries the event log.
    tried |= {"organizations/<str:name>/archive", "event-log"}
    # tests/functional/billing tries the clock.
    tried |= {"organizations/<str:name>/clock", "organizations/<str:name>/clock/advance"}
    from orgs.api.urls import urlpatterns

    assert {str(pattern.pattern) for pattern in urlpatterns} == tried
