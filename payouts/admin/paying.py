"""Payouts, batches and statements for finance: look, hold, release, approve, reject, try again."""

from __future__ import annotations

from django import forms
from django.contrib import admin
from django.contrib.admin.helpers import ActionForm
from django.db.models import QuerySet
from django.http import HttpRequest

from common.money import format_amount
from orgs.admin import ReadOnlyAdmin
from payouts.models import PartnerStatement, Payout, PayoutBatch
from payouts.operations.paying import deciding


class ReasonForm(ActionForm):
    """Why."""

    reason = forms.CharField(required=False, max_length=500)


@admin.register(Payout)
class PayoutAdmin(ReadOnlyAdmin):
    """Money on its way to partners."""

    list_display = (
        "requested_at", "organization", "state", "shown_amount", "currency", "cause", "requested_by", "hold",
        "hold_note", "waits_for", "first_approved_by", "approved_by", "transfer", "payout", "failure",
    )  # fmt: skip
    list_filter = ("state", "cause", "hold")
    search_fields = ("=id", "=organization", "=transfer", "=payout", "=account")
    action_form = ReasonForm
    actions = ("approve", "release", "hold", "reject", "try_again", "reverse")

    @admin.display(description="amount")
    def shown_amount(self, row: Payout) -> str:
        """What is paid out."""
        return format_amount(row.amount)

    @admin.action(description="Approve the chosen ones (as another person)", permissions=["operate"])
    def approve(self, request: HttpRequest, rows: QuerySet[Payout]) -> None:
        """Approve what is above the limit."""
        self.run(
            request,
            rows,
            lambda row, author, cur: deciding.approve_payout(cur, payout=row.id, author=author),
        )

    @admin.action(description="Release the chosen ones", permissions=["operate"])
    def release(self, request: HttpRequest, rows: QuerySet[Payout]) -> None:
        """Let what is held go on."""
        self.run(
            request,
            rows,
            lambda row, author, cur: deciding.release_payout(cur, payout=row.id, author=author),
        )

    @admin.action(description="Hold the chosen ones (give a reason)", permissions=["operate"])
    def hold(self, request: HttpRequest, rows: QuerySet[Payout]) -> None:
        """Hold what was not sent yet."""
        reason = request.POST.get("reason", "")
        self.run(
            request,
            rows,
            lambda row, author, cur: deciding.hold_payout(cur, payout=row.id, reason=reason, author=author),
        )

    @admin.action(description="Reject the chosen ones (give a reason)", permissions=["operate"])
    def reject(self, request: HttpRequest, rows: QuerySet[Payout]) -> None:
        """Cancel what was not sent yet."""
        reason = request.POST.get("reason", "")
        self.run(
            request,
            rows,
            lambda row, author, cur: deciding.cancel_payout(cur, payout=row.id, reason=reason, author=author),
        )

    @admin.action(description="Try again now", permissions=["operate"])
    def try_again(self, request: HttpRequest, rows: QuerySet[Payout]) -> None:
        """Try what waits for another try."""
        self.run(
            request,
            rows,
            lambda row, author, cur: deciding.retry_payout(cur, payout=row.id, author=author),
        )

    @admin.action(
        description="Ask the bank for the chosen ones back (give a reason)", permissions=["operate"]
    )
    def reverse(self, request: HttpRequest, rows: QuerySet[Payout]) -> None:
        """Reverse what is paid."""
        reason = request.POST.get("reason", "")
        self.run(
            request,
            rows,
            lambda row, author, cur: deciding.reverse_payout(
                cur, payout=row.id, reason=reason, author=author
            ),
        )


@admin.register(PayoutBatch)
class PayoutBatchAdmin(ReadOnlyAdmin):
    """Payouts of all partners at once."""

    list_display = ("requested_at", "state", "requested_by", "made", "refused", "finished_at")
    list_filter = ("state",)


@admin.register(PartnerStatement)
class PartnerStatementAdmin(ReadOnlyAdmin):
    """What partners were sent for their months."""

    list_display = (
        "month", "number", "organization", "currency", "shown_opening", "shown_earned", "shown_clawed_back",
        "shown_paid_out", "shown_closing",
    )  # fmt: skip
    search_fields = ("=organization", "=number")

    @admin.display(description="opening")
    def shown_opening(self, row: PartnerStatement) -> str:
        """What was owed at the beginning."""
        return format_amount(row.opening)

    @admin.display(description="earned")
    def shown_earned(self, row: PartnerStatement) -> str:
        """Charges less fees."""
        return format_amount(row.earned)

    @admin.display(description="clawed back")
    def shown_clawed_back(self, row: PartnerStatement) -> str:
        """What was taken back."""
        return format_amount(row.clawed_back)

    @admin.display(description="paid out")
    def shown_paid_out(self, row: PartnerStatement) -> str:
        """What payouts took."""
        return format_amount(row.paid_out)

    @admin.display(description="closing")
    def shown_closing(self, row: PartnerStatement) -> str:
        """What is owed at the end."""
        return format_amount(row.closing)
