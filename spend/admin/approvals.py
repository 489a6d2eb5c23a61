"""Overrides and approvals for the staff: made, ended and decided by the operations that the API calls, too."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from common.errors import InvalidField, ProblemError
from common.fields import text
from common.transactions import run_in_transaction
from orgs.admin import ReadOnlyAdmin
from orgs.operations.facts import Author
from spend.admin.prices import ReasonForm
from spend.models import Approval, BudgetOverride
from spend.operations.budgets.approvals import decide_approval
from spend.operations.budgets.overrides import create_override, end_override
from spend.queries.budgets import organization_of_budget
from spend.rules.approvals import PENDING
from spend.rules.budgets import shown
from spend.rules.overrides import OverrideTerms, check_terms
from spend.rules.thresholds import limit_text


class OverrideForm(forms.ModelForm):  # type: ignore[type-arg]
    """By how much a budget is raised, for whom and until when."""

    budget_id = forms.UUIDField(label="Budget", help_text="Its id")
    amount = forms.CharField(required=False, help_text="Added to the limit, in the budget's unit; or")
    limit = forms.CharField(required=False, help_text="what the limit is raised to")
    target = forms.CharField(
        required=False, max_length=200, help_text="Of a budget without a target: key, id or label of one"
    )
    run = forms.CharField(required=False, max_length=200, help_text="For this run only: its key")
    until = forms.DateTimeField(required=False, help_text="UTC; empty: as long as the run")
    why = forms.CharField(label="Reason", max_length=500, widget=forms.Textarea)

    class Meta:
        model = BudgetOverride
        fields = ()

    def clean(self) -> dict[str, Any]:
        """Judge the terms by the same rules as the API does."""
        values = super().clean() or {}
        if self.errors:
            return values
        given = {name: values[name] or None for name in ("amount", "limit", "target", "run", "until")}
        values["terms"] = OverrideTerms(reason=values["why"], **given)
        try:
            for name in ("amount", "limit"):
                if given[name] is not None:
                    limit_text(given[name])
            check_terms(values["terms"])
        except ProblemError as error:
            raise ValidationError(error.detail) from None
        return values

    def _post_clean(self) -> None:
        """Nothing: the operation judges what was stated, and the row is its projection."""


@admin.register(BudgetOverride)
class BudgetOverrideAdmin(ReadOnlyAdmin):
    """Budgets raised for a while. Whoever may add them makes them, whoever may change them ends them."""

    form = OverrideForm
    action_form = ReasonForm
    list_display = (
        "budget", "organization", "added", "target", "run_key", "expires_at", "created_by", "created_at", "ended_at",
    )  # fmt: skip
    list_select_related = ("budget",)
    list_filter = (("ended_at", admin.EmptyFieldListFilter),)
    search_fields = ("=id", "=budget__id", "=organization", "=run_key")
    actions = ("end",)
    STATED: ClassVar = ("budget_id", "amount", "limit", "target", "run", "until", "why")
    SHOWN: ClassVar = (
        "id", "organization", "budget", "added", "target", "run_key", "reason", "expires_at", "created_by",
        "created_at", "ended_by", "ended_at", "end_reason",
    )  # fmt: skip

    @admin.display(description="added to the limit")
    def added(self, override: BudgetOverride) -> str:
        """In the budget's unit."""
        return f"{shown(override.budget.unit)(override.extra)} {override.budget.unit}"

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whoever may add overrides."""
        return bool(request.user.has_perm("spend.add_budgetoverride"))

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """The form of a new one; an old one is to read."""
        return self.STATED if obj is None else self.SHOWN

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """Everything, once it is made."""
        return () if obj is None else self.SHOWN

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Make it by the operation, with this person as actor."""
        author, terms = Author(f"staff:{request.user.pk}"), form.cleaned_data["terms"]
        budget = form.cleaned_data["budget_id"]
        made = run_in_transaction(
            lambda cur: create_override(
                cur, organization_of_budget(cur, budget), budget, terms, author=author
            )
        )
        obj.__dict__.update(BudgetOverride.objects.get(pk=made.override.id).__dict__)

    @admin.action(description="End the chosen overrides (give a reason)", permissions=["operate"])
    def end(self, request: HttpRequest, rows: QuerySet[BudgetOverride]) -> None:
        """End each of them before its time."""
        reason = request.POST.get("reason", "")
        self.run(
            request,
            rows,
            lambda row, author, cur: end_override(
                cur, row.organization, row.id, reason=stated(reason), author=author
            ),
        )


class DecisionForm(forms.ModelForm):  # type: ignore[type-arg]
    """What a person decides about a threshold that waits."""

    decision = forms.ChoiceField(
        choices=[
            ("approve", "Approve: calls pass again"),
            ("reject", "Reject: calls stay refused until the window is over or the budget is changed"),
        ],
        widget=forms.RadioSelect,
    )
    why = forms.CharField(label="Reason", max_length=500, widget=forms.Textarea)

    class Meta:
        model = Approval
        fields = ()


@admin.register(Approval)
class ApprovalAdmin(ReadOnlyAdmin):
    """Thresholds that wait for a person. Whoever may change them approves or rejects those that are pending."""

    form = DecisionForm
    action_form = ReasonForm
    list_display = (
        "asked_at", "status", "budget", "organization", "target", "level", "figures", "window_end", "decided_by",
    )  # fmt: skip
    list_select_related = ("budget",)
    list_filter = ("status",)
    search_fields = ("=id", "=budget__id", "=organization", "=agent_id", "=run_id")
    actions = ("approve", "reject")
    DECIDED: ClassVar = ("decision", "why")
    SHOWN: ClassVar = (
        "id", "organization", "budget", "target", "label", "level", "figures", "window_start", "window_end",
        "agent_id", "run_id", "status", "asked_at", "decided_by", "decided_at", "reason",
    )  # fmt: skip

    @admin.display(description="threshold")
    def level(self, approval: Approval) -> str:
        """Percent of the limit, or an amount."""
        if approval.amount is None:
            return f"{approval.percent} %"
        return shown(approval.unit)(approval.amount)

    @admin.display(description="used of limit")
    def figures(self, approval: Approval) -> str:
        """When it was crossed."""
        write = shown(approval.unit)
        return f"{write(approval.used)} of {write(approval.amount_limit)} {approval.unit}"

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Whoever may decide; what is decided stays as it is."""
        if isinstance(obj, Approval) and obj.status != PENDING:
            return False
        return bool(request.user.has_perm("spend.change_approval"))

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """What waits, and for whoever may decide the decision."""
        return (*self.SHOWN, *(self.DECIDED if self.has_change_permission(request, obj) else ()))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Everything but the decision."""
        return self.SHOWN

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Decide by the operation, with this person as actor."""
        author, values = Author(f"staff:{request.user.pk}"), form.cleaned_data
        run_in_transaction(
            lambda cur: decide_approval(
                cur, obj.organization, obj.id, values["decision"], reason=values["why"], author=author
            )
        )

    @admin.action(description="Approve the chosen ones (give a reason)", permissions=["operate"])
    def approve(self, request: HttpRequest, rows: QuerySet[Approval]) -> None:
        """Let their calls pass again."""
        self._decide(request, rows, "approve")

    @admin.action(description="Reject the chosen ones (give a reason)", permissions=["operate"])
    def reject(self, request: HttpRequest, rows: QuerySet[Approval]) -> None:
        """Keep refusing their calls."""
        self._decide(request, rows, "reject")

    def _decide(self, request: HttpRequest, rows: QuerySet[Approval], decision: str) -> None:
        reason = request.POST.get("reason", "")
        self.run(
            request,
            rows,
            lambda row, author, cur: decide_approval(
                cur, row.organization, row.id, decision, reason=stated(reason), author=author
            ),
        )


def stated(reason: str) -> str:
    """The reason of an action, checked as in the API. Raises InvalidField and InvalidText."""
    if not reason.strip():
        raise InvalidField("Give a reason.")
    return text(reason, max_length=500, multiline=True)
