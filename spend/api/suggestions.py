"""GET /v1/suggestions/limits: limits from measured spend (S68)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.request import Request

from common.api.paging import Page
from common.errors import InvalidField, InvalidParameter, NotFound
from common.money import format_amount
from events.store import Cursor
from orgs.queries.organizations import find_organization
from orgs.rules.permissions import KeyIsLimited
from spend.api.measured_serializers import (
    SUGGESTED_FOR,
    SUGGESTED_WINDOWS,
    LimitSuggestionSerializer,
)
from spend.api.reading import ReadView, after
from spend.api.representations import amount_or_none, utc
from spend.queries.budgets import business_now
from spend.queries.suggestions import (
    COLUMNS,
    Present,
    Suggested,
    Target,
    Wanted,
    list_targets,
    named_target,
    suggested_limits,
)
from spend.rules.suggesting import DEFAULT_HEADROOM, DEFAULT_PERCENTILE, HUNDREDTHS, MAX_HEADROOM, METHOD

_PERCENT: Final = re.compile(r"[1-9][0-9]?|100")
_HEADROOM: Final = re.compile(r"([1-9][0-9]?)(?:\.([0-9]{1,2}))?")
_PARAMETERS: Final = (
    OpenApiParameter("scope", str, required=True, enum=SUGGESTED_FOR),
    OpenApiParameter("target", str, description="Key or id; absent: every one of the scope."),
    OpenApiParameter("window", str, enum=SUGGESTED_WINDOWS, description="Of scope run: run, or absent."),
    OpenApiParameter("percentile", int, description="1 to 100, default 95."),
    OpenApiParameter("headroom", str, description="1 to 10 with up to two decimals, default 1.2."),
)


def percentile(text: str) -> int:
    """A percentile, 1 to 100. Raises InvalidField."""
    if not _PERCENT.fullmatch(text):
        raise InvalidField("This is no integer from 1 to 100.")
    return int(text)


def headroom(text: str) -> int:
    """A factor from 1 to 10 with up to two decimals, in hundredths. Raises InvalidField."""
    match = _HEADROOM.fullmatch(text)
    hundredths = 0 if match is None else int(match[1] + (match[2] or "").ljust(2, "0"))
    if not HUNDREDTHS <= hundredths <= MAX_HEADROOM:
        raise InvalidField("This is no factor from 1 to 10 with up to two decimals.")
    return hundredths


@extend_schema_view(
    get=extend_schema(
        parameters=list(_PARAMETERS), responses=LimitSuggestionSerializer(many=True), tags=["reports"]
    )
)
class LimitSuggestionListView(ReadView):
    """GET /v1/suggestions/limits."""

    query_parameters = ("scope", "target", "window", "percentile", "headroom")
    paged = True
    narrows = True

    def get(self, request: Request) -> HttpResponse:
        """Limits in money for a target, or for every one of the scope, from what its ended windows were charged."""
        organization, page = self.for_list(), self.page()
        scope, window = self._scope(), self._window()
        name = self.query.text("target")
        if name is not None and scope not in COLUMNS:
            raise InvalidParameter(f"target: the scope {scope} has none.")
        percent = self.query.optional("percentile", percentile) or DEFAULT_PERCENTILE
        factor = self.query.optional("headroom", headroom) or DEFAULT_HEADROOM

        def read(cur: Cursor) -> dict[str, Any]:
            owner = find_organization(cur, organization=organization)
            now = business_now(cur, organization)
            wanted = Wanted(scope, window, percent, factor, owner.time_zone, owner.currency, now)
            targets = self._targets(cur, organization, wanted, name, page)
            found = suggested_limits(cur, organization=organization, targets=targets, wanted=wanted)
            rows: list[Any] = [{"id": each.target.id, "found": each} for each in found]
            return self.answer_rows(rows, page, lambda row: _shown(row["found"], wanted))

        return self.answer(read)

    def _scope(self) -> str:
        """The scope that is asked for; of a limited key that of its agents, or of its connections."""
        scope = self.query.choice("scope", options=SUGGESTED_FOR)
        if scope is None:
            raise InvalidParameter(f"scope is one of: {', '.join(SUGGESTED_FOR)}.")
        limited = [kind for kind in ("agent", "connection") if self.caller.limits.ids(kind) is not None]
        if limited and limited != [scope]:
            raise KeyIsLimited
        return scope

    def _window(self) -> str:
        window = self.query.choice("window", options=SUGGESTED_WINDOWS)
        if self.query.choice("scope", options=SUGGESTED_FOR) == "run":
            window = window or "run"
            if window != "run":
                raise InvalidParameter("window: of the scope run it is run.")
        elif window in (None, "run"):
            raise InvalidParameter("window is one of: day, week, month.")
        assert window is not None
        return window

    def _targets(
        self, cur: Cursor, organization: UUID, wanted: Wanted, name: str | None, page: Page
    ) -> Sequence[Target]:
        limits = self.caller.limits
        if name is None:
            return list_targets(
                cur,
                organization=organization,
                scope=wanted.scope,
                only=limits.ids(wanted.scope),
                after=after(page),
                limit=page.fetch,
            )
        target = named_target(cur, organization=organization, scope=wanted.scope, name=name)
        if target.id is not None and limits.leave_out(wanted.scope, target.id):
            raise NotFound(f"There is no such {wanted.scope}.")
        return [target]


def _shown(found: Suggested, wanted: Wanted) -> dict[str, Any]:
    suggestion = found.suggestion
    return {
        "scope": wanted.scope,
        "target": found.target.key,
        "target_id": found.target.id,
        "window": wanted.window,
        "time_zone": wanted.zone,
        "currency": wanted.currency,
        "percentile": wanted.percent,
        "method": METHOD,
        "headroom": f"{wanted.headroom // HUNDREDTHS}.{wanted.headroom % HUNDREDTHS:02d}",
        "suggested_limit": amount_or_none(suggestion.limit),
        "unrounded": amount_or_none(suggestion.exact),
        "measured": amount_or_none(suggestion.measured),
        "reason": suggestion.reason,
        "window_count": len(found.windows),
        "windows": [
            {
                **({} if window.label is None else {"run": window.label}),
                "start": utc(window.start),
                "end": utc(window.end),
                "spent": format_amount(window.amount),
            }
            for window in found.windows
        ],
        "budgets": [_present(budget, found.target) for budget in found.budgets],
        "apply": _apply(found, wanted),
    }


def _present(budget: Present, target: Target) -> dict[str, Any]:
    return {
        "id": budget.id,
        "target": None if budget.target_id is None else target.key,
        "window": budget.window,
        "limit": format_amount(budget.limit),
        "mode": budget.mode,
    }


def _apply(found: Suggested, wanted: Wanted) -> dict[str, Any] | None:
    """The one call that takes the suggestion: the target's own budget of this window gets the limit, or there is a new
    one, in observe mode."""
    limit, target = found.suggestion.limit, found.target
    if limit is None or target.archived:
        return None
    for budget in found.budgets:
        if (budget.target_id, budget.window, budget.measure) == (target.id, wanted.window, "charge"):
            body: dict[str, Any] = {"limit": format_amount(limit)}
            return {"method": "PATCH", "path": f"/v1/budgets/{budget.id}", "body": body}
    named = {} if target.key is None else {"target": target.key}
    body = {
        "scope": wanted.scope,
        **named,
        "window": wanted.window,
        "limit": format_amount(limit),
        "currency": wanted.currency,
        "mode": "observe",
    }
    return {"method": "POST", "path": "/v1/budgets", "body": body}
