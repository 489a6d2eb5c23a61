"""Outbound commands for the staff: what waits, what is in doubt, and two safe ways on."""

from __future__ import annotations

from django import forms
from django.contrib import admin
from django.contrib.admin.helpers import ActionForm
from django.db.models import QuerySet
from django.http import HttpRequest

from billing.models import OutboundCommand, PaymentCustomer
from billing.operations.commands.recording import look_again, send_again
from billing.operations.payments.topups import request_top_up
from billing.queries.topups import is_top_up_under_way
from common.clock import wall_now
from common.errors import InvalidTransition
from common.money import parse_amount
from events.store import Cursor
from orgs.admin import ReadOnlyAdmin
from orgs.operations.facts import Author
from orgs.operations.locks import lock_organization


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


class TopUpForm(ActionForm):
    """What buying credit asks besides."""

    amount = forms.CharField(required=False, max_length=20, help_text="Credit to buy")
    currency = forms.CharField(required=False, max_length=3)


@admin.register(PaymentCustomer)
class PaymentCustomerAdmin(ReadOnlyAdmin):
    """Who organizations are at the processor; credit is bought for them by their own payment method."""

    action_form = TopUpForm
    actions = ("top_up",)
    list_display = ("organization", "customer", "status", "default_method", "livemode", "created_at")
    list_filter = ("status", "livemode")
    search_fields = ("=organization", "=customer")

    @admin.action(description="Buy credit (amount and currency)", permissions=["operate"])
    def top_up(self, request: HttpRequest, rows: QuerySet[PaymentCustomer]) -> None:
        """Charge each one's default payment method. While one of its top-ups is under way no other begins here: a form
        that is sent twice charges once."""

        def one(row: PaymentCustomer, author: Author, cur: Cursor) -> None:
            amount = parse_amount(request.POST.get("amount", "").strip())
            lock_organization(cur, row.organization)
            if is_top_up_under_way(cur, row.organization):
                raise InvalidTransition("A top-up of it is under way: see first what becomes of it.")
            request_top_up(
                cur,
                organization=row.organization,
                amount=amount,
                currency=request.POST.get("currency", "").strip(),
                author=author,
            )

        self.run(request, rows, one)
