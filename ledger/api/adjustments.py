"""/v1/adjustments: manual corrections of credit, above a limit with another person's approval (S12)."""

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from common.api.answers import json_response
from common.api.paging import envelope
from common.api.views import path_id
from common.transactions import run_in_transaction
from events.store import Cursor
from ledger.api.representations import show_adjustment
from ledger.api.serializers import AdjustmentSerializer, ReasonSerializer
from ledger.operations.adjusting import (
    NewAdjustment,
    approve_adjustment,
    propose_adjustment,
    reject_adjustment,
)
from ledger.queries.adjustments import find_adjustment, list_adjustments, organization_of_adjustment
from orgs.api.acting import OrgsView, checked, refuse_fields
from orgs.rules.scopes import AUDIT_READ, PLATFORM

STATUSES = ("proposed", "posted", "rejected")


class AdjustmentListView(OrgsView):
    """GET and POST /v1/adjustments."""

    required_scope = {"GET": AUDIT_READ, "POST": PLATFORM}
    query_parameters = ("status",)
    paged = True
    money_moves = True

    @extend_schema(responses=AdjustmentSerializer(many=True), tags=["ledger"])
    def get(self, request: Request) -> HttpResponse:
        """The organization's adjustments, newest first."""
        organization = self.for_list()
        page = self.query.page(organization=self.caller.organization, path=request.path)
        status = self.query.choice("status", options=STATUSES)

        def read(cur: Cursor) -> dict[str, Any]:
            before = UUID(page.position[0]) if page.position else None
            rows = list_adjustments(
                cur, organization=organization, status=status, before=before, limit=page.fetch
            )
            return envelope(rows, page=page, position=lambda row: (str(row.id),), show=show_adjustment)

        return json_response(run_in_transaction(read))

    @extend_schema(request=AdjustmentSerializer, responses={201: AdjustmentSerializer}, tags=["ledger"])
    def post(self, request: Request) -> HttpResponse:
        """Give or take credit. Up to 500.00 it is posted at once; above, it waits for another person."""
        values = checked(AdjustmentSerializer, request)
        organization = values["organization"]
        sign = 1 if values["direction"] == "credit" else -1

        def operation(cur: Cursor) -> dict[str, Any]:
            new = NewAdjustment(
                organization, sign * values["amount"], values["currency"], values["contra"], values["reason"]
            )
            made = propose_adjustment(cur, new, author=self.author)
            return show_adjustment(find_adjustment(cur, organization=organization, adjustment=made))

        return self.idempotent(request, operation)


class AdjustmentDetailView(OrgsView):
    """GET /v1/adjustments/{id}."""

    required_scope = AUDIT_READ

    @extend_schema(responses=AdjustmentSerializer, tags=["ledger"])
    def get(self, request: Request, name: str) -> HttpResponse:
        """One adjustment."""
        adjustment = path_id(name)
        organization = self.for_object(name, organization_of_adjustment)
        return json_response(
            run_in_transaction(
                lambda cur: show_adjustment(
                    find_adjustment(cur, organization=organization, adjustment=adjustment)
                )
            )
        )


class AdjustmentApproveView(OrgsView):
    """POST /v1/adjustments/{id}/approve."""

    required_scope = PLATFORM
    bodiless = ("POST",)
    money_moves = True

    @extend_schema(request=None, responses={200: AdjustmentSerializer}, tags=["ledger"])
    def post(self, request: Request, name: str) -> HttpResponse:
        """Post it. The maker cannot, nor a key that stands for no person: 403 `maker_cannot_approve`."""
        refuse_fields(request)
        adjustment = path_id(name)

        def operation(cur: Cursor) -> dict[str, Any]:
            organization = organization_of_adjustment(cur, adjustment)
            approve_adjustment(cur, organization=organization, adjustment=adjustment, author=self.author)
            return show_adjustment(find_adjustment(cur, organization=organization, adjustment=adjustment))

        return self.idempotent(request, operation, status=200)


class AdjustmentRejectView(OrgsView):
    """POST /v1/adjustments/{id}/reject."""

    required_scope = PLATFORM

    @extend_schema(request=ReasonSerializer, responses={200: AdjustmentSerializer}, tags=["ledger"])
    def post(self, request: Request, name: str) -> HttpResponse:
        """End a proposal; nothing is posted."""
        values = checked(ReasonSerializer, request)
        adjustment = path_id(name)

        def operation(cur: Cursor) -> dict[str, Any]:
            organization = organization_of_adjustment(cur, adjustment)
            reject_adjustment(
                cur,
                organization=organization,
                adjustment=adjustment,
                reason=values["reason"],
                author=self.author,
            )
            return show_adjustment(find_adjustment(cur, organization=organization, adjustment=adjustment))

        return self.idempotent(request, operation, status=200)
