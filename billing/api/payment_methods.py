"""/v1/payment-methods: what a customer pays with. Its owner and billing administrators change that; no card number ever
comes here."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request

from billing.api.acting import BillingView
from billing.api.command_serializers import (
    PaymentMethodListSerializer,
    PaymentMethodSerializer,
    PaymentMethodSetupSerializer,
)
from billing.operations.payments.methods import (
    Setup,
    choose_method,
    detach_method,
    finish_setup,
    refresh_methods,
    request_setup,
    require_setup,
)
from billing.queries.commands import find_command
from billing.queries.customers import Method, find_method, methods_of
from billing.rules.payments.customers import read_method_id
from billing.rules.permissions import require_billing_reader
from common.api.answers import json_response
from common.api.views import path_id
from common.errors import InvalidField, NotFound
from common.ids import new_id
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.api.acting import refuse_fields


class PaymentMethodView(BillingView):
    """A view of payment methods. They are personal data: not every reader of the billing sees them."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse members who do not look after the billing. Raises Forbidden."""
        super().initial(request, *args, **kwargs)
        require_billing_reader(self.caller)

    def method_in(self, name: str) -> str:
        """The method in the path. Raises NotFound for what is none."""
        try:
            return read_method_id(name)
        except InvalidField:
            raise NotFound("There is no such payment method.") from None

    def shown(self, organization: UUID) -> dict[str, Any]:
        """All methods as answers show them."""
        return run_in_transaction(lambda cur: show_methods(cur, organization))


@extend_schema_view(
    get=extend_schema(
        operation_id="payment_methods_list", responses=PaymentMethodListSerializer, tags=["payment methods"]
    )
)
class PaymentMethodListView(PaymentMethodView):
    """GET /v1/payment-methods."""

    def get(self, request: Request) -> HttpResponse:
        """All payment methods of the organization, at most fifty, the newest first."""
        return json_response(self.shown(self.for_list()))


@extend_schema_view(
    post=extend_schema(request=None, responses={201: PaymentMethodSetupSerializer}, tags=["payment methods"])
)
class PaymentMethodSetupView(PaymentMethodView):
    """POST /v1/payment-methods/setup."""

    bodiless = ("POST",)

    def post(self, request: Request) -> HttpResponse:
        """Begin to leave a payment method: the answer's secret is for the customer's browser, which confirms the setup
        at the processor. Under the same idempotency key it is the same setup."""
        refuse_fields(request)
        organization = self.for_list()
        require_setup(organization=organization, author=self.author)

        def operation(cur: Cursor) -> dict[str, Any]:
            command = request_setup(cur, organization=organization, identifier=new_id(), author=self.author)
            return {"id": command.id}

        asked = UUID(json.loads(self.idempotent(request, operation).content)["id"])
        return json_response(show_setup(finish_setup(organization=organization, setup=asked)), status=201)


@extend_schema_view(get=extend_schema(responses=PaymentMethodSetupSerializer, tags=["payment methods"]))
class PaymentMethodSetupDetailView(PaymentMethodView):
    """GET /v1/payment-methods/setups/{id}."""

    def get(self, request: Request, name: str) -> HttpResponse:
        """A setup as it is now at the processor. One that has succeeded left its method."""
        setup = path_id(name)
        organization = self.for_object(name, _owner_of_setup)
        return json_response(show_setup(finish_setup(organization=organization, setup=setup)))


@extend_schema_view(
    post=extend_schema(request=None, responses={200: PaymentMethodListSerializer}, tags=["payment methods"])
)
class PaymentMethodRefreshView(PaymentMethodView):
    """POST /v1/payment-methods/refresh."""

    bodiless = ("POST",)

    def post(self, request: Request) -> HttpResponse:
        """Ask the processor now which methods there are. They come by themselves, too."""
        refuse_fields(request)
        organization = self.for_list()
        refresh_methods(organization=organization, author=self.author)
        return json_response(self.shown(organization))


@extend_schema_view(
    get=extend_schema(responses=PaymentMethodSerializer, tags=["payment methods"]),
    delete=extend_schema(responses={200: PaymentMethodListSerializer}, tags=["payment methods"]),
)
class PaymentMethodDetailView(PaymentMethodView):
    """GET and DELETE /v1/payment-methods/{id}."""

    def get(self, request: Request, name: str) -> HttpResponse:
        """One payment method."""
        organization, method = self.for_list(), self.method_in(name)
        found = run_in_transaction(lambda cur: find_method(cur, organization=organization, method=method))
        return json_response(show_method(found))

    def delete(self, request: Request, name: str) -> HttpResponse:
        """Detach a payment method: it pays nothing any more, at once. When it paid, the newest of the others does."""
        organization, method = self.for_list(), self.method_in(name)

        def operation(cur: Cursor) -> dict[str, Any]:
            detach_method(cur, organization=organization, method=method, author=self.author)
            return show_methods(cur, organization)

        return json_response(run_in_transaction(operation))


@extend_schema_view(
    post=extend_schema(request=None, responses={200: PaymentMethodListSerializer}, tags=["payment methods"])
)
class PaymentMethodDefaultView(PaymentMethodView):
    """POST /v1/payment-methods/{id}/default."""

    bodiless = ("POST",)

    def post(self, request: Request, name: str) -> HttpResponse:
        """Have this method pay. What is unpaid and was tried in vain is tried with it."""
        refuse_fields(request)
        organization, method = self.for_list(), self.method_in(name)

        def operation(cur: Cursor) -> dict[str, Any]:
            choose_method(cur, organization=organization, method=method, author=self.author)
            return show_methods(cur, organization)

        return self.idempotent(request, operation, status=200)


def show_methods(cur: Cursor, organization: UUID) -> dict[str, Any]:
    """An organization's methods as answers show them."""
    return {"data": [show_method(one) for one in methods_of(cur, organization)]}


def show_method(one: Method) -> dict[str, Any]:
    """A method as answers show it."""
    return {
        "id": one.id,
        "is_default": one.is_default,
        "type": one.kind,
        "brand": one.brand,
        "last4": one.last4,
        "exp_month": one.exp_month,
        "exp_year": one.exp_year,
    }


def show_setup(setup: Setup) -> dict[str, Any]:
    """A setup as answers show it."""
    return {
        "id": setup.id,
        "setup_intent": setup.setup_intent,
        "client_secret": setup.client_secret,
        "status": setup.status,
    }


def _owner_of_setup(cur: Cursor, setup: UUID) -> UUID:
    return find_command(cur, setup).organization
