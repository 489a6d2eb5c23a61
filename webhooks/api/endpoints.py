"""/v1/webhook-endpoints: where an organization is told of events; the only place where a secret is seen, once."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, ClassVar
from uuid import UUID

from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request

from common.api.answers import json_bytes, json_response
from common.api.paging import envelope
from common.api.views import path_id
from common.transactions import run_in_transaction
from events.publictypes import public_types
from events.store import Cursor
from orgs.api.acting import OrgsView, checked, refuse_fields
from orgs.queries.organizations import find_organization
from orgs.rules.scopes import WEBHOOKS_READ
from webhooks.api.outbound_serializers import (
    IssuedEndpointSerializer,
    SecretRotationSerializer,
    WebhookDeliveryDetailSerializer,
    WebhookEndpointChangeSerializer,
    WebhookEndpointSerializer,
    WebhookEventTypeSerializer,
    WebhookReplayedSerializer,
    WebhookReplaySerializer,
)
from webhooks.api.outbound_shows import show_delivery_whole, show_endpoint
from webhooks.operations.outbound import endpoints as operations
from webhooks.operations.outbound.endpoints import IssuedEndpoint, NewEndpoint
from webhooks.operations.outbound.replaying import replay_since, send_test
from webhooks.operations.outbound.sending import check_url
from webhooks.queries.outbound.endpoints import find_endpoint, list_endpoints, organization_of_endpoint
from webhooks.rules.outbound import secrets
from webhooks.rules.outbound.endpoints import STATUSES, require_write

TAGS = ["webhooks"]


class WebhookView(OrgsView):
    """A view of outbound webhooks: reading takes webhooks:read, the rest webhooks:write or who sets up."""

    required_scope: ClassVar[str | Mapping[str, str] | None] = {"GET": WEBHOOKS_READ}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse whoever may not. Raises Forbidden."""
        super().initial(request, *args, **kwargs)
        if request.method not in ("GET", "HEAD"):
            require_write(self.caller)

    def issue(self, request: Request, operation: Callable[[Cursor], IssuedEndpoint]) -> HttpResponse:
        """Answer with an endpoint and its new secret, the same when the call is repeated under its idempotency key.

        What is stored for the repetition holds the secret sealed, so that none lies in the database in clear.
        """

        def sealing(cur: Cursor) -> dict[str, Any]:
            issued = operation(cur)
            made = issued.secret
            closed = secrets.sealed(made.secret, identifier=made.id, server_key=settings.SECRET_KEY)
            return {**show_endpoint(issued.endpoint), "secret": closed, "secret_id": str(made.id)}

        response = self.idempotent(request, sealing)
        shown = json.loads(response.content)
        identifier = UUID(shown.pop("secret_id"))
        clear = secrets.opened(shown["secret"], identifier=identifier, server_key=settings.SECRET_KEY)
        shown["secret"] = secrets.shown(clear)
        response.content = json_bytes(shown)
        response.headers["Cache-Control"] = "no-store"
        return response

    def in_path(self, name: str) -> tuple[UUID, UUID]:
        """The organization and the endpoint in the path. Raises NotFound and InvalidParameter."""
        endpoint = path_id(name)
        return self.for_object(name, organization_of_endpoint), endpoint


@extend_schema_view(
    get=extend_schema(responses=WebhookEndpointSerializer(many=True), tags=TAGS),
    post=extend_schema(
        request=WebhookEndpointSerializer, responses={201: IssuedEndpointSerializer}, tags=TAGS
    ),
)
class EndpointListView(WebhookView):
    """GET and POST /v1/webhook-endpoints."""

    query_parameters = ("status",)
    paged = True

    def get(self, request: Request) -> HttpResponse:
        """The organization's endpoints, newest first; the archived ones with `status=archived`."""
        organization = self.for_list()
        page = self.query.page(organization=self.caller.organization, path=request.path)
        status = self.query.choice("status", options=STATUSES)

        def read(cur: Cursor) -> dict[str, Any]:
            find_organization(cur, organization=organization)
            before = UUID(page.position[0]) if page.position else None
            rows = list_endpoints(
                cur, organization=organization, status=status, before=before, limit=page.fetch
            )
            return envelope(rows, page=page, position=lambda row: (str(row.id),), show=show_endpoint)

        return json_response(run_in_transaction(read))

    def post(self, request: Request) -> HttpResponse:
        """Make an endpoint. `secret` is in this answer only. At most 20 for each organization."""
        values = checked(WebhookEndpointSerializer, request)
        check_url(values["url"], loopback=settings.WEBHOOKS_TO_LOOPBACK, pointer="/url")
        new = NewEndpoint(
            organization=self.for_new(values),
            url=values["url"],
            event_types=values["event_types"],
            description=values.get("description", ""),
            low_credit=values.get("low_credit", ()),
            enabled=values.get("enabled", True),
        )
        return self.issue(request, lambda cur: operations.create_endpoint(cur, new, author=self.author))


@extend_schema_view(
    get=extend_schema(responses=WebhookEndpointSerializer, tags=TAGS),
    patch=extend_schema(
        request=WebhookEndpointChangeSerializer, responses=WebhookEndpointSerializer, tags=TAGS
    ),
    delete=extend_schema(responses={200: WebhookEndpointSerializer}, tags=TAGS),
)
class EndpointDetailView(WebhookView):
    """GET, PATCH and DELETE /v1/webhook-endpoints/{id}."""

    def get(self, request: Request, name: str) -> HttpResponse:
        """One endpoint, also an archived one."""
        organization, endpoint = self.in_path(name)

        def read(cur: Cursor) -> dict[str, Any]:
            return show_endpoint(find_endpoint(cur, organization=organization, endpoint=endpoint))

        return json_response(run_in_transaction(read))

    def patch(self, request: Request, name: str) -> HttpResponse:
        """Change it. Switched off, what is on its way is given up; a replay sends it later."""
        organization, endpoint = self.in_path(name)
        changes = checked(WebhookEndpointChangeSerializer, request, partial=True)
        if "url" in changes:
            check_url(changes["url"], loopback=settings.WEBHOOKS_TO_LOOPBACK, pointer="/url")

        def operation(cur: Cursor) -> dict[str, Any]:
            changed = operations.change_endpoint(
                cur, organization=organization, endpoint=endpoint, changes=changes, author=self.author
            )
            return show_endpoint(changed)

        return self.idempotent(request, operation, status=200)

    def delete(self, request: Request, name: str) -> HttpResponse:
        """The same as archive: it stays in the list of archived ones."""
        return _archive(self, request, name)


@extend_schema_view(post=extend_schema(request=None, responses={200: WebhookEndpointSerializer}, tags=TAGS))
class EndpointArchiveView(WebhookView):
    """POST /v1/webhook-endpoints/{id}/archive."""

    bodiless = ("POST",)

    def post(self, request: Request, name: str) -> HttpResponse:
        """End the endpoint and destroy its secrets. Twice changes nothing."""
        refuse_fields(request)
        return _archive(self, request, name)


@extend_schema_view(
    post=extend_schema(request=SecretRotationSerializer, responses={201: IssuedEndpointSerializer}, tags=TAGS)
)
class EndpointRotateView(WebhookView):
    """POST /v1/webhook-endpoints/{id}/rotate-secret."""

    bodiless = ("POST",)

    def post(self, request: Request, name: str) -> HttpResponse:
        """Make a new secret; both sign for `overlap_seconds` (default a day)."""
        organization, endpoint = self.in_path(name)
        values = checked(SecretRotationSerializer, request) if request.data else {}
        overlap = values.get("overlap_seconds", secrets.DEFAULT_OVERLAP_SECONDS)
        return self.issue(
            request,
            lambda cur: operations.rotate_secret(
                cur,
                organization=organization,
                endpoint=endpoint,
                overlap_seconds=overlap,
                author=self.author,
            ),
        )


@extend_schema_view(
    post=extend_schema(request=None, responses={202: WebhookDeliveryDetailSerializer}, tags=TAGS)
)
class EndpointTestView(WebhookView):
    """POST /v1/webhook-endpoints/{id}/test."""

    bodiless = ("POST",)

    def post(self, request: Request, name: str) -> HttpResponse:
        """Send a `webhook.test`; what comes of it stands in the delivery."""
        refuse_fields(request)
        organization, endpoint = self.in_path(name)

        def operation(cur: Cursor) -> dict[str, Any]:
            return show_delivery_whole(send_test(cur, organization=organization, endpoint=endpoint))

        return self.idempotent(request, operation, status=202)


@extend_schema_view(
    post=extend_schema(request=WebhookReplaySerializer, responses={202: WebhookReplayedSerializer}, tags=TAGS)
)
class EndpointReplayView(WebhookView):
    """POST /v1/webhook-endpoints/{id}/replay."""

    def post(self, request: Request, name: str) -> HttpResponse:
        """Send what the endpoint did not get since a time, in order, each under its old id."""
        organization, endpoint = self.in_path(name)
        values = checked(WebhookReplaySerializer, request)

        def operation(cur: Cursor) -> dict[str, Any]:
            count, more = replay_since(cur, organization=organization, endpoint=endpoint, **values)
            return {"endpoint": str(endpoint), "replayed": count, "more": more}

        return self.idempotent(request, operation, status=202)


@extend_schema_view(get=extend_schema(responses=WebhookEventTypeSerializer(many=True), tags=TAGS))
class EventTypeListView(WebhookView):
    """GET /v1/webhook-event-types."""

    paged = True

    def get(self, request: Request) -> HttpResponse:
        """What endpoints may be told of, by name, each with an example of its `data`."""
        page = self.query.page(organization=self.caller.organization, path=request.path)
        after = page.position[0] if page.position else ""
        rows = [kind for kind in public_types() if kind.name > after][: page.fetch]
        return json_response(
            envelope(
                rows,
                page=page,
                position=lambda kind: (kind.name,),
                show=lambda kind: {
                    "name": kind.name,
                    "description": kind.description,
                    "example": dict(kind.example),
                },
            )
        )


def _archive(view: WebhookView, request: Request, name: str) -> HttpResponse:
    organization, endpoint = view.in_path(name)

    def operation(cur: Cursor) -> dict[str, Any]:
        archived = operations.archive_endpoint(
            cur, organization=organization, endpoint=endpoint, author=view.author
        )
        return show_endpoint(archived)

    return view.idempotent(request, operation, status=200)
