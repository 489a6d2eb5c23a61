"""/v1/approvals: thresholds that wait for a person (S35)."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar
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
from orgs.rules.permissions import require_policy_level
from orgs.rules.scopes import ADMIN, SPEND_READ
from spend.api.approval_representations import show_approval
from spend.api.approval_serializers import PolicyReasonSerializer, ShownApprovalSerializer
from spend.operations.budgets.approvals import decide_approval
from spend.queries.approvals import ApprovalFilter, find_approval, list_approvals, organization_of_approval
from spend.queries.budgets import business_now
from spend.rules.approvals import STATUSES


@extend_schema_view(get=extend_schema(responses=ShownApprovalSerializer(many=True), tags=["budgets"]))
class ApprovalListView(OrgsView):
    """GET /v1/approvals."""

    required_scope = SPEND_READ
    query_parameters = ("status", "budget")
    paged = True

    def get(self, request: Request) -> HttpResponse:
        """Approvals, newest first; `status=pending` are those that can be decided now."""
        organization = self.for_list()
        page = self.query.page(organization=self.caller.organization, path=request.path)
        wanted = ApprovalFilter(
            status=self.query.choice("status", options=STATUSES), budget=self.query.uuid("budget")
        )

        def read(cur: Cursor) -> dict[str, Any]:
            rows = list_approvals(
                cur,
                organization=organization,
                wanted=wanted,
                now=business_now(cur, organization),
                before=UUID(page.position[0]) if page.position else None,
                limit=page.fetch,
            )
            return envelope(rows, page=page, position=lambda row: (str(row.approval.id),), show=show_approval)

        return json_response(run_in_transaction(read))


@extend_schema_view(get=extend_schema(responses=ShownApprovalSerializer, tags=["budgets"]))
class ApprovalDetailView(OrgsView):
    """GET /v1/approvals/{id}."""

    required_scope = SPEND_READ

    def get(self, request: Request, name: str) -> HttpResponse:
        """One approval."""
        approval, organization = path_id(name), self.for_object(name, organization_of_approval)

        def read(cur: Cursor) -> dict[str, Any]:
            now = business_now(cur, organization)
            return show_approval(find_approval(cur, organization=organization, approval=approval, now=now))

        return json_response(run_in_transaction(read))


class ApprovalDecisionView(OrgsView):
    """What approving and rejecting share."""

    required_scope = ADMIN
    decision: ClassVar[str]

    def decide(self, request: Request, name: str) -> HttpResponse:
        """Decide what waits, if whoever asks may edit the budget (S43)."""
        reason = checked(PolicyReasonSerializer, request)["reason"]
        approval, organization = path_id(name), self.for_object(name, organization_of_approval)

        def operation(cur: Cursor) -> dict[str, Any]:
            permit = partial(require_policy_level, self.caller)
            row = decide_approval(
                cur, organization, approval, self.decision, reason=reason, author=self.author, permit=permit
            )
            return show_approval(row)

        return self.idempotent(request, operation, status=200)


@extend_schema_view(
    post=extend_schema(
        request=PolicyReasonSerializer, responses={200: ShownApprovalSerializer}, tags=["budgets"]
    )
)
class ApprovalApproveView(ApprovalDecisionView):
    """POST /v1/approvals/{id}/approve."""

    decision = "approve"

    def post(self, request: Request, name: str) -> HttpResponse:
        """Let the window's calls pass again, until a higher threshold is crossed."""
        return self.decide(request, name)


@extend_schema_view(
    post=extend_schema(
        request=PolicyReasonSerializer, responses={200: ShownApprovalSerializer}, tags=["budgets"]
    )
)
class ApprovalRejectView(ApprovalDecisionView):
    """POST /v1/approvals/{id}/reject."""

    decision = "reject"

    def post(self, request: Request, name: str) -> HttpResponse:
        """Keep refusing the window's calls until it is over or the budget is changed."""
        return self.decide(request, name)
