"""/v1/event-backfills: batches of events of the past, which can be taken back whole (S73)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request

from billing.api.catalog import utc
from billing.api.meter_serializers import (
    BackfillSerializer,
    EventResultsSerializer,
    MeterReasonSerializer,
    NewBackfillSerializer,
    NewEventBatchSerializer,
)
from billing.api.meterevents import CorrectingView, batch_items, body_of
from billing.operations.metering.correcting import create_backfill, revert_backfill
from billing.queries.meterevents import (
    events_in_backfill,
    find_backfill,
    list_backfills,
    organization_of_backfill,
)
from billing.rules.meterbodies import read_reason
from billing.rules.meterevents import Backfill
from common.api.answers import json_response
from common.api.paging import envelope
from common.api.views import path_id
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.api.acting import checked


class BackfillView(CorrectingView):
    """What the views of backfills share."""

    def place(self, name: str) -> tuple[UUID, UUID]:
        """The organization and the backfill in the path. Raises NotFound."""
        identifier = path_id(name)
        return self.for_object(name, organization_of_backfill), identifier


@extend_schema_view(
    get=extend_schema(responses=BackfillSerializer(many=True), tags=["meters"]),
    post=extend_schema(request=NewBackfillSerializer, responses={201: BackfillSerializer}, tags=["meters"]),
)
class BackfillListView(BackfillView):
    """GET and POST /v1/event-backfills."""

    paged = True

    def get(self, request: Request) -> HttpResponse:
        """Backfills, newest first."""
        organization = self.for_list()
        page = self.query.page(organization=self.caller.organization, path=request.path)

        def read(cur: Cursor) -> dict[str, Any]:
            before = UUID(page.position[0]) if page.position else None
            rows = list_backfills(cur, organization=organization, before=before, limit=page.fetch)
            return envelope(
                rows, page=page, position=lambda row: (str(row.id),), show=lambda row: show_backfill(cur, row)
            )

        return json_response(run_in_transaction(read))

    def post(self, request: Request) -> HttpResponse:
        """Make a backfill; then send its events to …/events."""
        values = checked(NewBackfillSerializer, request)
        organization = self.for_new(values)

        def operation(cur: Cursor) -> dict[str, Any]:
            named = {"name": values["name"], "reason": values["reason"]}
            return show_backfill(cur, create_backfill(cur, organization, **named, author=self.author))

        return self.idempotent(request, operation)


@extend_schema_view(get=extend_schema(responses=BackfillSerializer, tags=["meters"]))
class BackfillDetailView(BackfillView):
    """GET /v1/event-backfills/{id}."""

    def get(self, request: Request, name: str) -> HttpResponse:
        """One backfill."""
        place = self.place(name)
        return json_response(run_in_transaction(lambda cur: show_backfill(cur, find_backfill(cur, *place))))


@extend_schema_view(
    post=extend_schema(
        request=NewEventBatchSerializer, responses={200: EventResultsSerializer}, tags=["meters"]
    )
)
class BackfillEventsView(BackfillView):
    """POST /v1/event-backfills/{id}/events."""

    def post(self, request: Request, name: str) -> HttpResponse:
        """Record up to 1,000 events of the backfill, of any age; each is an adjustment. 100,000 in all."""
        items = batch_items(body_of(request))
        organization, backfill = self.place(name)
        return self.results(request, self.recorded(organization, items, backfill=backfill))


@extend_schema_view(
    post=extend_schema(request=MeterReasonSerializer, responses={200: BackfillSerializer}, tags=["meters"])
)
class BackfillRevertView(BackfillView):
    """POST /v1/event-backfills/{id}/revert."""

    money_moves = True

    def post(self, request: Request, name: str) -> HttpResponse:
        """Take back whatever counts of the backfill. A reverted one stays as it is, and takes no more events."""
        reason = read_reason(body_of(request))
        place = self.place(name)

        def operation(cur: Cursor) -> dict[str, Any]:
            return show_backfill(cur, revert_backfill(cur, *place, reason=reason, author=self.author))

        return self.idempotent(request, operation, status=200)


def show_backfill(cur: Cursor, backfill: Backfill) -> dict[str, Any]:
    """A backfill as answers show it."""
    events, counting = events_in_backfill(cur, backfill.organization, backfill.id)
    return {
        "id": backfill.id,
        "organization": backfill.organization,
        "name": backfill.name,
        "reason": backfill.reason,
        "status": backfill.status,
        "events": events,
        "counting": counting,
        "created_by": backfill.created_by,
        "created_at": utc(backfill.created_at),
        "reverted_by": backfill.reverted_by,
        "reverted_at": utc(backfill.reverted_at),
        "revert_reason": backfill.revert_reason,
    }
