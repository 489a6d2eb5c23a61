"""Partners and their listings; finance holds and releases payouts here."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from common.money import format_amount
from common.transactions import run_in_transaction
from orgs.admin import OrganizationFilter, ReadOnlyAdmin
from payouts.models import Listing, Partner
from payouts.operations.partners import change_partner
from payouts.queries.partners import withdrawable


@admin.register(Partner)
class PartnerAdmin(ReadOnlyAdmin):
    """Organizations that publish listings."""

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

    @admin.action(description="Hold payouts", permissions=["operate"])
    def hold(self, request: HttpRequest, queryset: QuerySet[Partner]) -> None:
        """Hold the payouts of the chosen partners."""
        self._change(request, queryset, f"held by staff {request.user.pk}")

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
