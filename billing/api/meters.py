"""/v1/meters: what is counted (S73), and what it comes to in a period."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.request import Request

from billing.api.catalog import CatalogView, path_name, utc
from billing.api.meter_serializers import (
    MeterChangeSerializer,
    MeterQuantitiesSerializer,
    MeterSerializer,
    NewMeterSerializer,
)
from billing.api.meterevents import body_of
from billing.operations.metering.meters import archive_meter, create_meter, describe_meter
from billing.queries.cuts import take_cut
from billing.queries.metering import Quantity, aggregate
from billing.queries.meters import find_meter, list_meters
from billing.rules.meterbodies import read_description, read_meter
from billing.rules.meters import Meter, check_groups
from common.api.answers import json_response
from common.api.paging import envelope
from common.errors import InvalidField, InvalidParameter, InvalidPeriod
from common.money import QUANTITY_SCALE, format_quantity, round_half_up
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.api.acting import OrgsView, refuse_fields
from orgs.rules.scopes import BILLING_READ

MAX_SHOWN: Final = 1_000


@extend_schema_view(
    get=extend_schema(responses=MeterSerializer(many=True), tags=["meters"]),
    post=extend_schema(request=NewMeterSerializer, responses={201: MeterSerializer}, tags=["meters"]),
)
class MeterListView(CatalogView):
    """GET and POST /v1/meters."""

    query_parameters = ("archived",)
    paged = True

    def get(self, request: Request) -> HttpResponse:
        """The meters, newest first."""
        page = self.query.page(organization=self.caller.organization, path=request.path)
        archived = self.query.flag("archived")

        def read(cur: Cursor) -> dict[str, Any]:
            before = UUID(page.position[0]) if page.position else None
            rows = list_meters(cur, archived=archived, before=before, limit=page.fetch)
            return envelope(rows, page=page, position=lambda row: (str(row.id),), show=show_meter)

        return json_response(run_in_transaction(read))

    def post(self, request: Request) -> HttpResponse:
        """Make a meter. It counts what was recorded before, too. What it counts never changes."""
        new = read_meter(body_of(request))
        return self.idempotent(request, lambda cur: show_meter(create_meter(cur, new, author=self.author)))


@extend_schema_view(
    get=extend_schema(responses=MeterSerializer, tags=["meters"]),
    patch=extend_schema(request=MeterChangeSerializer, responses=MeterSerializer, tags=["meters"]),
)
class MeterDetailView(CatalogView):
    """GET and PATCH /v1/meters/{key or id}."""

    def get(self, request: Request, name: str) -> HttpResponse:
        """One meter."""
        key = path_name(name)
        return json_response(run_in_transaction(lambda cur: show_meter(find_meter(cur, key))))

    def patch(self, request: Request, name: str) -> HttpResponse:
        """Change name or description. To count otherwise, make another meter and archive this one."""
        key, changes = path_name(name), read_description(body_of(request))

        def operation(cur: Cursor) -> dict[str, Any]:
            return show_meter(describe_meter(cur, key, changes, author=self.author))

        return self.idempotent(request, operation, status=200)


@extend_schema_view(post=extend_schema(request=None, responses={200: MeterSerializer}, tags=["meters"]))
class MeterArchiveView(CatalogView):
    """POST /v1/meters/{key or id}/archive."""

    bodiless = ("POST",)

    def post(self, request: Request, name: str) -> HttpResponse:
        """End the meter for new plans; plans that have it go on. Archiving an archived one changes nothing."""
        refuse_fields(request)
        key = path_name(name)
        return self.idempotent(
            request, lambda cur: show_meter(archive_meter(cur, key, author=self.author)), status=200
        )


@extend_schema_view(
    get=extend_schema(
        parameters=[
            OpenApiParameter(
                "from", str, required=True, description="Begin of the period, by time of occurrence."
            ),
            OpenApiParameter("to", str, required=True, description="Its end, exclusive."),
            OpenApiParameter("group_by", str, description="Groups of the meter, separated by commas."),
        ],
        responses=MeterQuantitiesSerializer,
        tags=["meters"],
    )
)
class MeterQuantitiesView(OrgsView):
    """GET /v1/meters/{key or id}/quantities."""

    required_scope = BILLING_READ
    query_parameters = ("from", "to", "group_by")

    def get(self, request: Request, name: str) -> HttpResponse:
        """What the meter says of a period of this organization, as known now; the largest 1,000 groups."""
        organization, key = self.for_list(), path_name(name)
        start, end = self._period()
        groups = _names(self.query.text("group_by", max_length=250))

        def read(cur: Cursor) -> dict[str, Any]:
            meter = find_meter(cur, key)
            _check(meter, groups)
            found = aggregate(cur, organization, meter, start, end, take_cut(cur, end), group_by=groups)
            return show_quantities(meter, (start, end), groups, found)

        return json_response(run_in_transaction(read))

    def _period(self) -> tuple[datetime, datetime]:
        start, end = self.query.instant("from"), self.query.instant("to")
        if start is None or end is None:
            raise InvalidParameter("from and to are needed.")
        if end <= start:
            raise InvalidPeriod("`to` lies after `from`.")
        return start, end


def show_meter(meter: Meter) -> dict[str, Any]:
    """A meter as answers show it."""
    definition = meter.definition
    return {
        "id": meter.id,
        "key": meter.key,
        "name": meter.name,
        "description": meter.description,
        "source": definition.source,
        "aggregation": definition.aggregation,
        "event_type": definition.event_type,
        "value_property": definition.value_property,
        "unique_property": definition.unique_property,
        "filters": [each.written() for each in definition.filters],
        "group_by": list(definition.group_by),
        "status": "active" if meter.archived_at is None else "archived",
        "version": meter.version,
        "created_at": utc(meter.created_at),
        "archived_at": utc(meter.archived_at),
    }


def show_quantities(
    meter: Meter, period: tuple[datetime, datetime], groups: Sequence[str], found: Sequence[Quantity]
) -> dict[str, Any]:
    """What a meter says of a period, the largest groups first."""
    largest = sorted(found, key=lambda one: -one.quantity)[:MAX_SHOWN]
    return {
        "meter": meter.key,
        "from": utc(period[0]),
        "to": utc(period[1]),
        "group_by": list(groups),
        "data": [
            {
                "group": dict(zip(groups, one.group, strict=True)),
                "quantity": shown_quantity(one),
                "records": one.records,
                "digest": one.digest.hex(),
            }
            for one in largest
        ],
    }


def shown_quantity(one: Quantity) -> str:
    """A quantity to 12 decimals, half up."""
    scaled = round_half_up(one.quantity.numerator * QUANTITY_SCALE, one.quantity.denominator)
    return ("-" if scaled < 0 else "") + format_quantity(abs(scaled))


def _names(text: str | None) -> tuple[str, ...]:
    names = tuple(text.split(",")) if text else ()
    if len(set(names)) != len(names):
        raise InvalidParameter("group_by names something twice.")
    return names


def _check(meter: Meter, groups: Sequence[str]) -> None:
    try:
        check_groups(meter.definition, groups)
    except InvalidField as error:
        raise InvalidParameter(f"group_by: {error.detail}") from None
