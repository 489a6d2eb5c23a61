"""/v1/accounting-periods: months of a seller's books, closed and reopened by the platform."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.request import Request

from billing.api.catalog import CatalogView, utc
from billing.api.revenue_serializers import PeriodCloseSerializer, PeriodReopenSerializer, PeriodSerializer
from billing.operations.revenue.closing import close_period, reopen_period
from billing.queries.accounting import (
    count_unfinished,
    find_period_by_id,
    list_periods,
    seller_named,
)
from billing.rules.accounting import Period
from billing.rules.months import month_text, parse_month
from common.api.answers import json_response
from common.api.paging import envelope
from common.errors import InvalidField, NotFound
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.api.acting import checked
from orgs.rules.scopes import PLATFORM


class PeriodView(CatalogView):
    """Sellers' books are the platform's."""

    required_scope = PLATFORM


@extend_schema_view(
    get=extend_schema(
        parameters=[OpenApiParameter("legal_entity", str, description="Key or id.")],
        responses=PeriodSerializer(many=True),
        tags=["revenue"],
    )
)
class PeriodListView(PeriodView):
    """GET /v1/accounting-periods."""

    query_parameters = ("legal_entity",)
    paged = True

    def get(self, request: Request) -> HttpResponse:
        """Months that are closed, or once were, the latest first. A month that is not here is open."""
        page = self.query.page(organization=self.caller.organization, path=request.path)
        name = self.query.text("legal_entity")

        def read(cur: Cursor) -> dict[str, Any]:
            rows = list_periods(
                cur,
                entity=None if name is None else seller_named(cur, name),
                before=UUID(page.position[0]) if page.position else None,
                limit=page.fetch,
            )
            return envelope(
                rows, page=page, position=lambda row: (str(row.id),), show=lambda row: show_period(cur, row)
            )

        return json_response(run_in_transaction(read))


@extend_schema_view(
    post=extend_schema(request=PeriodCloseSerializer, responses={200: PeriodSerializer}, tags=["revenue"])
)
class PeriodCloseView(PeriodView):
    """POST /v1/accounting-periods/{month}/close."""

    bodiless = ("POST",)
    money_moves = True

    def post(self, request: Request, month: str) -> HttpResponse:
        """Close a month: its revenue is booked, and what comes late takes effect in the next. It is `closing` until all
        customers' books have it."""
        values, wanted = checked(PeriodCloseSerializer, request), path_month(month)

        def operation(cur: Cursor) -> dict[str, Any]:
            entity = seller_named(cur, values.get("legal_entity"))
            made = close_period(cur, entity=entity, month=wanted, author=self.author)
            return show_period(cur, find_period_by_id(cur, made.id))

        return self.idempotent(request, operation, status=200)


@extend_schema_view(
    post=extend_schema(request=PeriodReopenSerializer, responses={200: PeriodSerializer}, tags=["revenue"])
)
class PeriodReopenView(PeriodView):
    """POST /v1/accounting-periods/{month}/reopen."""

    money_moves = True

    def post(self, request: Request, month: str) -> HttpResponse:
        """Reopen the last closed month, with a reason. It is `reopening` until all customers' books have it."""
        values, wanted = checked(PeriodReopenSerializer, request), path_month(month)

        def operation(cur: Cursor) -> dict[str, Any]:
            entity = seller_named(cur, values.get("legal_entity"))
            made = reopen_period(
                cur, entity=entity, month=wanted, reason=values["reason"], author=self.author
            )
            return show_period(cur, find_period_by_id(cur, made.id))

        return self.idempotent(request, operation, status=200)


def path_month(text: str) -> date:
    """The month in a path. Raises NotFound for what is none."""
    try:
        return parse_month(text)
    except InvalidField:
        raise NotFound("There is no such month.") from None


def show_period(cur: Cursor, period: Period) -> dict[str, Any]:
    """A month as answers show it."""
    return {
        "id": period.id,
        "legal_entity": period.legal_entity,
        "month": month_text(period.month),
        "status": period.status,
        "reason": period.reason,
        "changed_at": utc(period.changed_at),
        "changed_by": period.changed_by,
        "unfinished_invoices": count_unfinished(cur, period.legal_entity, period.month),
    }
