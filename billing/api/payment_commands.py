"""/v1/payment-commands: what the processor is to do, for the platform's staff."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.request import Request

from billing.api.command_serializers import PaymentCommandSerializer
from billing.api.invoice_representations import utc
from billing.operations.commands.recording import look_again, send_again
from billing.queries.commands import find_command, list_commands
from billing.rules.payments.commands import STATES, Command
from common.api.answers import json_response
from common.api.paging import envelope
from common.api.views import path_id
from common.clock import wall_now
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.api.acting import OrgsView, refuse_fields
from orgs.rules.scopes import PLATFORM


@extend_schema_view(
    get=extend_schema(
        parameters=[OpenApiParameter("status", str, enum=STATES), OpenApiParameter("purpose", str)],
        responses=PaymentCommandSerializer(many=True),
        tags=["payment commands"],
    )
)
class PaymentCommandListView(OrgsView):
    """GET /v1/payment-commands."""

    required_scope = PLATFORM
    query_parameters = ("status", "purpose")
    paged = True

    def get(self, request: Request) -> HttpResponse:
        """Commands to the processor, of all organizations or of one, newest first."""
        page = self.query.page(organization=self.caller.organization, path=request.path)
        status = self.query.choice("status", options=STATES)
        purpose = self.query.text("purpose", max_length=100)
        organization = self.query.uuid("organization")

        def read(cur: Cursor) -> dict[str, Any]:
            rows = list_commands(
                cur,
                organization=organization,
                states=[status] if status else (),
                purpose=purpose,
                before=UUID(page.position[0]) if page.position else None,
                limit=page.fetch,
            )
            return envelope(rows, page=page, position=lambda row: (str(row.id),), show=show_command)

        return json_response(run_in_transaction(read))


@extend_schema_view(get=extend_schema(responses=PaymentCommandSerializer, tags=["payment commands"]))
class PaymentCommandDetailView(OrgsView):
    """GET /v1/payment-commands/{id}."""

    required_scope = PLATFORM

    def get(self, request: Request, name: str) -> HttpResponse:
        """One command."""
        command = path_id(name)
        return json_response(run_in_transaction(lambda cur: show_command(find_command(cur, command))))


@extend_schema_view(
    post=extend_schema(request=None, responses={200: PaymentCommandSerializer}, tags=["payment commands"])
)
class PaymentCommandSendView(OrgsView):
    """POST /v1/payment-commands/{id}/send."""

    required_scope = PLATFORM
    bodiless = ("POST",)

    def post(self, request: Request, name: str) -> HttpResponse:
        """Have a command that waits sent at once, under its own key: nothing is done twice."""
        refuse_fields(request)
        command = path_id(name)
        return self.idempotent(
            request,
            lambda cur: show_command(send_again(cur, command=command, clock=wall_now, author=self.author)),
            status=200,
        )


@extend_schema_view(
    post=extend_schema(request=None, responses={200: PaymentCommandSerializer}, tags=["payment commands"])
)
class PaymentCommandLookView(OrgsView):
    """POST /v1/payment-commands/{id}/look."""

    required_scope = PLATFORM
    bodiless = ("POST",)

    def post(self, request: Request, name: str) -> HttpResponse:
        """Have a command that is in doubt, or was stopped, looked for at the processor. What is found is taken over;
        what is not found twice, an hour apart, is asked for anew."""
        refuse_fields(request)
        command = path_id(name)
        return self.idempotent(
            request,
            lambda cur: show_command(look_again(cur, command=command, clock=wall_now, author=self.author)),
            status=200,
        )


def show_command(row: Command) -> dict[str, Any]:
    """A command as answers show it."""
    return {
        "id": row.id,
        "organization": row.organization,
        "purpose": row.purpose,
        "business_key": row.business_key,
        "generation": row.generation,
        "idempotency_key": row.key,
        "resource": row.resource,
        "verb": row.verb,
        "target": row.target,
        "parameters": json.dumps(row.params, sort_keys=True),
        "account": row.account,
        "status": row.state,
        "attempts": row.attempts,
        "requested_at": utc(row.requested_at),
        "first_sent_at": utc(row.first_sent_at),
        "next_try_at": utc(row.next_try_at) if row.is_open else None,
        "ended_at": utc(row.ended_at),
        "object_id": row.object_id,
        "request_id": row.request_id,
        "error_code": row.error_code,
        "decline_code": row.decline_code,
        "error": row.error,
        "note": row.note,
    }
