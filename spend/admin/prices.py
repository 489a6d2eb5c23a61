"""Prices for the staff: what waits for approval, and what is published for all or for one organization.

Nothing published is edited or deleted, also by no superuser: a new price takes over, and an old one is ended.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.contrib import admin
from django.contrib.admin.helpers import ActionForm
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join

from common.errors import ProblemError
from common.money import format_price
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs import PLATFORM_ID
from orgs.admin import ReadOnlyAdmin
from orgs.operations.facts import Author
from spend.models import ExchangeRate, Markup, PriceChange, PriceVersion, ToolPrice
from spend.operations.prices.deciding import approve_price_change, reject_price_change
from spend.operations.prices.ending import end_fx_rate, end_markup, end_price, end_tool_price
from spend.operations.prices.publish import MAX_PER, publish_own_price, publish_price, publish_tool_price
from spend.operations.prices.rates import enter_fx_rate, set_markup
from spend.rules.modelnames import NAME_LENGTH
from spend.rules.pricetexts import component_lines, percent_of_ppm, ppm_of_percent

OWNER_HELP = "Id of the organization whose own it is to be; empty: for all"


class ReasonForm(ActionForm):
    """An action, and why."""

    reason = forms.CharField(required=False, max_length=500)


class DecisionForm(forms.ModelForm):  # type: ignore[type-arg]
    """What a person decides about a price change."""

    decision = forms.ChoiceField(
        choices=[("approve", "Approve: it holds from now on"), ("reject", "Reject: the book stays as it is")],
        widget=forms.RadioSelect,
    )
    why = forms.CharField(
        label="Reason",
        required=False,
        max_length=500,
        widget=forms.Textarea,
        help_text="A rejection needs one",
    )

    class Meta:
        model = PriceChange
        fields = ()

    def clean(self) -> dict[str, Any]:
        """A rejection says why."""
        values = super().clean() or {}
        if values.get("decision") == "reject" and not values.get("why", "").strip():
            raise ValidationError({"why": "A rejection has a reason."})
        return values


@admin.register(PriceChange)
class PriceChangeAdmin(ReadOnlyAdmin):
    """Prices that differ from their source's. Whoever may change them approves or rejects those that wait."""

    form = DecisionForm
    action_form = ReasonForm
    list_display = (
        "provider",
        "model",
        "status",
        "source_version",
        "proposed_at",
        "decided_by",
        "decided_at",
    )
    list_filter = ("status", "provider")
    search_fields = ("model", "provider", "=id")
    actions = ("approve", "reject")
    DECIDED: ClassVar = ("decision", "why")
    SHOWN: ClassVar = (
        "provider", "model", "status", "book_now", "source_now", "source", "source_version", "proposed_at",
        "decided_at", "decided_by", "reason", "id",
    )  # fmt: skip

    @admin.display(description="the book's prices when it was proposed")
    def book_now(self, change: PriceChange) -> str:
        """The versions of the book."""
        return _versions(change.current)

    @admin.display(description="the source's prices")
    def source_now(self, change: PriceChange) -> str:
        """The versions of the source."""
        return _versions(change.proposal)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Whoever may decide; what is decided stays as it is."""
        if isinstance(obj, PriceChange) and obj.status != "proposed":
            return False
        return bool(request.user.has_perm("spend.change_pricechange"))

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """The proposal, and for whoever may decide the decision."""
        return (*self.SHOWN, *(self.DECIDED if self.has_change_permission(request, obj) else ()))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Everything but the decision."""
        return self.SHOWN

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Decide by the operation, with this person as actor."""
        actor, why = f"staff:{request.user.pk}", form.cleaned_data["why"]
        if form.cleaned_data["decision"] == "approve":
            run_in_transaction(lambda cur: approve_price_change(cur, actor=actor, change=obj.id, reason=why))
        else:
            run_in_transaction(lambda cur: reject_price_change(cur, actor=actor, change=obj.id, reason=why))

    @admin.action(description="Approve the chosen prices", permissions=["operate"])
    def approve(self, request: HttpRequest, rows: QuerySet[PriceChange]) -> None:
        """Take each of them into the book."""
        reason = request.POST.get("reason", "")
        self.run(
            request,
            rows,
            lambda row, author, cur: approve_price_change(
                cur, actor=author.actor, change=row.id, reason=reason
            ),
        )

    @admin.action(description="Reject the chosen prices (give a reason)", permissions=["operate"])
    def reject(self, request: HttpRequest, rows: QuerySet[PriceChange]) -> None:
        """Leave the book as it is."""
        reason = request.POST.get("reason", "")
        self.run(
            request,
            rows,
            lambda row, author, cur: reject_price_change(
                cur, actor=author.actor, change=row.id, reason=reason
            ),
        )


class PublishForm(forms.ModelForm):  # type: ignore[type-arg]
    """What is published, and for which period. `publish` makes its one call into the domain."""

    valid_from = forms.DateTimeField(required=False, help_text="UTC; empty: now")
    valid_to = forms.DateTimeField(
        required=False, help_text="UTC, not included; empty: until something later begins"
    )

    def publish(self, cur: Cursor, actor: str) -> UUID:
        """The id of what was published."""
        raise NotImplementedError

    def _post_clean(self) -> None:
        """Nothing: the operation judges what was stated, and the row is its projection."""

    def given(self, *names: str) -> dict[str, Any]:
        """What was filled in of these fields and of the period."""
        found = {name: self.cleaned_data.get(name) for name in (*names, "valid_from", "valid_to")}
        return {name: value for name, value in found.items() if value not in (None, "")}

    def clean_organization(self) -> UUID | None:
        """The platform is none of its customers."""
        organization: UUID | None = self.cleaned_data["organization"]
        if organization == PLATFORM_ID:
            raise ValidationError("There is no such organization.")
        return organization


class PriceForm(PublishForm):
    """A price of a model."""

    organization = forms.UUIDField(required=False, help_text=OWNER_HELP)
    provider = forms.CharField(max_length=NAME_LENGTH)
    model = forms.CharField(max_length=NAME_LENGTH)
    currency = forms.CharField(required=False, max_length=3, help_text="Empty: the organization's, or USD")
    components = forms.JSONField(help_text='Such as {"input": "3", "output": "15"}, per million tokens')

    class Meta:
        model = PriceVersion
        fields = ()

    def publish(self, cur: Cursor, actor: str) -> UUID:
        """In the book, or as an organization's override."""
        given = self.given("provider", "model", "currency", "components")
        organization = self.cleaned_data["organization"]
        if organization is None:
            return publish_price(cur, actor=actor, **given)
        return publish_own_price(cur, actor=actor, organization=organization, **given)

    def clean_components(self) -> dict[str, Any]:
        """An object."""
        components = self.cleaned_data["components"]
        if not isinstance(components, dict):
            raise ValidationError("This is no object.")
        return components


class ToolPriceForm(PublishForm):
    """A price of a tool."""

    organization = forms.UUIDField(required=False, help_text=OWNER_HELP)
    pattern = forms.CharField(max_length=NAME_LENGTH, help_text="A name, a prefix followed by *, or * alone")
    amount = forms.CharField(help_text="A decimal such as 0.01")
    unit = forms.ChoiceField(choices=[(unit, unit) for unit in ("call", "second", "unit")])
    per = forms.IntegerField(min_value=1, max_value=MAX_PER, initial=1)
    currency = forms.CharField(required=False, max_length=3, help_text="Empty: the organization's, or USD")

    class Meta:
        model = ToolPrice
        fields = ()

    def publish(self, cur: Cursor, actor: str) -> UUID:
        """In the book, or what an organization is charged."""
        given = self.given("organization", "pattern", "amount", "unit", "per", "currency")
        return publish_tool_price(cur, actor=actor, **given)


class PercentFormField(forms.CharField):
    """A percentage, read by the rule of the API."""

    def clean(self, value: Any) -> Any:
        """Millionths."""
        try:
            return ppm_of_percent((super().clean(value) or "0").strip())
        except ProblemError as error:
            raise ValidationError(error.detail) from None


class MarkupForm(PublishForm):
    """A markup."""

    organization = forms.UUIDField(required=False, help_text=OWNER_HELP)
    percent = PercentFormField(help_text="Such as 12.5")
    reason = forms.CharField(max_length=500, widget=forms.Textarea)

    class Meta:
        model = Markup
        fields = ()

    def publish(self, cur: Cursor, actor: str) -> UUID:
        """The default, or an organization's own."""
        given = self.given("organization", "reason")
        return set_markup(cur, actor=actor, ppm=self.cleaned_data["percent"], **given)


class ExchangeRateForm(PublishForm):
    """An exchange rate."""

    base = forms.CharField(max_length=3, help_text="One unit of this currency")
    quote = forms.CharField(max_length=3, help_text="is so many units of this one")
    rate = forms.CharField(help_text="A decimal with up to 12 decimals")
    markup_percent = PercentFormField(required=False, help_text="Added to charges, not to costs")

    class Meta:
        model = ExchangeRate
        fields = ()

    def publish(self, cur: Cursor, actor: str) -> UUID:
        """From its beginning on."""
        given = self.given("base", "quote", "rate")
        return enter_fx_rate(cur, actor=actor, markup_ppm=self.cleaned_data["markup_percent"], **given)


class PublishedAdmin(ReadOnlyAdmin):
    """Dated rows: published by whoever may add them, ended by whoever may change them. None is edited."""

    actions: Any = ("end",)
    PUBLISHED: ClassVar[tuple[str, ...]]
    SHOWN: ClassVar[tuple[str, ...]]

    @admin.display(description="organization")
    def owner(self, row: Any) -> str:
        """Whose own it is."""
        return "all" if row.organization == PLATFORM_ID else str(row.organization)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whoever may publish."""
        return bool(request.user.has_perm(f"spend.add_{self.opts.model_name}"))

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """The form of a new one; an old one is to read."""
        return (*self.PUBLISHED, "valid_from", "valid_to") if obj is None else self.SHOWN

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """Everything, once it is published."""
        return () if obj is None else self.SHOWN

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Publish it by the operation, with this person as actor."""
        actor = f"staff:{request.user.pk}"
        made = run_in_transaction(lambda cur: form.publish(cur, actor))
        obj.__dict__.update(self.model.objects.get(pk=made).__dict__)

    @admin.action(description="End the chosen ones now", permissions=["operate"])
    def end(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        """End each of them; one that lies ahead never begins."""
        self.run(request, rows, lambda row, author, cur: self.end_one(cur, row, author))

    def end_one(self, cur: Cursor, row: Any, author: Author) -> None:
        """End one."""
        raise NotImplementedError


@admin.register(PriceVersion)
class PriceVersionAdmin(PublishedAdmin):
    """Prices of models, all versions: the book's, and what single organizations are charged."""

    form = PriceForm
    list_display = ("provider", "model", "kind", "owner", "currency", "valid_from", "valid_to", "source")
    list_filter = ("kind", "provider")
    search_fields = ("model", "provider", "=id", "=organization")
    PUBLISHED = ("organization", "provider", "model", "currency", "components")
    SHOWN = (
        "id", "owner", "kind", "provider", "model", "currency", "shown_components", "variants", "daily_from",
        "daily_to", "valid_from", "valid_to", "source", "source_version", "approved_by", "published_at",
    )  # fmt: skip

    @admin.display(description="components")
    def shown_components(self, price: PriceVersion) -> str:
        """Each component with its price."""
        return _lines(component_lines(price.components))

    def end_one(self, cur: Cursor, row: Any, author: Author) -> None:
        """End a price."""
        end_price(cur, actor=author.actor, price=row.id, organization=row.organization)


@admin.register(ToolPrice)
class ToolPriceAdmin(PublishedAdmin):
    """Prices of tools, all versions."""

    form = ToolPriceForm
    list_display = ("pattern", "owner", "shown_amount", "per", "unit", "currency", "valid_from", "valid_to")
    search_fields = ("pattern", "=id", "=organization")
    PUBLISHED = ("organization", "pattern", "amount", "unit", "per", "currency")
    SHOWN = (
        "id", "owner", "pattern", "shown_amount", "per", "unit", "currency", "valid_from", "valid_to", "source",
        "published_at",
    )  # fmt: skip

    @admin.display(description="amount")
    def shown_amount(self, price: ToolPrice) -> str:
        """In the currency's major unit."""
        return format_price(price.amount)

    def end_one(self, cur: Cursor, row: Any, author: Author) -> None:
        """End a tool's price."""
        end_tool_price(cur, actor=author.actor, price=row.id, organization=row.organization)


@admin.register(Markup)
class MarkupAdmin(PublishedAdmin):
    """Markups: the default, and those of single organizations."""

    form = MarkupForm
    list_display = ("owner", "percent", "valid_from", "valid_to", "reason")
    search_fields = ("=id", "=organization")
    PUBLISHED = ("organization", "percent", "reason")
    SHOWN = ("id", "owner", "percent", "valid_from", "valid_to", "reason", "published_at")

    @admin.display(description="percent")
    def percent(self, markup: Markup) -> str:
        """Of the book's price."""
        return percent_of_ppm(markup.ppm)

    def end_one(self, cur: Cursor, row: Any, author: Author) -> None:
        """End a markup."""
        end_markup(cur, actor=author.actor, markup=row.id, organization=row.organization)


@admin.register(ExchangeRate)
class ExchangeRateAdmin(PublishedAdmin):
    """Exchange rates into the currencies of organizations."""

    form = ExchangeRateForm
    list_display = ("base", "quote", "shown_rate", "markup", "valid_from", "valid_to", "source")
    list_filter = ("base", "quote")
    search_fields = ("=id",)
    PUBLISHED = ("base", "quote", "rate", "markup_percent")
    SHOWN = (
        "id", "base", "quote", "shown_rate", "markup", "valid_from", "valid_to", "source", "published_at",
    )  # fmt: skip

    @admin.display(description="rate")
    def shown_rate(self, rate: ExchangeRate) -> str:
        """Units of quote for one of base."""
        return format_price(rate.rate)

    @admin.display(description="markup in percent")
    def markup(self, rate: ExchangeRate) -> str:
        """Added to charges."""
        return percent_of_ppm(rate.markup_ppm)

    def end_one(self, cur: Cursor, row: Any, author: Author) -> None:
        """End a rate."""
        end_fx_rate(cur, actor=author.actor, rate=row.id)


def _lines(lines: list[str]) -> str:
    return format_html_join("", "<div>{}</div>", ((line,) for line in lines))


def _versions(versions: list[dict[str, Any]]) -> str:
    lines = []
    for version in versions:
        lines.append(_period(version["valid_from"], version["valid_to"]))
        lines += [f"\u2003{line}" for line in component_lines(version["components"])]
        for variant in version["variants"]:
            when = ", ".join(f"{name} {value}" for name, value in sorted(variant["when"].items()))
            lines += [f"\u2003{when}: {line}" for line in component_lines(variant["components"])]
    return _lines(lines)


def _period(valid_from: str, valid_to: str | None) -> str:
    begin = datetime.fromisoformat(valid_from)
    end = "" if valid_to is None else f" to {datetime.fromisoformat(valid_to):%Y-%m-%d %H:%M}"
    return f"from {begin:%Y-%m-%d %H:%M}{end} UTC"
