"""/v1/credit-prices, /v1/mirrored-customers, /v1/mirrored-subscriptions, /v1/mirrored-invoices: what lives at the
processor."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request

from billing.api.mirroring_serializers import (
    CreditPriceChangeSerializer,
    CreditPriceSerializer,
    MirroredCustomerSerializer,
    MirroredInvoiceSerializer,
    MirroredSubscriptionSerializer,
    reference,
    show_invoice,
    show_price,
    show_subscription,
)
from billing.operations.mirroring.linking import (
    archive_credit_price,
    change_credit_price,
    create_credit_price,
    link_customer,
)
from billing.queries import mirroring
from common.api.answers import json_response
from common.api.paging import envelope
from common.errors import NotFound, ProblemError
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.api.acting import OrgsView, checked, refuse_fields
from orgs.rules.scopes import BILLING_READ, PLATFORM

_TAGS = ["mirrored from the processor"]


class PlatformView(OrgsView):
    """What the platform alone says and sees."""

    required_scope = PLATFORM

    def parameters_for(self, method: str) -> frozenset[str]:
        """Only as declared: it belongs to no customer."""
        return super().parameters_for(method) - {"organization"}


@extend_schema_view(
    get=extend_schema(responses=CreditPriceSerializer(many=True), tags=_TAGS),
    post=extend_schema(request=CreditPriceSerializer, responses={201: CreditPriceSerializer}, tags=_TAGS),
)
class CreditPriceListView(PlatformView):
    """GET and POST /v1/credit-prices."""

    paged = True

    def get(self, request: Request) -> HttpResponse:
        """The prices of the processor that give or gave credit."""
        page = self.query.page(organization=self.caller.organization, path=request.path)

        def read(cur: Cursor) -> dict[str, Any]:
            after = page.position[0] if page.position else None
            rows = mirroring.list_prices(cur, after=after, limit=page.fetch)
            return envelope(rows, page=page, position=lambda row: (row.price,), show=show_price)

        return json_response(run_in_transaction(read))

    def post(self, request: Request) -> HttpResponse:
        """Say how much credit a price gives on a paid invoice of the processor's own."""
        values = checked(CreditPriceSerializer, request)
        values.setdefault("lifetime_days", None)
        return self.idempotent(
            request, lambda cur: show_price(create_credit_price(cur, **values, author=self.author))
        )


@extend_schema_view(
    get=extend_schema(responses=CreditPriceSerializer, tags=_TAGS),
    patch=extend_schema(request=CreditPriceChangeSerializer, responses=CreditPriceSerializer, tags=_TAGS),
)
class CreditPriceDetailView(PlatformView):
    """GET and PATCH /v1/credit-prices/{price}."""

    def get(self, request: Request, name: str) -> HttpResponse:
        """One price."""
        price = _named(name)
        return json_response(run_in_transaction(lambda cur: show_price(mirroring.find_price(cur, price))))

    def patch(self, request: Request, name: str) -> HttpResponse:
        """Change what it gives, from the next paid invoice on."""
        price, changes = _named(name), checked(CreditPriceChangeSerializer, request, partial=True)

        def operation(cur: Cursor) -> dict[str, Any]:
            return show_price(change_credit_price(cur, price=price, changes=changes, author=self.author))

        return self.idempotent(request, operation, status=200)


@extend_schema_view(post=extend_schema(request=None, responses={200: CreditPriceSerializer}, tags=_TAGS))
class CreditPriceArchiveView(PlatformView):
    """POST /v1/credit-prices/{price}/archive."""

    bodiless = ("POST",)

    def post(self, request: Request, name: str) -> HttpResponse:
        """End its credit; what was given stays."""
        refuse_fields(request)
        price = _named(name)
        return self.idempotent(
            request,
            lambda cur: show_price(archive_credit_price(cur, price=price, author=self.author)),
            status=200,
        )


@extend_schema_view(
    get=extend_schema(responses=MirroredCustomerSerializer(many=True), tags=_TAGS),
    post=extend_schema(
        request=MirroredCustomerSerializer, responses={201: MirroredCustomerSerializer}, tags=_TAGS
    ),
)
class MirroredCustomerListView(PlatformView):
    """GET and POST /v1/mirrored-customers."""

    paged = True

    def get(self, request: Request) -> HttpResponse:
        """Which organization a customer at the processor was said to be."""
        page = self.query.page(organization=self.caller.organization, path=request.path)

        def read(cur: Cursor) -> dict[str, Any]:
            after = page.position[0] if page.position else None
            rows = mirroring.linked_customers(cur, after=after, limit=page.fetch)
            return envelope(rows, page=page, position=lambda row: (row[0],), show=_show_link)

        return json_response(run_in_transaction(read))

    def post(self, request: Request) -> HttpResponse:
        """Say which organization a customer at the processor is, whose subscriptions are mirrored."""
        values = checked(MirroredCustomerSerializer, request)

        def operation(cur: Cursor) -> dict[str, Any]:
            at = link_customer(cur, **values, author=self.author)
            return _show_link((values["customer"], values["organization"], at))

        return self.idempotent(request, operation)


@extend_schema_view(get=extend_schema(responses=MirroredSubscriptionSerializer(many=True), tags=_TAGS))
class MirroredSubscriptionListView(OrgsView):
    """GET /v1/mirrored-subscriptions."""

    required_scope = BILLING_READ
    paged = True

    def get(self, request: Request) -> HttpResponse:
        """The organization's subscriptions that live at the processor."""
        organization = self.for_list()
        page = self.query.page(organization=organization, path=request.path)

        def read(cur: Cursor) -> dict[str, Any]:
            before = page.position[0] if page.position else None
            rows = mirroring.list_subscriptions(
                cur, organization=organization, before=before, limit=page.fetch
            )
            return envelope(rows, page=page, position=lambda row: (row.subscription,), show=show_subscription)

        return json_response(run_in_transaction(read))


@extend_schema_view(get=extend_schema(responses=MirroredInvoiceSerializer(many=True), tags=_TAGS))
class MirroredInvoiceListView(OrgsView):
    """GET /v1/mirrored-invoices."""

    required_scope = BILLING_READ
    paged = True

    def get(self, request: Request) -> HttpResponse:
        """The organization's invoices that live at the processor, and what their payments gave."""
        organization = self.for_list()
        page = self.query.page(organization=organization, path=request.path)

        def read(cur: Cursor) -> dict[str, Any]:
            before = page.position[0] if page.position else None
            rows = mirroring.list_invoices(cur, organization=organization, before=before, limit=page.fetch)
            return envelope(rows, page=page, position=lambda row: (row.invoice,), show=show_invoice)

        return json_response(run_in_transaction(read))


def _named(text: str) -> str:
    try:
        return reference(text)
    except ProblemError:
        raise NotFound from None


def _show_link(row: tuple[Any, ...]) -> dict[str, Any]:
    return {"customer": row[0], "organization": row[1], "linked_at": row[2]}
