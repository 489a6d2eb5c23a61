"""Partners and their listings; finance enrols partners, sets their terms, and holds and releases payouts here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django import forms
from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from common.errors import ProblemError
from common.money import format_amount, parse_amount
from common.transactions import run_in_transaction
from orgs.admin import OrganizationFilter, ReadOnlyAdmin
from orgs.operations.facts import Author
from payouts.admin.operated import OperatedAdmin, ReasonForm, RefusingForm
from payouts.models import Listing, Partner
from payouts.operations.partners import change_partner, enroll_partner
from payouts.queries.partners import withdrawable
from payouts.rules.partners import DEFAULT_HOLDBACK_DAYS, SCHEDULES, Terms, check_terms
from payouts.rules.sharetexts import rate_text, read_rate

if TYPE_CHECKING:  # generic to the type checker only
    _PartnerForm = forms.ModelForm[Partner]
else:
    _PartnerForm = forms.ModelForm

TERMS: Final = ("minimum", "schedule", "holdback_days", "reserve_rate", "hold_reason")
_READERS: Final[dict[str, Callable[[Any], Any]]] = {
    "minimum": lambda text: parse_amount(text) if text else None,
    "schedule": str,
    "holdback_days": int,
    "reserve_rate": lambda text: read_rate(text, pointer="/reserve_rate"),
    "hold_reason": lambda text: text or None,
}
"""How terms are read; as in the API."""


class PartnerForm(RefusingForm, _PartnerForm):
    """What finance agrees with a partner."""

    organization = forms.UUIDField(help_text="The id of the organization that becomes a partner")
    minimum = forms.CharField(required=False, help_text="The least payout; empty: the currency's default")
    schedule = forms.ChoiceField(choices=[(name, name) for name in SCHEDULES])
    holdback_days = forms.IntegerField(min_value=0, initial=DEFAULT_HOLDBACK_DAYS)
    reserve_rate = forms.CharField(
        initial="0", help_text='The part of what came in the last 90 days that stays back, such as "0.1"'
    )
    hold_reason = forms.CharField(
        required=False, max_length=500, help_text="Holds all payouts; empty: they go on"
    )

    class Meta:
        model = Partner
        fields = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        row = self.instance
        if row._state.adding:
            return
        self.fields.pop("organization", None)
        self.initial = {
            "minimum": "" if row.minimum is None else format_amount(row.minimum),
            "schedule": row.schedule,
            "holdback_days": row.holdback_days,
            "reserve_rate": rate_text(row.reserve_rate),
            "hold_reason": row.hold_reason or "",
        }

    def clean(self) -> dict[str, Any]:
        """Judge the terms by the same rules as the API does. Only what was changed in the form is asked for, so nobody
        takes back what another one changed meanwhile."""
        values = super().clean() or {}
        if self.errors:
            return values
        try:
            terms = {name: _READERS[name](values[name]) for name in TERMS}
            check_terms(Terms(**terms))
        except ProblemError as error:
            self.refuse(error)
            return values
        return {
            **values,
            "terms": terms,
            "changes": {name: terms[name] for name in TERMS if name in self.changed_data},
        }


@admin.register(Partner)
class PartnerAdmin(OperatedAdmin):
    """Organizations that publish listings. Whoever may add partners enrols them; whoever may change them sets their
    terms, holds and releases."""

    form = PartnerForm
    action_form = ReasonForm
    SHOWN: ClassVar = (
        "id", "organization", "currency", "status", "shown_earned", "shown_withdrawable", "stripe_account", "country",
        "destination_changed_at", "payouts_enabled", "disabled_reason", "requirements", "created_at", "version",
    )  # fmt: skip
    list_display = (
        "organization",
        "status",
        "currency",
        "country",
        "schedule",
        "holdback_days",
        "hold_reason",
    )
    list_filter = (OrganizationFilter, "status", "schedule")
    search_fields = ("=organization", "=stripe_account")
    actions = ("hold", "release")

    @admin.display(description="earned")
    def shown_earned(self, row: Partner) -> str:
        """All shares less what was clawed back."""
        return format_amount(run_in_transaction(lambda cur: withdrawable(cur, row.organization)).earned)

    @admin.display(description="withdrawable")
    def shown_withdrawable(self, row: Partner) -> str:
        """What a payout could take now."""
        return format_amount(run_in_transaction(lambda cur: withdrawable(cur, row.organization)).withdrawable)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Whoever may change partners."""
        return self.has_operate_permission(request)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """What is agreed with a new one; of one that is there all that is known, too."""
        return ("organization", *TERMS) if obj is None else (*TERMS, *self.SHOWN)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Its terms can be changed, nothing else."""
        if obj is None:
            return ()
        return self.SHOWN if self.has_change_permission(request, obj) else (*TERMS, *self.SHOWN)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Enrol a partner, or change what is agreed with it, by the operation."""
        values, author = form.cleaned_data, Author(f"staff:{request.user.pk}")
        if change:
            changes, owner = values["changes"], obj.organization
            run_in_transaction(
                lambda cur: change_partner(cur, organization=owner, changes=changes, author=author)
            )
            return
        terms, new = Terms(**values["terms"]), values["organization"]
        made = run_in_transaction(
            lambda cur: enroll_partner(cur, organization=new, terms=terms, author=author)
        )
        obj.id, obj.organization, obj.status = made.id, made.organization, made.status

    @admin.action(description="Hold payouts (give a reason)", permissions=["operate"])
    def hold(self, request: HttpRequest, queryset: QuerySet[Partner]) -> None:
        """Hold the payouts of the chosen partners."""
        self._change(request, queryset, request.POST.get("reason", ""))

    @admin.action(description="Release payouts", permissions=["operate"])
    def release(self, request: HttpRequest, queryset: QuerySet[Partner]) -> None:
        """Let the payouts of the chosen partners go on."""
        self._change(request, queryset, None)

    def _change(self, request: HttpRequest, queryset: QuerySet[Partner], reason: str | None) -> None:
        self.run(
            request,
            queryset,
            lambda row, author, cur: change_partner(
                cur, organization=row.organization, changes={"hold_reason": reason}, author=author
            ),
        )


@admin.register(Listing)
class ListingAdmin(ReadOnlyAdmin):
    """Agents that partners offer."""

    list_display = ("key", "organization", "name", "created_at", "archived_at")
    list_filter = (OrganizationFilter,)
    search_fields = ("key", "=organization")
