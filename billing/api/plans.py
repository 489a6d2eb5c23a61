"""/v1/plans: what is sold, in versions that never change (S71), and what a period would cost."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request

from billing.api.catalog import CatalogView, path_name, utc
from billing.api.plan_serializers import (
    NewPlanSerializer,
    NewPlanVersionSerializer,
    PlanSerializer,
    PlanVersionSerializer,
    PricePreviewSerializer,
    ShownPreviewSerializer,
)
from billing.operations.plans import archive_plan, create_plan, draft_version, publish_version
from billing.queries.plans import (
    PlanFilter,
    find_plan,
    find_version_of,
    list_plans,
    list_versions,
    version_on_sale,
    versions_of,
)
from billing.rules.catalog import Plan, PlanVersion
from billing.rules.charges.explaining import line_json
from billing.rules.plans import parse_plan, write_plan
from billing.rules.previews import Preview, preview_period, read_quantities
from common.api.answers import json_response
from common.api.paging import envelope
from common.errors import NotFound
from common.money import format_document_amount
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.api.acting import checked, refuse_fields
from orgs.rules.scopes import BILLING_READ

NUMBER: Final = re.compile(r"[1-9][0-9]{0,6}")


@extend_schema_view(
    get=extend_schema(responses=PlanSerializer(many=True), tags=["plans"]),
    post=extend_schema(request=NewPlanSerializer, responses={201: PlanVersionSerializer}, tags=["plans"]),
)
class PlanListView(CatalogView):
    """GET and POST /v1/plans."""

    query_parameters = ("archived",)
    paged = True

    def get(self, request: Request) -> HttpResponse:
        """The plans, newest first. Customers see those that were published."""
        page = self.query.page(organization=self.caller.organization, path=request.path)
        wanted = PlanFilter(on_sale=not self.sees_all, archived=self.query.flag("archived"))

        def read(cur: Cursor) -> dict[str, Any]:
            before = UUID(page.position[0]) if page.position else None
            rows = list_plans(cur, wanted, before=before, limit=page.fetch)
            shown = dict(zip((row.id for row in rows), show_plans(cur, rows, self.sees_all), strict=True))
            return envelope(
                rows, page=page, position=lambda row: (str(row.id),), show=lambda row: shown[row.id]
            )

        return json_response(run_in_transaction(read))

    def post(self, request: Request) -> HttpResponse:
        """Make a plan with a first draft; only the platform sees it until it is published."""
        values = checked(NewPlanSerializer, request)
        terms = parse_plan(values["definition"], "/definition")

        def operation(cur: Cursor) -> dict[str, Any]:
            return show_version(create_plan(cur, key=values["key"], terms=terms, author=self.author).version)

        return self.idempotent(request, operation)


@extend_schema_view(get=extend_schema(responses=PlanSerializer, tags=["plans"]))
class PlanDetailView(CatalogView):
    """GET /v1/plans/{key or id}."""

    def get(self, request: Request, name: str) -> HttpResponse:
        """One plan, with what it sells now."""
        key = path_name(name)

        def read(cur: Cursor) -> dict[str, Any]:
            return show_plans(cur, [find_plan(cur, key, on_sale=not self.sees_all)], self.sees_all)[0]

        return json_response(run_in_transaction(read))


@extend_schema_view(
    get=extend_schema(responses=PlanVersionSerializer(many=True), tags=["plans"]),
    post=extend_schema(
        request=NewPlanVersionSerializer, responses={201: PlanVersionSerializer}, tags=["plans"]
    ),
)
class PlanVersionListView(CatalogView):
    """GET and POST /v1/plans/{key or id}/versions."""

    paged = True

    def get(self, request: Request, name: str) -> HttpResponse:
        """The plan's versions, newest first. Customers see those that were ever on sale."""
        page = self.query.page(organization=self.caller.organization, path=request.path)
        key, only_sold = path_name(name), not self.sees_all

        def read(cur: Cursor) -> dict[str, Any]:
            plan = find_plan(cur, key, on_sale=only_sold)
            below = page.position[0] if page.position else None
            rows = list_versions(cur, plan, ever_on_sale=only_sold, below=below, limit=page.fetch)
            return envelope(rows, page=page, position=lambda row: (row.number,), show=show_version)

        return json_response(run_in_transaction(read))

    def post(self, request: Request, name: str) -> HttpResponse:
        """Make the next version, as a draft. What is on sale stays on sale until the draft is published."""
        key = path_name(name)
        terms = parse_plan(checked(NewPlanVersionSerializer, request)["definition"], "/definition")

        def operation(cur: Cursor) -> dict[str, Any]:
            return show_version(draft_version(cur, plan=key, terms=terms, author=self.author).version)

        return self.idempotent(request, operation)


@extend_schema_view(get=extend_schema(responses=PlanVersionSerializer, tags=["plans"]))
class PlanVersionDetailView(CatalogView):
    """GET /v1/plans/{key or id}/versions/{number}."""

    def get(self, request: Request, name: str, number: str) -> HttpResponse:
        """One version."""
        key, wanted, only_sold = path_name(name), path_number(number), not self.sees_all

        def read(cur: Cursor) -> dict[str, Any]:
            plan = find_plan(cur, key, on_sale=only_sold)
            return show_version(find_version_of(cur, plan, wanted, ever_on_sale=only_sold))

        return json_response(run_in_transaction(read))


@extend_schema_view(post=extend_schema(request=None, responses={200: PlanVersionSerializer}, tags=["plans"]))
class PlanVersionPublishView(CatalogView):
    """POST /v1/plans/{key or id}/versions/{number}/publish."""

    bodiless = ("POST",)

    def post(self, request: Request, name: str, number: str) -> HttpResponse:
        """Put a draft on sale. It never changes again; subscribers of the version before keep theirs."""
        refuse_fields(request)
        key, wanted = path_name(name), path_number(number)

        def operation(cur: Cursor) -> dict[str, Any]:
            return show_version(publish_version(cur, plan=key, number=wanted, author=self.author).version)

        return self.idempotent(request, operation, status=200)


@extend_schema_view(post=extend_schema(request=None, responses={200: PlanSerializer}, tags=["plans"]))
class PlanArchiveView(CatalogView):
    """POST /v1/plans/{key or id}/archive."""

    bodiless = ("POST",)

    def post(self, request: Request, name: str) -> HttpResponse:
        """Take the plan off sale for ever; who has it keeps it. Archiving an archived one changes nothing."""
        refuse_fields(request)
        key = path_name(name)

        def operation(cur: Cursor) -> dict[str, Any]:
            return show_plans(cur, [archive_plan(cur, plan=key, author=self.author)], True)[0]

        return self.idempotent(request, operation, status=200)


@extend_schema_view(
    post=extend_schema(
        request=PricePreviewSerializer, responses={200: ShownPreviewSerializer}, tags=["plans"]
    )
)
class PricePreviewView(CatalogView):
    """POST /v1/plans/{key or id}/price-preview."""

    required_scope = BILLING_READ

    def post(self, request: Request, name: str) -> HttpResponse:
        """What one period would cost, line by line with every step; nothing is written."""
        values, key = checked(PricePreviewSerializer, request), path_name(name)

        def read(cur: Cursor) -> dict[str, Any]:
            version = self._version(cur, key, values.get("number"))
            measured = read_quantities(values.get("quantities", {}), version.terms, pointer="/quantities")
            preview = preview_period(
                version.terms,
                measured,
                currency=values["currency"],
                first=values.get("first_period", False),
            )
            return show_preview(version, preview)

        return json_response(run_in_transaction(read))

    def _version(self, cur: Cursor, key: str, number: int | None) -> PlanVersion:
        plan = find_plan(cur, key, on_sale=not self.sees_all)
        if number is not None:
            return find_version_of(cur, plan, number, ever_on_sale=not self.sees_all)
        version = version_on_sale(cur, plan)
        if version is None:
            raise NotFound("No version of this plan is on sale; name a number.", pointer="/number")
        return version


def path_number(text: str) -> int:
    """The number of a version in a path. Raises NotFound."""
    if not NUMBER.fullmatch(text):
        raise NotFound
    return int(text)


def show_plans(cur: Cursor, plans: Sequence[Plan], sees_all: bool) -> list[dict[str, Any]]:
    """Plans as answers show them, in their order."""
    named = {identifier for plan in plans for identifier in (plan.published_id, plan.draft_id) if identifier}
    versions = versions_of(cur, named)
    return [_shown(plan, versions, sees_all) for plan in plans]


def show_version(version: PlanVersion) -> dict[str, Any]:
    """A version as answers show it."""
    return {
        "id": version.id,
        "plan": version.plan_key,
        "plan_id": version.plan_id,
        "number": version.number,
        "status": version.status,
        "definition": write_plan(version.terms),
        "created_at": utc(version.created_at),
        "published_at": utc(version.published_at),
        "archived_at": utc(version.archived_at),
    }


def show_preview(version: PlanVersion, preview: Preview) -> dict[str, Any]:
    """A preview as answers show it."""
    return {
        "plan": version.plan_key,
        "number": version.number,
        "currency": preview.currency,
        "lines": [
            {
                "charge": line.charge.key,
                "name": line.charge.name,
                "kind": line.charge.kind,
                "timing": line.charge.timing,
                "amount": format_document_amount(line.units, currency=preview.currency),
                "line": line_json(line.line),
            }
            for line in preview.lines
        ],
        "total": format_document_amount(preview.total, currency=preview.currency),
    }


def _shown(plan: Plan, versions: dict[UUID, PlanVersion], sees_all: bool) -> dict[str, Any]:
    sold = None if plan.published_id is None else versions[plan.published_id]
    draft = versions[plan.draft_id] if sees_all and plan.draft_id else None
    return {
        "id": plan.id,
        "key": plan.key,
        "name": plan.name,
        "status": plan.status,
        "number": sold and sold.number,
        "version_id": plan.published_id,
        "draft": draft and draft.number,
        "definition": sold and write_plan(sold.terms),
        "created_at": utc(plan.created_at),
        "archived_at": utc(plan.archived_at),
    }
