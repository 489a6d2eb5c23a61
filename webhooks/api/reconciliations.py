"""/v1/reconciliations, /v1/suspense: what was compared with the processor, what differed, and money that nobody knows.
For the platform only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.request import Request

from billing.rules.findings import MAX_TEXT
from common.api.answers import json_response
from common.api.paging import envelope
from common.api.views import path_id
from common.money import format_amount
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.api.acting import OrgsView, checked
from orgs.rules.scopes import PLATFORM
from webhooks.api.reconciliation_serializers import (
    AssignSerializer,
    DifferenceSerializer,
    ForeignSerializer,
    ReconciliationSerializer,
    SuspenseSerializer,
)
from webhooks.operations.reconciling.suspense import assign_item, mark_foreign
from webhooks.queries.reconciling.rows import find_item, list_items
from webhooks.queries.reconciling.runs import DifferenceRow, Run, find_run, list_differences, list_runs
from webhooks.rules.reconciling.differences import CLASSES, OUTCOMES, OVERDUE
from webhooks.rules.reconciling.items import STATUSES, Item

_TAGS = ["reconciliation"]


class PlatformOnlyView(OrgsView):
    """What the platform alone sees and says."""

    required_scope = PLATFORM

    def parameters_for(self, method: str) -> frozenset[str]:
        """Only as declared: it belongs to no customer."""
        return super().parameters_for(method) - {"organization"}


@extend_schema_view(get=extend_schema(responses=ReconciliationSerializer(many=True), tags=_TAGS))
class ReconciliationListView(PlatformOnlyView):
    """GET /v1/reconciliations."""

    paged = True

    def get(self, request: Request) -> HttpResponse:
        """Runs of reconciliation with their reports, newest first."""
        page = self.query.page(organization=self.caller.organization, path=request.path)

        def read(cur: Cursor) -> dict[str, Any]:
            before = UUID(page.position[0]) if page.position else None
            rows = list_runs(cur, before=before, limit=page.fetch)
            return envelope(rows, page=page, position=lambda row: (str(row.id),), show=show_run)

        return json_response(run_in_transaction(read))


@extend_schema_view(get=extend_schema(responses=ReconciliationSerializer, tags=_TAGS))
class ReconciliationDetailView(PlatformOnlyView):
    """GET /v1/reconciliations/{id}."""

    def get(self, request: Request, name: str) -> HttpResponse:
        """One run's report."""
        run = path_id(name)
        return json_response(run_in_transaction(lambda cur: show_run(find_run(cur, run))))


@extend_schema_view(
    get=extend_schema(
        parameters=[
            OpenApiParameter("difference", str, enum=list(CLASSES)),
            OpenApiParameter("outcome", str, enum=list(OUTCOMES)),
            OpenApiParameter("assigned_to", str, description="Who looks after them."),
            OpenApiParameter("is_assigned", bool, description="Whether anybody looks after them."),
            OpenApiParameter(
                "is_overdue", bool, description=f"Whether they are open for over {OVERDUE.days} days."
            ),
        ],
        responses=DifferenceSerializer(many=True),
        tags=_TAGS,
    )
)
class DifferenceListView(PlatformOnlyView):
    """GET /v1/reconciliations/{id}/differences."""

    query_parameters = ("difference", "outcome", "assigned_to", "is_assigned", "is_overdue")
    paged = True

    def get(self, request: Request, name: str) -> HttpResponse:
        """What a run met, newest first. Who looks after one is said at its finding, `POST /v1/findings/{id}/assign`."""
        run = path_id(name)
        page = self.query.page(organization=self.caller.organization, path=request.path)
        kind = self.query.choice("difference", options=CLASSES)
        outcome = self.query.choice("outcome", options=OUTCOMES)
        owner, is_assigned = (
            self.query.text("assigned_to", max_length=MAX_TEXT),
            self.query.flag("is_assigned"),
        )
        is_overdue = self.query.flag("is_overdue")

        def read(cur: Cursor) -> dict[str, Any]:
            find_run(cur, run)
            before = UUID(page.position[0]) if page.position else None
            rows = list_differences(
                cur,
                run=run,
                name=kind,
                outcome=outcome,
                assigned_to=owner,
                is_assigned=is_assigned,
                is_overdue=is_overdue,
                before=before,
                limit=page.fetch,
            )
            return envelope(rows, page=page, position=lambda row: (str(row.id),), show=show_difference)

        return json_response(run_in_transaction(read))


@extend_schema_view(
    get=extend_schema(
        parameters=[
            OpenApiParameter("status", str, enum=list(STATUSES)),
            OpenApiParameter("subject", str),
        ],
        responses=SuspenseSerializer(many=True),
        tags=_TAGS,
    )
)
class SuspenseListView(PlatformOnlyView):
    """GET /v1/suspense."""

    query_parameters = ("status", "subject")
    paged = True

    def get(self, request: Request) -> HttpResponse:
        """Balance transactions that no object of ours explains: costs, own money, and what is in suspense."""
        page = self.query.page(organization=self.caller.organization, path=request.path)
        status = self.query.choice("status", options=STATUSES)
        subject = self.query.text("subject")

        def read(cur: Cursor) -> dict[str, Any]:
            before = UUID(page.position[0]) if page.position else None
            rows = list_items(cur, status=status, subject=subject, before=before, limit=page.fetch)
            return envelope(rows, page=page, position=lambda row: (str(row.id),), show=show_item)

        return json_response(run_in_transaction(read))


class SuspenseView(PlatformOnlyView):
    """A view of one item."""

    def change(self, request: Request, act: Callable[[Cursor], Item]) -> HttpResponse:
        """Change an item and answer with what became of it."""
        return self.idempotent(request, lambda cur: show_item(act(cur)), status=200)


@extend_schema_view(get=extend_schema(responses=SuspenseSerializer, tags=_TAGS))
class SuspenseDetailView(SuspenseView):
    """GET /v1/suspense/{id}."""

    def get(self, request: Request, name: str) -> HttpResponse:
        """One balance transaction."""
        item = path_id(name)
        return json_response(run_in_transaction(lambda cur: show_item(find_item(cur, item))))


@extend_schema_view(
    post=extend_schema(request=AssignSerializer, responses={200: SuspenseSerializer}, tags=_TAGS)
)
class SuspenseAssignView(SuspenseView):
    """POST /v1/suspense/{id}/assign."""

    money_moves = True

    def post(self, request: Request, name: str) -> HttpResponse:
        """Give money in suspense to an organization: it pays the invoice that is named, else it is its credit."""
        item, given = path_id(name), checked(AssignSerializer, request)
        return self.change(
            request,
            lambda cur: assign_item(
                cur,
                item=item,
                organization=given["organization"],
                invoice=given.get("invoice"),
                reason=given["reason"],
                author=self.author,
            ),
        )


@extend_schema_view(
    post=extend_schema(request=ForeignSerializer, responses={200: SuspenseSerializer}, tags=_TAGS)
)
class SuspenseForeignView(SuspenseView):
    """POST /v1/suspense/{id}/mark-foreign."""

    def post(self, request: Request, name: str) -> HttpResponse:
        """Say that money in suspense is none of ours. It stays there, and nobody is asked again."""
        item, reason = path_id(name), checked(ForeignSerializer, request)["reason"]
        return self.change(
            request, lambda cur: mark_foreign(cur, item=item, reason=reason, author=self.author)
        )


def show_run(run: Run) -> dict[str, Any]:
    """A run as answers show it."""
    return {
        "id": run.id,
        "period": run.period,
        "cause": run.cause,
        "status": run.status,
        "since": _utc(run.since),
        "until": _utc(run.until),
        "steps": [_step(name, run.done[name]) for name in run.steps if name in run.done],
        "differences": [{"difference": name, **each} for name, each in run.differences.items()],
        "balances": [{"currency": name, **_amounts(each)} for name, each in run.balances.items()],
        "is_clean": run.is_clean,
        "error": run.error,
        "attempts": run.attempts,
        "started_at": _utc(run.started_at),
        "finished_at": _utc(run.finished_at),
    }


def show_difference(row: DifferenceRow) -> dict[str, Any]:
    """A difference as answers show it."""
    return {
        "id": row.id,
        "reconciliation": row.run,
        "last_reconciliation": row.last_run,
        "kind": row.kind,
        "difference": row.name,
        "subject": row.subject,
        "organization": row.organization,
        "amount": None if row.amount is None else format_amount(row.amount),
        "currency": row.currency,
        "detail": row.detail,
        "outcome": row.outcome,
        "finding": row.finding,
        "first_seen_at": _utc(row.first_seen_at),
        "last_seen_at": _utc(row.last_seen_at),
        "ended_at": _utc(row.ended_at),
        "age_seconds": round(row.age_seconds),
        "assigned_to": row.assigned_to,
    }


def show_item(item: Item) -> dict[str, Any]:
    """A balance transaction in the platform's books as answers show it."""
    return {
        "id": item.id,
        "balance_transaction": item.balance_transaction,
        "subject": item.subject,
        "category": item.category,
        "amount": format_amount(item.amount),
        "fee": format_amount(item.fee),
        "currency": item.currency,
        "booked_to": item.booked_to,
        "status": item.status,
        "assigned_to": item.assigned_to,
        "invoice": item.assigned_invoice,
        "reason": item.reason,
        "created_at": _utc(item.created_at),
        "booked_at": _utc(item.booked_at),
        "ended_at": _utc(item.ended_at),
    }


def _step(name: str, counted: Mapping[str, Any]) -> dict[str, Any]:
    amounts = counted["amounts"].items()
    return {
        "name": name,
        **{each: counted[each] for each in ("compared", "foreign", "repaired", "open")},
        "milliseconds": round(counted["seconds"] * 1_000),
        "amounts": [{"currency": currency, "amount": format_amount(units)} for currency, units in amounts],
    }


def _amounts(units: Any) -> dict[str, str]:
    return {name: format_amount(amount) for name, amount in units.items()}


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC)
