"""Budgets, reservations, usage and decisions for the staff. Facts and projections are read-only for everyone;
budgets are made and changed by the operations that the API calls, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join

from common.errors import ProblemError
from common.fields import time_zone
from common.transactions import run_in_transaction
from orgs.admin import OrganizationFilter, ReadOnlyAdmin
from orgs.operations.facts import Author
from spend.admin.observed import ObservedDecisionsFilter, ObservedRuleMixin
from spend.models import (
    Budget,
    BudgetCounter,
    Decision,
    Reservation,
    Run,
    UsageRecord,
)
from spend.operations.budgets.archive import archive_budget
from spend.operations.budgets.change import change_budget
from spend.operations.budgets.create import create_budget
from spend.rules.budgetfacts import MEASURES, MODES, read_terms
from spend.rules.budgets import MONEY_FREE_UNITS, SCOPES, shown
from spend.rules.thresholds import from_stored, in_words, parse_limit, parse_thresholds
from spend.rules.windows import WINDOW_KINDS

if TYPE_CHECKING:  # generic to the type checker only
    _BudgetForm = forms.ModelForm[Budget]
else:
    _BudgetForm = forms.ModelForm


def words(options: Any) -> list[tuple[str, str]]:
    """Choices of a form."""
    return [(option, option) for option in options]


class BudgetForm(_BudgetForm):
    """What a person says about a budget; limits are written in the budget's own unit."""

    organization = forms.UUIDField(required=False)
    scope = forms.ChoiceField(choices=words(SCOPES), required=False)
    target = forms.CharField(
        required=False, max_length=200, help_text="Key or id; empty: everyone gets its own"
    )
    window = forms.ChoiceField(choices=words(WINDOW_KINDS), required=False)
    rolling_seconds = forms.IntegerField(required=False, min_value=1)
    unit = forms.CharField(
        required=False, help_text="The organization's currency, TOKENS, CREDITS or RISK_POINTS"
    )
    measure = forms.ChoiceField(choices=words(MEASURES), required=False)
    time_zone = forms.CharField(required=False, help_text="Empty: the organization's")
    limit = forms.CharField()
    overdraft = forms.CharField(initial="0")
    mode = forms.ChoiceField(choices=words(MODES), initial="enforce")
    thresholds = forms.JSONField(required=False, help_text="Empty: 50 notify, 80 notify, 100 block")

    class Meta:
        model = Budget
        fields = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        budget = kwargs.get("instance")
        if budget is not None:
            write = shown(budget.unit)
            now = {
                "limit": write(budget.amount_limit),
                "overdraft": write(budget.overdraft),
                "mode": budget.mode,
            }
            levels = [
                {**level, "amount": write(level["amount"])} if "amount" in level else level
                for level in budget.thresholds
            ]
            kwargs["initial"] = {**now, "thresholds": levels, **kwargs.get("initial", {})}
        super().__init__(*args, **kwargs)

    def clean(self) -> dict[str, Any]:
        """Judge the terms by the same rules as the API does."""
        values = super().clean() or {}
        if self.errors:
            return values
        try:
            if self.instance._state.adding:
                values["terms"] = read_terms(self._stated(values))
            else:
                self._check_changes(values)
        except ProblemError as error:
            raise ValidationError(error.detail) from None
        return values

    def _stated(self, values: dict[str, Any]) -> dict[str, Any]:
        """The form's values as the API's body would state them."""
        if not values.get("organization"):
            raise ValidationError({"organization": "Whose budget is it to be?"})
        stated = {name: value for name, value in values.items() if value not in (None, "", [])}
        unit = stated.pop("unit", None)
        if stated.get("time_zone"):
            stated["time_zone"] = time_zone(stated["time_zone"])
        return {**stated, ("unit" if unit in MONEY_FREE_UNITS else "currency"): unit}

    def _check_changes(self, values: dict[str, Any]) -> None:
        unit = self.instance.unit
        parse_limit(values["limit"], unit=unit, pointer="/limit")
        parse_limit(values["overdraft"], unit=unit, pointer="/overdraft")
        values["thresholds"] = values["thresholds"] or []
        parse_thresholds(values["thresholds"], unit=unit)


@admin.register(Budget)
class BudgetAdmin(ObservedRuleMixin, ReadOnlyAdmin):
    """Budgets: the staff makes, changes and archives them through the operations, with their own name as actor."""

    form = BudgetForm
    list_display = (
        "scope", "target", "organization", "window_kind", "shown_limit", "unit", "mode", "version", "created_at",
        "archived_at",
    )  # fmt: skip
    list_filter = ("scope", "mode", ("archived_at", admin.EmptyFieldListFilter))
    search_fields = ("=id", "=organization", "=target_id", "=target_label")
    actions = ("archive",)
    CHANGEABLE: ClassVar = ("limit", "overdraft", "mode", "thresholds")
    FIXED: ClassVar = (
        "id", "organization", "scope", "target_id", "target_label", "window_kind", "rolling_seconds", "unit", "measure",
        "time_zone", "levels", "version", "created_at", "archived_at",
    )  # fmt: skip

    @admin.display(description="target")
    def target(self, row: Budget) -> str:
        """A label, or the id of an object; of a budget without one, that each of its scope has its own."""
        return row.target_label or str(row.target_id or ("" if row.scope == "organization" else "each"))

    @admin.display(description="thresholds in words")
    def levels(self, budget: Budget) -> str:
        """What happens at which level, a line each."""
        found = from_stored(budget.thresholds)
        return format_html_join(
            "", "<div>{}</div>", ((in_words(level, shown(budget.unit)),) for level in found)
        )

    @admin.display(description="limit")
    def shown_limit(self, budget: Budget) -> str:
        """The limit in its unit."""
        return shown(budget.unit)(budget.amount_limit)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whoever may add budgets."""
        return bool(request.user.has_perm("spend.add_budget"))

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Whoever may change budgets; an archived one stays as it is."""
        if isinstance(obj, Budget) and obj.archived_at is not None:
            return False
        return bool(request.user.has_perm("spend.change_budget"))

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Everything for a new one; what may change, and the rest to read, of an old one."""
        if obj is None:
            return (
                "organization", "scope", "target", "window", "rolling_seconds", "unit", "measure", "time_zone",
                *self.CHANGEABLE,
            )  # fmt: skip
        return (
            *(self.CHANGEABLE if self.has_change_permission(request, obj) else ("shown_limit",)),
            "would_have_blocked",
            *self.FIXED,
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """What stays for ever."""
        return () if obj is None else (*self.FIXED, "shown_limit", "would_have_blocked")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Make or change the budget by its operation."""
        values, author = form.cleaned_data, Author(f"staff:{request.user.pk}")
        if change:
            changes = {name: values[name] for name in self.CHANGEABLE}
            run_in_transaction(
                lambda cur: change_budget(cur, obj.organization, obj.id, changes, author=author)
            )
            return
        owner: UUID = values["organization"]
        made = run_in_transaction(lambda cur: create_budget(cur, owner, values["terms"], author=author))
        obj.id, obj.scope, obj.window_kind = made.id, made.scope, made.window_kind

    @admin.action(description="Archive the chosen budgets", permissions=["operate"])
    def archive(self, request: HttpRequest, rows: QuerySet[Budget]) -> None:
        """End each of them."""
        self.run(
            request,
            rows,
            lambda row, author, cur: archive_budget(cur, row.organization, row.id, author=author),
        )


@admin.register(BudgetCounter)
class BudgetCounterAdmin(ReadOnlyAdmin):
    """What budgets hold and have spent; find them by their budget's id."""

    list_display = ("budget", "target", "window_start", "window_end", "held", "spent")
    list_select_related = ("budget",)
    search_fields = ("=budget__id", "=target")


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    """Runs with their live totals."""

    list_display = (
        "key",
        "status",
        "started_at",
        "held",
        "charged",
        "cost",
        "tokens",
        "reservations",
        "usage_count",
    )
    list_filter = (OrganizationFilter,)
    search_fields = ("=key", "=id")


@admin.register(Reservation)
class ReservationAdmin(ReadOnlyAdmin):
    """Reservations with their receipts."""

    list_display = ("id", "status", "held", "charged", "overage", "created_at", "expires_at", "late")
    list_filter = (OrganizationFilter, "status")
    search_fields = ("=id", "=run_id", "=agent_id")


@admin.register(Decision)
class DecisionAdmin(ReadOnlyAdmin):
    """Answers of the gate."""

    list_display = (
        "at",
        "answer",
        "code",
        "binding_scope",
        "requested",
        "count",
        "dry",
        "agent_id",
        "run_id",
    )
    list_filter = (OrganizationFilter, "answer", "dry", ObservedDecisionsFilter)
    search_fields = ("=id", "=run_id", "=agent_id", "=code")


@admin.register(UsageRecord)
class UsageRecordAdmin(ReadOnlyAdmin):
    """Usage records."""

    list_display = (
        "occurred_at",
        "outcome",
        "kind",
        "provider",
        "model",
        "tool",
        "cost",
        "charge",
        "currency",
        "run_id",
    )
    list_filter = (OrganizationFilter, "outcome", "adjustment")
    search_fields = ("=id", "=reservation_id", "=run_id", "=agent_id", "=response_id")
