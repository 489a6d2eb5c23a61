"""/v1/budgets/{id}/override, …/overrides and /v1/budget-overrides: budgets raised for a while (S42)."""

from __future__ import annotations

from functools import partial
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
from orgs.api.acting import OrgsView, checked
from orgs.rules.permissions import Permit, require_policy_level
from orgs.rules.scopes import ADMIN, SPEND_READ
from spend.api.approval_representations import show_override
from spend.api.approval_serializers import OverrideSerializer, PolicyReasonSerializer, ShownOverrideSerializer
from spend.operations.budgets.overrides import create_override, end_override
from spend.queries import budgets as queries
from spend.queries.overrides import (
    OverrideRow,
    find_override,
    list_overrides,
    organization_of_override,
)
from spend.rules.overrides import STATUSES, OverrideTerms


class OverrideView(OrgsView):
    """What the views of overrides share."""

    @property
    def permit(self) -> Permit:
        """Refuse the override of another level's budget (S43)."""
        return partial(require_policy_level, self.caller)


@extend_schema_view(
    post=extend_schema(request=OverrideSerializer, responses={201: ShownOverrideSerializer}, tags=["budgets"])
)
class BudgetOverrideView(OverrideView):
    """POST /v1/budgets/{id}/override."""

    required_scope = ADMIN

    def post(self, request: Request, name: str) -> HttpResponse:
        """Raise the budget for one run, until a time, or both. The gate obeys it at its next decision."""
        terms = OverrideTerms(**checked(OverrideSerializer, request))
        budget = path_id(name)
        organization = self.for_object(name, queries.organization_of_budget)

        def operation(cur: Cursor) -> dict[str, Any]:
            row = create_override(cur, organization, budget, terms, author=self.author, permit=self.permit)
            return show_one(cur, organization, row)

        return self.idempotent(request, operation)


@extend_schema_view(get=extend_schema(responses=ShownOverrideSerializer(many=True), tags=["budgets"]))
class BudgetOverrideListView(OverrideView):
    """GET /v1/budgets/{id}/overrides."""

    required_scope = SPEND_READ
    query_parameters = ("status",)
    paged = True

    def get(self, request: Request, name: str) -> HttpResponse:
        """The budget's overrides, newest first, also those that are over."""
        budget = path_id(name)
        organization = self.for_object(name, queries.organization_of_budget)
        page = self.query.page(organization=self.caller.organization, path=request.path)
        status = self.query.choice("status", options=STATUSES)

        def read(cur: Cursor) -> dict[str, Any]:
            queries.find_budget(cur, organization=organization, budget=budget)
            rows = list_overrides(
                cur,
                organization=organization,
                budget=budget,
                status=status,
                now=queries.business_now(cur, organization),
                before=UUID(page.position[0]) if page.position else None,
                limit=page.fetch,
            )
            shown = _show_all(cur, organization, rows)
            return envelope(
                rows,
                page=page,
                position=lambda row: (str(row.override.id),),
                show=lambda row: shown[str(row.override.id)],
            )

        return json_response(run_in_transaction(read))


@extend_schema_view(get=extend_schema(responses=ShownOverrideSerializer, tags=["budgets"]))
class OverrideDetailView(OverrideView):
    """GET /v1/budget-overrides/{id}."""

    required_scope = SPEND_READ

    def get(self, request: Request, name: str) -> HttpResponse:
        """One override, also one that is over."""
        override, organization = path_id(name), self.for_object(name, organization_of_override)
        return json_response(
            run_in_transaction(
                lambda cur: show_one(
                    cur, organization, find_override(cur, organization=organization, override=override)
                )
            )
        )


@extend_schema_view(
    post=extend_schema(
        request=PolicyReasonSerializer, responses={200: ShownOverrideSerializer}, tags=["budgets"]
    )
)
class OverrideEndView(OverrideView):
    """POST /v1/budget-overrides/{id}/end."""

    required_scope = ADMIN

    def post(self, request: Request, name: str) -> HttpResponse:
        """End the override before its time. The gate obeys it at its next decision."""
        reason = checked(PolicyReasonSerializer, request)["reason"]
        override, organization = path_id(name), self.for_object(name, organization_of_override)

        def operation(cur: Cursor) -> dict[str, Any]:
            row = end_override(
                cur, organization, override, reason=reason, author=self.author, permit=self.permit
            )
            return show_one(cur, organization, row)

        return self.idempotent(request, operation, status=200)


def show_one(cur: Cursor, organization: UUID, row: OverrideRow) -> dict[str, Any]:
    """An override as answers show it."""
    return _show_all(cur, organization, [row])[str(row.override.id)]


def _show_all(cur: Cursor, organization: UUID, rows: list[OverrideRow]) -> dict[str, dict[str, Any]]:
    now = queries.business_now(cur, organization)
    targets = [row.override.target for row in rows if row.override.target is not None]
    scopes = {row.scope for row in rows}
    names = queries.names_of(cur, organization, scopes=scopes, targets=targets)
    return {str(row.override.id): show_override(row, names=names, now=now) for row in rows}
