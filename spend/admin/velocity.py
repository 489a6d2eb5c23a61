"""Velocity rules for the staff: made, changed and archived by the operations that the API calls, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from common.errors import ProblemError
from common.money import format_amount, parse_amount
from common.transactions import run_in_transaction
from orgs.admin import ReadOnlyAdmin
from orgs.operations.facts import Author
from spend.admin.gate import words
from spend.models import VelocityRule
from spend.operations.velocity.rules import (
    NewRule,
    archive_velocity_rule,
    change_velocity_rule,
    create_velocity_rule,
)
from spend.rules.velocity import (
    ACTIONS,
    HOUSE,
    LEAST_FACTOR,
    MODES,
    MOST_FACTOR,
    MOST_HISTORY_HOURS,
    SCOPES,
    Settings,
    check_target,
)

if TYPE_CHECKING:  # generic to the type checker only
    _RuleForm = forms.ModelForm[VelocityRule]
else:
    _RuleForm = forms.ModelForm


class VelocityRuleForm(_RuleForm):
    """What a person says about a velocity rule."""

    organization = forms.UUIDField(required=False)
    scope = forms.ChoiceField(choices=words(SCOPES), required=False)
    target = forms.CharField(required=False, max_length=100, help_text="Key or id of the agent")
    factor = forms.IntegerField(min_value=LEAST_FACTOR, max_value=MOST_FACTOR, initial=HOUSE.factor)
    least = forms.CharField(
        initial=format_amount(HOUSE.minimum), help_text="Less in five minutes never alerts"
    )
    history_hours = forms.IntegerField(min_value=1, max_value=MOST_HISTORY_HOURS, initial=HOUSE.history_hours)
    action = forms.ChoiceField(choices=words(ACTIONS), initial=HOUSE.action)
    mode = forms.ChoiceField(choices=words(MODES), initial=HOUSE.mode)

    class Meta:
        model = VelocityRule
        fields = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        rule = kwargs.get("instance")
        if rule is not None:
            now = {name: getattr(rule, name) for name in ("factor", "history_hours", "action", "mode")}
            least = format_amount(rule.minimum)
            kwargs["initial"] = {**now, "least": least, **kwargs.get("initial", {})}
        super().__init__(*args, **kwargs)

    def clean(self) -> dict[str, Any]:
        """Judge it by the same rules as the API does."""
        values = super().clean() or {}
        if self.errors:
            return values
        try:
            values["minimum"] = parse_amount(values["least"], allow_zero=True)
            if self.instance._state.adding:
                if not values.get("organization"):
                    raise ValidationError({"organization": "Whose rule is it to be?"})
                check_target(values["scope"], values["target"] or None)
        except ProblemError as error:
            raise ValidationError(error.detail) from None
        return values

    def settings(self) -> dict[str, Any]:
        """The checked settings."""
        names = ("factor", "minimum", "history_hours", "action", "mode")
        return {name: self.cleaned_data[name] for name in names}


@admin.register(VelocityRule)
class VelocityRuleAdmin(ReadOnlyAdmin):
    """Velocity rules."""

    form = VelocityRuleForm
    list_display = (
        "scope", "organization", "target_id", "factor", "shown_minimum", "action", "mode", "version", "created_at",
        "archived_at",
    )  # fmt: skip
    list_filter = ("scope", "mode", "action", ("archived_at", admin.EmptyFieldListFilter))
    search_fields = ("=id", "=organization", "=target_id")
    actions = ("archive",)
    CHANGEABLE: ClassVar = ("factor", "least", "history_hours", "action", "mode")
    FIXED: ClassVar = ("id", "organization", "scope", "target_id", "version", "created_at", "archived_at")
    SHOWN: ClassVar = ("factor", "shown_minimum", "history_hours", "action", "mode")

    @admin.display(description="minimum")
    def shown_minimum(self, rule: VelocityRule) -> str:
        """The least that alerts, in the organization's currency."""
        return format_amount(rule.minimum)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whoever may add velocity rules."""
        return bool(request.user.has_perm("spend.add_velocityrule"))

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Whoever may change velocity rules; an archived one stays as it is."""
        if isinstance(obj, VelocityRule) and obj.archived_at is not None:
            return False
        return bool(request.user.has_perm("spend.change_velocityrule"))

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Everything for a new one; what may change, and the rest to read, of an old one."""
        if obj is None:
            return ("organization", "scope", "target", *self.CHANGEABLE)
        return (
            *(self.CHANGEABLE if self.has_change_permission(request, obj) else self.SHOWN),
            *self.FIXED,
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """What stays for ever."""
        if obj is None:
            return ()
        return self.FIXED if self.has_change_permission(request, obj) else (*self.FIXED, *self.SHOWN)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Make or change the rule by its operation."""
        values, author = form.cleaned_data, Author(f"staff:{request.user.pk}")
        if change:
            run_in_transaction(
                lambda cur: change_velocity_rule(
                    cur, obj.organization, obj.id, form.settings(), author=author
                )
            )
            return
        owner: UUID = values["organization"]
        new = NewRule(values["scope"], Settings(**form.settings()), values["target"] or None)
        made = run_in_transaction(lambda cur: create_velocity_rule(cur, owner, new, author=author))
        obj.id, obj.scope, obj.factor = made.id, made.scope, made.settings.factor

    @admin.action(description="Archive the chosen velocity rules", permissions=["operate"])
    def archive(self, request: HttpRequest, rows: QuerySet[VelocityRule]) -> None:
        """End each of them."""
        self.run(
            request,
            rows,
            lambda row, author, cur: archive_velocity_rule(cur, row.organization, row.id, author=author),
        )
