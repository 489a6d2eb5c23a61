"""GET /v1/estimates and /v1/reports/estimates: what calls and runs will take, and how far estimates were off (S64b)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request

from common.errors import InvalidParameter, InvalidPeriod
from common.money import format_amount
from events.store import Cursor
from orgs.queries.organizations import find_organization
from spend.api.measured_serializers import EstimateReportSerializer, ForecastSerializer
from spend.api.reading import ReadView
from spend.api.representations import amount_or_none, utc
from spend.queries.budgets import business_now
from spend.queries.estimate_errors import PARTS, ErrorFigures, ErrorFilter, ErrorRow, estimate_errors
from spend.queries.estimates import HISTORY, Call, Called, History, history
from spend.queries.naming import subject_id
from spend.queries.runtotals import RunTotal
from spend.rules.suggesting import (
    DEFAULT_HEADROOM,
    MEDIUM_FROM,
    METHOD,
    PERCENTILES,
    confidence,
    nearest_rank,
    rounded_up,
    with_headroom,
)

RATIO_DIGITS: Final = len(str(PARTS)) - 1


@extend_schema_view(get=extend_schema(responses=ForecastSerializer, tags=["reports"]))
class EstimateView(ReadView):
    """GET /v1/estimates."""

    query_parameters = ("agent", "workflow", "provider", "model")
    narrows = True

    def get(self, request: Request) -> HttpResponse:
        """What one call and one whole run are expected to take, from the last 30 days, with how far to trust it. Runs
        go by agent and workflow alone."""
        organization, limits = self.for_list(), self.caller.limits
        agent, workflow = self.query.text("agent"), self.query.text("workflow")
        provider = self.query.text("provider", max_length=200)
        model = self.query.text("model", max_length=200)
        if agent is None and workflow is None:
            raise InvalidParameter("agent: an estimate is of an agent, a workflow, or both.")

        def read(cur: Cursor) -> dict[str, Any]:
            called = Called(
                subject_id(cur, "agent", organization, agent, limits),
                subject_id(cur, "workflow", organization, workflow, limits),
                provider,
                model,
            )
            now = business_now(cur, organization)
            found = history(cur, organization=organization, called=called, now=now, limits=limits)
            return {
                "agent": agent,
                "workflow": workflow,
                "provider": provider,
                "model": model,
                "currency": find_organization(cur, organization=organization).currency,
                "from": utc(found.start),
                "to": utc(found.end),
                "method": METHOD,
                "call": _call(found),
                "run": None if found.runs is None else _run(found.runs),
            }

        return self.answer(read)


@extend_schema_view(get=extend_schema(responses=EstimateReportSerializer, tags=["reports"]))
class EstimateReportView(ReadView):
    """GET /v1/reports/estimates."""

    query_parameters = ("from", "to", "agent", "provider", "model")
    narrows = True

    def get(self, request: Request) -> HttpResponse:
        """How far what reservations held was from what was charged, by agent and model, those with the largest errors
        first; of reservations made in [from, to), without `from` in the 30 days before."""
        organization, limits = self.for_list(), self.caller.limits
        agent = self.query.text("agent")
        provider = self.query.text("provider", max_length=200)
        model = self.query.text("model", max_length=200)
        start, end = self.period()

        def read(cur: Cursor) -> dict[str, Any]:
            until = end or business_now(cur, organization)
            since = start or until - HISTORY
            if until <= since:
                raise InvalidPeriod("`to` lies after `from`; without it, it is now.")
            named = subject_id(cur, "agent", organization, agent, limits)
            wanted = ErrorFilter(since, until, named, provider, model, limits)
            found = estimate_errors(cur, organization=organization, wanted=wanted)
            return {
                "from": utc(since),
                "to": utc(until),
                "currency": find_organization(cur, organization=organization).currency,
                "data": [_row(row) for row in found.rows],
                "has_more": found.has_more,
                "total": _errors(found.total),
            }

        return self.answer(read)


def _call(found: History) -> dict[str, Any]:
    calls: list[Call] = found.calls
    charges = [call.charge for call in calls]
    trusted = len(calls) >= MEDIUM_FROM
    return {
        "samples": len(calls),
        "confidence": confidence(len(calls)),
        "basis": found.basis,
        "charge": _amounts(charges),
        "input_tokens": _counts([call.input_tokens for call in calls]),
        "output_tokens": _counts([call.output_tokens for call in calls]),
        "estimate": _estimate(nearest_rank(charges, PERCENTILES[-1])) if trusted else None,
    }


def _estimate(units: int) -> dict[str, Any] | None:
    """As a reservation takes it, which takes no amount of zero."""
    return {"amount": format_amount(units)} if units else None


def _run(runs: list[RunTotal]) -> dict[str, Any]:
    charges = [run.charged for run in runs]
    limit = None
    if len(runs) >= MEDIUM_FROM:
        limit = rounded_up(with_headroom(nearest_rank(charges, PERCENTILES[-1]), DEFAULT_HEADROOM)) or None
    return {
        "samples": len(runs),
        "confidence": confidence(len(runs)),
        "charge": _amounts(charges),
        "tokens": _counts([run.tokens for run in runs]),
        "calls": _counts([run.calls for run in runs]),
        "suggested_run_limit": amount_or_none(limit),
    }


def _counts(values: Sequence[int]) -> dict[str, int] | None:
    return {f"p{percent}": nearest_rank(values, percent) for percent in PERCENTILES} if values else None


def _amounts(values: Sequence[int]) -> dict[str, str] | None:
    found = _counts(values)
    return None if found is None else {name: format_amount(units) for name, units in found.items()}


def _row(row: ErrorRow) -> dict[str, Any]:
    return {
        "agent": row.agent,
        "provider": row.provider,
        "model": row.model,
        **_errors(row.figures),
        "ratio_p50": _ratio(row.figures.ratio_p50),
        "ratio_p95": _ratio(row.figures.ratio_p95),
    }


def _errors(figures: ErrorFigures) -> dict[str, Any]:
    estimated, charged = figures.estimated, figures.charged
    return {
        "calls": figures.calls,
        "estimated": format_amount(estimated),
        "charged": format_amount(charged),
        "error": format_amount(charged - estimated),
        "absolute_error": format_amount(figures.absolute_error),
        "underestimated_calls": figures.underestimated,
        "overage": format_amount(figures.overage),
        "ratio": _ratio(charged * PARTS // estimated if estimated else None),
    }


def _ratio(parts: int | None) -> str | None:
    return None if parts is None else f"{parts // PARTS}.{parts % PARTS:0{RATIO_DIGITS}d}"
