"""/v1/recognition-schedules and /v1/recognised-months: when a customer's fees are revenue."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.request import Request

from billing.api.acting import BillingView
from billing.api.catalog import utc
from billing.api.revenue_serializers import RecognisedMonthSerializer, ScheduleSerializer
from billing.queries.recognition import (
    RecognisedMonth,
    find_schedule,
    list_schedules,
    organization_of_schedule,
    recognised_months,
)
from billing.rules.months import month_text
from billing.rules.schedules import OPEN, STATES, Schedule
from common.api.answers import json_response
from common.api.paging import envelope
from common.api.views import path_id
from common.money import format_amount, format_document_amount
from common.transactions import run_in_transaction
from events.store import Cursor


@extend_schema_view(
    get=extend_schema(
        parameters=[
            OpenApiParameter("status", enum=STATES),
            OpenApiParameter("invoice", str),
            OpenApiParameter("subscription", str),
        ],
        responses=ScheduleSerializer(many=True),
        tags=["revenue"],
    )
)
class ScheduleListView(BillingView):
    """GET /v1/recognition-schedules."""

    query_parameters = ("status", "invoice", "subscription")
    paged = True

    def get(self, request: Request) -> HttpResponse:
        """The organization's schedules: one for each line of an invoice that defers revenue."""
        organization = self.for_list()
        page = self.query.page(organization=self.caller.organization, path=request.path)
        status = self.query.choice("status", options=STATES)
        invoice, subscription = self.query.uuid("invoice"), self.query.uuid("subscription")

        def read(cur: Cursor) -> dict[str, Any]:
            rows = list_schedules(
                cur,
                organization=organization,
                status=status,
                invoice=invoice,
                subscription=subscription,
                after=UUID(page.position[0]) if page.position else None,
                limit=page.fetch,
            )
            return envelope(rows, page=page, position=lambda row: (str(row.id),), show=show_schedule)

        return json_response(run_in_transaction(read))


@extend_schema_view(get=extend_schema(responses=ScheduleSerializer, tags=["revenue"]))
class ScheduleDetailView(BillingView):
    """GET /v1/recognition-schedules/{id}."""

    def get(self, request: Request, name: str) -> HttpResponse:
        """One schedule: amount, service, what is recognised and what is deferred still."""
        schedule = path_id(name)
        organization = self.for_object(name, organization_of_schedule)
        return json_response(
            run_in_transaction(
                lambda cur: show_schedule(find_schedule(cur, organization=organization, schedule=schedule))
            )
        )


@extend_schema_view(get=extend_schema(responses=RecognisedMonthSerializer(many=True), tags=["revenue"]))
class RecognisedMonthListView(BillingView):
    """GET /v1/recognised-months."""

    paged = True

    def get(self, request: Request) -> HttpResponse:
        """What was booked as revenue of the organization's months, the latest first."""
        organization = self.for_list()
        page = self.query.page(organization=self.caller.organization, path=request.path)

        def read(cur: Cursor) -> dict[str, Any]:
            before = page.position[0] if page.position else None
            rows = recognised_months(cur, organization=organization, before=before, limit=page.fetch)
            return envelope(
                rows, page=page, position=lambda row: (row.month.isoformat(),), show=show_recognised
            )

        return json_response(run_in_transaction(read))


def show_schedule(schedule: Schedule) -> dict[str, Any]:
    """A schedule as answers show it: documents' amounts at their currency's precision, revenue exactly."""

    def shown(units: int) -> str:
        return format_document_amount(units, currency=schedule.currency)

    return {
        "id": schedule.id,
        "organization": schedule.organization,
        "invoice": schedule.invoice_id,
        "line": schedule.line,
        "item": schedule.item_id,
        "subscription": schedule.subscription,
        "status": schedule.status,
        "method": schedule.method,
        "currency": schedule.currency,
        "billed": shown(schedule.billed),
        "included": shown(schedule.included),
        "changes": [{"at": utc(at), "amount": shown(amount)} for at, amount in schedule.changes],
        "amount": shown(schedule.amount),
        "recognised": format_amount(schedule.recognised),
        "deferred": format_amount(schedule.left),
        "service_start": utc(schedule.service_start),
        "service_end": utc(schedule.service_end),
        "time_zone": schedule.zone,
        "opened_at": utc(schedule.opened_at),
        "ended_at": utc(schedule.ended_at),
        "recognised_until": utc(schedule.recognised_until),
        "next_at": utc(schedule.next_at) if schedule.status == OPEN else None,
    }


def show_recognised(row: RecognisedMonth) -> dict[str, Any]:
    """A month as answers show it."""
    return {
        "month": month_text(row.month),
        "amount": format_amount(row.amount),
        "entries": row.version,
        "booked_at": utc(row.booked_at),
    }
