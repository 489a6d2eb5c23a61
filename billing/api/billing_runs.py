"""/v1/billing-runs, /v1/dunning-runs: customers whose billing or dunning meets trouble; /v1/billing-cycle: where a
customer's billing stands."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.request import Request

from billing.api.invoice_representations import utc
from billing.api.invoice_serializers import (
    BillingCycleSerializer,
    BillingRunSerializer,
    BillingThresholdSerializer,
    DunningRunSerializer,
)
from billing.operations.dunning.trouble import resume_dunning
from billing.operations.invoices.thresholds import set_thresholds
from billing.operations.runs import resume_customer
from billing.queries.runs import BILLING, DUNNING, TroubledRun, find_run, list_runs
from billing.queries.standing import standing_of, unbilled_of
from common.api.answers import json_response
from common.api.paging import envelope
from common.api.views import path_id
from common.money import format_amount
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.api.acting import OrgsView, checked, refuse_fields
from orgs.queries.organizations import find_organization
from orgs.rules.scopes import BILLING_READ, PLATFORM


@extend_schema_view(
    get=extend_schema(
        parameters=[OpenApiParameter("parked", bool)],
        responses=BillingRunSerializer(many=True),
        tags=["invoices"],
    )
)
class BillingRunListView(OrgsView):
    """GET /v1/billing-runs."""

    table = BILLING
    required_scope = PLATFORM
    query_parameters = ("parked",)
    paged = True

    def get(self, request: Request) -> HttpResponse:
        """Customers whose last billing run failed: tried again later, or parked until a person resumes them."""
        page = self.query.page(organization=self.caller.organization, path=request.path)
        parked = self.query.flag("parked")

        def read(cur: Cursor) -> dict[str, Any]:
            after = UUID(page.position[0]) if page.position else None
            rows = list_runs(cur, table=self.table, is_parked=parked, after=after, limit=page.fetch)
            return envelope(rows, page=page, position=lambda row: (str(row.organization),), show=show_run)

        return json_response(run_in_transaction(read))


@extend_schema_view(
    post=extend_schema(request=None, responses={200: BillingRunSerializer}, tags=["invoices"])
)
class BillingRunResumeView(OrgsView):
    """POST /v1/billing-runs/{organization}/resume."""

    required_scope = PLATFORM
    bodiless = ("POST",)
    table = BILLING
    resume = staticmethod(resume_customer)

    def post(self, request: Request, name: str) -> HttpResponse:
        """Let a customer be billed again at once. What is due stays due; nothing is billed twice."""
        refuse_fields(request)
        organization = path_id(name)

        def operation(cur: Cursor) -> dict[str, Any]:
            self.resume(cur, organization=organization)
            return show_run(find_run(cur, organization, table=self.table))

        return self.idempotent(request, operation, status=200)


@extend_schema_view(
    get=extend_schema(
        parameters=[OpenApiParameter("parked", bool)],
        responses=DunningRunSerializer(many=True),
        tags=["dunning"],
    )
)
class DunningRunListView(BillingRunListView):
    """GET /v1/dunning-runs."""

    table = DUNNING

    def get(self, request: Request) -> HttpResponse:
        """Customers whose dunning failed the last time: tried again later, or parked until a person resumes them."""
        return super().get(request)


@extend_schema_view(post=extend_schema(request=None, responses={200: DunningRunSerializer}, tags=["dunning"]))
class DunningRunResumeView(BillingRunResumeView):
    """POST /v1/dunning-runs/{organization}/resume."""

    table = DUNNING
    resume = staticmethod(resume_dunning)

    def post(self, request: Request, name: str) -> HttpResponse:
        """Let a customer's dunning go on at once. Every step that is due is done with its own date, none twice."""
        return super().post(request, name)


@extend_schema_view(
    get=extend_schema(responses=BillingCycleSerializer, tags=["invoices"]),
    patch=extend_schema(
        request=BillingThresholdSerializer, responses=BillingCycleSerializer, tags=["invoices"]
    ),
)
class BillingCycleView(OrgsView):
    """GET and PATCH /v1/billing-cycle."""

    required_scope: ClassVar[Any] = {"GET": BILLING_READ, "PATCH": PLATFORM}

    def get(self, request: Request) -> HttpResponse:
        """Where the organization's billing stands, and its unbilled use."""
        organization = self.for_list()
        return json_response(run_in_transaction(lambda cur: show_cycle(cur, organization)))

    def patch(self, request: Request) -> HttpResponse:
        """Set at which totals of a period's use invoices are made before the cycle ends: `thresholds` fire once each,
        `recurring_threshold` again and again. `threshold` alone is one that recurs from the beginning."""
        values = checked(BillingThresholdSerializer, request)
        organization = self.for_new(values)

        def operation(cur: Cursor) -> dict[str, Any]:
            set_thresholds(cur, organization=organization, changes=values, author=self.author)
            return show_cycle(cur, organization)

        return self.idempotent(request, operation, status=200)


def show_run(run: TroubledRun) -> dict[str, Any]:
    """A customer's trouble."""
    return {
        "organization": run.organization,
        "name": run.name,
        "status": "parked" if run.parked_at is not None else "retrying",
        "failures": run.failures,
        "last_error": run.last_error,
        "failed_at": utc(run.failed_at),
        "parked_at": utc(run.parked_at),
    }


def show_cycle(cur: Cursor, organization: UUID) -> dict[str, Any]:
    """Where a customer's billing stands. Raises NotFound."""
    standing = standing_of(cur, organization)
    progress = standing.progress
    recurring = progress.thresholds.recurring
    shown = None if recurring is None else format_amount(recurring)
    return {
        "organization": organization,
        "currency": find_organization(cur, organization=organization).currency,
        "cycle_start": utc(standing.cycle_start),
        "next_at": utc(standing.next_at),
        "unbilled": format_amount(unbilled_of(cur, organization)),
        "billed": format_amount(progress.billed),
        "threshold": None if progress.thresholds.once else shown,
        "thresholds": [format_amount(each) for each in progress.thresholds.once],
        "recurring_threshold": shown,
    }
