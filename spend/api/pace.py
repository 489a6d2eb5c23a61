"""/v1/burn-rates and /v1/velocity-rules: how fast money goes, and when that is an alert (S57)."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.request import Request

from common.api.answers import json_response
from common.api.paging import envelope
from common.money import format_amount
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.api.acting import checked
from orgs.queries.organizations import find_organization
from orgs.queries.subjects import keys_of
from orgs.rules.scopes import ADMIN, SPEND_READ
from spend.api.pace_serializers import (
    BurnRatesSerializer,
    ShownVelocityRuleSerializer,
    VelocityRuleChangeSerializer,
    VelocityRuleSerializer,
)
from spend.api.policies import PolicyView
from spend.api.reading import ReadView, after
from spend.api.representations import utc
from spend.operations.velocity.rules import (
    NewRule,
    archive_velocity_rule,
    change_velocity_rule,
    create_velocity_rule,
)
from spend.queries import velocity as queries
from spend.queries.pace import SCOPES, Burning, burn_rates
from spend.rules.pace import BurnRate
from spend.rules.velocity import Settings, VelocityRule

SETTINGS: Final = ("factor", "minimum", "history_hours", "action", "mode")
SCOPE: Final = OpenApiParameter("scope", str, enum=SCOPES, default="organization")


@extend_schema_view(get=extend_schema(parameters=[SCOPE], responses=BurnRatesSerializer, tags=["live"]))
class BurnRatesView(ReadView):
    """GET /v1/burn-rates."""

    query_parameters = ("scope", "target")
    narrows = True

    def get(self, request: Request) -> HttpResponse:
        """Charge per minute of the organization, or of agents or root runs; `target`: of one, by key or id."""
        organization = self.for_list()
        scope = self.query.choice("scope", options=SCOPES) or "organization"
        target = self.query.text("target", max_length=200)

        def read(cur: Cursor) -> dict[str, Any]:
            found = burn_rates(
                cur, organization=organization, scope=scope, target=target, limits=self.caller.limits
            )
            return {
                "scope": scope,
                "currency": found.seen.currency,
                "at": utc(found.seen.now),
                "seen_until": utc(found.seen.until),
                "data": [show_burning(row, scope) for row in found.rows],
            }

        return self.answer(read)


class VelocityRuleView(PolicyView):
    """What the views of velocity rules share."""

    organization_of = queries.organization_of_rule


@extend_schema_view(
    get=extend_schema(responses=ShownVelocityRuleSerializer(many=True), tags=["live"]),
    post=extend_schema(
        request=VelocityRuleSerializer, responses={201: ShownVelocityRuleSerializer}, tags=["live"]
    ),
)
class VelocityRuleListView(VelocityRuleView):
    """GET and POST /v1/velocity-rules."""

    required_scope = {"GET": SPEND_READ, "POST": ADMIN}
    query_parameters = ("archived",)
    paged = True

    def get(self, request: Request) -> HttpResponse:
        """The organization's velocity rules, newest first. Agents without one are judged by the defaults."""
        organization = self.for_list()
        page = self.query.page(organization=self.caller.organization, path=request.path)
        archived = self.query.flag("archived")

        def read(cur: Cursor) -> dict[str, Any]:
            rows = queries.list_rules(
                cur, organization=organization, archived=archived, before=after(page), limit=page.fetch
            )
            shown = dict(zip((row.id for row in rows), show_rules(cur, organization, rows), strict=True))
            return envelope(
                rows, page=page, position=lambda row: (str(row.id),), show=lambda row: shown[row.id]
            )

        return json_response(run_in_transaction(read))

    def post(self, request: Request) -> HttpResponse:
        """Make a velocity rule; a target has one at most."""
        values = checked(VelocityRuleSerializer, request)
        settings = Settings(**{name: values[name] for name in SETTINGS if name in values})
        new = NewRule(values["scope"], settings, values.get("target"))
        organization = self.for_new(values)

        def operation(cur: Cursor) -> dict[str, Any]:
            rule = create_velocity_rule(cur, organization, new, author=self.author, permit=self.permit)
            return show_rule(cur, rule)

        return self.idempotent(request, operation)


@extend_schema_view(
    get=extend_schema(responses=ShownVelocityRuleSerializer, tags=["live"]),
    patch=extend_schema(
        request=VelocityRuleChangeSerializer, responses=ShownVelocityRuleSerializer, tags=["live"]
    ),
)
class VelocityRuleDetailView(VelocityRuleView):
    """GET and PATCH /v1/velocity-rules/{id}."""

    required_scope = {"GET": SPEND_READ, "PATCH": ADMIN}

    def get(self, request: Request, name: str) -> HttpResponse:
        """One velocity rule."""
        rule, organization = self.owner(name)

        def read(cur: Cursor) -> dict[str, Any]:
            return show_rule(cur, queries.find_rule(cur, organization=organization, rule=rule))

        return json_response(run_in_transaction(read))

    def patch(self, request: Request, name: str) -> HttpResponse:
        """Change factor, minimum, history, action or mode; the next judgement obeys it."""
        return self.change(request, name, VelocityRuleChangeSerializer, change_velocity_rule, show_rule)


@extend_schema_view(
    post=extend_schema(request=None, responses={200: ShownVelocityRuleSerializer}, tags=["live"])
)
class VelocityRuleArchiveView(VelocityRuleView):
    """POST /v1/velocity-rules/{id}/archive."""

    required_scope = ADMIN
    bodiless = ("POST",)

    def post(self, request: Request, name: str) -> HttpResponse:
        """End the rule: what is wider holds again. Archiving an archived one changes nothing."""
        return self.archive(request, name, archive_velocity_rule, show_rule)


def show_rate(rate: BurnRate) -> dict[str, str]:
    """A burn rate as answers show it."""
    return {
        "last_1_minute": format_amount(rate.one),
        "last_5_minutes": format_amount(rate.five),
        "last_60_minutes": format_amount(rate.sixty),
    }


def show_burning(row: Burning, scope: str) -> dict[str, Any]:
    """A target with its burn rate as answers show it."""
    return {
        "scope": scope,
        "id": row.id,
        "key": row.key,
        "agent": row.agent,
        "burn_rate": show_rate(row.rate),
    }


def show_rule(cur: Cursor, rule: VelocityRule) -> dict[str, Any]:
    """A velocity rule as answers show it."""
    return show_rules(cur, rule.organization, [rule])[0]


def show_rules(cur: Cursor, organization: UUID, rules: list[VelocityRule]) -> list[dict[str, Any]]:
    """Velocity rules as answers show them, in their order."""
    ids = [rule.target_id for rule in rules if rule.target_id is not None]
    keys = keys_of(cur, "agent", organization=organization, ids=ids)
    currency = find_organization(cur, organization=organization).currency
    return [_shown(rule, keys, currency) for rule in rules]


def _shown(rule: VelocityRule, keys: dict[UUID, str], currency: str) -> dict[str, Any]:
    settings = rule.settings
    return {
        "id": rule.id,
        "organization": rule.organization,
        "scope": rule.scope,
        "target": None if rule.target_id is None else keys.get(rule.target_id),
        "target_id": rule.target_id,
        "factor": settings.factor,
        "minimum": format_amount(settings.minimum),
        "history_hours": settings.history_hours,
        "action": settings.action,
        "mode": settings.mode,
        "currency": currency,
        "status": "active" if rule.archived_at is None else "archived",
        "version": rule.version,
        "created_at": utc(rule.created_at),
        "archived_at": utc(rule.archived_at),
    }
