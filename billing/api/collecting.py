"""/v1/invoices/{id}/collect, and the refunds of payments and of credit notes; how a customer completes a payment."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request

from billing import stripe_gateway
from billing.api.acting import BillingView
from billing.api.command_serializers import (
    CollectedPaymentSerializer,
    PaymentCommandSerializer,
    PaymentSecretSerializer,
    RefundPaymentSerializer,
)
from billing.api.payment_commands import show_command
from billing.operations.payments.collecting import AUTHENTICATE, collect_invoice
from billing.operations.payments.refunding import refund_credit_note, refund_payment
from billing.queries.invoices import organization_of_invoice, organization_of_note
from billing.queries.payments import find_payment, organization_of_payment
from billing.rules.payments.row import FAILED, REQUIRES_ACTION, Payment
from common.api.answers import json_response
from common.api.views import path_id
from common.errors import CurrencyMismatch, InvalidField, InvalidTransition
from common.money import format_document_amount
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.api.acting import OrgsView, checked, refuse_fields
from orgs.rules.scopes import PLATFORM

_WAITS: Final = "This payment does not wait for its customer."


@extend_schema_view(
    post=extend_schema(request=None, responses={201: CollectedPaymentSerializer}, tags=["invoices"])
)
class InvoiceCollectView(BillingView):
    """POST /v1/invoices/{id}/collect."""

    bodiless = ("POST",)
    money_moves = True

    def post(self, request: Request, name: str) -> HttpResponse:
        """Charge what is due on an open invoice to the customer's default payment method. The payment is made after the
        answer; while it is under way no other one begins."""
        refuse_fields(request)
        invoice = path_id(name)
        organization = self.for_object(name, organization_of_invoice)

        def operation(cur: Cursor) -> dict[str, Any]:
            made = collect_invoice(cur, organization=organization, invoice=invoice, author=self.author)
            return show_collected(made)

        return self.idempotent(request, operation)


@extend_schema_view(
    post=extend_schema(
        request=RefundPaymentSerializer, responses={201: PaymentCommandSerializer}, tags=["payments"]
    )
)
class PaymentRefundView(OrgsView):
    """POST /v1/payments/{id}/refund."""

    required_scope: ClassVar[Any] = PLATFORM
    money_moves = True

    def post(self, request: Request, name: str) -> HttpResponse:
        """Give back a payment or a part of it by the way it came. At most what came, less what went back, is disputed,
        or is on its way back. The refund is made after the answer."""
        values = checked(RefundPaymentSerializer, request)
        payment = path_id(name)
        organization = self.for_object(name, organization_of_payment)
        if ("amount" in values) != ("currency" in values):
            raise InvalidField("An amount has a currency.", pointer="/currency")

        def operation(cur: Cursor) -> dict[str, Any]:
            found = find_payment(cur, organization=organization, payment=payment)
            if values.get("currency", found.currency) != found.currency:
                raise CurrencyMismatch(f"The payment is in {found.currency}.", pointer="/currency")
            made = refund_payment(
                cur,
                organization=organization,
                payment=payment,
                amount=values.get("amount"),
                reason=values.get("reason", "requested_by_customer"),
                note=values["note"],
                author=self.author,
            )
            return show_command(made)

        return self.idempotent(request, operation)


@extend_schema_view(
    post=extend_schema(request=None, responses={200: PaymentCommandSerializer(many=True)}, tags=["invoices"])
)
class CreditNoteRefundView(OrgsView):
    """POST /v1/credit-notes/{id}/refund."""

    required_scope: ClassVar[Any] = PLATFORM
    bodiless = ("POST",)
    money_moves = True

    def post(self, request: Request, name: str) -> HttpResponse:
        """Give back by the way it came what a credit note gave back as credit, as far as payments of its invoice reach;
        the credit goes with the refund. Asked again, they are the same refunds, and new ones for what was refused."""
        refuse_fields(request)
        note = path_id(name)
        organization = self.for_object(name, organization_of_note)

        def operation(cur: Cursor) -> dict[str, Any]:
            made = refund_credit_note(cur, organization=organization, note=note, author=self.author)
            return {"data": [show_command(one) for one in made], "next_cursor": None}

        return self.idempotent(request, operation, status=200)


@extend_schema_view(
    post=extend_schema(request=None, responses={200: PaymentSecretSerializer}, tags=["payments"])
)
class PaymentAuthenticateView(BillingView):
    """POST /v1/payments/{id}/authenticate."""

    bodiless = ("POST",)

    def post(self, request: Request, name: str) -> HttpResponse:
        """The secret with which the customer's browser completes a payment that its bank wants authenticated. The next
        collection of the same invoice ends this one."""
        refuse_fields(request)
        payment = path_id(name)
        organization = self.for_object(name, organization_of_payment)
        found = run_in_transaction(lambda cur: find_payment(cur, organization=organization, payment=payment))
        return json_response(
            {
                "payment": payment,
                "payment_intent": found.intent,
                "client_secret": stripe_gateway.payment_secret(_waiting_intent(found)),
            }
        )


def show_collected(made: Payment) -> dict[str, Any]:
    """A payment that was asked for."""
    return {
        "id": made.id,
        "invoice": made.invoice_id,
        "command": made.command,
        "amount": format_document_amount(made.amount, currency=made.currency),
        "currency": made.currency,
        "status": made.status,
    }


def _waiting_intent(found: Payment) -> str:
    """Raises InvalidTransition unless the payment waits for its customer."""
    code = (found.failure or {}).get("code")
    is_refused = found.status == FAILED and code == AUTHENTICATE
    if found.intent is None or not (found.status == REQUIRES_ACTION or is_refused):
        raise InvalidTransition(_WAITS)
    return found.intent
