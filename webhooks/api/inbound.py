"""/v1/stripe-events: what Stripe told us and what became of it, for the platform."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.request import Request

from common.api.answers import json_response
from common.api.paging import envelope
from common.api.views import path_id
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.api.acting import OrgsView, refuse_fields
from orgs.rules.scopes import PLATFORM
from webhooks.api.inbound_serializers import StripeEventSerializer
from webhooks.operations.inbound.replaying import replay_event
from webhooks.queries.inbox import InboxEvent, find_inbox, list_inbox
from webhooks.rules.inbound.judging import STATES

_TAGS = ["stripe events"]


class InboxView(OrgsView):
    """Stripe's events are the platform's."""

    required_scope = PLATFORM

    def parameters_for(self, method: str) -> frozenset[str]:
        """Only as declared: an event belongs to no customer."""
        return super().parameters_for(method) - {"organization"}


@extend_schema_view(
    get=extend_schema(
        parameters=[
            OpenApiParameter("state", str, enum=list(STATES)),
            OpenApiParameter("type", str),
            OpenApiParameter("object", str, description="The id of an object of Stripe's."),
            OpenApiParameter("event", str, description="Stripe's id of an event."),
        ],
        responses=StripeEventSerializer(many=True),
        tags=_TAGS,
    )
)
class StripeEventListView(InboxView):
    """GET /v1/stripe-events."""

    query_parameters = ("state", "type", "object", "event")
    paged = True

    def get(self, request: Request) -> HttpResponse:
        """Stripe's events, the last received first."""
        page = self.query.page(organization=self.caller.organization, path=request.path)
        named = {name: self.query.text(name) for name in ("type", "object", "event")}
        state = self.query.choice("state", options=STATES)

        def read(cur: Cursor) -> dict[str, Any]:
            before = UUID(page.position[0]) if page.position else None
            rows = list_inbox(cur, limit=page.fetch, before=before, state=state, **named)
            return envelope(rows, page=page, position=lambda row: (str(row.id),), show=show_event)

        return json_response(run_in_transaction(read))


@extend_schema_view(get=extend_schema(responses=StripeEventSerializer, tags=_TAGS))
class StripeEventDetailView(InboxView):
    """GET /v1/stripe-events/{id}."""

    def get(self, request: Request, name: str) -> HttpResponse:
        """One event."""
        identifier = path_id(name)
        return json_response(run_in_transaction(lambda cur: show_event(find_inbox(cur, identifier))))


@extend_schema_view(post=extend_schema(request=None, responses={200: StripeEventSerializer}, tags=_TAGS))
class StripeEventReplayView(InboxView):
    """POST /v1/stripe-events/{id}/replay."""

    bodiless = ("POST",)

    def post(self, request: Request, name: str) -> HttpResponse:
        """Have an event worked on again. Its object is fetched anew and what was applied is not applied twice."""
        refuse_fields(request)
        identifier = path_id(name)

        def operation(cur: Cursor) -> dict[str, Any]:
            replay_event(cur, identifier=identifier, author_name=self.author.actor)
            return show_event(find_inbox(cur, identifier))

        return self.idempotent(request, operation, status=200)


def show_event(row: InboxEvent) -> dict[str, Any]:
    """An event as answers show it."""
    return {
        "id": row.id,
        "event": row.event,
        "type": row.type,
        "endpoint": row.source,
        "account": row.account or None,
        "api_version": row.api_version,
        "livemode": row.livemode,
        "created_at": _utc(row.created),
        "via": row.via,
        "secret": row.secret,
        "object": row.object_id or None,
        "object_kind": row.kind or None,
        "state": row.state,
        "reason": row.reason,
        "detail": row.detail,
        "attempts": row.attempts,
        "next_at": _utc(row.next_at),
        "received_at": _utc(row.received_at),
        "finished_at": _utc(row.finished_at),
    }


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC)
