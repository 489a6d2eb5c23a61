"""/v1/dunning-cases: customers in arrears. They read their own; finance moves them, with a key of the platform."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.request import Request

from billing.api import dunning_serializers as shapes
from billing.api.acting import BillingView
from billing.api.catalog import utc
from billing.operations.dunning import commanding
from billing.queries.dunning import (
    find_case,
    history_of_case,
    list_cases,
    organization_of_case,
    unpaid_of,
)
from billing.rules.dunning.case import Case, consequence_of
from billing.rules.dunning.policy import write_policy
from billing.rules.dunning.states import STATES
from common.api.answers import json_response
from common.api.paging import envelope
from common.api.views import path_id
from common.money import format_document_amount
from common.transactions import run_in_transaction
from events.reading import StoredEvent
from events.store import Cursor
from orgs.api.acting import checked
from orgs.rules.scopes import BILLING_READ, PLATFORM

MOST_EVENTS = 500
_SAID = ("due_at", "reason", "notice", "why", "currency", "attempt", "began", "ended")
Act = Callable[[Cursor, UUID, UUID], Case]


class CaseView(BillingView):
    """A view of dunning cases."""

    required_scope: ClassVar[Any] = {"GET": BILLING_READ, "POST": PLATFORM}

    def act(self, request: Request, name: str, act: Act) -> HttpResponse:
        """Have one operation move the case, and show it. Raises NotFound."""
        case, organization = path_id(name), self.for_object(name, organization_of_case)

        def operation(cur: Cursor) -> dict[str, Any]:
            return show_detail(cur, act(cur, organization, case))

        return self.idempotent(request, operation, status=200)


@extend_schema_view(
    get=extend_schema(
        parameters=[
            OpenApiParameter("state", enum=STATES),
            OpenApiParameter("open", bool, description="True: those that are not closed."),
        ],
        responses=shapes.DunningCaseSerializer(many=True),
        tags=["dunning"],
    )
)
class CaseListView(CaseView):
    """GET /v1/dunning-cases."""

    query_parameters = ("state", "open")
    paged = True

    def get(self, request: Request) -> HttpResponse:
        """The organization's cases, newest first; of all customers for a platform key that names none."""
        organization = self.own_or_named(self.query.uuid("organization"))
        page = self.query.page(organization=self.caller.organization, path=request.path)
        state, is_open = self.query.choice("state", options=STATES), self.query.flag("open")

        def read(cur: Cursor) -> dict[str, Any]:
            rows = list_cases(
                cur,
                organization=organization,
                state=state,
                is_open=is_open,
                before=UUID(page.position[0]) if page.position else None,
                limit=page.fetch,
            )
            return envelope(
                rows, page=page, position=lambda row: (str(row.id),), show=lambda row: show_case(cur, row)
            )

        return json_response(run_in_transaction(read))


@extend_schema_view(get=extend_schema(responses=shapes.DunningCaseDetailSerializer, tags=["dunning"]))
class CaseDetailView(CaseView):
    """GET /v1/dunning-cases/{id}."""

    def get(self, request: Request, name: str) -> HttpResponse:
        """One case: what it waits for, what comes next, and everything that happened to it."""
        case, organization = path_id(name), self.for_object(name, organization_of_case)
        return json_response(
            run_in_transaction(
                lambda cur: show_detail(cur, find_case(cur, organization=organization, case=case))
            )
        )


@extend_schema_view(
    post=extend_schema(
        request=shapes.DunningDaysSerializer,
        responses={200: shapes.DunningCaseDetailSerializer},
        tags=["dunning"],
    )
)
class CaseExtendView(CaseView):
    """POST /v1/dunning-cases/{id}/extend."""

    def post(self, request: Request, name: str) -> HttpResponse:
        """Put off every further step by so many days; what holds now stays."""
        values = checked(shapes.DunningDaysSerializer, request)
        return self.act(
            request,
            name,
            lambda cur, organization, case: commanding.extend_case(
                cur, organization=organization, case=case, author=self.author, **values
            ),
        )


@extend_schema_view(
    post=extend_schema(
        request=shapes.DunningDaysSerializer,
        responses={200: shapes.DunningCaseDetailSerializer},
        tags=["dunning"],
    )
)
class CaseExemptView(CaseView):
    """POST /v1/dunning-cases/{id}/exempt."""

    def post(self, request: Request, name: str) -> HttpResponse:
        """Hold nothing against the customer for so many days: the gate is open, and every step comes so much later."""
        values = checked(shapes.DunningDaysSerializer, request)
        return self.act(
            request,
            name,
            lambda cur, organization, case: commanding.exempt_case(
                cur, organization=organization, case=case, author=self.author, **values
            ),
        )


@extend_schema_view(
    post=extend_schema(
        request=shapes.DunningReasonSerializer,
        responses={200: shapes.DunningCaseDetailSerializer},
        tags=["dunning"],
    )
)
class CaseEndExemptionView(CaseView):
    """POST /v1/dunning-cases/{id}/end-exemption."""

    def post(self, request: Request, name: str) -> HttpResponse:
        """End an exemption before its time."""
        values = checked(shapes.DunningReasonSerializer, request)
        return self.act(
            request,
            name,
            lambda cur, organization, case: commanding.end_exemption(
                cur, organization=organization, case=case, author=self.author, **values
            ),
        )


@extend_schema_view(
    post=extend_schema(
        request=shapes.DunningMoveSerializer,
        responses={200: shapes.DunningCaseDetailSerializer},
        tags=["dunning"],
    )
)
class CaseMoveView(CaseView):
    """POST /v1/dunning-cases/{id}/move."""

    money_moves = True

    def post(self, request: Request, name: str) -> HttpResponse:
        """Move the case by hand: to grace, suspended, canceled (its subscriptions end), written_off (what is unpaid
        becomes a loss) or closed (the customer is let be, whatever it owes)."""
        values = checked(shapes.DunningMoveSerializer, request)
        return self.act(
            request,
            name,
            lambda cur, organization, case: commanding.move_case(
                cur, organization=organization, case=case, author=self.author, **values
            ),
        )


def show_case(cur: Cursor, case: Case) -> dict[str, Any]:
    """A case as answers show it."""
    found = consequence_of(case)
    steps = case.policy.steps if case.is_open else ()
    return {
        "id": case.id,
        "organization": case.organization,
        "state": case.state,
        "standing": found.standing,
        "per_minute": found.per_minute,
        "spends_credit": found.spends_credit,
        "policy_id": case.policy_id,
        "policy_number": case.policy_number,
        "policy": write_policy(case.policy),
        "time_zone": case.zone,
        "due_since": utc(case.anchor_at),
        "opened_at": utc(case.opened_at),
        "since": utc(case.changed_at),
        "invoices": case.invoices,
        "unpaid": [_unpaid(each) for each in unpaid_of(cur, case)],
        "upcoming": [
            {"day": step.day, "action": step.action, "at": utc(case.moment(place))}
            for place, step in enumerate(steps)
            if place >= case.step
        ],
        "waits_for": case.pending,
        "waits_until": utc(case.waits_until),
        "failures": case.failures,
        "last_failure": case.failure,
        "is_hard": case.is_hard,
        "extended_until": utc(case.extended_until),
        "exempt_until": utc(case.exempt_until),
        "next_at": utc(case.next_at),
        "closed_at": utc(case.closed_at),
        "closing": case.closing,
        "campaigns": _campaigns(case),
        "version": case.version,
    }


def show_detail(cur: Cursor, case: Case) -> dict[str, Any]:
    """A case with its timeline."""
    rows = history_of_case(cur, case, after=None, limit=MOST_EVENTS)
    return {**show_case(cur, case), "timeline": [show_event(row) for row in rows]}


def show_event(row: StoredEvent) -> dict[str, Any]:
    """What happened to a case as answers show it."""
    said = row.data
    return {
        "seq": row.seq,
        "at": utc(row.occurred_at),
        "event": row.type.partition(".")[2],
        "actor": row.actor,
        "state": said["state"],
        "trigger": said["trigger"],
        **{name: said.get(name) for name in _SAID},
    }


def _campaigns(case: Case) -> list[dict[str, Any]]:
    least = dict(case.policy.thresholds)
    return [
        {
            "currency": each.currency,
            "threshold": format_document_amount(least[each.currency], currency=each.currency),
            "attempts": each.attempts,
            "max_attempts": case.policy.max_attempts,
            "next_at": utc(each.next_at),
        }
        for each in case.campaigns
    ]


def _unpaid(found: Any) -> dict[str, Any]:
    return {
        "id": found.id,
        "number": found.number,
        "status": found.status,
        "currency": found.currency,
        "due": format_document_amount(found.due, currency=found.currency),
        "due_at": utc(found.due_at),
    }
