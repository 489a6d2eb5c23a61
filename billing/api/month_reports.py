"""/v1/reports/trial-balance and /v1/reports/deferred-revenue: a month of the books, also as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any, Final

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.request import Request

from billing.api.revenue_serializers import RollForwardsSerializer, TrialMonthsSerializer
from billing.queries.accounting import seller_named
from billing.queries.monthbooks import (
    ACCOUNTS,
    BooksMonth,
    MonthOf,
    TrialMonth,
    books_months,
    count_open,
    totals,
    trial_months,
)
from billing.rules.months import month_text, parse_month
from billing.rules.rollforward import RollForward, movement_names
from common.api.answers import json_response
from common.api.paging import envelope
from common.errors import Forbidden, InvalidParameter
from common.money import format_amount
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.api.acting import OrgsView
from orgs.rules.scopes import AUDIT_READ, PLATFORM

PARAMETERS: Final = [
    OpenApiParameter("month", str, required=True, description="Such as 2026-03."),
    OpenApiParameter(
        "legal_entity", str, description="Of a seller's customers only, by key or id; for a platform key."
    ),
]
CSV: Final[Any] = {(200, "text/csv"): OpenApiTypes.STR}
_TRIAL: Final = ("kind", "currency", "opening", "debits", "credits", "closing")


class MonthView(OrgsView):
    """A month of the own books; a platform key sees those of one organization, of a seller, or of all."""

    required_scope = AUDIT_READ
    query_parameters = ("month", "legal_entity")

    def wanted(self, cur: Cursor) -> MonthOf:
        """Which books are asked for. Raises InvalidParameter, NotFound and Forbidden."""
        month = self.query.optional("month", parse_month)
        if month is None:
            raise InvalidParameter("A report of a month has ?month=, such as 2026-03.")
        organization = self.own_or_named(self.query.uuid("organization"))
        name = self.query.text("legal_entity")
        if name is not None and not self.caller.has_scope(PLATFORM):
            raise Forbidden("Only a platform key sees a seller's books.")
        return MonthOf(month, organization, None if name is None else seller_named(cur, name))


@extend_schema_view(
    get=extend_schema(parameters=PARAMETERS, responses=TrialMonthsSerializer, tags=["revenue"])
)
class TrialMonthView(MonthView):
    """GET /v1/reports/trial-balance."""

    def get(self, request: Request) -> HttpResponse:
        """The trial balance of a month: opening, debits, credits, closing by kind of account and currency."""

        def read(cur: Cursor) -> dict[str, Any]:
            wanted = self.wanted(cur)
            return {
                "month": month_text(wanted.month),
                "closed": count_open(cur, wanted) == 0,
                "data": [show_trial(row) for row in trial_months(cur, wanted)],
            }

        return json_response(run_in_transaction(read))


@extend_schema_view(get=extend_schema(parameters=PARAMETERS, responses=CSV, tags=["revenue"]))
class TrialMonthCsvView(MonthView):
    """GET /v1/reports/trial-balance.csv."""

    def get(self, request: Request) -> HttpResponse:
        """The trial balance of a month as CSV."""

        def read(cur: Cursor) -> tuple[str, list[dict[str, Any]]]:
            wanted = self.wanted(cur)
            return month_text(wanted.month), [show_trial(row) for row in trial_months(cur, wanted)]

        month, rows = run_in_transaction(read)
        return _csv(f"trial-balance-{month}", _TRIAL, ([row[name] for name in _TRIAL] for row in rows))


@extend_schema_view(
    get=extend_schema(parameters=PARAMETERS, responses=RollForwardsSerializer, tags=["revenue"])
)
class RollForwardView(MonthView):
    """GET /v1/reports/deferred-revenue."""

    paged = True

    def get(self, request: Request) -> HttpResponse:
        """How deferred revenue, the unbilled line and customers' credit came from opening to closing in a month: of
        each organization, and in all."""
        page = self.query.page(organization=self.caller.organization, path=request.path)

        def read(cur: Cursor) -> dict[str, Any]:
            wanted = self.wanted(cur)
            months = books_months(cur, wanted)
            after = tuple(page.position) if page.position else ("", "")
            rest = [one for one in months if _place(one) > after]
            return {
                "month": month_text(wanted.month),
                **envelope(rest[: page.fetch], page=page, position=_place, show=show_books),
                "total": [
                    {"currency": currency, **show_accounts(accounts)}
                    for currency, accounts in totals(months).items()
                ],
            }

        return json_response(run_in_transaction(read))


@extend_schema_view(get=extend_schema(parameters=PARAMETERS, responses=CSV, tags=["revenue"]))
class RollForwardCsvView(MonthView):
    """GET /v1/reports/deferred-revenue.csv."""

    def get(self, request: Request) -> HttpResponse:
        """The roll-forward of a month as CSV: a row for each organization, account and movement."""

        def read(cur: Cursor) -> tuple[str, list[BooksMonth]]:
            wanted = self.wanted(cur)
            return month_text(wanted.month), books_months(cur, wanted)

        month, months = run_in_transaction(read)
        columns = ("organization", "currency", "account", "movement", "amount")
        return _csv(f"deferred-revenue-{month}", columns, _movement_rows(months))


def show_trial(row: TrialMonth) -> dict[str, Any]:
    """A line of the trial balance as answers show it."""
    figures = {name: format_amount(getattr(row, name)) for name in _TRIAL[2:]}
    return {"kind": row.kind, "currency": row.currency, **figures}


def show_books(one: BooksMonth) -> dict[str, Any]:
    """The month of an organization as answers show it."""
    return {"organization": one.organization, "currency": one.currency, **show_accounts(one.accounts)}


def show_accounts(accounts: dict[str, RollForward]) -> dict[str, Any]:
    """Roll-forwards by kind of account as answers show them."""
    return {name: dict(movements_of(name, accounts[name])) for name in ACCOUNTS}


def movements_of(account: str, found: RollForward) -> list[tuple[str, str]]:
    """A roll-forward from opening to closing, as people read it."""
    inner = [(name, format_amount(found.movements[name])) for name in movement_names(account)]
    return [("opening", format_amount(found.opening)), *inner, ("closing", format_amount(found.closing))]


def _movement_rows(months: Iterable[BooksMonth]) -> Iterable[Sequence[str]]:
    for one in months:
        for account, found in one.accounts.items():
            for name, amount in movements_of(account, found):
                yield str(one.organization), one.currency, account, name, amount


def _place(one: BooksMonth) -> tuple[str, str]:
    return str(one.organization), one.currency


def _csv(name: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> HttpResponse:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows(rows)
    response = HttpResponse(text.getvalue().encode(), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return response
