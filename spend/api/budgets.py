"""/v1/budgets: the policies that the gate obeys (S25 to S28, S42, S43)."""

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
from spend.api.policies import PolicyView
from spend.api.representations import show_budget
from spend.api.serializers import BudgetChangeSerializer, BudgetSerializer, ShownBudgetSerializer
from spend.operations.budgets.archive import archive_budget
from spend.operations.budgets.change import change_budget
from spend.operations.budgets.create import create_budget
from spend.queries import budgets as queries
from spend.queries.budgets import BudgetFilter
from spend.queries.overrides import load_overrides
from spend.rules.budgetfacts import Budget, read_terms
from spend.rules.budgets import SCOPES
from spend.rules.overrides import Override, extra_for


class BudgetView(PolicyView):
    """What the views of budgets share."""

    narrows = True
    organization_of = queries.organization_of_budget


@extend_schema_view(
    get=extend_schema(responses=ShownBudgetSerializer(many=True), tags=["budgets"]),
    post=extend_schema(request=BudgetSerializer, responses={201: ShownBudgetSerializer}, tags=["budgets"]),
)
class BudgetListView(BudgetView):
    """GET and POST /v1/budgets."""

    required_scope = {"GET": SPEND_READ, "POST": ADMIN}
    query_parameters = ("scope", "archived")
    paged = True

    def get(self, request: Request) -> HttpResponse:
        """The organization's budgets, newest first, each with what its current window holds."""
        organization = self.for_list()
        page = self.query.page(organization=self.caller.organization, path=request.path)
        scope, archived = self.query.choice("scope", options=SCOPES), self.query.flag("archived")
        wanted = BudgetFilter(scope, archived, self.caller.limits)

        def read(cur: Cursor) -> dict[str, Any]:
            rows = queries.list_budgets(
                cur,
                organization=organization,
                wanted=wanted,
                before=UUID(page.position[0]) if page.position else None,
                limit=page.fetch,
            )
            shown = show_all(cur, organization, rows, limits=self.caller.limits)
            return envelope(
                rows, page=page, position=lambda row: (str(row.id),), show=lambda row: shown[row.id]
            )

        return json_response(run_in_transaction(read))

    def post(self, request: Request) -> HttpResponse:
        """Make a budget. The gate obeys it at its next decision."""
        values = checked(BudgetSerializer, request)
        terms = read_terms(values)
        organization = self.for_new(values)

        def operation(cur: Cursor) -> dict[str, Any]:
            budget = create_budget(cur, organization, terms, author=self.author, permit=self.permit)
            return show_one(cur, budget)

        return self.idempotent(request, operation)


@extend_schema_view(
    get=extend_schema(responses=ShownBudgetSerializer, tags=["budgets"]),
    patch=extend_schema(request=BudgetChangeSerializer, responses=ShownBudgetSerializer, tags=["budgets"]),
)
class BudgetDetailView(BudgetView):
    """GET and PATCH /v1/budgets/{id}."""

    required_scope = {"GET": SPEND_READ, "PATCH": ADMIN}

    def get(self, request: Request, name: str) -> HttpResponse:
        """The budget with what the targets that use the most hold and have spent in its current window."""
        budget, organization = self.owner(name)

        def read(cur: Cursor) -> dict[str, Any]:
            limits = self.caller.limits
            found = queries.find_budget(cur, organization=organization, budget=budget, limits=limits)
            return show_all(cur, organization, [found], limits=limits)[found.id]

        return json_response(run_in_transaction(read))

    def patch(self, request: Request, name: str) -> HttpResponse:
        """Change limit, overdraft, mode or thresholds. The gate obeys it at its next decision (S42)."""
        return self.change(request, name, BudgetChangeSerializer, change_budget, show_one)


@extend_schema_view(
    post=extend_schema(request=None, responses={200: ShownBudgetSerializer}, tags=["budgets"])
)
class BudgetArchiveView(BudgetView):
    """POST /v1/budgets/{id}/archive."""

    required_scope = ADMIN
    bodiless = ("POST",)

    def post(self, request: Request, name: str) -> HttpResponse:
        """End the budget. Archiving an archived one changes nothing."""
        return self.archive(request, name, archive_budget, show_one)


def show_one(cur: Cursor, budget: Budget) -> dict[str, Any]:
    """A budget as answers show it."""
    return show_all(cur, budget.organization, [budget])[budget.id]


def show_all(
    cur: Cursor, organization: UUID, budgets: list[Budget], *, limits: KeyLimits = NO_LIMITS
) -> dict[UUID, dict[str, Any]]:
    """Budgets as answers show them, by id; to a limited key without the counters of other targets."""
    now = queries.business_now(cur, organization)
    agents = limits.ids("agent")
    only = limits.ids("connection") if agents is None else agents
    counters = queries.current_counters(cur, budgets, now, only=only)
    targets = [counter.target for found in counters.values() for counter in found]
    names = queries.target_names(cur, organization, budgets, targets)
    raised: dict[str, list[Override]] = {}
    for override in load_overrides(cur, organization, budgets=[budget.id for budget in budgets]):
        raised.setdefault(str(override.budget_id), []).append(override)

    def shown(budget: Budget) -> dict[str, Any]:
        of_budget = raised.get(str(budget.id), [])
        found = counters.get(budget.id, [])
        extra = {one.target: extra_for(of_budget, budget, one.target, now) for one in found}
        return show_budget(budget, names=names, counters=found, extra=extra)

    return {budget.id: shown(budget) for budget in budgets}
