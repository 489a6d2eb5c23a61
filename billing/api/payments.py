"""/v1/payments, /v1/disputes, /v1/top-ups and /v1/auto-top-up: money by the processor, and credit that is bought."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.request import Request

from billing.api.acting import BillingView
from billing.api.catalog import utc
from billing.api.payment_serializers import (
    AutoTopUpSerializer,
    DisputeSerializer,
    NewAutoTopUpSerializer,
    NewTopUpSerializer,
    PaymentSerializer,
)
from billing.operations.payments.topups import NewAutoTopUp, request_top_up, set_auto_top_up
from billing.queries.payments import (
    DisputeRow,
    find_payment,
    list_disputes,
    list_payments,
    organization_of_payment,
)
from billing.queries.topups import bought_since, find_auto_top_up
from billing.rules.payments.facts import DISPUTE_STATUSES
from billing.rules.payments.row import PURPOSES, STATUSES, Payment
from billing.rules.payments.topups import month_start
from billing.rules.permissions import require_billing_reader
from common.api.answers import json_response
from common.api.paging import envelope
from common.api.views import path_id
from common.errors import NotFound
from common.money import format_amount
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.api.acting import checked
from orgs.operations.locks import lock_organization


class PaymentView(BillingView):
    """A view of payments; members who do not look after the billing do not see them."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse members who do not look after the billing. Raises Forbidden."""
        super().initial(request, *args, **kwargs)
        require_billing_reader(self.caller)


@extend_schema_view(
    get=extend_schema(
        parameters=[
            OpenApiParameter("status", enum=STATUSES),
            OpenApiParameter("purpose", enum=PURPOSES),
            OpenApiParameter("invoice", str),
        ],
        responses=PaymentSerializer(many=True),
        tags=["payments"],
    )
)
class PaymentListView(PaymentView):
    """GET /v1/payments."""

    query_parameters = ("status", "purpose", "invoice")
    paged = True

    def get(self, request: Request) -> HttpResponse:
        """The organization's payments by the processor, newest first."""
        organization = self.for_list()
        page = self.query.page(organization=self.caller.organization, path=request.path)
        status = self.query.choice("status", options=STATUSES)
        purpose = self.query.choice("purpose", options=PURPOSES)
        invoice = self.query.uuid("invoice")

        def read(cur: Cursor) -> dict[str, Any]:
            rows = list_payments(
                cur,
                organization=organization,
                status=status,
                purpose=purpose,
                invoice=invoice,
                before=UUID(page.position[0]) if page.position else None,
                limit=page.fetch,
            )
            return envelope(rows, page=page, position=lambda row: (str(row.id),), show=show_payment)

        return json_response(run_in_transaction(read))


@extend_schema_view(get=extend_schema(responses=PaymentSerializer, tags=["payments"]))
class PaymentDetailView(PaymentView):
    """GET /v1/payments/{id}."""

    def get(self, request: Request, name: str) -> HttpResponse:
        """One payment: what came, what went back, what it cost."""
        payment = path_id(name)
        organization = self.for_object(name, organization_of_payment)
        return json_response(
            run_in_transaction(
                lambda cur: show_payment(find_payment(cur, organization=organization, payment=payment))
            )
        )


@extend_schema_view(
    get=extend_schema(
        parameters=[OpenApiParameter("status", enum=DISPUTE_STATUSES)],
        responses=DisputeSerializer(many=True),
        tags=["payments"],
    )
)
class DisputeListView(PaymentView):
    """GET /v1/disputes."""

    query_parameters = ("status",)
    paged = True

    def get(self, request: Request) -> HttpResponse:
        """The disputes of the organization's payments."""
        organization = self.for_list()
        page = self.query.page(organization=self.caller.organization, path=request.path)
        status = self.query.choice("status", options=DISPUTE_STATUSES)

        def read(cur: Cursor) -> dict[str, Any]:
            before = page.position[0] if page.position else None
            rows = list_disputes(
                cur, organization=organization, status=status, before=before, limit=page.fetch
            )
            return envelope(rows, page=page, position=lambda row: (row.id,), show=show_dispute)

        return json_response(run_in_transaction(read))


@extend_schema_view(
    post=extend_schema(request=NewTopUpSerializer, responses={201: PaymentSerializer}, tags=["top-ups"])
)
class TopUpView(PaymentView):
    """POST /v1/top-ups."""

    money_moves = True

    def post(self, request: Request) -> HttpResponse:
        """Buy credit by the default payment method. It is granted when the money came: see the payment's status."""
        values = checked(NewTopUpSerializer, request)
        organization = self.for_new(values)

        def operation(cur: Cursor) -> dict[str, Any]:
            return show_payment(
                request_top_up(
                    cur,
                    organization=organization,
                    amount=values["amount"],
                    currency=values["currency"],
                    author=self.author,
                )
            )

        return self.idempotent(request, operation)


@extend_schema_view(
    get=extend_schema(responses=AutoTopUpSerializer, tags=["top-ups"]),
    put=extend_schema(request=NewAutoTopUpSerializer, responses=AutoTopUpSerializer, tags=["top-ups"]),
)
class AutoTopUpView(PaymentView):
    """GET and PUT /v1/auto-top-up."""

    def get(self, request: Request) -> HttpResponse:
        """When the organization's credit is bought automatically. 404: nobody ever said so."""
        organization = self.for_list()
        return json_response(run_in_transaction(lambda cur: show_auto_top_up(cur, organization)))

    def put(self, request: Request) -> HttpResponse:
        """Say when credit is bought automatically; with enabled false, never."""
        values = checked(NewAutoTopUpSerializer, request)
        organization = self.for_list()

        def operation(cur: Cursor) -> dict[str, Any]:
            new = NewAutoTopUp(**values)
            set_auto_top_up(cur, organization=organization, new=new, author=self.author)
            return show_auto_top_up(cur, organization)

        return self.idempotent(request, operation, status=200)


def show_payment(payment: Payment) -> dict[str, Any]:
    """A payment as answers show it."""
    failure = payment.failure
    return {
        "id": payment.id,
        "organization": payment.organization,
        "purpose": payment.purpose,
        "invoice": payment.invoice_id,
        "cause": payment.cause,
        "status": payment.status,
        "amount": format_amount(payment.amount),
        "currency": payment.currency,
        "received": format_amount(payment.received),
        "settled": format_amount(payment.settled),
        "credited": format_amount(payment.excess),
        "refunded": format_amount(payment.refunded),
        "disputed": format_amount(payment.disputed),
        "owed_again": format_amount(payment.reopened),
        "fee": format_amount(payment.fee),
        "failure": None
        if failure is None
        else {"code": failure["code"], "decline_code": failure.get("decline_code")},
        "processor_id": payment.intent,
        "refunds": [_object(name, row) for name, row in payment.refunds.items()],
        "disputes": [_object(name, row) for name, row in payment.disputes.items()],
        "created_at": utc(payment.created_at),
        "paid_at": utc(payment.paid_at),
    }


def _object(name: str, row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": name,
        "amount": format_amount(row["amount"]),
        "status": row["status"],
        "created_at": row["created_at"],
    }


def show_dispute(row: DisputeRow) -> dict[str, Any]:
    """A dispute as answers show it."""
    return {
        "id": row.id,
        "organization": row.organization,
        "payment": row.payment,
        "amount": format_amount(row.amount),
        "currency": row.currency,
        "status": row.status,
        "reason": row.reason,
        "withdrawn": format_amount(row.withdrawn),
        "fee": format_amount(row.fee),
        "evidence_due_by": utc(row.evidence_due_by),
        "created_at": utc(row.created_at),
    }


def show_auto_top_up(cur: Cursor, organization: UUID) -> dict[str, Any]:
    """The rule as answers show it. Raises NotFound."""
    locked = lock_organization(cur, organization)
    rule = find_auto_top_up(cur, organization)
    if rule is None:
        raise NotFound("Nothing is bought automatically here.")
    bought = bought_since(cur, organization, month_start(locked.now, locked.time_zone))
    return {
        "organization": rule.organization,
        "enabled": rule.enabled,
        "status": rule.status,
        "threshold": format_amount(rule.threshold),
        "amount": format_amount(rule.amount),
        "currency": rule.currency,
        "cool_off_seconds": rule.cool_off_seconds,
        "monthly_cap": None if rule.monthly_cap is None else format_amount(rule.monthly_cap),
        "bought_this_month": format_amount(bought),
        "failures": rule.failures,
        "stopped_reason": rule.stopped_reason,
        "last_payment": rule.last_payment,
        "last_at": utc(rule.last_at),
    }
