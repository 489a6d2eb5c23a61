"""The staff's pages of organizations: readable, not editable, and with actions that call operations."""

import secrets
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from orgs.models import Organization
from tests.builders.orgs import (
    Caller,
    events_of,
    make_agent,
    make_connection,
    make_key,
    make_member,
    make_organization,
    make_team,
    make_workflow,
)

MODELS = ("organization", "team", "agent", "workflow", "connection", "member", "apikey")


def staff(*permissions: str, superuser: bool = False) -> tuple[User, Client]:
    user = User.objects.create_user(
        f"staff-{secrets.token_hex(4)}", is_staff=True, is_superuser=superuser, password=None
    )
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return user, client


def objects() -> dict[str, Any]:
    organization = make_organization()
    return {
        "organization": organization,
        "team": make_team(organization).id,
        "agent": make_agent(organization).id,
        "workflow": make_workflow(organization).id,
        "connection": make_connection(organization).id,
        "member": make_member(organization).id,
        "apikey": make_key(organization, "spend:read").key.id,
    }


@pytest.mark.parametrize("model", MODELS)
class TestEachPage:
    def test_lists_and_shows_and_offers_no_change(self, model: str) -> None:
        made = objects()
        _, client = staff(superuser=True)
        assert client.get(f"/admin/orgs/{model}/").status_code == 200
        assert client.get(f"/admin/orgs/{model}/", {"q": str(made[model])}).status_code == 200
        page = client.get(f"/admin/orgs/{model}/{made[model]}/change/")
        assert page.status_code == 200
        assert b'name="_save"' not in page.content
        assert b"secret_hash" not in page.content
        assert client.get(f"/admin/orgs/{model}/add/").status_code == 403
        assert client.post(f"/admin/orgs/{model}/{made[model]}/delete/", {"post": "yes"}).status_code == 403
        before = events_of(made["organization"])
        assert client.post(f"/admin/orgs/{model}/{made[model]}/change/", {"name": "x"}).status_code == 403
        assert events_of(made["organization"]) == before

    def test_is_closed_to_staff_without_the_permission(self, model: str) -> None:
        _, client = staff()
        assert client.get(f"/admin/orgs/{model}/").status_code == 403


class TestActions:
    def _act(self, client: Client, model: str, action: str, identifier: Any) -> None:
        body = {"action": action, "_selected_action": [str(identifier)]}
        assert client.post(f"/admin/orgs/{model}/", body, follow=True).status_code == 200

    @pytest.mark.parametrize("model", ["team", "agent", "workflow", "connection", "member"])
    def test_archive_with_the_person_as_actor(self, model: str) -> None:
        made = objects()
        user, client = staff(f"view_{model}", f"change_{model}")
        self._act(client, model, "archive", made[model])
        last = events_of(made["organization"])[-1]
        assert last[0] == f"{model}.archived"
        assert last[1] == made[model]
        assert last[3] == f"staff:{user.pk}"

    def test_revoke_keys(self) -> None:
        organization = make_organization()
        issued = make_key(organization, "spend:read")
        _, client = staff("view_apikey", "change_apikey")
        self._act(client, "apikey", "revoke", issued.key.id)
        assert Caller(issued.secret).get("/v1/agents").status_code == 401

    def test_close_organizations(self) -> None:
        organization = make_organization()
        _, client = staff("view_organization", "change_organization")
        self._act(client, "organization", "close", organization)
        assert Organization.objects.get(id=organization).status == "closed"

    def test_say_why_the_platform_is_not_closed(self) -> None:
        _, client = staff("view_organization", "change_organization")
        platform = Organization.objects.get(is_platform=True)
        body = {"action": "close", "_selected_action": [str(platform.id)]}
        page = client.post("/admin/orgs/organization/", body, follow=True)
        assert b"The platform itself cannot be closed." in page.content
        assert Organization.objects.get(is_platform=True).status == "active"

    def test_are_not_there_for_people_who_may_only_look(self) -> None:
        made = objects()
        _, client = staff("view_agent")
        before = events_of(made["organization"])
        self._act(client, "agent", "archive", made["agent"])
        assert events_of(made["organization"]) == before
