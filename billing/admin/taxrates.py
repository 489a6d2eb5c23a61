"""Tax rates for the staff: entered and ended by the operations that the API calls, too; none is edited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest

from billing.models import TaxRate
from billing.operations.taxrates import add_tax_rate, end_tax_rate
from billing.rules.countries import country
from billing.rules.tax import STANDARD
from billing.rules.taxrates import MAX_SOURCE, NewTaxRate, read_percent
from common import fields
from common.errors import ProblemError
from common.transactions import run_in_transaction
from orgs.admin import ReadOnlyAdmin
from orgs.operations.facts import Author
from spend.rules.pricetexts import percent_of_ppm

if TYPE_CHECKING:  # generic to the type checker only
    _RateForm = forms.ModelForm[TaxRate]
else:
    _RateForm = forms.ModelForm


class TaxRateForm(_RateForm):
    """What a person says about a rate."""

    country = forms.CharField(max_length=2, help_text="Two capital letters")
    tax_code = forms.CharField(max_length=100, initial=STANDARD, help_text="As plans and items name it")
    percent = forms.CharField(
        max_length=10, required=False, help_text="Such as 9.975; empty: the country has no such tax"
    )
    valid_from = forms.DateField(help_text="The first day (UTC)")
    valid_to = forms.DateField(required=False, help_text="The first day after it; empty: no end")
    source = forms.CharField(
        max_length=MAX_SOURCE, help_text="Where it is said: the law, the authority's page"
    )

    class Meta:
        model = TaxRate
        fields = ()

    def clean(self) -> dict[str, Any]:
        """Judge it by the same rules as the API does."""
        values = super().clean() or {}
        if self.errors:
            return values
        percent = values["percent"].strip()
        try:
            values["new"] = NewTaxRate(
                country=country(values["country"]),
                ppm=read_percent(percent) if percent else None,
                valid_from=fields.date(values["valid_from"].isoformat()),
                source=fields.text(values["source"], max_length=MAX_SOURCE),
                tax_code=fields.key(values["tax_code"]),
                valid_to=values["valid_to"],
            )
        except ProblemError as error:
            raise ValidationError(error.detail) from None
        return values

    def _post_clean(self) -> None:
        """The texts are no values of the row, which the operation makes."""


@admin.register(TaxRate)
class TaxRateAdmin(ReadOnlyAdmin):
    """Rates that go before those of the package. Whoever may add tax rates enters new ones; whoever may change them
    ends them."""

    form = TaxRateForm
    list_display = ("country", "tax_code", "shown_percent", "valid_from", "valid_to", "source")
    list_filter = ("country", "tax_code")
    search_fields = ("=country", "=id")
    actions = ("end",)
    NEW: ClassVar = ("country", "tax_code", "percent", "valid_from", "valid_to", "source")
    OLD: ClassVar = (
        "id", "country", "tax_code", "shown_percent", "valid_from", "valid_to", "source", "version", "created_at",
    )  # fmt: skip

    @admin.display(description="percent")
    def shown_percent(self, rate: TaxRate) -> str:
        """Of the net amount."""
        return "no such tax" if rate.ppm is None else percent_of_ppm(rate.ppm)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whoever may add tax rates."""
        return bool(request.user.has_perm("billing.add_taxrate"))

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """What a new one says, or all that is known of an old one."""
        return self.NEW if obj is None else self.OLD

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Old ones stay as they are."""
        return () if obj is None else self.OLD

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Enter it by the operation, with this person as actor."""
        new, author = form.cleaned_data["new"], Author(f"staff:{request.user.pk}")
        made = run_in_transaction(lambda cur: add_tax_rate(cur, new, author=author))
        obj.__dict__.update(self.model.objects.get(pk=made.id).__dict__)

    @admin.action(description="End the chosen rates today, or before they begin", permissions=["operate"])
    def end(self, request: HttpRequest, rows: QuerySet[TaxRate]) -> None:
        """End each of them; what was taxed with it stays."""
        self.run(request, rows, lambda row, author, cur: end_tax_rate(cur, rate=row.id, author=author))
