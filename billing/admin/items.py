"""What customers owe besides use, for the staff: to read, and to add a charge or a credit to the next invoice."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.contrib import admin

from billing.admin.operated import FormAdmin, OperatedForm
from billing.models import InvoiceItem
from billing.operations.invoices.adding import AddedItem, add_item
from common import fields
from common.money import format_amount
from events.store import Cursor
from orgs.admin import OrganizationFilter
from orgs.operations.facts import Author

DIRECTIONS = ("charge", "credit")
TAX_CODES = ("standard", "reduced", "exempt")


class ItemForm(OperatedForm):
    """An amount that waits for the customer's next invoice."""

    organization = forms.UUIDField(help_text="The customer, by its id")
    direction = forms.ChoiceField(
        choices=[(word, word) for word in DIRECTIONS], help_text="A credit is owed back"
    )
    description = forms.CharField(max_length=200, help_text="The line on the invoice")
    amount = forms.CharField(max_length=20, help_text='Such as "49.00"')
    currency = forms.CharField(max_length=3)
    due_at = forms.CharField(
        required=False, help_text="2027-01-01T00:00:00Z; empty: the end of the customer's cycle"
    )
    tax_code = forms.ChoiceField(choices=[(word, word) for word in TAX_CODES])
    discountable = forms.BooleanField(required=False, initial=True, help_text="Coupons lower it")
    READ: ClassVar = {
        "description": partial(fields.text, max_length=200),
        "amount": fields.amount,
        "currency": fields.currency,
        "due_at": fields.instant,
    }

    def operate(self, cur: Cursor, row: Any, author: Author) -> UUID:
        """Add it."""
        said = dict(self.said)
        organization, sign = said.pop("organization"), -1 if said.pop("direction") == "credit" else 1
        new = AddedItem(**{**said, "amount": sign * said["amount"]})
        return add_item(cur, organization=organization, new=new, author=author)


@admin.register(InvoiceItem)
class InvoiceItemAdmin(FormAdmin):
    """Items: fees, credits and what finance added, with the invoice that took them."""

    new_form = ItemForm
    list_display = (
        "description", "organization", "kind", "shown_amount", "currency", "due_at", "invoice_id", "line",
    )  # fmt: skip
    list_filter = (OrganizationFilter, "kind", ("invoice_id", admin.EmptyFieldListFilter))
    search_fields = ("=id", "=invoice_id", "=subscription", "=contract")

    @admin.display(description="amount")
    def shown_amount(self, row: InvoiceItem) -> str:
        """What is owed; below zero it is owed back."""
        return format_amount(row.amount)
