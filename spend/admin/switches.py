"""Switches and incidents for the staff: who is stopped and why, stopping somebody, and letting go on.

Nothing is edited or deleted: a switch is lifted and an incident released by the operations that the API calls, too.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from common.errors import ProblemError
from common.money import format_amount
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs import PLATFORM_ID
from orgs.admin import ReadOnlyAdmin
from orgs.operations.facts import Author
from spend.admin.prices import ReasonForm
from spend.models import Incident, Switch
from spend.operations.switches.lifting import lift_switch, release_incident
from spend.operations.switches.setting import set_switch
from spend.rules.switches import KINDS, MAX_REASON, MODES, SCOPES, NewSwitch, check_new

Fields = tuple[str, ...]


def words(options: Any) -> list[tuple[str, str]]:
    """Choices of a form."""
    return [(option, option) for option in options]


class SwitchForm(forms.ModelForm):  # type: ignore[type-arg]
    """Whom a person stops, and why; of a switch that stands, why it may go on."""

    organization = forms.UUIDField(required=False, help_text="Id; empty only for the scope platform")
    scope = forms.ChoiceField(choices=words(SCOPES), initial="agent")
    target = forms.CharField(
        required=False,
        max_length=200,
        help_text="Key or id; of a user the label, of an API key its id. Empty for platform and organization",
    )
    kind = forms.ChoiceField(
        choices=words(KINDS), help_text="pause or kill: until somebody lifts it; stop: a run, for good"
    )
    mode = forms.ChoiceField(choices=words(MODES), initial="enforce")
    why = forms.CharField(label="Reason", max_length=MAX_REASON, widget=forms.Textarea)

    class Meta:
        model = Switch
        fields = ()

    def clean(self) -> dict[str, Any]:
        """Judge a new one by the same rules as the API does."""
        values = super().clean() or {}
        if self.errors or not self.instance._state.adding:
            return values
        try:
            values["new"] = self._new(values)
        except ProblemError as error:
            raise ValidationError(error.detail) from None
        return values

    def _new(self, values: dict[str, Any]) -> NewSwitch:
        if values["scope"] == "platform":
            values["organization"] = PLATFORM_ID
        elif not values.get("organization"):
            raise ValidationError({"organization": "Of which organization?"})
        new = NewSwitch(
            values["scope"], values["kind"], values["why"], values["target"] or None, values["mode"]
        )
        check_new(new)
        return new

    def _post_clean(self) -> None:
        """Nothing: the operation judges what was stated, and the row is its projection."""


class EndForm(forms.ModelForm):  # type: ignore[type-arg]
    """Why a person ends it."""

    why = forms.CharField(
        label="Why it may go on",
        max_length=MAX_REASON,
        widget=forms.Textarea,
        help_text="Saving lets it go on",
    )

    class Meta:
        fields = ()

    def _post_clean(self) -> None:
        """Nothing: the row is the projection of what the operation does."""


class Lifted(ReadOnlyAdmin):
    """Rows that a person ends with a reason: one on its page, several by an action."""

    form = EndForm
    action_form = ReasonForm
    SHOWN: ClassVar[Fields]

    def is_open(self, row: Any) -> bool:
        """Whether a person can still end it."""
        raise NotImplementedError

    def end_one(self, cur: Cursor, row: Any, author: Author, reason: str) -> Any:
        """End one."""
        raise NotImplementedError

    @admin.display(description="target")
    def target(self, row: Any) -> str:
        """A label, or the id of an object."""
        return row.target_label or str(row.target_id or "")

    @admin.display(description="organization")
    def owner(self, row: Any) -> str:
        """Whose it is."""
        return "the platform" if row.organization == PLATFORM_ID else str(row.organization)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Whoever may end it; what is over stays as it is."""
        return (obj is None or self.is_open(obj)) and self.has_operate_permission(request)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Everything to read, and for whoever may end it the reason."""
        return (*self.SHOWN, *(("why",) if self.has_change_permission(request, obj) else ()))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Everything but the reason."""
        return self.SHOWN

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """End it by the operation, with this person as actor."""
        author, why = Author(f"staff:{request.user.pk}"), form.cleaned_data["why"]
        run_in_transaction(lambda cur: self.end_one(cur, obj, author, why))

    def end_all(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        """End each of them for one reason."""
        reason = request.POST.get("reason", "").strip()
        if not reason:
            self.message_user(request, "Give a reason.", "ERROR")
            return
        self.run(request, rows, lambda row, author, cur: self.end_one(cur, row, author, reason))


@admin.register(Switch)
class SwitchAdmin(Lifted):
    """Pauses, kill switches and stopped runs."""

    list_display = (
        "kind", "scope", "target", "owner", "mode", "cause", "reason", "set_by", "set_at", "lifted_by", "lifted_at",
    )  # fmt: skip
    list_filter = (("lifted_at", admin.EmptyFieldListFilter), "kind", "scope", "mode", "cause")
    search_fields = ("=id", "=organization", "=target_id", "=target_label", "=incident_id")
    actions = ("lift",)
    NEW: ClassVar[Fields] = ("organization", "scope", "target", "kind", "mode", "why")
    SHOWN = (
        "id", "owner", "scope", "target", "kind", "mode", "cause", "incident_id", "reason", "set_by", "set_at",
        "lifted_by", "lifted_at", "lift_reason", "version",
    )  # fmt: skip

    def is_open(self, row: Any) -> bool:
        """A run that was really stopped is never let go on."""
        return row.lifted_at is None and not (row.kind == "stop" and row.mode == "enforce")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whoever may stop somebody."""
        return bool(request.user.has_perm("spend.add_switch"))

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """The form of a new one; an old one is to read and to lift."""
        return self.NEW if obj is None else super().get_fields(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Nothing of a new one."""
        return () if obj is None else self.SHOWN

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """Of a switch that stands only the reason to lift it is asked."""
        chosen = SwitchForm if obj is None else self.form
        return super().get_form(request, obj, change, form=chosen, **kwargs)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Set a new one, or lift one that stands."""
        if change:
            super().save_model(request, obj, form, change)
            return
        values, author = form.cleaned_data, Author(f"staff:{request.user.pk}")
        owner: UUID = values["organization"]
        made = run_in_transaction(lambda cur: set_switch(cur, owner, values["new"], author=author))
        obj.__dict__.update(Switch.objects.get(pk=made.id).__dict__)

    def end_one(self, cur: Cursor, row: Any, author: Author, reason: str) -> Any:
        """Lift a switch."""
        return lift_switch(cur, row.organization, row.id, reason=reason, author=author)

    @admin.action(description="Lift the chosen switches (give a reason)", permissions=["operate"])
    def lift(self, request: HttpRequest, rows: QuerySet[Switch]) -> None:
        """Let each of them go on."""
        self.end_all(request, rows)


@admin.register(Incident)
class IncidentAdmin(Lifted):
    """Rules that acted, with their evidence."""

    list_display = (
        "opened_at", "trigger", "action", "mode", "scope", "target", "owner", "run_key", "shown_spent", "time_to_stop",
        "released_by", "released_at",
    )  # fmt: skip
    list_filter = (("released_at", admin.EmptyFieldListFilter), "trigger", "mode", "action")
    search_fields = ("=id", "=organization", "=agent_id", "=run_key", "=rule_id", "=switch_id")
    actions = ("release",)
    SHOWN = (
        "id", "owner", "trigger", "action", "mode", "scope", "target", "agent_id", "run_key", "rule_id", "switch_id",
        "shown_spent", "shown_evidence", "began_at", "opened_at", "time_to_stop", "released_by", "released_at",
        "release_reason",
    )  # fmt: skip

    @admin.display(description="spent")
    def shown_spent(self, incident: Incident) -> str:
        """In the organization's currency."""
        return format_amount(incident.spent)

    @admin.display(description="time to stop")
    def time_to_stop(self, incident: Incident) -> str:
        """How long it went on before the rule acted."""
        return str(max(incident.opened_at - incident.began_at, timedelta()))

    @admin.display(description="evidence")
    def shown_evidence(self, incident: Incident) -> str:
        """What the rule saw."""
        return format_html("<pre>{}</pre>", json.dumps(incident.evidence, indent=2, ensure_ascii=False))

    def is_open(self, row: Any) -> bool:
        """Whether nobody has dealt with it."""
        return row.released_at is None

    def end_one(self, cur: Cursor, row: Any, author: Author, reason: str) -> Any:
        """Release an incident."""
        return release_incident(cur, row.organization, row.id, reason=reason, author=author)

    @admin.action(description="Release the chosen incidents (give a reason)", permissions=["operate"])
    def release(self, request: HttpRequest, rows: QuerySet[Incident]) -> None:
        """Say that somebody dealt with each of them."""
        self.end_all(request, rows)
