"""Revenue shares for the staff: new terms are published by the operation that the API calls, too; none are edited."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django import forms
from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join

from common import fields
from common.errors import ProblemError
from common.money import parse_amount
from common.transactions import run_in_transaction
from orgs.admin import OrganizationFilter
from orgs.operations.facts import Author
from payouts.admin.operated import OperatedAdmin, RefusingForm
from payouts.models import RevenueShare
from payouts.operations.publishing import publish_due
from payouts.operations.shares import publish_share, withdraw_share
from payouts.queries.shares import history_of_share
from payouts.rules.shares import PROMOTIONAL, ShareTerms, check_terms, terms_of
from payouts.rules.sharetexts import read_rate, read_splits, read_tiers, terms_words

if TYPE_CHECKING:  # generic to the type checker only
    _ShareForm = forms.ModelForm[RevenueShare]
else:
    _ShareForm = forms.ModelForm

_READERS: Final[dict[str, Callable[..., Any]]] = {
    "fee_rate": read_rate,
    "fixed": lambda value, pointer: parse_amount(value),
    "tiers": read_tiers,
    "minimum_fee": lambda value, pointer: parse_amount(value, allow_zero=True),
    "splits": read_splits,
}
"""How terms are read; as in the API."""


class RevenueShareForm(RefusingForm, _ShareForm):
    """What finance says about new terms."""

    organization = forms.UUIDField(help_text="The partner, by the id of its organization")
    listing = forms.CharField(
        required=False, max_length=200, help_text="Key or id; empty: all of its listings"
    )
    plan = forms.CharField(
        required=False, max_length=200, help_text="Key; of callers with a subscription to this plan only"
    )
    valid_from = forms.DateTimeField(required=False, help_text="UTC, later than now; empty: now")
    fee_rate = forms.CharField(required=False, help_text='The platform\'s part of each call, such as "0.2"')
    fixed = forms.CharField(required=False, help_text="Or what the partners get of each call")
    tiers = forms.JSONField(
        required=False,
        help_text="Or by the month's volume: "
        '[{"up_to": "1000", "fee_rate": "0.3"}, {"up_to": null, "fee_rate": "0.1"}]',
    )
    minimum_fee = forms.CharField(required=False, help_text="Of each call, at least, for the platform")
    splits = forms.JSONField(
        required=False, help_text='[{"partner": "…", "weight": 1}]; empty: the partner alone'
    )
    promotional = forms.ChoiceField(
        choices=[(name, name) for name in PROMOTIONAL],
        help_text="Who pays a share of what credit given away paid for; none: there is no share of it",
    )

    class Meta:
        model = RevenueShare
        fields = ()

    def clean(self) -> dict[str, Any]:
        """Judge the terms by the same rules as the API does."""
        values = super().clean() or {}
        if self.errors:
            return values
        try:
            values["terms"] = self._terms(values)
            if values.get("plan"):
                values["plan"] = fields.key(values["plan"], pointer="/plan")
        except ProblemError as error:
            self.refuse(error)
        return values

    def _terms(self, values: dict[str, Any]) -> ShareTerms:
        given = {
            name: read(values[name], pointer=f"/{name}")
            for name, read in _READERS.items()
            if values.get(name) not in (None, "")
        }
        terms = ShareTerms(**given, promotional=values["promotional"])
        check_terms(terms)
        return terms


@admin.register(RevenueShare)
class RevenueShareAdmin(OperatedAdmin):
    """What the platform keeps of calls. Whoever may add revenue shares publishes new terms; whoever may change them
    withdraws those that have not begun."""

    form = RevenueShareForm
    list_display = (
        "organization",
        "listing_id",
        "plan",
        "valid_from",
        "shown_terms",
        "withdrawn_at",
        "created_at",
    )
    list_filter = (OrganizationFilter,)
    search_fields = ("=organization", "=listing_id")
    actions = ("withdraw",)
    NEW: ClassVar = (
        "organization", "listing", "plan", "valid_from", "fee_rate", "fixed", "tiers", "minimum_fee", "splits",
        "promotional",
    )  # fmt: skip
    OLD: ClassVar = (
        "id", "organization", "listing_id", "plan", "valid_from", "shown_terms", "created_at", "withdrawn_at",
        "history",
    )  # fmt: skip

    @admin.display(description="terms")
    def shown_terms(self, row: RevenueShare) -> str:
        """The terms in words."""
        return terms_words(terms_of(row.terms))

    @admin.display(description="history")
    def history(self, row: RevenueShare) -> str:
        """What became of it, when and by whom."""
        owner, share = row.organization, row.id
        found = run_in_transaction(lambda cur: history_of_share(cur, organization=owner, share=share))
        lines = ((verb, f"{at:%Y-%m-%d %H:%M:%S} UTC", actor) for verb, at, actor in found)
        return format_html_join("\n", "<div>{} on {} by {}</div>", lines)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """What new terms say, or all that is known of old ones."""
        return self.NEW if obj is None else self.OLD

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Old terms stay as they are."""
        return () if obj is None else self.OLD

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Publish the terms by the operation; callers get them as soon as that is committed."""
        values, author = form.cleaned_data, Author(f"staff:{request.user.pk}")
        made = run_in_transaction(
            lambda cur: publish_share(
                cur,
                organization=values["organization"],
                terms=values["terms"],
                listing=values["listing"] or None,
                plan=values["plan"] or None,
                valid_from=values["valid_from"],
                author=author,
            )
        )
        obj.id, obj.organization, obj.valid_from = made.id, made.organization, made.valid_from
        transaction.on_commit(partial(publish_due, made.organization))

    @admin.action(description="Withdraw the chosen ones, which have not begun", permissions=["operate"])
    def withdraw(self, request: HttpRequest, rows: QuerySet[RevenueShare]) -> None:
        """Take back terms that have not begun; those that have are followed by others."""
        self.run(
            request,
            rows,
            lambda row, author, cur: withdraw_share(
                cur, organization=row.organization, share=row.id, author=author
            ),
        )
        for partner in {row.organization for row in rows}:
            publish_due(partner)
