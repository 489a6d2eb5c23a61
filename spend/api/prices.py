"""/v1/price-changes and /v1/prices: the price book of models, and what single organizations are charged (S22, S78)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request

from common.api.views import path_id
from common.errors import InvalidField
from events.store import Cursor
from orgs.api.acting import checked
from spend.api.price_representations import show_price, show_price_change
from spend.api.price_serializers import (
    DecisionReasonSerializer,
    EndSerializer,
    PriceChangeSerializer,
    PriceSerializer,
    RejectionSerializer,
)
from spend.api.pricing import PricingView, customer
from spend.operations.prices.deciding import approve_price_change, reject_price_change
from spend.operations.prices.ending import end_price
from spend.operations.prices.publish import publish_own_price, publish_price
from spend.queries.pricelists import CHANGE_STATUSES, CHANGES, PRICE_KINDS, PRICES
from spend.rules.modelnames import NAME_LENGTH, provider_name


class PriceChangeView(PricingView):
    """What the views of price changes share."""

    table = CHANGES

    def show(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """A price change."""
        return show_price_change(row)


@extend_schema_view(get=extend_schema(responses=PriceChangeSerializer(many=True), tags=["prices"]))
class PriceChangeListView(PriceChangeView):
    """GET /v1/price-changes."""

    query_parameters = ("status", "provider", "model")
    paged = True

    def get(self, request: Request) -> HttpResponse:
        """Prices that differ from their source's, newest first; `status=proposed` are those that wait."""
        wanted = {"status": self.query.choice("status", options=CHANGE_STATUSES), **_model(self)}
        return self.rows(request, wanted)


@extend_schema_view(get=extend_schema(responses=PriceChangeSerializer, tags=["prices"]))
class PriceChangeDetailView(PriceChangeView):
    """GET /v1/price-changes/{id}."""

    def get(self, request: Request, name: str) -> HttpResponse:
        """One price change."""
        return self.row(name)


@extend_schema_view(
    post=extend_schema(
        request=DecisionReasonSerializer, responses={200: PriceChangeSerializer}, tags=["prices"]
    )
)
class PriceChangeApproveView(PriceChangeView):
    """POST /v1/price-changes/{id}/approve."""

    bodiless = ("POST",)

    def post(self, request: Request, name: str) -> HttpResponse:
        """Take the price into the book. It holds from now on, or from the source's date if that lies ahead."""
        change = path_id(name)
        values = checked(DecisionReasonSerializer, request) if request.data else {}

        def operation(cur: Cursor) -> dict[str, Any]:
            approve_price_change(cur, change=change, reason=values.get("reason"), **self.by)
            return self.one(cur, change)

        return self.idempotent(request, operation, status=200)


@extend_schema_view(
    post=extend_schema(request=RejectionSerializer, responses={200: PriceChangeSerializer}, tags=["prices"])
)
class PriceChangeRejectView(PriceChangeView):
    """POST /v1/price-changes/{id}/reject."""

    def post(self, request: Request, name: str) -> HttpResponse:
        """Leave the book as it is; the same prices are not proposed again."""
        change = path_id(name)
        values = checked(RejectionSerializer, request)

        def operation(cur: Cursor) -> dict[str, Any]:
            reject_price_change(cur, change=change, reason=values["reason"], **self.by)
            return self.one(cur, change)

        return self.idempotent(request, operation, status=200)


class PriceView(PricingView):
    """What the views of price versions share."""

    table = PRICES

    def show(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """A price version."""
        return show_price(row)


@extend_schema_view(
    get=extend_schema(responses=PriceSerializer(many=True), tags=["prices"]),
    post=extend_schema(request=PriceSerializer, responses={201: PriceSerializer}, tags=["prices"]),
)
class PriceListView(PriceView):
    """GET and POST /v1/prices."""

    query_parameters = ("organization", "provider", "model", "kind", "at")
    paged = True

    def get(self, request: Request) -> HttpResponse:
        """Versions of prices, newest first: the book's, or those of one ?organization=; `at`: that hold then."""
        wanted = {
            "organization": self.owner_asked_for(),
            "kind": self.query.choice("kind", options=PRICE_KINDS),
            **_model(self),
        }
        return self.rows(request, wanted, at=self.query.instant("at"))

    def post(self, request: Request) -> HttpResponse:
        """Publish a price: in the book, or with `organization` an override of what that one is charged."""
        values = checked(PriceSerializer, request)
        organization = customer(values)
        names = ("provider", "model", "components", "currency", "valid_from", "valid_to")
        given = {name: values[name] for name in names if name in values}
        maxima = {name: values[name] for name in ("context_window", "max_output_tokens") if name in values}
        if organization is not None and maxima:
            raise InvalidField(
                "An organization's price says nothing of the model.", pointer=f"/{min(maxima)}"
            )

        def operation(cur: Cursor) -> UUID:
            if organization is None:
                return publish_price(cur, **given, **maxima, **self.by)
            return publish_own_price(cur, organization=organization, **given, **self.by)

        return self.published(request, operation)


@extend_schema_view(get=extend_schema(responses=PriceSerializer, tags=["prices"]))
class PriceDetailView(PriceView):
    """GET /v1/prices/{id}."""

    def get(self, request: Request, name: str) -> HttpResponse:
        """One version: usage records name it as their `price_version`."""
        return self.row(name)


@extend_schema_view(
    post=extend_schema(request=EndSerializer, responses={200: PriceSerializer}, tags=["prices"])
)
class PriceEndView(PriceView):
    """POST /v1/prices/{id}/end."""

    bodiless = ("POST",)

    def post(self, request: Request, name: str) -> HttpResponse:
        """End a version now or at `valid_to`; what it priced before stays as it is."""

        def end(cur: Cursor, row: UUID, owner: UUID | None, valid_to: Any) -> None:
            end_price(cur, price=row, organization=owner, valid_to=valid_to, **self.by)

        return self.ended(request, name, end)


def _model(view: PricingView) -> dict[str, str | None]:
    provider = view.query.text("provider", max_length=NAME_LENGTH)
    return {
        "provider": None if provider is None else provider_name(provider),
        "model": view.query.text("model", max_length=NAME_LENGTH),
    }
