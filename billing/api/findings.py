"""/v1/findings: differences that finance must see. For the platform only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.request import Request

from billing.api.catalog import utc
from billing.api.payment_serializers import (
    AssignFindingSerializer,
    FindingSerializer,
    NoteFindingSerializer,
    ResolveFindingSerializer,
)
from billing.operations.findings import assign_finding, note_finding, resolve_finding
from billing.queries.findings import find_finding, list_findings
from billing.rules.findings import MAX_TEXT, STATUSES, Finding
from common.api.answers import json_response
from common.api.paging import envelope
from common.api.views import path_id
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.api.acting import OrgsView, checked
from orgs.rules.scopes import PLATFORM

MAX_SUBJECT: Final = 200


class FindingView(OrgsView):
    """A view of findings."""

    required_scope = PLATFORM

    def change(self, request: Request, act: Callable[[Cursor], Finding]) -> HttpResponse:
        """Change a finding and answer with what became of it."""
        return self.idempotent(request, lambda cur: show_finding(act(cur)), status=200)


@extend_schema_view(
    get=extend_schema(
        parameters=[
            OpenApiParameter("status", enum=STATUSES),
            OpenApiParameter("kind", str),
            OpenApiParameter("subject", str),
            OpenApiParameter("assigned_to", str, description="Who looks after them."),
            OpenApiParameter("is_assigned", bool, description="Whether anybody looks after them."),
        ],
        responses=FindingSerializer(many=True),
        tags=["findings"],
    )
)
class FindingListView(FindingView):
    """GET /v1/findings."""

    query_parameters = ("status", "kind", "subject", "assigned_to", "is_assigned")
    paged = True

    def get(self, request: Request) -> HttpResponse:
        """Findings of all organizations or of one, newest first."""
        organization = self.query.uuid("organization")
        page = self.query.page(organization=self.caller.organization, path=request.path)
        status = self.query.choice("status", options=STATUSES)
        kind, subject = self.query.text("kind"), self.query.text("subject", max_length=MAX_SUBJECT)
        owner, is_assigned = (
            self.query.text("assigned_to", max_length=MAX_TEXT),
            self.query.flag("is_assigned"),
        )

        def read(cur: Cursor) -> dict[str, Any]:
            rows = list_findings(
                cur,
                organization=organization,
                status=status,
                kind=kind,
                subject=subject,
                assigned_to=owner,
                is_assigned=is_assigned,
                before=UUID(page.position[0]) if page.position else None,
                limit=page.fetch,
            )
            return envelope(rows, page=page, position=lambda row: (str(row.id),), show=show_finding)

        return json_response(run_in_transaction(read))


@extend_schema_view(get=extend_schema(responses=FindingSerializer, tags=["findings"]))
class FindingDetailView(FindingView):
    """GET /v1/findings/{id}."""

    def get(self, request: Request, name: str) -> HttpResponse:
        """One finding with its evidence."""
        finding = path_id(name)
        return json_response(run_in_transaction(lambda cur: show_finding(find_finding(cur, finding=finding))))


@extend_schema_view(
    post=extend_schema(request=AssignFindingSerializer, responses={200: FindingSerializer}, tags=["findings"])
)
class FindingAssignView(FindingView):
    """POST /v1/findings/{id}/assign."""

    def post(self, request: Request, name: str) -> HttpResponse:
        """Say who looks after it."""
        finding, to = path_id(name), checked(AssignFindingSerializer, request)["assignee"]
        return self.change(
            request, lambda cur: assign_finding(cur, finding=finding, to=to, author=self.author)
        )


@extend_schema_view(
    post=extend_schema(request=NoteFindingSerializer, responses={200: FindingSerializer}, tags=["findings"])
)
class FindingNoteView(FindingView):
    """POST /v1/findings/{id}/note."""

    def post(self, request: Request, name: str) -> HttpResponse:
        """Add what there is to say."""
        finding, text = path_id(name), checked(NoteFindingSerializer, request)["text"]
        return self.change(
            request, lambda cur: note_finding(cur, finding=finding, text=text, author=self.author)
        )


@extend_schema_view(
    post=extend_schema(
        request=ResolveFindingSerializer, responses={200: FindingSerializer}, tags=["findings"]
    )
)
class FindingResolveView(FindingView):
    """POST /v1/findings/{id}/resolve."""

    def post(self, request: Request, name: str) -> HttpResponse:
        """Settle it, and say why. It moves no money: post the entry or take the step first."""
        finding, reason = path_id(name), checked(ResolveFindingSerializer, request)["reason"]
        return self.change(
            request, lambda cur: resolve_finding(cur, finding=finding, reason=reason, author=self.author)
        )


def show_finding(finding: Finding) -> dict[str, Any]:
    """A finding as answers show it."""
    return {
        "id": finding.id,
        "organization": finding.organization,
        "kind": finding.kind,
        "subject": finding.subject,
        "status": finding.status,
        "detail": finding.detail,
        "proposed": finding.proposed,
        "assigned_to": finding.assigned_to,
        "notes": list(finding.notes),
        "opened_at": utc(finding.opened_at),
        "opened_by": finding.opened_by,
        "resolved_at": utc(finding.resolved_at),
        "resolved_by": finding.resolved_by,
        "resolution": finding.resolution,
    }
