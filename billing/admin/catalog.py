"""Legal entities and billing profiles for the staff; forms and actions call the operations of the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from billing.models import BillingProfile, LegalEntity
from billing.operations.profiles import change_billing_profile, erase_billing_contact
from billing.operations.sellers import archive_legal_entity, change_legal_entity, create_legal_entity
from billing.queries.profiles import billing_contact
from billing.rules.countries import country
from billing.rules.profiles import LONGEST_NET_DAYS, MAX_CODE, STATED_ANSWERS
from billing.rules.sellers import (
    ADDRESS,
    DEFAULT_PATTERN,
    EntityTerms,
    number_pattern,
    read_address,
    read_vat_ids,
    series,
)
from common import fields
from common.errors import ProblemError
from common.transactions import run_in_transaction
from orgs.admin import ReadOnlyAdmin
from orgs.operations.facts import Author

if TYPE_CHECKING:  # generic to the type checker only
    _EntityForm = forms.ModelForm[LegalEntity]
else:
    _EntityForm = forms.ModelForm


PLACES: Final = tuple(name for name in ADDRESS if name != "country")
NUMBERING: Final = ("number_pattern", "invoice_series", "credit_note_series")


class LegalEntityForm(_EntityForm):
    """What a person says about a legal entity; the parts of its address each in a field of its own."""

    key = forms.CharField(max_length=100, required=False, help_text="How it is named for ever")
    name = forms.CharField(max_length=100)
    country = forms.CharField(max_length=2, required=False, help_text="Two capital letters; stays for ever")
    currency = forms.CharField(max_length=3)
    line1 = forms.CharField(max_length=200, required=False)
    line2 = forms.CharField(max_length=200, required=False)
    postal_code = forms.CharField(max_length=200, required=False)
    city = forms.CharField(max_length=200, required=False)
    region = forms.CharField(max_length=200, required=False)
    ids = forms.CharField(
        label="VAT ids",
        widget=forms.Textarea(attrs={"rows": 3}),
        required=False,
        help_text="DE: DE136695976, one a line",
    )
    number_pattern = forms.CharField(max_length=40, initial=DEFAULT_PATTERN)
    invoice_series = forms.CharField(max_length=10, initial="INV")
    credit_note_series = forms.CharField(max_length=10, initial="CN")

    class Meta:
        model = LegalEntity
        fields = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        entity = kwargs.get("instance")
        if entity is not None:
            now = {name: getattr(entity, name) for name in ("name", "currency", *NUMBERING)}
            ids = "\n".join(f"{country}: {text}" for country, text in entity.vat_ids.items())
            kwargs["initial"] = {**now, **entity.address, "ids": ids, **kwargs.get("initial", {})}
        super().__init__(*args, **kwargs)

    def clean(self) -> dict[str, Any]:
        """Judge it by the same rules as the API does."""
        values = super().clean() or {}
        if self.errors:
            return values
        is_new = self.instance._state.adding
        try:
            if is_new:
                values["key"] = fields.key(values["key"])
            values["country"] = country(values["country"]) if is_new else self.instance.country
            values["changes"] = {
                "name": fields.text(values["name"]),
                "currency": fields.currency(values["currency"]),
                "address": read_address({name: values[name] for name in PLACES if values[name]}),
                "vat_ids": read_vat_ids(_ids(values["ids"])),
                "number_pattern": number_pattern(values["number_pattern"]),
                "invoice_series": series(values["invoice_series"]),
                "credit_note_series": series(values["credit_note_series"]),
            }
        except ProblemError as error:
            raise ValidationError(error.detail) from None
        return values


@admin.register(LegalEntity)
class LegalEntityAdmin(ReadOnlyAdmin):
    """Legal entities."""

    form = LegalEntityForm
    list_display = ("key", "name", "country", "tax_area", "currency", "is_default", "archived_at")
    list_filter: ClassVar = ("is_default", ("archived_at", admin.EmptyFieldListFilter))
    search_fields = ("key", "name", "=id")
    actions = ("make_default", "archive")
    CHANGEABLE: ClassVar = ("name", "currency", *PLACES, "ids", *NUMBERING)
    FIXED: ClassVar = (
        "id",
        "key",
        "country",
        "tax_area",
        "is_default",
        "version",
        "created_at",
        "archived_at",
    )
    SHOWN: ClassVar = ("name", "currency", "address", "vat_ids", *NUMBERING)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whoever may add legal entities."""
        return bool(request.user.has_perm("billing.add_legalentity"))

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Whoever may change legal entities; an archived one stays as it is."""
        if isinstance(obj, LegalEntity) and obj.archived_at is not None:
            return False
        return bool(request.user.has_perm("billing.change_legalentity"))

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Everything for a new one; what may change, and the rest to read, of an old one."""
        if obj is None:
            return ("key", "country", *self.CHANGEABLE)
        return (*(self.CHANGEABLE if self.has_change_permission(request, obj) else self.SHOWN), *self.FIXED)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """What stays for ever."""
        if obj is None:
            return ()
        return self.FIXED if self.has_change_permission(request, obj) else (*self.FIXED, *self.SHOWN)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Make or change it by its operation."""
        values, author = form.cleaned_data, Author(f"staff:{request.user.pk}")
        if change:
            run_in_transaction(
                lambda cur: change_legal_entity(
                    cur, entity=str(obj.id), changes=values["changes"], author=author
                )
            )
            return
        terms = EntityTerms(country=values["country"], **values["changes"])
        made = run_in_transaction(
            lambda cur: create_legal_entity(cur, key=values["key"], terms=terms, author=author)
        )
        obj.id, obj.key = made.id, made.key

    @admin.action(description="Make the chosen legal entity the default", permissions=["operate"])
    def make_default(self, request: HttpRequest, rows: QuerySet[LegalEntity]) -> None:
        """From now on it sells to customers that name nobody else."""
        self.run(
            request,
            rows,
            lambda row, author, cur: change_legal_entity(
                cur, entity=str(row.id), changes={}, is_default=True, author=author
            ),
        )

    @admin.action(description="End the chosen legal entities; invoices stay", permissions=["operate"])
    def archive(self, request: HttpRequest, rows: QuerySet[LegalEntity]) -> None:
        """End each of them."""
        self.run(
            request,
            rows,
            lambda row, author, cur: archive_legal_entity(cur, entity=str(row.id), author=author),
        )


class ProfileActionForm(ActionForm):
    """What actions on billing profiles ask besides."""

    vat_answer = forms.ChoiceField(required=False, choices=[(name, name) for name in ("", *STATED_ANSWERS)])
    exemption_code = forms.CharField(required=False, max_length=MAX_CODE, help_text="Empty: not exempt")
    net_days = forms.IntegerField(
        required=False, min_value=0, max_value=LONGEST_NET_DAYS, help_text="Empty: the default"
    )


@admin.register(BillingProfile)
class BillingProfileAdmin(ReadOnlyAdmin):
    """Billing profiles; the contact is read from where it can be erased."""

    list_display = (
        "organization", "legal_entity_id", "net_days", "purchase_order", "country", "vat_id", "vat_answer", "version",
    )  # fmt: skip
    list_filter = ("vat_answer", "consolidation")
    search_fields = ("=organization", "=vat_id")
    readonly_fields = ("contact",)
    action_form = ProfileActionForm
    actions = ("answer", "exempt", "terms", "erase_contact")

    @admin.action(description="Note what the register says of the VAT ids (answer)", permissions=["operate"])
    def answer(self, request: HttpRequest, rows: QuerySet[BillingProfile]) -> None:
        """Invoices that wait for the answer get their tax at once."""
        self._change(request, rows, {"vat_answer": request.POST.get("vat_answer", "")})

    @admin.action(
        description="Free the chosen customers of tax, or not any more (code)", permissions=["operate"]
    )
    def exempt(self, request: HttpRequest, rows: QuerySet[BillingProfile]) -> None:
        """By a code that stands on their invoices."""
        text = request.POST.get("exemption_code", "").strip()
        try:
            code = fields.key(text, pointer="/exemption_code", max_length=MAX_CODE) if text else None
        except ProblemError as error:
            self.message_user(request, error.detail, messages.ERROR)
            return
        self._change(request, rows, {"exemption_code": code})

    @admin.action(description="Set how many days the chosen customers have to pay", permissions=["operate"])
    def terms(self, request: HttpRequest, rows: QuerySet[BillingProfile]) -> None:
        """From their next invoices on."""
        text = request.POST.get("net_days", "").strip()
        if text and not (text.isdecimal() and int(text) <= LONGEST_NET_DAYS):
            self.message_user(request, f"Days to pay are 0 to {LONGEST_NET_DAYS}.", messages.ERROR)
            return
        self._change(request, rows, {"net_days": int(text) if text else None})

    def _change(self, request: HttpRequest, rows: QuerySet[BillingProfile], changes: dict[str, Any]) -> None:
        if changes.get("vat_answer", STATED_ANSWERS[0]) not in STATED_ANSWERS:
            self.message_user(request, "The register says valid or invalid: choose one.", messages.ERROR)
            return
        self.run(
            request,
            rows,
            lambda row, author, cur: change_billing_profile(cur, row.organization, changes, author=author),
        )

    @admin.display(description="contact")
    def contact(self, profile: BillingProfile) -> str:
        """Whom invoices go to."""
        found = run_in_transaction(lambda cur: billing_contact(cur, profile.organization))
        return "\n".join(part for part in (found.name, found.email, *found.address.values()) if part) or "-"

    @admin.action(description="Erase the contact of the chosen profiles", permissions=["operate"])
    def erase_contact(self, request: HttpRequest, rows: QuerySet[BillingProfile]) -> None:
        """Erase the personal data; issued invoices keep what they say."""
        self.run(
            request,
            rows,
            lambda row, author, cur: erase_billing_contact(cur, row.organization, author=author),
        )


def _ids(text: str) -> dict[str, str]:
    """VAT ids from lines such as "DE: DE136695976"."""
    pairs = (line.partition(":") for line in text.splitlines() if line.strip())
    return {code.strip(): number.strip() for code, _, number in pairs}
