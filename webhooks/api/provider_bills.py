"""/v1/provider-bills: what providers billed for their models, beside our record of calls. For the platform only."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.request import Request

from common.api.answers import json_response
from common.api.paging import envelope
from common.api.views import path_id
from common.money import format_amount
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.api.acting import checked
from webhooks.api.reconciliation_serializers import (
    BillSerializer,
    BookBillSerializer,
    ComparedBillSerializer,
    NewBillSerializer,
)
from webhooks.api.reconciliations import PlatformOnlyView
from webhooks.operations.reconciling.bills import book_bill, compare_bill, import_bill
from webhooks.queries.reconciling.bills import find_bill, list_bills
from webhooks.rules.reconciling.billfiles import PROVIDERS, read_statement
from webhooks.rules.reconciling.bills import Bill

_TAGS = ["provider bills"]


@extend_schema_view(
    get=extend_schema(
        parameters=[OpenApiParameter("provider", str, enum=list(PROVIDERS))],
        responses=BillSerializer(many=True),
        tags=_TAGS,
    ),
    post=extend_schema(request=NewBillSerializer, responses={201: ComparedBillSerializer}, tags=_TAGS),
)
class BillListView(PlatformOnlyView):
    """/v1/provider-bills."""

    query_parameters = ("provider",)
    paged = True

    def get(self, request: Request) -> HttpResponse:
        """Bills of providers."""
        page = self.query.page(organization=self.caller.organization, path=request.path)
        provider = self.query.choice("provider", options=PROVIDERS)

        def read(cur: Cursor) -> dict[str, Any]:
            before = UUID(page.position[0]) if page.position else None
            rows = list_bills(cur, provider=provider, before=before, limit=page.fetch)
            return envelope(rows, page=page, position=lambda row: (str(row.id),), show=show_bill)

        return json_response(run_in_transaction(read))

    def post(self, request: Request) -> HttpResponse:
        """Import a cost export (CSV), once for its content: the same file again answers with the bill that it made. A
        file with a line that cannot be read is refused as a whole, with the line and the column; one without the
        provider's columns is answered 422 with those that are expected. It moves no money."""
        given = checked(NewBillSerializer, request)
        statement = read_statement(io.StringIO(given["csv"], newline=""), provider=given["provider"])

        def operation(cur: Cursor) -> dict[str, Any]:
            bill, _ = import_bill(
                cur,
                statement=statement,
                tolerance_ppm=given["tolerance_ppm"],
                author=self.author,
            )
            return show_compared(cur, bill)

        return self.idempotent(request, operation, status=201)


@extend_schema_view(get=extend_schema(responses=ComparedBillSerializer, tags=_TAGS))
class BillDetailView(PlatformOnlyView):
    """GET /v1/provider-bills/{id}."""

    def get(self, request: Request, name: str) -> HttpResponse:
        """A bill, day by day and model by model beside our record."""
        bill = path_id(name)
        return json_response(run_in_transaction(lambda cur: show_compared(cur, find_bill(cur, bill))))


@extend_schema_view(
    post=extend_schema(request=BookBillSerializer, responses={200: BillSerializer}, tags=_TAGS)
)
class BillBookView(PlatformOnlyView):
    """POST /v1/provider-bills/{id}/book."""

    money_moves = True

    def post(self, request: Request, name: str) -> HttpResponse:
        """Book a bill in the platform's books, once: paid from the bank, or its difference as owed."""
        bill, against = path_id(name), checked(BookBillSerializer, request)["against"]
        return self.idempotent(
            request,
            lambda cur: show_bill(book_bill(cur, bill=bill, against=against, author=self.author)),
            status=200,
        )


def show_bill(bill: Bill) -> dict[str, Any]:
    """A bill as answers show it."""
    return {
        "id": bill.id,
        "provider": bill.provider,
        "currency": bill.currency,
        "total": format_amount(bill.total),
        "first_day": bill.first_day,
        "last_day": bill.last_day,
        "tolerance_ppm": bill.tolerance_ppm,
        "status": bill.status,
        "booked_against": bill.booked_against,
        "created_at": _utc(bill.created_at),
        "booked_at": _utc(bill.booked_at),
    }


def show_compared(cur: Cursor, bill: Bill) -> dict[str, Any]:
    """A bill with its days."""
    days = [
        {
            "day": each.day,
            "model": each.model,
            "billed": format_amount(each.billed),
            "ours": format_amount(each.ours),
            "difference": format_amount(each.billed - each.ours),
            "is_within": each.is_within(bill.tolerance_ppm),
        }
        for each in compare_bill(cur, bill)
    ]
    return {**show_bill(bill), "days": days}


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC)
