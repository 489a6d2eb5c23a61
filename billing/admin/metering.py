"""Meters, events and backfills for the staff: made and archived, looked at, and taken back by the same operations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from billing.admin.invoiced import told
from billing.models import EventBackfill, Meter, MeterEvent
from billing.operations.metering.correcting import revert_backfill
from billing.operations.metering.meters import archive_meter, create_meter, describe_meter
from billing.queries.invoiced import event_invoiced
from billing.rules.meterbodies import read_description, read_meter
from billing.rules.meters import AGGREGATIONS, SOURCES
from common.errors import ProblemError
from common.transactions import run_in_transaction
from orgs.admin import OrganizationFilter, ReadOnlyAdmin
from orgs.operations.facts import Author

if TYPE_CHECKING:  # generic to the type checker only
    _MeterForm = forms.ModelForm[Meter]
else:
    _MeterForm = forms.ModelForm
DESCRIBED = ("name", "description")
TEXTS = ("key", "name", "description", "event_type", "value_property", "unique_property")
LISTS = ("filters", "group_by")


class MeterForm(_MeterForm):
    """What a person says about a meter; read by the rules of the API."""

    key = forms.CharField(required=False, max_length=100, help_text="How plans name it, for ever")
    name = forms.CharField(max_length=100)
    description = forms.CharField(required=False, max_length=500, widget=forms.Textarea)
    source = forms.ChoiceField(choices=[(word, word) for word in SOURCES], required=False)
    aggregation = forms.ChoiceField(choices=[(word, word) for word in AGGREGATIONS], required=False)
    event_type = forms.CharField(required=False, max_length=200, help_text="Of source events")
    value_property = forms.CharField(required=False, max_length=40, help_text="Not of count and unique")
    unique_property = forms.CharField(required=False, max_length=40, help_text="Of unique and weighted_sum")
    filters = forms.JSONField(required=False, help_text='[{"property": "region", "in": ["eu"]}]')
    group_by = forms.JSONField(required=False, help_text='["model"]')

    class Meta:
        model = Meter
        fields = ()

    def clean(self) -> dict[str, Any]:
        """Judge it by the same rules as the API does."""
        values = super().clean() or {}
        if self.errors:
            return values
        said = {name: values[name] for name in TEXTS if values.get(name)}
        try:
            if self.instance._state.adding:
                said |= {name: values[name] for name in ("source", "aggregation")}
                said |= {name: values[name] for name in LISTS if values.get(name)}
                values["new"] = read_meter(said)
            else:
                values["changes"] = read_description(
                    {"name": values["name"], "description": values.get("description") or None}
                )
        except ProblemError as error:
            raise ValidationError(
                [f"{each.pointer}: {each.detail}" for each in error.errors] or error.detail
            ) from None
        return values


@admin.register(Meter)
class MeterAdmin(ReadOnlyAdmin):
    """Meters."""

    form = MeterForm
    list_display = (
        "key",
        "name",
        "source",
        "event_type",
        "aggregation",
        "value_property",
        "created_at",
        "archived_at",
    )
    list_filter = ("source", "aggregation", ("archived_at", admin.EmptyFieldListFilter))
    search_fields = ("key", "name", "=id", "=event_type")
    actions = ("archive",)
    CHANGEABLE: ClassVar = DESCRIBED
    FIXED: ClassVar = (
        "id", "key", "source", "event_type", "aggregation", "value_property", "unique_property", "filters", "group_by",
        "version", "created_at", "archived_at",
    )  # fmt: skip
    NEW: ClassVar = (
        "key", "name", "description", "source", "event_type", "aggregation", "value_property", "unique_property",
        "filters", "group_by",
    )  # fmt: skip

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whoever may add meters."""
        return bool(request.user.has_perm("billing.add_meter"))

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Whoever may change meters; an archived one stays as it is."""
        if isinstance(obj, Meter) and obj.archived_at is not None:
            return False
        return bool(request.user.has_perm("billing.change_meter"))

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Everything for a new one; of an old one, name and description may change."""
        return self.NEW if obj is None else (*self.CHANGEABLE, *self.FIXED)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """What stays for ever."""
        if obj is None:
            return ()
        return self.FIXED if self.has_change_permission(request, obj) else (*self.CHANGEABLE, *self.FIXED)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Make or describe the meter by its operation."""
        values, author = form.cleaned_data, Author(f"staff:{request.user.pk}")
        if change:
            run_in_transaction(lambda cur: describe_meter(cur, str(obj.id), values["changes"], author=author))
            return
        made = run_in_transaction(lambda cur: create_meter(cur, values["new"], author=author))
        obj.id, obj.key = made.id, made.key

    @admin.action(description="Archive the chosen meters", permissions=["operate"])
    def archive(self, request: HttpRequest, rows: QuerySet[Meter]) -> None:
        """End each of them for new plans."""
        self.run(request, rows, lambda row, author, cur: archive_meter(cur, str(row.id), author=author))


@admin.register(MeterEvent)
class MeterEventAdmin(ReadOnlyAdmin):
    """What was said about events."""

    list_display = (
        "type",
        "external_id",
        "source",
        "sign",
        "occurred_at",
        "recorded_at",
        "adjustment",
        "actor",
        "data",
    )
    list_filter = (OrganizationFilter, "sign", "adjustment")
    search_fields = ("=external_id", "=event_id", "=type")
    readonly_fields = ("invoice_line",)

    @admin.display(description="invoice line")
    def invoice_line(self, row: MeterEvent) -> SafeString:
        """Where the event is billed, or why it is not."""
        return told(
            run_in_transaction(
                lambda cur: event_invoiced(cur, organization=row.organization, event=row.event_id)
            )
        )


@admin.register(EventBackfill)
class EventBackfillAdmin(ReadOnlyAdmin):
    """Backfills."""

    list_display = ("name", "organization", "status", "created_by", "created_at", "reverted_at", "reason")
    list_filter = ("status",)
    search_fields = ("name", "=id", "=organization")
    actions = ("revert",)

    @admin.action(description="Revert the chosen backfills", permissions=["operate"])
    def revert(self, request: HttpRequest, rows: QuerySet[EventBackfill]) -> None:
        """Take back whatever counts of each of them."""
        self.run(
            request,
            rows,
            lambda row, author, cur: revert_backfill(
                cur, row.organization, row.id, reason="Reverted by the staff.", author=author
            ),
        )
