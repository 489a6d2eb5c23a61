"""/v1/rate-limits: how many requests, tokens or tool calls may pass, beside money (S48 to S53)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request

from common.api.answers import json_response
from common.api.paging import envelope
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.api.acting import checked
from orgs.rules.permissions import NO_LIMITS, KeyLimits
from orgs.rules.scopes import ADMIN, SPEND_READ
from spend.api.limit_representations import show_rate_limit
from spend.api.limit_serializers import (
    RateLimitChangeSerializer,
    RateLimitSerializer,
    ShownRateLimitSerializer,
)
from spend.api.policies import PolicyView
from spend.operations.ratelimits.change import archive_rate_limit, change_rate_limit
from spend.operations.ratelimits.create import create_rate_limit
from spend.queries import ratelimits as queries
from spend.queries.budgets import business_now
from spend.queries.ratelimits import LimitFilter
from spend.rules.limitfacts import read_terms
from spend.rules.limits import SCOPES, UNITS, RateLimit


class RateLimitView(PolicyView):
    """What the views of rate limits share."""

    narrows = True
    organization_of = queries.organization_of_rate_limit


@extend_schema_view(
    get=extend_schema(responses=ShownRateLimitSerializer(many=True), tags=["rate limits"]),
    post=extend_schema(
        request=RateLimitSerializer, responses={201: ShownRateLimitSerializer}, tags=["rate limits"]
    ),
)
class RateLimitListView(RateLimitView):
    """GET and POST /v1/rate-limits."""

    required_scope = {"GET": SPEND_READ, "POST": ADMIN}
    query_parameters = ("scope", "unit", "archived")
    paged = True

    def get(self, request: Request) -> HttpResponse:
        """The organization's rate limits, newest first, each with what is used of it now."""
        organization = self.for_list()
        page = self.query.page(organization=self.caller.organization, path=request.path)
        scope = self.query.choice("scope", options=SCOPES)
        unit, archived = self.query.choice("unit", options=UNITS), self.query.flag("archived")
        wanted = LimitFilter(scope, unit, archived, self.caller.limits)

        def read(cur: Cursor) -> dict[str, Any]:
            rows = queries.list_rate_limits(
                cur,
                organization=organization,
                wanted=wanted,
                before=UUID(page.position[0]) if page.position else None,
                limit=page.fetch,
            )
            shown = show_all(cur, organization, rows, limits=self.caller.limits)
            return envelope(
                rows, page=page, position=lambda row: (str(row.id),), show=lambda row: shown[str(row.id)]
            )

        return json_response(run_in_transaction(read))

    def post(self, request: Request) -> HttpResponse:
        """Make a rate limit. The gate obeys it at its next decision."""
        values = checked(RateLimitSerializer, request)
        terms = read_terms(values)
        organization = self.for_new(values)

        def operation(cur: Cursor) -> dict[str, Any]:
            limit = create_rate_limit(cur, organization, terms, author=self.author, permit=self.permit)
            return show_one(cur, limit)

        return self.idempotent(request, operation)


@extend_schema_view(
    get=extend_schema(responses=ShownRateLimitSerializer, tags=["rate limits"]),
    patch=extend_schema(
        request=RateLimitChangeSerializer, responses=ShownRateLimitSerializer, tags=["rate limits"]
    ),
)
class RateLimitDetailView(RateLimitView):
    """GET and PATCH /v1/rate-limits/{id}."""

    required_scope = {"GET": SPEND_READ, "PATCH": ADMIN}

    def get(self, request: Request, name: str) -> HttpResponse:
        """The rate limit with what the targets that use the most have used of it now."""
        limit, organization = self.owner(name)

        def read(cur: Cursor) -> dict[str, Any]:
            limits = self.caller.limits
            found = queries.find_rate_limit(cur, organization=organization, limit=limit, limits=limits)
            return show_one(cur, found, limits=limits)

        return json_response(run_in_transaction(read))

    def patch(self, request: Request, name: str) -> HttpResponse:
        """Change limit, burst, behaviour, escalation, active hours or mode. The gate obeys it at its next decision."""
        return self.change(request, name, RateLimitChangeSerializer, change_rate_limit, show_one)


@extend_schema_view(
    post=extend_schema(request=None, responses={200: ShownRateLimitSerializer}, tags=["rate limits"])
)
class RateLimitArchiveView(RateLimitView):
    """POST /v1/rate-limits/{id}/archive."""

    required_scope = ADMIN
    bodiless = ("POST",)

    def post(self, request: Request, name: str) -> HttpResponse:
        """End the rate limit. Archiving an archived one changes nothing."""
        return self.archive(request, name, archive_rate_limit, show_one)


def show_one(cur: Cursor, limit: RateLimit, *, limits: KeyLimits = NO_LIMITS) -> dict[str, Any]:
    """A rate limit as answers show it."""
    return show_all(cur, UUID(str(limit.organization)), [limit], limits=limits)[str(limit.id)]


def show_all(
    cur: Cursor, organization: UUID, rows: list[RateLimit], *, limits: KeyLimits = NO_LIMITS
) -> dict[str, dict[str, Any]]:
    """Rate limits as answers show them, by id; to a limited key without the counters of other targets."""
    now = business_now(cur, organization)
    agents = limits.ids("agent")
    only = limits.ids("connection") if agents is None else agents
    counters = queries.current_counters(cur, rows, now, only=only)
    targets = [part for found in counters.values() for counter in found for part in counter.target.split("/")]
    names = queries.target_names(cur, organization, rows, targets)
    return {
        str(row.id): show_rate_limit(row, names=names, counters=counters[str(row.id)], now=now)
        for row in rows
    }
