"""Where customers' billing stands, for the staff, and at which totals of a period's use an invoice is made early."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.contrib import admin

from billing.admin.operated import FormAdmin, OperatedForm, area, listed
from billing.models import BillingCycle
from billing.operations.invoices.thresholds import set_thresholds
from billing.rules.progressive import Thresholds, read_progress
from common import fields
from common.money import format_amount
from events.store import Cursor
from orgs.operations.facts import Author


class ThresholdForm(OperatedForm):
    """At which totals of a period's use an invoice is made before the cycle ends."""

    thresholds = area(
        rows=4,
        required=False,
        help_text="In the customer's currency, rising, one a line; each fires once a period",
    )
    recurring_threshold = forms.CharField(
        required=False,
        max_length=20,
        help_text="Fires again and again, counted on from the last of those above",
    )
    READ: ClassVar = {"thresholds": listed(fields.amount), "recurring_threshold": fields.amount}

    def known(self, row: BillingCycle) -> dict[str, Any]:
        """As they are now."""
        found = thresholds_of(row)
        return {
            "thresholds": "\n".join(map(format_amount, found.once)),
            "recurring_threshold": "" if found.recurring is None else format_amount(found.recurring),
        }

    def operate(self, cur: Cursor, row: Any, author: Author) -> UUID:
        """Set them."""
        organization: UUID = row.organization
        wanted = {
            "thresholds": self.said.get("thresholds", ()),
            "recurring_threshold": self.said.get("recurring_threshold"),
        }
        set_thresholds(cur, organization=organization, changes=wanted, author=author)
        return organization


@admin.register(BillingCycle)
class BillingCycleAdmin(FormAdmin):
    """The running cycle of each customer."""

    changing_form = ThresholdForm
    list_display = ("organization", "cycle_start", "next_at", "shown_thresholds", "version")
    search_fields = ("=organization",)

    @admin.display(description="thresholds")
    def shown_thresholds(self, row: BillingCycle) -> str:
        """At these totals of a period's use an invoice is made."""
        found = thresholds_of(row)
        again = () if found.recurring is None else (f"then every {format_amount(found.recurring)}",)
        return ", ".join((*map(format_amount, found.once), *again)) or "-"


def thresholds_of(row: BillingCycle) -> Thresholds:
    """Return at which totals a customer's use is invoiced."""
    return read_progress(row.progressive, row.threshold).thresholds
