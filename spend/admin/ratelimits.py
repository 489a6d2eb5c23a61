"""Rate limits for the staff: made, changed and archived by the operations that the API calls, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from common import fields
from common.errors import ProblemError
from common.transactions import run_in_transaction
from orgs.admin import ReadOnlyAdmin
from orgs.operations.facts import Author
from spend.admin.gate import words
from spend.admin.observed import ObservedRuleMixin
from spend.models import RateLimit
from spend.operations.ratelimits.change import archive_rate_limit, change_rate_limit
from spend.operations.ratelimits.create import create_rate_limit
from spend.queries import ratelimits as queries
from spend.queries.budgets import business_now
from spend.rules import limits as rules
from spend.rules.limitfacts import parse_active_hours, parse_burst, parse_escalation, read_terms
from spend.rules.limitfigures import figures

if TYPE_CHECKING:  # generic to the type checker only
    _RateLimitForm = forms.ModelForm[RateLimit]
else:
    _RateLimitForm = forms.ModelForm


def maybe(options: Any) -> list[tuple[str, str]]:
    """Choices of a form that may also stay empty."""
    return [("", "-"), *words(options)]


class RateLimitForm(_RateLimitForm):
    """What a person says about a rate limit."""

    organization = forms.UUIDField(required=False)
    scope = forms.ChoiceField(choices=words(rules.SCOPES), required=False)
    target = forms.CharField(
        required=False, max_length=200, help_text="Key or id; of an API key its id; empty: everyone's own"
    )
    per = forms.ChoiceField(choices=maybe(rules.CALLERS), required=False, help_text="Each caller on its own")
    unit = forms.ChoiceField(choices=words(rules.UNITS), required=False)
    direction = forms.ChoiceField(choices=maybe(rules.DIRECTIONS), required=False, help_text="Of tokens only")
    window = forms.ChoiceField(
        choices=maybe(rules.WINDOWS), required=False, help_text="Empty for concurrent only"
    )
    limit = forms.IntegerField()
    burst = forms.IntegerField(
        required=False, help_text="Empty: the count of a window; per second the limit itself"
    )
    behaviour = forms.ChoiceField(choices=words(rules.BEHAVIOURS), initial="reject")
    escalate = forms.JSONField(
        required=False, help_text='{"denials": 20, "seconds": 60}; empty: nobody is paused'
    )
    active_hours = forms.JSONField(
        required=False, help_text='{"from": "09:00", "until": "17:00"}; empty: always'
    )
    mode = forms.ChoiceField(choices=words(rules.MODES), initial="enforce")
    reason = forms.CharField(
        required=False, max_length=500, help_text="Of a change; it is kept with the event"
    )

    class Meta:
        model = RateLimit
        fields = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        limit = kwargs.get("instance")
        if limit is not None:
            now = {"limit": limit.amount_limit, "escalate": escalation(limit), "active_hours": hours(limit)}
            plain = {name: getattr(limit, name) for name in ("burst", "behaviour", "mode")}
            kwargs["initial"] = {**now, **plain, **kwargs.get("initial", {})}
        super().__init__(*args, **kwargs)

    def clean(self) -> dict[str, Any]:
        """Judge the terms by the same rules as the API does."""
        values = super().clean() or {}
        if self.errors:
            return values
        try:
            fields.quantity(values["limit"], pointer="/limit")
            if values.get("burst") is not None:
                parse_burst(values["burst"])
            if values.get("reason"):
                values["reason"] = fields.text(values["reason"], max_length=500, multiline=True)
            if self.instance._state.adding:
                values["terms"] = read_terms(self._stated(values))
            else:
                parse_escalation(values.get("escalate"))
                parse_active_hours(values.get("active_hours"))
        except ProblemError as error:
            raise ValidationError(error.detail) from None
        return values

    def _stated(self, values: dict[str, Any]) -> dict[str, Any]:
        """The form's values as the API's body would state them."""
        if not values.get("organization"):
            raise ValidationError({"organization": "Whose rate limit is it to be?"})
        return {name: value for name, value in values.items() if value not in (None, "")}


def escalation(limit: RateLimit) -> dict[str, Any] | None:
    """The escalation as a form states it."""
    if limit.escalate_denials is None:
        return None
    return {"denials": limit.escalate_denials, "seconds": limit.escalate_seconds}


def hours(limit: RateLimit) -> dict[str, Any] | None:
    """The active hours as a form states them."""
    if limit.active_from is None:
        return None
    return {"from": limit.active_from, "until": limit.active_until, "time_zone": limit.time_zone}


@admin.register(RateLimit)
class RateLimitAdmin(ObservedRuleMixin, ReadOnlyAdmin):
    """Rate limits: the staff makes, changes and archives them through the operations, with their own name as actor."""

    form = RateLimitForm
    list_display = (
        "scope", "organization", "unit", "amount_limit", "window_kind", "burst", "behaviour", "mode", "version",
        "created_at", "archived_at",
    )  # fmt: skip
    list_filter = ("scope", "unit", "mode", ("archived_at", admin.EmptyFieldListFilter))
    search_fields = ("=id", "=organization", "=target_id", "=target_label")
    actions = ("archive",)
    CHANGEABLE: ClassVar = ("limit", "burst", "behaviour", "escalate", "active_hours", "mode")
    FIXED: ClassVar = (
        "id", "organization", "scope", "target_id", "target_label", "per", "unit", "direction", "window_kind",
        "time_zone", "version", "created_at", "archived_at", "used_now",
        "would_have_blocked",
    )  # fmt: skip
    ALL_FIXED: ClassVar = (
        "amount_limit",
        "escalate_denials",
        "escalate_seconds",
        "active_from",
        "active_until",
    )

    @admin.display(description="used now")
    def used_now(self, limit: RateLimit) -> str:
        """What the targets that use the most have used of it in its current window."""
        owner, identifier = limit.organization, limit.id

        def read(cur: Any) -> list[str]:
            row = queries.find_rate_limit(cur, organization=owner, limit=identifier)
            now = business_now(cur, owner)
            found = queries.current_counters(cur, [row], now)[str(row.id)]
            lines = []
            for counter in found:
                shown = figures(
                    row, held=counter.held, spent=counter.spent, window_end=counter.window_end, now=now
                )
                lines.append(f"{counter.target or 'all'}: {shown.used} used, {shown.remaining} remain")
            return lines

        return "; ".join(run_in_transaction(read)) or "nothing"

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whoever may add rate limits."""
        return bool(request.user.has_perm("spend.add_ratelimit"))

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Whoever may change rate limits; an archived one stays as it is."""
        if isinstance(obj, RateLimit) and obj.archived_at is not None:
            return False
        return bool(request.user.has_perm("spend.change_ratelimit"))

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Everything for a new one; what may change, and the rest to read, of an old one."""
        if obj is None:
            return (
                "organization", "scope", "target", "per", "unit", "direction", "window", *self.CHANGEABLE,
            )  # fmt: skip
        if self.has_change_permission(request, obj):
            return (*self.CHANGEABLE, "reason", *self.FIXED)
        return (*self.ALL_FIXED, "burst", "behaviour", "mode", *self.FIXED)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """What stays for ever."""
        return () if obj is None else (*self.FIXED, *self.ALL_FIXED)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Make or change the rate limit by its operation."""
        values, author = form.cleaned_data, Author(f"staff:{request.user.pk}")
        if change:
            changes = {name: values[name] for name in self.CHANGEABLE}
            reason = values.get("reason") or None
            run_in_transaction(
                lambda cur: change_rate_limit(
                    cur, obj.organization, obj.id, changes, author=author, reason=reason
                )
            )
            return
        owner: UUID = values["organization"]
        made = run_in_transaction(lambda cur: create_rate_limit(cur, owner, values["terms"], author=author))
        obj.id, obj.scope, obj.unit, obj.amount_limit = made.id, made.scope, made.unit, made.amount_limit

    @admin.action(description="Archive the chosen rate limits", permissions=["operate"])
    def archive(self, request: HttpRequest, rows: QuerySet[RateLimit]) -> None:
        """End each of them."""
        self.run(
            request,
            rows,
            lambda row, author, cur: archive_rate_limit(cur, row.organization, row.id, author=author),
        )
