"""/v1/webhook-deliveries: what was sent to whom, and what came of it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request

from common.api.answers import json_response
from common.api.paging import envelope
from common.api.views import path_id
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.api.acting import refuse_fields
from orgs.queries.organizations import find_organization
from webhooks.api.endpoints import TAGS, WebhookView
from webhooks.api.outbound_serializers import WebhookDeliveryDetailSerializer, WebhookDeliverySerializer
from webhooks.api.outbound_shows import show_delivery, show_delivery_whole
from webhooks.operations.outbound.replaying import replay_delivery
from webhooks.queries.outbound.deliveries import (
    STATUSES,
    find_delivery,
    list_deliveries,
    organization_of_delivery,
)


@extend_schema_view(get=extend_schema(responses=WebhookDeliverySerializer(many=True), tags=TAGS))
class DeliveryListView(WebhookView):
    """GET /v1/webhook-deliveries."""

    query_parameters = ("endpoint", "status", "event_type")
    paged = True

    def get(self, request: Request) -> HttpResponse:
        """The organization's deliveries of the last 30 days, newest first."""
        organization = self.for_list()
        page = self.query.page(organization=self.caller.organization, path=request.path)
        wanted = {
            "endpoint": self.query.uuid("endpoint"),
            "status": self.query.choice("status", options=STATUSES),
            "event_type": self.query.text("event_type"),
        }

        def read(cur: Cursor) -> dict[str, Any]:
            find_organization(cur, organization=organization)
            before = UUID(page.position[0]) if page.position else None
            rows = list_deliveries(
                cur,
                organization=organization,
                before=before,
                limit=page.fetch,
                **wanted,  # type: ignore[arg-type]
            )
            return envelope(rows, page=page, position=lambda row: (str(row.id),), show=show_delivery)

        return json_response(run_in_transaction(read))


@extend_schema_view(get=extend_schema(responses=WebhookDeliveryDetailSerializer, tags=TAGS))
class DeliveryDetailView(WebhookView):
    """GET /v1/webhook-deliveries/{id}."""

    def get(self, request: Request, name: str) -> HttpResponse:
        """One delivery: what is sent, word for word, and its last attempts."""
        delivery = path_id(name)
        organization = self.for_object(name, organization_of_delivery)

        def read(cur: Cursor) -> dict[str, Any]:
            return show_delivery_whole(find_delivery(cur, organization=organization, delivery=delivery))

        return json_response(run_in_transaction(read))


@extend_schema_view(
    post=extend_schema(request=None, responses={202: WebhookDeliveryDetailSerializer}, tags=TAGS)
)
class DeliveryReplayView(WebhookView):
    """POST /v1/webhook-deliveries/{id}/replay."""

    bodiless = ("POST",)

    def post(self, request: Request, name: str) -> HttpResponse:
        """Send it again under its old id, also what was delivered. One on its way stays as it is."""
        refuse_fields(request)
        delivery = path_id(name)
        organization = self.for_object(name, organization_of_delivery)

        def operation(cur: Cursor) -> dict[str, Any]:
            return show_delivery_whole(replay_delivery(cur, organization=organization, delivery=delivery))

        return self.idempotent(request, operation, status=202)
