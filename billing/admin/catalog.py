"""Coupons, legal entities and billing profiles for the staff: everything can be read; actions call the operations."""

from __future__ import annotations

from typing import ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from billing.models import BillingProfile, Coupon, LegalEntity
from billing.operations.coupons import archive_coupon
from billing.operations.profiles import erase_billing_contact
from billing.operations.sellers import archive_legal_entity, change_legal_entity
from billing.queries.profiles import billing_contact
from common.transactions import run_in_transaction
from orgs.admin import ReadOnlyAdmin


@admin.register(Coupon)
class CouponAdmin(ReadOnlyAdmin):
    """Coupons."""

    list_display = ("code", "name", "terms", "redeem_by", "max_redemptions", "created_at", "archived_at")
    list_filter: ClassVar = (("archived_at", admin.EmptyFieldListFilter),)
    search_fields = ("code", "name", "=id")
    exclude = ("code_folded",)
    actions = ("archive",)

    @admin.action(description="End the chosen coupons; who has one keeps it", permissions=["operate"])
    def archive(self, request: HttpRequest, rows: QuerySet[Coupon]) -> None:
        """End each of them."""
        self.run(
            request, rows, lambda row, author, cur: archive_coupon(cur, coupon=str(row.id), author=author)
        )


@admin.register(LegalEntity)
class LegalEntityAdmin(ReadOnlyAdmin):
    """Legal entities."""

    list_display = ("key", "name", "country", "tax_area", "currency", "is_default", "archived_at")
    list_filter: ClassVar = ("is_default", ("archived_at", admin.EmptyFieldListFilter))
    search_fields = ("key", "name", "=id")
    actions = ("make_default", "archive")

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


@admin.register(BillingProfile)
class BillingProfileAdmin(ReadOnlyAdmin):
    """Billing profiles; the contact is read from where it can be erased."""

    list_display = (
        "organization", "legal_entity_id", "net_days", "purchase_order", "country", "vat_id", "vat_answer", "version",
    )  # fmt: skip
    list_filter = ("vat_answer", "consolidation")
    search_fields = ("=organization", "=vat_id")
    readonly_fields = ("contact",)
    actions = ("erase_contact",)

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
