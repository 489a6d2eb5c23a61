"""GET /v1/usage/attribution, /v1/reports/funding and /v1/reports/uncapped (S18, S19, S44, S75)."""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.request import Request

from common.errors import InvalidParameter
from common.money import format_amount, split_largest_remainder
from events.store import Cursor
from orgs.queries.organizations import find_organization
from spend.api.read_serializers import AttributionSerializer, FundingReportSerializer, UncappedSerializer
from spend.api.reading import ReadView
from spend.api.representations import utc
from spend.queries.attribution import DIMENSIONS, AttributedRow, Attribution, attribute
from spend.queries.fundingsums import funding_sums
from spend.queries.uncapped import uncapped_targets

_PARTS: Final = 10**6
"""Shares are written with six decimals and sum to exactly 1."""


GROUP_BY: Final = OpenApiParameter("group_by", str, required=True, enum=DIMENSIONS)


@extend_schema_view(get=extend_schema(parameters=[GROUP_BY], responses=AttributionSerializer, tags=["usage"]))
class AttributionView(ReadView):
    """GET /v1/usage/attribution."""

    query_parameters = ("group_by", "from", "to")
    narrows = True

    def get(self, request: Request) -> HttpResponse:
        """Usage that occurred in [from, to) by one dimension; the rows and the unattributed bucket sum to the total."""
        organization = self.for_list()
        dimension = self.query.choice("group_by", options=DIMENSIONS)
        if dimension is None:
            raise InvalidParameter(f"group_by is one of: {', '.join(DIMENSIONS)}.")
        start, end = self.period()

        def read(cur: Cursor) -> dict[str, Any]:
            found = attribute(
                cur,
                organization=organization,
                dimension=dimension,
                start=start,
                end=end,
                limits=self.caller.limits,
            )
            currency = find_organization(cur, organization=organization).currency
            return {
                "group_by": dimension,
                "from": utc(start),
                "to": utc(end),
                "currency": currency,
                **_shown(found),
            }

        return self.answer(read)


@extend_schema_view(get=extend_schema(responses=FundingReportSerializer, tags=["reports"]))
class FundingReportView(ReadView):
    """GET /v1/reports/funding."""

    query_parameters = ("from", "to")
    narrows = True

    def get(self, request: Request) -> HttpResponse:
        """What paid for the usage that occurred in [from, to): the receipts by source, in the order in which sources
        are taken. They and `retired` sum to exactly the charge."""
        organization = self.for_list()
        start, end = self.period()

        def read(cur: Cursor) -> dict[str, Any]:
            found = funding_sums(
                cur, organization=organization, start=start, end=end, limits=self.caller.limits
            )
            return {
                "from": utc(start),
                "to": utc(end),
                "currency": find_organization(cur, organization=organization).currency,
                "data": [
                    {"source": source, "charge": format_amount(amount)}
                    for source, amount in found.by_source.items()
                ],
                "retired": format_amount(found.retired),
                "total": format_amount(found.total),
            }

        return self.answer(read)


@extend_schema_view(get=extend_schema(responses=UncappedSerializer, tags=["reports"]))
class UncappedView(ReadView):
    """GET /v1/reports/uncapped."""

    def get(self, request: Request) -> HttpResponse:
        """Targets without a budget of their own; `covered_by` names wider scopes that still limit them, `fix` is the
        call that gives it one."""
        organization = self.for_list()

        def read(cur: Cursor) -> dict[str, Any]:
            rows = uncapped_targets(cur, organization=organization)
            currency = find_organization(cur, organization=organization).currency
            return {"data": [{**row._asdict(), "fix": row.fix(currency)} for row in rows]}

        return self.answer(read)


def _shown(found: Attribution) -> dict[str, Any]:
    parts = [*found.rows, *([found.other] if found.other else []), found.unattributed]
    charges = [part.figures["charge"] for part in parts]
    shares = split_largest_remainder(_PARTS, charges) if any(charges) else [0] * len(parts)
    rows = [_row(part, share) for part, share in zip(parts, shares, strict=True)]
    named = len(found.rows)
    return {
        "data": rows[:named],
        "other": rows[named] if found.other else None,
        "unattributed": rows[-1],
        "total": _figures(found.total),
    }


def _row(row: AttributedRow, share: int) -> dict[str, Any]:
    shown: dict[str, Any] = {"key": row.key}
    if row.id is not None and row.id != row.key:
        shown["id"] = row.id
    if row.provider is not None:
        shown["provider"] = row.provider
    return {**shown, **_figures(row.figures), "share": f"{share // _PARTS}.{share % _PARTS:06d}"}


def _figures(figures: dict[str, int]) -> dict[str, Any]:
    return {
        name: format_amount(value) if name in ("cost", "charge") else value for name, value in figures.items()
    }
