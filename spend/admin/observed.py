"""What an observed rule would have blocked, on the page of the rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from common.money import format_amount
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.queries.organizations import find_organization
from spend.queries.observed import IS_OBSERVED, Figures, ObservedFilter, ObservedRule, observed
from spend.rules.suggesting import would_have_blocked

if TYPE_CHECKING:  # a mixin of admins, for the type checker one itself
    _Mixin = admin.ModelAdmin[Any]
else:
    _Mixin = object


class ObservedRuleMixin(_Mixin):
    """Adds `would_have_blocked` to the page of a budget, rate limit or run policy; put it into the read-only fields."""

    @admin.display(description="Observed so far")
    def would_have_blocked(self, rule: Any) -> str:
        """The sentence of the report for this rule, by code, with the agents most hit."""

        def read(cur: Cursor) -> tuple[str, list[ObservedRule]]:
            wanted = ObservedFilter(rule=rule.id)
            currency = find_organization(cur, organization=rule.organization).currency
            return currency, observed(cur, organization=rule.organization, wanted=wanted).rules

        currency, found = run_in_transaction(read)
        return _page(found[0], currency) if found else "nothing"


class ObservedDecisionsFilter(admin.SimpleListFilter):
    """Decisions about calls that a rule in observe mode would have refused."""

    title = "observed"
    parameter_name = "observed"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Only one choice beside all."""
        return [("true", "would have been refused")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """As the index has it; the column is json, which the ORM takes for jsonb."""
        if self.value() != "true":
            return queryset
        return queryset.extra(where=[IS_OBSERVED.replace("x.detail", "decisions.detail")])


def _page(found: ObservedRule, currency: str) -> SafeString:
    figures = found.figures
    lines = [would_have_blocked(figures.calls, figures.requested, currency)]
    if figures.first_at is not None and figures.last_at is not None:
        lines.append(f"from {figures.first_at:%Y-%m-%d %H:%M} to {figures.last_at:%Y-%m-%d %H:%M} UTC")
    lines += [f"{code}: {_calls(part, currency)}" for _, code, part in found.codes]
    lines += [f"agent {agent}: {_calls(part, currency)}" for agent, part in found.agents]
    if found.rule is not None and found.rule.mode == "observe":
        lines.append("to enforce it, set the mode to enforce and save")
    return format_html("<ul>{}</ul>", format_html_join("", "<li>{}</li>", ((line,) for line in lines)))


def _calls(figures: Figures, currency: str) -> str:
    return f"{figures.calls} calls worth {format_amount(figures.requested)} {currency}"
