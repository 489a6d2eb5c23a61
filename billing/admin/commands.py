"""Outbound commands for the staff: what waits, what is in doubt, and two safe ways on."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from billing.models import OutboundCommand, PaymentCustomer
from billing.operations.commands.recording import look_again, send_again
from common.clock import wall_now
from orgs.admin import ReadOnlyAdmin


@admin.register(OutboundCommand)
class OutboundCommandAdmin(ReadOnlyAdmin):
    """What the processor is to do."""

    list_display = (
        "id", "organization", "purpose", "generation", "state", "attempts", "requested_at", "next_try_at",
        "error_code", "note",
    )  # fmt: skip
    list_filter = ("state", "purpose")
    search_fields = ("=id", "=organization", "=object_id", "=business_key", "=key")
    actions = ("send", "look")

    @admin.action(description="Send again now, under the same key", permissions=["operate"])
    def send(self, request: HttpRequest, rows: QuerySet[OutboundCommand]) -> None:
        """Have each sent at once; nothing is done twice."""
        self.run(
            request,
            rows,
            lambda row, author, cur: send_again(cur, command=row.id, clock=wall_now, author=author),
        )

    @admin.action(description="Look at the processor what became of it", permissions=["operate"])
    def look(self, request: HttpRequest, rows: QuerySet[OutboundCommand]) -> None:
        """Have each looked for; what is found is taken over."""
        self.run(
            request,
            rows,
            lambda row, author, cur: look_again(cur, command=row.id, clock=wall_now, author=author),
        )


@admin.register(PaymentCustomer)
class PaymentCustomerAdmin(ReadOnlyAdmin):
    """Who organizations are at the processor."""

    list_display = ("organization", "customer", "status", "default_method", "livemode", "created_at")
    list_filter = ("status", "livemode")
    search_fields = ("=organization", "=customer")
