"""/v1/default-policies: what every agent, workflow and run gets that nobody gave a cap (S44)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.request import Request

from common.api.answers import json_response
from common.api.serializers import (
    CurrencyField,
    QuantityField,
    StrictSerializer,
    TimeZoneField,
    WholeNumberField,
    WordField,
)
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.api.acting import checked
from orgs.rules.scopes import ADMIN, SPEND_READ
from spend.api.budgets import BudgetView, show_all
from spend.api.limit_serializers import (
    ActiveHoursField,
    BurstField,
    EscalationField,
    ShownRateLimitSerializer,
)
from spend.api.ratelimits import show_all as show_limits
from spend.api.serializers import LimitField, ShownBudgetSerializer, ThresholdsField
from spend.operations.defaults import set_default_policies
from spend.queries.budgets import default_budgets
from spend.queries.ratelimits import default_rate_limits
from spend.rules.budgetfacts import MAX_ROLLING_SECONDS, MEASURES
from spend.rules.budgetfacts import MODES as BUDGET_MODES
from spend.rules.budgets import MONEY_FREE_UNITS
from spend.rules.defaults import LIMITED_SCOPES, MAX_DEFAULTS, SCOPES
from spend.rules.limits import BEHAVIOURS, CALLERS, DIRECTIONS, MODES, UNITS
from spend.rules.limits import WINDOWS as LIMIT_WINDOWS
from spend.rules.windows import WINDOW_KINDS


class DefaultBudgetSerializer(StrictSerializer):
    """A budget that every one of a scope gets. Without currency and unit it is in the organization's currency."""

    window = WordField(WINDOW_KINDS)
    rolling_seconds = WholeNumberField(minimum=1, maximum=MAX_ROLLING_SECONDS, required=False)
    limit = LimitField()
    currency = CurrencyField(required=False)
    unit = WordField(MONEY_FREE_UNITS, required=False)
    measure = WordField(MEASURES, required=False)
    time_zone = TimeZoneField(required=False)
    overdraft = LimitField(required=False)
    mode = WordField(BUDGET_MODES, required=False)
    thresholds = ThresholdsField(required=False)


class DefaultRateLimitSerializer(StrictSerializer):
    """A rate limit that every one of a scope gets."""

    per = WordField(CALLERS, required=False, allow_null=True)
    unit = WordField(UNITS)
    direction = WordField(DIRECTIONS, required=False, allow_null=True)
    limit = QuantityField()
    window = WordField(LIMIT_WINDOWS, required=False, allow_null=True)
    burst = BurstField(required=False)
    behaviour = WordField(BEHAVIOURS)
    escalate = EscalationField(required=False)
    active_hours = ActiveHoursField(required=False)
    mode = WordField(MODES, required=False)


def _list_of(child: StrictSerializer) -> serializers.ListSerializer[Any]:
    return serializers.ListSerializer(child=child, required=False, max_length=MAX_DEFAULTS)


class RunDefaultsSerializer(StrictSerializer):
    """The defaults of runs. A list replaces the one that there is; an empty list ends them all."""

    budgets = _list_of(DefaultBudgetSerializer())


class DefaultsSerializer(RunDefaultsSerializer):
    """The defaults of one scope. A list replaces the one that there is; an empty list ends them all."""

    rate_limits = _list_of(DefaultRateLimitSerializer())


class DefaultPoliciesSerializer(StrictSerializer):
    """The defaults to set; a scope, or a list, that is not named stays as it is."""

    agent = DefaultsSerializer(required=False)
    workflow = DefaultsSerializer(required=False)
    run = RunDefaultsSerializer(required=False)


class ShownRunDefaultsSerializer(serializers.Serializer[Any]):
    """The defaults of runs: the budgets without a target, oldest first."""

    budgets = ShownBudgetSerializer(many=True)


class ShownDefaultsSerializer(ShownRunDefaultsSerializer):
    """The defaults of one scope: its budgets and rate limits without a target, oldest first."""

    rate_limits = ShownRateLimitSerializer(many=True)


class ShownDefaultPoliciesSerializer(serializers.Serializer[Any]):
    """The defaults of each scope."""

    agent = ShownDefaultsSerializer()
    workflow = ShownDefaultsSerializer()
    run = ShownRunDefaultsSerializer()


@extend_schema_view(
    get=extend_schema(responses=ShownDefaultPoliciesSerializer, tags=["budgets"]),
    patch=extend_schema(
        request=DefaultPoliciesSerializer, responses=ShownDefaultPoliciesSerializer, tags=["budgets"]
    ),
)
class DefaultPoliciesView(BudgetView):
    """GET and PATCH /v1/default-policies."""

    narrows = False
    required_scope = {"GET": SPEND_READ, "PATCH": ADMIN}

    def get(self, request: Request) -> HttpResponse:
        """What every agent, workflow and run gets: the budgets and rate limits without a target."""
        organization = self.for_list()
        return json_response(run_in_transaction(lambda cur: _shown(cur, organization)))

    def patch(self, request: Request) -> HttpResponse:
        """Set the defaults of the named scopes. The gate obeys them at its next decision."""
        values = checked(DefaultPoliciesSerializer, request)
        organization = self.for_list()

        def operation(cur: Cursor) -> dict[str, Any]:
            set_default_policies(cur, organization, values, author=self.author, permit=self.permit)
            return _shown(cur, organization)

        return self.idempotent(request, operation, status=200)


def _shown(cur: Cursor, organization: UUID) -> dict[str, Any]:
    budgets = default_budgets(cur, organization=organization, scopes=SCOPES)
    limits = default_rate_limits(cur, organization=organization, scopes=LIMITED_SCOPES)
    of_budgets, of_limits = show_all(cur, organization, budgets), show_limits(cur, organization, limits)
    found: dict[str, dict[str, list[Any]]] = {
        scope: {"budgets": [of_budgets[row.id] for row in budgets if row.scope == scope]} for scope in SCOPES
    }
    for scope in LIMITED_SCOPES:
        found[scope]["rate_limits"] = [of_limits[str(row.id)] for row in limits if row.scope == scope]
    return found
