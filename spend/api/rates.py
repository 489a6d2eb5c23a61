"""/v1/tool-prices, /v1/markups and /v1/exchange-rates: what charges are made of beside the prices of models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request

from events.store import Cursor
from orgs.api.acting import checked
from spend.api.price_representations import show_markup, show_rate, show_tool_price
from spend.api.price_serializers import (
    EndSerializer,
    ExchangeRateSerializer,
    MarkupSerializer,
    ToolPriceSerializer,
)
from spend.api.pricing import PricingView, customer
from spend.operations.prices.ending import end_fx_rate, end_markup, end_tool_price
from spend.operations.prices.publish import publish_tool_price
from spend.operations.prices.rates import enter_fx_rate, set_markup
from spend.queries.pricelists import MARKUPS, RATES, TOOLS
from spend.rules.modelnames import NAME_LENGTH

PERIOD = ("valid_from", "valid_to")


class ToolPriceView(PricingView):
    """What the views of tool prices share."""

    table = TOOLS

    def show(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """A tool's price."""
        return show_tool_price(row)


@extend_schema_view(
    get=extend_schema(responses=ToolPriceSerializer(many=True), tags=["prices"]),
    post=extend_schema(request=ToolPriceSerializer, responses={201: ToolPriceSerializer}, tags=["prices"]),
)
class ToolPriceListView(ToolPriceView):
    """GET and POST /v1/tool-prices."""

    query_parameters = ("organization", "pattern", "at")
    paged = True

    def get(self, request: Request) -> HttpResponse:
        """Prices of tools, newest first: the book's, or those of one ?organization=; `at`: that hold then."""
        pattern = self.query.text("pattern", max_length=NAME_LENGTH)
        wanted = {"organization": self.owner_asked_for(), "pattern": pattern}
        return self.rows(request, wanted, at=self.query.instant("at"))

    def post(self, request: Request) -> HttpResponse:
        """Publish a tool's price: in the book, or with `organization` what that one is charged."""
        values = checked(ToolPriceSerializer, request)
        organization = customer(values)
        names = ("pattern", "unit", "amount", "per", "currency", *PERIOD)
        given = {name: values[name] for name in names if name in values}
        return self.published(
            request, lambda cur: publish_tool_price(cur, organization=organization, **given, **self.by)
        )


@extend_schema_view(get=extend_schema(responses=ToolPriceSerializer, tags=["prices"]))
class ToolPriceDetailView(ToolPriceView):
    """GET /v1/tool-prices/{id}."""

    def get(self, request: Request, name: str) -> HttpResponse:
        """One tool's price."""
        return self.row(name)


@extend_schema_view(
    post=extend_schema(request=EndSerializer, responses={200: ToolPriceSerializer}, tags=["prices"])
)
class ToolPriceEndView(ToolPriceView):
    """POST /v1/tool-prices/{id}/end."""

    bodiless = ("POST",)

    def post(self, request: Request, name: str) -> HttpResponse:
        """End it now or at `valid_to`."""

        def end(cur: Cursor, row: UUID, owner: UUID | None, valid_to: Any) -> None:
            end_tool_price(cur, price=row, organization=owner, valid_to=valid_to, **self.by)

        return self.ended(request, name, end)


class MarkupView(PricingView):
    """What the views of markups share."""

    table = MARKUPS

    def show(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """A markup."""
        return show_markup(row)


@extend_schema_view(
    get=extend_schema(responses=MarkupSerializer(many=True), tags=["prices"]),
    post=extend_schema(request=MarkupSerializer, responses={201: MarkupSerializer}, tags=["prices"]),
)
class MarkupListView(MarkupView):
    """GET and POST /v1/markups."""

    query_parameters = ("organization", "at")
    paged = True

    def get(self, request: Request) -> HttpResponse:
        """Markups, newest first: the defaults, or those of one ?organization=; `at`: that hold then."""
        return self.rows(request, {"organization": self.owner_asked_for()}, at=self.query.instant("at"))

    def post(self, request: Request) -> HttpResponse:
        """Set the default markup, or with `organization` that one's own."""
        values = checked(MarkupSerializer, request)
        organization = customer(values)
        given = {name: values[name] for name in ("reason", *PERIOD) if name in values}
        return self.published(
            request,
            lambda cur: set_markup(cur, organization=organization, ppm=values["percent"], **given, **self.by),
        )


@extend_schema_view(get=extend_schema(responses=MarkupSerializer, tags=["prices"]))
class MarkupDetailView(MarkupView):
    """GET /v1/markups/{id}."""

    def get(self, request: Request, name: str) -> HttpResponse:
        """One markup."""
        return self.row(name)


@extend_schema_view(
    post=extend_schema(request=EndSerializer, responses={200: MarkupSerializer}, tags=["prices"])
)
class MarkupEndView(MarkupView):
    """POST /v1/markups/{id}/end."""

    bodiless = ("POST",)

    def post(self, request: Request, name: str) -> HttpResponse:
        """End it now or at `valid_to`."""

        def end(cur: Cursor, row: UUID, owner: UUID | None, valid_to: Any) -> None:
            end_markup(cur, markup=row, organization=owner, valid_to=valid_to, **self.by)

        return self.ended(request, name, end)


class ExchangeRateView(PricingView):
    """What the views of exchange rates share."""

    table = RATES

    def show(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """An exchange rate."""
        return show_rate(row)


@extend_schema_view(
    get=extend_schema(responses=ExchangeRateSerializer(many=True), tags=["prices"]),
    post=extend_schema(
        request=ExchangeRateSerializer, responses={201: ExchangeRateSerializer}, tags=["prices"]
    ),
)
class ExchangeRateListView(ExchangeRateView):
    """GET and POST /v1/exchange-rates."""

    query_parameters = ("base", "quote", "at")
    paged = True

    def get(self, request: Request) -> HttpResponse:
        """Exchange rates, newest first; `at`: that hold then."""
        wanted = {name: self.query.text(name, max_length=3) for name in ("base", "quote")}
        return self.rows(request, wanted, at=self.query.instant("at"))

    def post(self, request: Request) -> HttpResponse:
        """Enter a rate. The newest that holds converts; usage records keep the one that they were rated with."""
        values = checked(ExchangeRateSerializer, request)
        given = {name: values[name] for name in ("base", "quote", "rate", *PERIOD) if name in values}
        return self.published(
            request, lambda cur: enter_fx_rate(cur, markup_ppm=values["markup_percent"], **given, **self.by)
        )


@extend_schema_view(get=extend_schema(responses=ExchangeRateSerializer, tags=["prices"]))
class ExchangeRateDetailView(ExchangeRateView):
    """GET /v1/exchange-rates/{id}."""

    def get(self, request: Request, name: str) -> HttpResponse:
        """One rate: usage records name it as their `fx_rate`."""
        return self.row(name)


@extend_schema_view(
    post=extend_schema(request=EndSerializer, responses={200: ExchangeRateSerializer}, tags=["prices"])
)
class ExchangeRateEndView(ExchangeRateView):
    """POST /v1/exchange-rates/{id}/end."""

    bodiless = ("POST",)

    def post(self, request: Request, name: str) -> HttpResponse:
        """End it now or at `valid_to`."""

        def end(cur: Cursor, row: UUID, owner: UUID | None, valid_to: Any) -> None:
            end_fx_rate(cur, rate=row, valid_to=valid_to, **self.by)

        return self.ended(request, name, end)
