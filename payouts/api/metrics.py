"""/v1/metrics/*: revenue metrics of the platform, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar, Final

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request

from billing.api.revenue_serializers import MonthField
from billing.rules.months import month_text, parse_month
from common import fields
from common.api.answers import json_response
from common.api.paging import PAGE_PARAMETERS, envelope
from common.api.serializers import InstantField, TextField
from common.errors import InvalidField, InvalidPeriod
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.api.acting import OrgsView
from orgs.queries.organizations import find_organization
from orgs.rules.scopes import PLATFORM
from payouts.api import metric_serializers as shapes
from payouts.queries.metrics import reports
from payouts.queries.metrics.asked import Asked
from payouts.queries.metrics.clock import now_of
from payouts.queries.metrics.used import GROUPS

MAX_MONTHS: Final = 120
_MICROSECOND: Final = timedelta(microseconds=1)
MAX_RANKS: Final = 100
DEFAULT_RANKS: Final = 10
_TIMES: Final = ("from", "to", "as_of", "currency", "sandbox")
PARAMETERS: Final = [
    OpenApiParameter("from", str, description="The first month, such as 2026-01 (UTC)."),
    OpenApiParameter("to", str, description="The last month, inclusive. Without it that of as_of."),
    OpenApiParameter(
        "as_of",
        str,
        description="A day, which counts whole, or a time. Later facts are left out; revenue goes by whole days (UTC).",
    ),
    OpenApiParameter("currency", str, description="Only this one. Currencies are never mixed."),
    OpenApiParameter("organization", OpenApiTypes.UUID, description="Of one customer only."),
    OpenApiParameter("sandbox", bool, description="Of sandboxes, whose money is none, instead of customers."),
]
LIMIT: Final = OpenApiParameter("limit", int, description="How many of each currency, up to 100. Default 10.")
CSV: Final[Any] = {(200, "text/csv"): OpenApiTypes.STR}
GROUP_BY: Final = OpenApiParameter("group_by", str, enum=GROUPS, description="Default model.")
PAGING: Final = (
    OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}),
    OpenApiParameter(
        "cursor", str, description="`next_cursor` of the page before; with the same parameters."
    ),
)
BASIS: Final = OpenApiParameter("basis", str, enum=reports.BASES, description="Default mrr.")
_UNSAFE: Final = ("=", "+", "-", "@", "\t", "\r", "\uff1d")
_TYPED: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_FIRST: Final = date(1970, 1, 1)


class MetricView(OrgsView):
    """A report of the platform's revenue. `months`: how many it shows where none are named; `row`: its fields."""

    required_scope = PLATFORM
    query_parameters: ClassVar[Collection[str]] = _TIMES
    months: ClassVar[int] = 12
    row: ClassVar[type[serializers.Serializer[Any]]]

    def rows(self, cur: Cursor, asked: Asked) -> list[dict[str, Any]]:
        """The rows of the report."""
        raise NotImplementedError

    def found(self, cur: Cursor) -> tuple[Asked, list[dict[str, Any]]]:
        """What is asked for, and the rows of one snapshot. Raises InvalidParameter, InvalidPeriod and NotFound."""
        cur.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        asked = self._asked(cur)
        return asked, self.rows(cur, asked)

    def get(self, request: Request) -> HttpResponse:
        """The report."""
        asked, rows = run_in_transaction(self.found)
        return json_response({**_named(asked), "data": rows})

    def until(self) -> datetime | None:
        """The moment that is named."""
        return self.query.optional("as_of", _moment)

    def _asked(self, cur: Cursor) -> Asked:
        sandbox = self.query.flag("sandbox") or False
        organization = self.query.uuid("organization")
        if organization is not None:
            sandbox = find_organization(cur, organization=organization).sandbox
        now = now_of(cur, sandbox=sandbox, organization=organization)
        until = min(self.until() or now, now)
        first, last = self._span(until)
        currency = self.query.optional("currency", fields.currency)
        return Asked(first, last, until, currency, organization, sandbox)

    def _span(self, until: datetime) -> tuple[date, date]:
        """The months; none of them lies behind the moment."""
        newest = (until - _MICROSECOND).date().replace(day=1)
        last = min(self.query.optional("to", parse_month) or newest, newest)
        first = self.query.optional("from", parse_month)
        if first is None:
            first = _moved(last, 1 - self.months)
        if first > last:
            raise InvalidPeriod("`to` is not before `from`, and `from` not in the future.")
        if _moved(first, MAX_MONTHS) <= last:
            raise InvalidPeriod(f"A report has at most {MAX_MONTHS} months.")
        return first, last

    def _limit(self) -> int:
        return self.query.optional("limit", _whole) or DEFAULT_RANKS


class CsvView(MetricView):
    """The same rows as a file, with the fields of a row as its columns."""

    def get(self, request: Request) -> HttpResponse:
        """The rows of the report as CSV."""
        _, rows = run_in_transaction(self.found)
        text = io.StringIO()
        writer = csv.writer(text)
        columns = list(self.row().fields)
        writer.writerow(columns)
        writer.writerows([_cell(row[name]) for name in columns] for row in rows)
        name = request.path.rsplit("/", 1)[-1]
        response = HttpResponse(text.getvalue().encode(), content_type="text/csv; charset=utf-8")
        response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
        return response


def shown(
    row: type[serializers.Serializer[Any]],
    name: str,
    *extra: OpenApiParameter,
    **more: serializers.Field[Any, Any, Any, Any],
) -> Any:
    """How a report is described: its parameters, and its rows in their answer, with what stands beside them."""
    shape = inline_serializer(
        name,
        {
            "from": MonthField(),
            "to": MonthField(),
            "as_of": InstantField(read_only=True, help_text="What is dated later is left out."),
            "data": row(many=True, read_only=True),
            **more,
        },
    )
    parameters = [*PARAMETERS, *extra]
    return extend_schema_view(get=extend_schema(parameters=parameters, responses=shape, tags=["metrics"]))


def filed(*extra: OpenApiParameter) -> Any:
    """How a report as a file is described."""
    return extend_schema_view(
        get=extend_schema(parameters=[*PARAMETERS, *extra], responses=CSV, tags=["metrics"])
    )


def _named(asked: Asked) -> dict[str, Any]:
    """The months and the moment that a report is of."""
    return {"from": month_text(asked.first), "to": month_text(asked.last), "as_of": asked.until}


def _moment(value: object, *, pointer: str = "") -> datetime:
    """The first instant that is later than a day or a time. Raises InvalidDatetime."""
    if type(value) is str and len(value) == len("2026-03-31"):
        day = fields.date(value, pointer=pointer)
        return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
    return fields.instant(value, pointer=pointer) + _MICROSECOND


def _whole(value: object, *, pointer: str = "") -> int:
    if type(value) is str and value.isascii() and value.isdigit() and 1 <= int(value[:4]) <= MAX_RANKS:
        return int(value[:4])
    raise InvalidField(f"It is a whole number from 1 to {MAX_RANKS}.", pointer=pointer)


def _moved(month: date, count: int) -> date:
    """A month some months later or earlier, not before the first of all."""
    place = month.year * 12 + month.month - 1 + count
    return max(date(place // 12, place % 12 + 1, 1), _FIRST)


def _cell(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula; numbers stay numbers."""
    if isinstance(value, str) and value.startswith(_UNSAFE) and not _TYPED.fullmatch(value):
        return f"'{value}"
    return value


@shown(shapes.MrrSerializer, "MrrMetrics")
class MrrView(MetricView):
    """GET /v1/metrics/mrr."""

    months = 1
    row = shapes.MrrSerializer

    def rows(self, cur: Cursor, asked: Asked) -> list[dict[str, Any]]:
        """What recurs at the moment that is asked for."""
        return reports.mrr_rows(cur, asked)


@shown(shapes.MovementMonthSerializer, "MovementsMetrics")
class MovementsView(MetricView):
    """GET /v1/metrics/movements."""

    row = shapes.MovementMonthSerializer

    def rows(self, cur: Cursor, asked: Asked) -> list[dict[str, Any]]:
        """The movements of each month."""
        return reports.movement_rows(cur, asked)


@shown(shapes.RetentionSerializer, "RetentionMetrics")
class RetentionView(MetricView):
    """GET /v1/metrics/retention."""

    row = shapes.RetentionSerializer

    def rows(self, cur: Cursor, asked: Asked) -> list[dict[str, Any]]:
        """Retention and churn of each month, and of all of them."""
        return reports.retention_rows(cur, asked)


@shown(shapes.CohortSerializer, "CohortsMetrics")
class CohortsView(MetricView):
    """GET /v1/metrics/cohorts."""

    row = shapes.CohortSerializer

    def rows(self, cur: Cursor, asked: Asked) -> list[dict[str, Any]]:
        """What is left of the customers of each month."""
        return reports.cohort_rows(cur, asked)


@shown(shapes.RevenueMonthSerializer, "RevenueMetrics")
class RevenueView(MetricView):
    """GET /v1/metrics/revenue."""

    row = shapes.RevenueMonthSerializer

    def rows(self, cur: Cursor, asked: Asked) -> list[dict[str, Any]]:
        """What was earned in each month."""
        return reports.revenue_rows(cur, asked)


class MarginsReport(MetricView):
    """What both forms of the margins share."""

    query_parameters: ClassVar[Collection[str]] = (*_TIMES, "group_by")
    months = 1
    row = shapes.MarginSerializer

    def rows(self, cur: Cursor, asked: Asked) -> list[dict[str, Any]]:
        """Charge, cost and margin of use."""
        return reports.margin_rows(cur, asked, self.query.choice("group_by", options=GROUPS) or GROUPS[0])


@shown(
    shapes.MarginSerializer,
    "MarginsMetrics",
    GROUP_BY,
    *PAGING,
    next_cursor=TextField(read_only=True, allow_null=True),
)
class MarginsView(MarginsReport):
    """GET /v1/metrics/margins."""

    query_parameters = (*_TIMES, "group_by", *PAGE_PARAMETERS)

    def get(self, request: Request) -> HttpResponse:
        """The report, by currency and charge, page by page, all as of the hour of the first one."""
        self.page = self.query.page(organization=self.caller.organization, path=request.path)
        asked, rows = run_in_transaction(self.found)
        begin = 0 if self.page.position is None else self.page.position[0]
        some = envelope(
            list(enumerate(rows, 1))[begin : begin + self.page.fetch],
            page=self.page,
            position=lambda row: (row[0], asked.until.isoformat()),
            show=lambda row: row[1],
        )
        return json_response({**_named(asked), **some})

    def until(self) -> datetime | None:
        """What happens meanwhile moves no row to another page."""
        began = self.page.position
        return super().until() if began is None else datetime.fromisoformat(began[1])


@shown(shapes.TopCustomerSerializer, "TopCustomersMetrics", LIMIT)
class TopCustomersView(MetricView):
    """GET /v1/metrics/top-customers."""

    query_parameters = (*_TIMES, "limit")
    months = 1
    row = shapes.TopCustomerSerializer

    def rows(self, cur: Cursor, asked: Asked) -> list[dict[str, Any]]:
        """The customers that brought most."""
        return reports.top_customer_rows(cur, asked, self._limit())


@shown(shapes.TopAgentSerializer, "TopAgentsMetrics", LIMIT)
class TopAgentsView(MetricView):
    """GET /v1/metrics/top-agents."""

    query_parameters = (*_TIMES, "limit")
    months = 1
    row = shapes.TopAgentSerializer

    def rows(self, cur: Cursor, asked: Asked) -> list[dict[str, Any]]:
        """The agents that were charged most."""
        return reports.top_agent_rows(cur, asked, self._limit())


@shown(shapes.ConcentrationSerializer, "ConcentrationMetrics", LIMIT, BASIS)
class ConcentrationView(MetricView):
    """GET /v1/metrics/concentration."""

    query_parameters = (*_TIMES, "limit", "basis")
    months = 1
    row = shapes.ConcentrationSerializer

    def rows(self, cur: Cursor, asked: Asked) -> list[dict[str, Any]]:
        """How much stands on few customers."""
        basis = self.query.choice("basis", options=reports.BASES) or reports.BASES[0]
        return reports.concentration_rows(cur, asked, basis=basis, count=self._limit())


@shown(shapes.RunRateSerializer, "RunRateMetrics")
class RunRateView(MetricView):
    """GET /v1/metrics/run-rate."""

    months = 1
    row = shapes.RunRateSerializer

    def rows(self, cur: Cursor, asked: Asked) -> list[dict[str, Any]]:
        """What use of the last 28 whole days comes to."""
        return reports.run_rate_rows(cur, asked)
