"""Where customers' billing stands, for the staff, and from which unbilled use on an invoice is made early."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.contrib import admin

from billing.admin.operated import FormAdmin, OperatedForm
from billing.models import BillingCycle
from billing.operations.invoices.thresholds import set_threshold
from common import fields
from common.money import format_amount
from events.store import Cursor
from orgs.operations.facts import Author


class ThresholdForm(OperatedForm):
    """From which unbilled use on an invoice is made before the cycle ends."""

    threshold = forms.CharField(
        required=False, max_length=20, help_text="In the customer's currency; empty: only when the cycle ends"
    )
    READ: ClassVar = {"threshold": fields.amount}

    def known(self, row: BillingCycle) -> dict[str, Any]:
        """As it is now."""
        return {"threshold": "" if row.threshold is None else format_amount(row.threshold)}

    def operate(self, cur: Cursor, row: Any, author: Author) -> UUID:
        """Set it."""
        organization: UUID = row.organization
        set_threshold(cur, organization=organization, threshold=self.said.get("threshold"), author=author)
        return organization


@admin.register(BillingCycle)
class BillingCycleAdmin(FormAdmin):
    """The running cycle of each customer."""

    changing_form = ThresholdForm
    list_display = ("organization", "cycle_start", "next_at", "shown_threshold", "version")
    search_fields = ("=organization",)

    @admin.display(description="threshold")
    def shown_threshold(self, row: BillingCycle) -> str:
        """From this unbilled use on an invoice is made."""
        return "-" if row.threshold is None else format_amount(row.threshold)
