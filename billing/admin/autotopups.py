"""Automatic top-ups for the staff: who buys credit automatically, where that was stopped, and when it is to be."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.contrib import admin

from billing.admin.operated import FormAdmin, OperatedForm
from billing.models import AutoTopUp
from billing.operations.payments.topups import NewAutoTopUp, set_auto_top_up
from billing.rules.payments.topups import DEFAULT_COOL_OFF_SECONDS, MAX_COOL_OFF_SECONDS
from common import fields
from common.money import format_amount
from events.store import Cursor
from orgs.operations.facts import Author


class RuleForm(OperatedForm):
    """When credit is bought automatically. Saying it anew lets a stopped rule go on."""

    enabled = forms.BooleanField(required=False, initial=True)
    threshold = forms.CharField(max_length=20, help_text="Below this much available credit it buys")
    amount = forms.CharField(max_length=20, help_text="What it buys")
    currency = forms.CharField(max_length=3)
    cool_off_seconds = forms.IntegerField(initial=DEFAULT_COOL_OFF_SECONDS, help_text="From one to the next")
    monthly_cap = forms.CharField(
        required=False, max_length=20, help_text="At most this much in a calendar month; empty: any"
    )
    READ: ClassVar = {
        "threshold": partial(fields.amount, allow_zero=True),
        "amount": fields.amount,
        "currency": fields.currency,
        "cool_off_seconds": partial(fields.integer, minimum=0, maximum=MAX_COOL_OFF_SECONDS),
        "monthly_cap": fields.amount,
    }

    def known(self, row: AutoTopUp) -> dict[str, Any]:
        """As it is now."""
        cap = row.monthly_cap
        return {
            **{name: getattr(row, name) for name in ("enabled", "currency", "cool_off_seconds")},
            "threshold": format_amount(row.threshold),
            "amount": format_amount(row.amount),
            "monthly_cap": "" if cap is None else format_amount(cap),
        }

    def owner(self, row: Any) -> UUID:
        """Whose credit it is."""
        found: UUID = row.organization
        return found

    def operate(self, cur: Cursor, row: Any, author: Author) -> UUID:
        """Set it."""
        said = {"monthly_cap": None, **self.said}
        said.pop("organization", None)
        new = NewAutoTopUp(**said)
        return set_auto_top_up(cur, organization=self.owner(row), new=new, author=author).id


class NewRuleForm(RuleForm):
    """The rule of a customer, which has one."""

    organization = forms.UUIDField(help_text="The customer, by its id")
    field_order = (
        "form_key", "organization", "enabled", "threshold", "amount", "currency", "cool_off_seconds", "monthly_cap",
    )  # fmt: skip

    def owner(self, row: Any) -> UUID:
        """Whom the form names."""
        found: UUID = self.said["organization"]
        return found


@admin.register(AutoTopUp)
class AutoTopUpAdmin(FormAdmin):
    """Who buys credit automatically, and where that was stopped."""

    new_form = NewRuleForm
    changing_form = RuleForm
    list_display = (
        "organization", "enabled", "status", "shown_threshold", "shown_amount", "currency", "failures",
        "stopped_reason", "last_at",
    )  # fmt: skip
    list_filter = ("enabled", "status")
    search_fields = ("=organization",)

    @admin.display(description="threshold")
    def shown_threshold(self, row: AutoTopUp) -> str:
        """Below this it buys."""
        return format_amount(row.threshold)

    @admin.display(description="amount")
    def shown_amount(self, row: AutoTopUp) -> str:
        """What it buys."""
        return format_amount(row.amount)
