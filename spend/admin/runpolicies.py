"""Run policies for the staff: made, changed and archived by the operations that the API calls, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from common.errors import ProblemError
from common.transactions import run_in_transaction
from orgs.admin import ReadOnlyAdmin
from orgs.operations.facts import Author
from spend.admin.gate import words
from spend.admin.observed import ObservedRuleMixin
from spend.models import RunPolicy
from spend.operations.runpolicies.archive import archive_run_policy
from spend.operations.runpolicies.change import change_run_policy
from spend.operations.runpolicies.create import create_run_policy
from spend.rules.runpolicyfacts import BOUNDS, MODES, RULES, SCOPES, read_policy, read_rules

if TYPE_CHECKING:  # generic to the type checker only
    _PolicyForm = forms.ModelForm[RunPolicy]
else:
    _PolicyForm = forms.ModelForm


def _ceiling(name: str) -> forms.IntegerField:
    low, high = BOUNDS[name]
    return forms.IntegerField(required=False, min_value=low, max_value=high)


class RunPolicyForm(_PolicyForm):
    """What a person says about a run policy; what is empty is no rule."""

    organization = forms.UUIDField(required=False)
    scope = forms.ChoiceField(choices=words(SCOPES), required=False)
    target = forms.CharField(
        required=False, max_length=200, help_text="Key or id, a run's key; empty: all of the scope"
    )
    max_steps = _ceiling("max_steps")
    max_tool_calls = _ceiling("max_tool_calls")
    max_seconds = _ceiling("max_seconds")
    max_depth = _ceiling("max_depth")
    attempts = forms.JSONField(
        required=False, help_text='Such as {"max": 5, "first_ms": 1000, "longest_ms": 60000}'
    )
    loop = forms.JSONField(
        required=False,
        help_text='Such as {"window": 50, "levels": [{"repeats": 10, "action": "warn"}, '
        '{"repeats": 20, "action": "cap", "cooldown_ms": 30000}, {"repeats": 30, "action": "stop"}]}',
    )
    mode = forms.ChoiceField(choices=words(MODES), initial="enforce")

    class Meta:
        model = RunPolicy
        fields = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        policy = kwargs.get("instance")
        if policy is not None:
            now = {**as_stated(policy.rules), "mode": policy.mode}
            kwargs["initial"] = {**now, **kwargs.get("initial", {})}
        super().__init__(*args, **kwargs)

    def clean(self) -> dict[str, Any]:
        """Judge it by the same rules as the API does."""
        values = super().clean() or {}
        if self.errors:
            return values
        stated = {name: value for name, value in values.items() if value not in (None, "")}
        try:
            if not self.instance._state.adding:
                read_rules({name: stated.get(name) for name in RULES})
            elif not values.get("organization"):
                raise ValidationError({"organization": "Whose run policy is it to be?"})
            else:
                values["terms"] = read_policy(stated)
        except ProblemError as error:
            raise ValidationError(error.detail) from None
        return values


def as_stated(rules: dict[str, Any]) -> dict[str, Any]:
    """A row's rules as a request states them: only the action cap has a cooldown."""
    loop = rules.get("loop")
    if loop is None:
        return rules
    levels = [
        {name: value for name, value in level.items() if name != "cooldown_ms" or level["action"] == "cap"}
        for level in loop["levels"]
    ]
    return {**rules, "loop": {**loop, "levels": levels}}


@admin.register(RunPolicy)
class RunPolicyAdmin(ObservedRuleMixin, ReadOnlyAdmin):
    """Run policies: the staff makes, changes and archives them through the operations, with their name as actor."""

    form = RunPolicyForm
    list_display = (
        "scope", "organization", "target_id", "target_label", "rules", "mode", "version", "created_at", "archived_at",
    )  # fmt: skip
    list_filter = ("scope", "mode", ("archived_at", admin.EmptyFieldListFilter))
    search_fields = ("=id", "=organization", "=target_id", "=target_label")
    actions = ("archive",)
    CHANGEABLE: ClassVar = (*RULES, "mode")
    FIXED: ClassVar = (
        "id", "organization", "scope", "target_id", "target_label", "version", "created_at", "archived_at",
        "would_have_blocked",
    )  # fmt: skip

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whoever may add run policies."""
        return bool(request.user.has_perm("spend.add_runpolicy"))

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Whoever may change run policies; an archived one stays as it is."""
        if isinstance(obj, RunPolicy) and obj.archived_at is not None:
            return False
        return bool(request.user.has_perm("spend.change_runpolicy"))

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Everything for a new one; what may change, and the rest to read, of an old one."""
        if obj is None:
            return ("organization", "scope", "target", *self.CHANGEABLE)
        may_change = self.has_change_permission(request, obj)
        return (*(self.CHANGEABLE if may_change else ("rules", "mode")), *self.FIXED)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """What stays for ever; all of it for whoever may only look."""
        if obj is None:
            return ()
        return self.FIXED if self.has_change_permission(request, obj) else ("rules", "mode", *self.FIXED)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Make or change the run policy by its operation."""
        values, author = form.cleaned_data, Author(f"staff:{request.user.pk}")
        if change:
            changes = {name: values[name] for name in self.CHANGEABLE}
            run_in_transaction(
                lambda cur: change_run_policy(cur, obj.organization, obj.id, changes, author=author)
            )
            return
        owner: UUID = values["organization"]
        made = run_in_transaction(lambda cur: create_run_policy(cur, owner, values["terms"], author=author))
        obj.__dict__.update(RunPolicy.objects.get(pk=made.id).__dict__)

    @admin.action(description="Archive the chosen run policies", permissions=["operate"])
    def archive(self, request: HttpRequest, rows: QuerySet[RunPolicy]) -> None:
        """End each of them."""
        self.run(
            request,
            rows,
            lambda row, author, cur: archive_run_policy(cur, row.organization, row.id, author=author),
        )
