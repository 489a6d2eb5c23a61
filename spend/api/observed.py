"""GET /v1/reports/observed: what rules in observe mode would have blocked (S45)."""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.request import Request

from common.money import format_amount
from events.store import Cursor
from orgs.queries.organizations import find_organization
from orgs.rules.permissions import KeyIsLimited
from spend.api.measured_serializers import ObservedReportSerializer
from spend.api.reading import ReadView
from spend.api.representations import utc
from spend.queries.observed import KINDS, Figures, ObservedFilter, ObservedRule, Rule, observed
from spend.rules.suggesting import would_have_blocked

PLACES: Final = {"budget": "budgets", "rate_limit": "rate-limits", "run_policy": "run-policies"}
KIND: Final = OpenApiParameter("kind", str, enum=KINDS)


@extend_schema_view(
    get=extend_schema(parameters=[KIND], responses=ObservedReportSerializer, tags=["reports"])
)
class ObservedReportView(ReadView):
    """GET /v1/reports/observed."""

    query_parameters = ("from", "to", "rule", "kind")
    narrows = True

    def get(self, request: Request) -> HttpResponse:
        """Calls that passed in [from, to) and that a rule in observe mode would have blocked, by rule; a call that two
        rules would have blocked counts once in the total."""
        organization = self.for_list()
        limits = self.caller.limits
        if limits.connection_ids is not None:
            raise KeyIsLimited  # a decision does not say over which connection
        start, end = self.period()
        rule, kind = self.query.uuid("rule"), self.query.choice("kind", options=KINDS)
        wanted = ObservedFilter(start, end, rule, kind, limits.ids("agent"))

        def read(cur: Cursor) -> dict[str, Any]:
            found = observed(cur, organization=organization, wanted=wanted)
            currency = find_organization(cur, organization=organization).currency
            return {
                "from": utc(start),
                "to": utc(end),
                "currency": currency,
                "data": [show_observed(each, currency) for each in found.rules],
                "total": _counted(found.total, currency),
            }

        return self.answer(read)


def show_observed(found: ObservedRule, currency: str) -> dict[str, Any]:
    """What one rule would have blocked, and how to switch it to enforce."""
    rule = found.rule
    return {
        "rule": found.id,
        "kind": found.kind,
        "scope": rule.scope if rule else None,
        "target": found.target,
        "mode": rule.mode if rule else None,
        **_counted(found.figures, currency),
        "by_code": [
            {"kind": kind, "code": code, "calls": part.calls, "requested": format_amount(part.requested)}
            for kind, code, part in found.codes
        ],
        "agents": [
            {"agent": agent, "calls": part.calls, "requested": format_amount(part.requested)}
            for agent, part in found.agents
        ],
        "enforce": None if rule is None else _enforce(rule),
    }


def _counted(figures: Figures, currency: str) -> dict[str, Any]:
    return {
        "calls": figures.calls,
        "requested": format_amount(figures.requested),
        "charged": format_amount(figures.charged),
        "first_at": utc(figures.first_at),
        "last_at": utc(figures.last_at),
        "summary": would_have_blocked(figures.calls, figures.requested, currency),
    }


def _enforce(rule: Rule) -> dict[str, Any] | None:
    """The one call that switches a rule to enforce; None where there is nothing to switch."""
    if rule.kind not in PLACES or rule.mode != "observe" or rule.archived_at is not None:
        return None
    return {"method": "PATCH", "path": f"/v1/{PLACES[rule.kind]}/{rule.id}", "body": {"mode": "enforce"}}
