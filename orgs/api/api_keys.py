"""/v1/organizations/{id}/api-keys: the only place where a secret is seen, once."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from common.api.answers import json_bytes, json_response
from common.api.paging import envelope
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs import PLATFORM_ID
from orgs.api.acting import checked, refuse_fields
from orgs.api.organizations import OrganizationView
from orgs.api.representations import show_api_key
from orgs.api.serializers import (
    ApiKeyChangeSerializer,
    ApiKeySerializer,
    IssuedApiKeySerializer,
    RotationSerializer,
    ShownApiKeySerializer,
)
from orgs.operations import api_keys as operations
from orgs.operations.api_keys import IssuedKey, NewApiKey
from orgs.queries.api_keys import find_api_key, list_api_keys
from orgs.rules.api_keys import DEFAULT_OVERLAP_SECONDS, opened, require_key_scopes, sealed
from orgs.rules.permissions import require_setup
from orgs.rules.scopes import ADMIN


class ApiKeyView(OrganizationView):
    """Keys are seen and managed by whoever sets up the organization."""

    required_scope = ADMIN

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse roles that do not set up the organization."""
        super().initial(request, *args, **kwargs)
        require_setup(self.caller)

    def issue(self, request: Request, operation: Any) -> HttpResponse:
        """Answer with a new key and its secret, the same when the call is repeated under its idempotency key.

        What is stored for the repetition holds the secret sealed, so that no secret lies in the database.
        """

        def sealing(cur: Cursor) -> dict[str, Any]:
            issued: IssuedKey = operation(cur)
            key = issued.key
            closed = sealed(issued.secret, key_id=key.id, server_key=settings.SECRET_KEY)
            return {**_shown(cur, key.organization, key.id), "secret": closed}

        response = self.idempotent(request, sealing)
        shown = json.loads(response.content)
        if "Idempotent-Replayed" in response.headers:
            owner = UUID(shown["organization"])
            run_in_transaction(
                lambda cur: operations.require_no_escalation(
                    cur, organization=owner, name=shown["id"], principal=self.caller
                )
            )
        shown["secret"] = opened(shown["secret"], key_id=UUID(shown["id"]), server_key=settings.SECRET_KEY)
        response.content = json_bytes(shown)
        response.headers["Cache-Control"] = "no-store"
        return response


class ApiKeyListView(ApiKeyView):
    """All keys, and new ones."""

    paged = True

    @extend_schema(responses=ShownApiKeySerializer, tags=["api-keys"])
    def get(self, request: Request, name: str) -> HttpResponse:
        """The organization's keys, newest first, without secrets."""
        organization = self.in_path(name)
        page = self.query.page(organization=self.caller.organization, path=request.path)

        def read(cur: Cursor) -> dict[str, Any]:
            before = UUID(page.position[0]) if page.position else None
            rows = list_api_keys(cur, organization=organization, before=before, limit=page.fetch)
            return envelope(rows, page=page, position=lambda row: (str(row.key.id),), show=show_api_key)

        return json_response(run_in_transaction(read))

    @extend_schema(request=ApiKeySerializer, responses={201: IssuedApiKeySerializer}, tags=["api-keys"])
    def post(self, request: Request, name: str) -> HttpResponse:
        """Make a key. `secret` is in this answer only. With a member's key none that can do more than the member."""
        organization = self.in_path(name)
        values = checked(ApiKeySerializer, request)
        require_key_scopes(self.caller, values["scopes"], platform_key=organization == PLATFORM_ID)
        new = NewApiKey(
            organization=organization,
            name=values["name"],
            scopes=values["scopes"],
            member=None if values.get("member") is None else str(values["member"]),
            agents=values.get("agents"),
            connections=values.get("connections"),
            expires_at=values.get("expires_at"),
        )
        return self.issue(
            request,
            lambda cur: operations.create_api_key(cur, new, author=self.author, principal=self.caller),
        )


class ApiKeyDetailView(ApiKeyView):
    """One key, by id."""

    @extend_schema(responses=ShownApiKeySerializer, tags=["api-keys"])
    def get(self, request: Request, name: str, key: str) -> HttpResponse:
        """The key, without its secret."""
        organization = self.in_path(name)

        def read(cur: Cursor) -> dict[str, Any]:
            return _shown(cur, organization, find_api_key(cur, organization=organization, name=key).id)

        return json_response(run_in_transaction(read))

    @extend_schema(request=ApiKeyChangeSerializer, responses=ShownApiKeySerializer, tags=["api-keys"])
    def patch(self, request: Request, name: str, key: str) -> HttpResponse:
        """Change the name or the end of a live key."""
        organization = self.in_path(name)
        changes = checked(ApiKeyChangeSerializer, request, partial=True)

        def operation(cur: Cursor) -> dict[str, Any]:
            identifier = operations.update_api_key(
                cur, organization=organization, name=key, changes=changes, author=self.author
            )
            return _shown(cur, organization, identifier)

        return self.idempotent(request, operation, status=200)

    @extend_schema(responses={200: ShownApiKeySerializer}, tags=["api-keys"])
    def delete(self, request: Request, name: str, key: str) -> HttpResponse:
        """The same as revoke: the key stays in the list, revoked."""
        return _revoke(self, request, name, key)


class ApiKeyRevokeView(ApiKeyView):
    """A key ends."""

    bodiless = ("POST",)

    @extend_schema(request=None, responses=ShownApiKeySerializer, tags=["api-keys"])
    def post(self, request: Request, name: str, key: str) -> HttpResponse:
        """Revoke the key: refused from its next request on, in every process. Twice changes nothing."""
        refuse_fields(request)
        return _revoke(self, request, name, key)


class ApiKeyRotateView(ApiKeyView):
    """A key gets a successor."""

    bodiless = ("POST",)

    @extend_schema(request=RotationSerializer, responses={201: IssuedApiKeySerializer}, tags=["api-keys"])
    def post(self, request: Request, name: str, key: str) -> HttpResponse:
        """Make a successor with a new secret; the old key works `overlap_seconds` more (default a day)."""
        organization = self.in_path(name)
        values = checked(RotationSerializer, request) if request.data else {}
        given = values.get("overlap_seconds")
        overlap = DEFAULT_OVERLAP_SECONDS if given is None else given
        return self.issue(
            request,
            lambda cur: operations.rotate_api_key(
                cur,
                organization=organization,
                name=key,
                overlap_seconds=overlap,
                principal=self.caller,
                author=self.author,
            ),
        )


def _revoke(view: ApiKeyView, request: Request, name: str, key: str) -> HttpResponse:
    organization = view.in_path(name)

    def operation(cur: Cursor) -> dict[str, Any]:
        identifier = operations.revoke_api_key(cur, organization=organization, name=key, author=view.author)
        return _shown(cur, organization, identifier)

    return view.idempotent(request, operation, status=200)


def _shown(cur: Cursor, organization: UUID, identifier: UUID) -> dict[str, Any]:
    return show_api_key(list_api_keys(cur, organization=organization, only=identifier)[0])
