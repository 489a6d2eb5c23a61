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
from spend.api.serializers import LimitField, ModeField, ShownBudgetSerializer, ThresholdsField
from spend.operations.budgets.defaults import set_default_policies
from spend.queries.budgets import default_budgets
from spend.rules.budgetfacts import MAX_ROLLING_SECONDS, MEASURES
from spend.rules.budgets import MONEY_FREE_UNITS
from spend.rules.defaults import MAX_DEFAULTS, SCOPES
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
    mode = ModeField(required=False)
    thresholds = ThresholdsField(required=False)


class DefaultsSerializer(StrictSerializer):
    """The defaults of one scope. The list replaces the one that there is; an empty list ends them all."""

    budgets: serializers.ListSerializer[Any] = serializers.ListSerializer(
        child=DefaultBudgetSerializer(), required=False, max_length=MAX_DEFAULTS
    )


class DefaultPoliciesSerializer(StrictSerializer):
    """The defaults to set; a scope that is not named keeps its own."""

    agent = DefaultsSerializer(required=False)
    workflow = DefaultsSerializer(required=False)
    run = DefaultsSerializer(required=False)


class ShownDefaultsSerializer(serializers.Serializer[Any]):
    """The defaults of one scope: its budgets without a target, oldest first."""

    budgets = ShownBudgetSerializer(many=True)


class ShownDefaultPoliciesSerializer(serializers.Serializer[Any]):
    """The defaults of each scope."""

    agent = ShownDefaultsSerializer()
    workflow = ShownDefaultsSerializer()
    run = ShownDefaultsSerializer()


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
        """What every agent, workflow and run gets: the budgets without a target."""
        organization = self.for_list()
        return json_response(run_in_transaction(lambda cur: _shown(cur, organization)))

    def patch(self, request: Request) -> HttpResponse:
        """Set the defaults of the named scopes. The gate obeys them at its next decision."""
        values = checked(DefaultPoliciesSerializer, request)
        wanted = {scope: stated["budgets"] for scope, stated in values.items() if "budgets" in stated}
        organization = self.for_list()

        def operation(cur: Cursor) -> dict[str, Any]:
            set_default_policies(cur, organization, wanted, author=self.author, permit=self.permit)
            return _shown(cur, organization)

        return self.idempotent(request, operation, status=200)


def _shown(cur: Cursor, organization: UUID) -> dict[str, Any]:
    budgets = default_budgets(cur, organization=organization, scopes=SCOPES)
    shown = show_all(cur, organization, budgets)
    return {
        scope: {"budgets": [shown[budget.id] for budget in budgets if budget.scope == scope]}
        for scope in SCOPES
    }
