"""/v1/tax-rates: what is taxed at which rate, where the package does not say it or no longer does."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_view
from rest_framework.request import Request

from billing.api.catalog import utc
from billing.api.mirroring import PlatformView
from billing.api.seller_serializers import CountryField
from billing.operations.taxrates import add_tax_rate, end_tax_rate
from billing.queries.taxrates import find_tax_rate, list_tax_rates
from billing.rules.countries import country
from billing.rules.tax import TaxRate
from billing.rules.taxrates import MAX_SOURCE, NewTaxRate, percent_text, read_percent
from common import fields
from common.api.answers import json_response
from common.api.paging import envelope
from common.api.serializers import (
    DateField,
    IdField,
    InstantField,
    KeyField,
    QuantityField,
    StrictField,
    StrictSerializer,
    TextField,
)
from common.api.views import path_id
from common.errors import InvalidQuantity
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.api.acting import checked

_TAGS = ["tax rates"]


@extend_schema_field({"type": "string", "pattern": r"^[0-9]{1,3}(\.[0-9]{1,4})?$", "examples": ["9.975"]})
class RateField(StrictField):
    """A tax rate in percent, 0 to 100, with up to 4 decimals."""

    null_error = InvalidQuantity

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(read_percent, **kwargs)


class TaxRateSerializer(StrictSerializer):
    """A rate from a day on. None is ever edited: another one begins on another day."""

    id = IdField(read_only=True)
    country = CountryField()
    tax_code = KeyField(required=False, help_text="As plans and items name it; default standard.")
    percent = RateField(allow_null=True, help_text="Null: the country has no such tax.")
    valid_from = DateField(help_text="The first day (UTC).")
    valid_to = DateField(required=False, allow_null=True, help_text="The first day after it; null: no end.")
    source = TextField(  # type: ignore[assignment]
        max_length=MAX_SOURCE, help_text="Where it is said: the law, the authority's page."
    )
    version = QuantityField(read_only=True)
    created_at = InstantField(read_only=True)


class TaxRateEndSerializer(StrictSerializer):
    """The first day on which it does not hold; without it today, or never if it has not begun."""

    valid_to = DateField(required=False)


@extend_schema_view(
    get=extend_schema(responses=TaxRateSerializer(many=True), tags=_TAGS),
    post=extend_schema(request=TaxRateSerializer, responses={201: TaxRateSerializer}, tags=_TAGS),
)
class TaxRateListView(PlatformView):
    """GET and POST /v1/tax-rates."""

    query_parameters = ("country", "tax_code", "on")
    paged = True

    def get(self, request: Request) -> HttpResponse:
        """The rates that were entered, newest first; `on`: those that cover this day. The package's stand in no list:
        they hold where none of these does."""
        page = self.query.page(organization=self.caller.organization, path=request.path)
        wanted: dict[str, Any] = {
            "country": self.query.optional("country", country),
            "tax_code": self.query.optional("tax_code", fields.key),
            "on": self.query.optional("on", fields.date),
        }

        def read(cur: Cursor) -> dict[str, Any]:
            before = UUID(page.position[0]) if page.position else None
            rows = list_tax_rates(cur, **wanted, before=before, limit=page.fetch)
            return envelope(rows, page=page, position=lambda row: (str(row.id),), show=show_tax_rate)

        return json_response(run_in_transaction(read))

    def post(self, request: Request) -> HttpResponse:
        """Enter a rate. Invoices that wait for it are tried again within a minute; those that have their tax keep it.
        A month that a seller of the country's tax area has closed gets no other rate than it had."""
        values = checked(TaxRateSerializer, request)
        new = NewTaxRate(ppm=values.pop("percent"), **values)
        return self.idempotent(request, lambda cur: show_tax_rate(add_tax_rate(cur, new, author=self.author)))


@extend_schema_view(get=extend_schema(responses=TaxRateSerializer, tags=_TAGS))
class TaxRateDetailView(PlatformView):
    """GET /v1/tax-rates/{id}."""

    def get(self, request: Request, name: str) -> HttpResponse:
        """One rate: lines of invoices name it as their `tax_rate`."""
        rate = path_id(name)
        return json_response(run_in_transaction(lambda cur: show_tax_rate(find_tax_rate(cur, rate))))


@extend_schema_view(
    post=extend_schema(request=TaxRateEndSerializer, responses={200: TaxRateSerializer}, tags=_TAGS)
)
class TaxRateEndView(PlatformView):
    """POST /v1/tax-rates/{id}/end."""

    bodiless = ("POST",)

    def post(self, request: Request, name: str) -> HttpResponse:
        """End it today or on `valid_to`; what was taxed with it stays."""
        rate = path_id(name)
        values = checked(TaxRateEndSerializer, request) if request.data else {}

        def operation(cur: Cursor) -> dict[str, Any]:
            return show_tax_rate(end_tax_rate(cur, rate=rate, **values, author=self.author))

        return self.idempotent(request, operation, status=200)


def show_tax_rate(rate: TaxRate) -> dict[str, Any]:
    """A tax rate as answers show it."""
    return {
        "id": rate.id,
        "country": rate.country,
        "tax_code": rate.tax_code,
        "percent": percent_text(rate),
        "valid_from": rate.valid_from,
        "valid_to": rate.valid_to,
        "source": rate.source,
        "version": rate.version,
        "created_at": utc(rate.created_at),
    }
