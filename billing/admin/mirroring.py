"""What lives at the processor, for the staff: mirrored customers, subscriptions, invoices, and the credit of prices."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from billing.models import CreditPrice, MirroredCustomer, MirroredInvoice, MirroredSubscription
from billing.operations.mirroring.linking import archive_credit_price
from common.money import format_amount
from orgs.admin import OrganizationFilter, ReadOnlyAdmin


@admin.register(MirroredCustomer)
class MirroredCustomerAdmin(ReadOnlyAdmin):
    """Which organization a customer at the processor is."""

    list_display = ("customer", "organization", "linked_at")
    search_fields = ("=customer", "=organization")


@admin.register(MirroredSubscription)
class MirroredSubscriptionAdmin(ReadOnlyAdmin):
    """Subscriptions that live at the processor."""

    list_display = ("subscription", "organization", "status", "period_start", "period_end", "ended_at")
    list_filter = (OrganizationFilter, "status")
    search_fields = ("=subscription", "=customer")


@admin.register(MirroredInvoice)
class MirroredInvoiceAdmin(ReadOnlyAdmin):
    """Invoices that live at the processor."""

    list_display = (
        "invoice",
        "organization",
        "number",
        "status",
        "shown_paid",
        "shown_credit",
        "failed",
        "paid_at",
    )
    list_filter = (OrganizationFilter, "status", "failed")
    search_fields = ("=invoice", "=subscription", "=customer")

    @admin.display(description="paid")
    def shown_paid(self, row: MirroredInvoice) -> str:
        """What was paid there."""
        return f"{format_amount(row.paid)} {row.currency}"

    @admin.display(description="credit")
    def shown_credit(self, row: MirroredInvoice) -> str:
        """What it gave."""
        return format_amount(row.credit)


@admin.register(CreditPrice)
class CreditPriceAdmin(ReadOnlyAdmin):
    """How much credit a price gives; made and changed through the API."""

    list_display = ("price", "name", "shown_credit", "currency", "lifetime_days", "archived_at")
    actions = ("archive",)

    @admin.display(description="credit of each")
    def shown_credit(self, row: CreditPrice) -> str:
        """What each of its quantity gives."""
        return format_amount(row.credit)

    @admin.action(description="End the credit of the chosen prices", permissions=["operate"])
    def archive(self, request: HttpRequest, rows: QuerySet[CreditPrice]) -> None:
        """End each of them; what was given stays."""
        self.run(
            request, rows, lambda row, author, cur: archive_credit_price(cur, price=row.price, author=author)
        )
