"""/v1/partners and /v1/partner: who publishes listings, and what a partner may know of itself."""

from __future__ import annotations

import csv
import io
from typing import Any, Final
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.request import Request

from common import fields
from common.api.answers import json_response
from common.api.paging import envelope
from common.api.views import path_id
from common.errors import InvalidParameter
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.api.acting import OrgsView, checked
from orgs.rules.scopes import PAYOUTS_READ, PLATFORM
from payouts.api.representations import show_balance, show_earned, show_partner
from payouts.api.serializers import (
    BalanceSerializer,
    EarningsSerializer,
    PartnerSerializer,
    PartnerTermsSerializer,
)
from payouts.operations.partners import change_partner, enroll_partner
from payouts.queries.earnings import GROUPS, Earned, Wanted, earned
from payouts.queries.listings import find_listing
from payouts.queries.partners import list_partners, require_partner, withdrawable
from payouts.queries.references import references_of
from payouts.rules.partners import STATUSES, Terms
from payouts.rules.references import References

TAGS: Final = ["partners"]
FILTERS: Final = [
    OpenApiParameter("from", OpenApiTypes.DATE, description="The first day, UTC."),
    OpenApiParameter("to", OpenApiTypes.DATE, description="The day after the last one, UTC."),
    OpenApiParameter("listing", str, description="Key or id of one listing."),
    OpenApiParameter("group_by", str, description="Of day, month, listing, agent, customer: by comma."),
]


@extend_schema_view(
    get=extend_schema(
        parameters=[OpenApiParameter("status", enum=STATUSES)],
        responses=PartnerSerializer(many=True),
        tags=TAGS,
    ),
    post=extend_schema(request=PartnerSerializer, responses={201: PartnerSerializer}, tags=TAGS),
)
class PartnerListView(OrgsView):
    """GET and POST /v1/partners."""

    required_scope = PLATFORM
    query_parameters = ("status",)
    paged = True

    def get(self, request: Request) -> HttpResponse:
        """All partners, the youngest organization first."""
        page = self.query.page(organization=self.caller.organization, path=request.path)
        status = self.query.choice("status", options=STATUSES)

        def read(cur: Cursor) -> dict[str, Any]:
            before = UUID(page.position[0]) if page.position else None
            rows = list_partners(cur, before=before, limit=page.fetch, status=status)
            return envelope(rows, page=page, position=lambda row: (str(row.organization),), show=show_partner)

        return json_response(run_in_transaction(read))

    def post(self, request: Request) -> HttpResponse:
        """Make an organization a partner."""
        values = checked(PartnerSerializer, request)
        organization = values.pop("organization")

        def operation(cur: Cursor) -> dict[str, Any]:
            terms = Terms(**values)
            return show_partner(
                enroll_partner(cur, organization=organization, terms=terms, author=self.author)
            )

        return self.idempotent(request, operation)


@extend_schema_view(
    get=extend_schema(responses=PartnerSerializer, tags=TAGS),
    patch=extend_schema(request=PartnerTermsSerializer, responses=PartnerSerializer, tags=TAGS),
)
class PartnerDetailView(OrgsView):
    """GET and PATCH /v1/partners/{organization}."""

    required_scope = PLATFORM

    def get(self, request: Request, name: str) -> HttpResponse:
        """One partner."""
        organization = path_id(name)
        return json_response(run_in_transaction(lambda cur: show_partner(require_partner(cur, organization))))

    def patch(self, request: Request, name: str) -> HttpResponse:
        """Change what is agreed with it; `hold_reason` holds its payouts, null lets them go on, also the one
        that is held for it."""
        organization = path_id(name)
        changes = checked(PartnerTermsSerializer, request, partial=True)

        def operation(cur: Cursor) -> dict[str, Any]:
            return show_partner(
                change_partner(cur, organization=organization, changes=changes, author=self.author)
            )

        return self.idempotent(request, operation, status=200)


class OwnView(OrgsView):
    """A view of a partner on itself."""

    required_scope = PAYOUTS_READ


@extend_schema_view(get=extend_schema(responses=PartnerSerializer, tags=TAGS))
class OwnPartnerView(OwnView):
    """GET /v1/partner."""

    def get(self, request: Request) -> HttpResponse:
        """What is agreed, and how far the own payout account is."""
        organization = self.for_list()
        return json_response(run_in_transaction(lambda cur: show_partner(require_partner(cur, organization))))


@extend_schema_view(get=extend_schema(responses=BalanceSerializer, tags=TAGS))
class BalanceView(OwnView):
    """GET /v1/partner/balance."""

    def get(self, request: Request) -> HttpResponse:
        """What can be withdrawn now, and why not the rest."""
        organization = self.for_list()
        return json_response(run_in_transaction(lambda cur: show_balance(withdrawable(cur, organization))))


class EarningsBase(OwnView):
    """What both forms of the earnings share."""

    query_parameters = ("from", "to", "listing", "group_by")

    def wanted(self, cur: Cursor, organization: UUID) -> Wanted:
        """What is asked for. Raises NotFound and InvalidParameter."""
        require_partner(cur, organization)
        start, end = (self.query.optional(name, fields.date) for name in ("from", "to"))
        if start is not None and end is not None and end <= start:
            raise InvalidParameter("`to` is after `from`.")
        named = self.query.text("group_by")
        groups = () if named is None else tuple(named.split(","))
        if not set(groups) <= GROUPS.keys() or len(set(groups)) != len(groups):
            raise InvalidParameter(f"Group by {', '.join(GROUPS)}, each once.")
        name = self.query.text("listing")
        listing = None if name is None else find_listing(cur, name).id
        return Wanted(organization, start, end, listing, groups)


@extend_schema_view(get=extend_schema(parameters=FILTERS, responses=EarningsSerializer, tags=TAGS))
class EarningsView(EarningsBase):
    """GET /v1/partner/earnings."""

    paged = True

    def get(self, request: Request) -> HttpResponse:
        """How much was earned, by what, of whom and when, and how much of all can be withdrawn now."""
        organization = self.for_list()
        page = self.query.page(organization=self.caller.organization, path=request.path)

        def read(cur: Cursor) -> dict[str, Any]:
            wanted = self.wanted(cur, organization)
            (total,) = earned(cur, Wanted(organization, wanted.start, wanted.end, wanted.listing))
            numbered = list(enumerate(earned(cur, wanted) if wanted.groups else []))
            after = page.position[0] if page.position else -1
            rows = [one for one in numbered if one[0] > after][: page.fetch]
            money, names = withdrawable(cur, organization), references_of(cur, organization)
            return {
                "currency": money.currency,
                "total": show_earned(names, (), total),
                **envelope(
                    rows,
                    page=page,
                    position=lambda row: (row[0],),
                    show=lambda row: show_earned(names, wanted.groups, row[1]),
                ),
                "withdrawable_now": show_balance(money),
            }

        return json_response(run_in_transaction(read))


@extend_schema_view(
    get=extend_schema(parameters=FILTERS, responses={(200, "text/csv"): OpenApiTypes.STR}, tags=TAGS)
)
class EarningsCsvView(EarningsBase):
    """GET /v1/partner/earnings.csv."""

    def get(self, request: Request) -> HttpResponse:
        """The earnings by group as CSV."""
        organization = self.for_list()

        def read(cur: Cursor) -> tuple[str, References, Wanted, list[Earned]]:
            wanted = self.wanted(cur, organization)
            names = references_of(cur, organization)
            return require_partner(cur, organization).currency, names, wanted, earned(cur, wanted)

        currency, names, wanted, rows = run_in_transaction(read)
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow([*wanted.groups, "currency", "gross", "earned", "calls"])
        for row in rows:
            shown = show_earned(names, wanted.groups, row)
            named = [shown[name] for name in wanted.groups]
            writer.writerow([*named, currency, shown["gross"], shown["earned"], shown["calls"]])
        answer = HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8")
        answer["Content-Disposition"] = 'attachment; filename="earnings.csv"'
        return answer
