"""Payments, disputes, payouts, letters of automatic top-ups and findings for finance."""

from __future__ import annotations

from django import forms
from django.contrib import admin
from django.contrib.admin.helpers import ActionForm
from django.db.models import QuerySet
from django.http import HttpRequest

from billing.models import AutoTopUpLetter, Dispute, Finding, Payment, ProcessorPayout
from billing.operations.findings import assign_finding, note_finding, resolve_finding
from billing.operations.payments.refunding import REASONS, refund_is_on_its_way, refund_payment
from common.errors import InvalidTransition
from common.money import format_amount, parse_amount
from events.store import Cursor
from orgs.admin import OrganizationFilter, ReadOnlyAdmin
from orgs.operations.facts import Author
from orgs.operations.locks import lock_organization


class TextForm(ActionForm):
    """What is said with an action: a reason, a note, or who looks after it."""

    text = forms.CharField(required=False, max_length=1_000)


class RefundForm(ActionForm):
    """What a refund asks besides."""

    note = forms.CharField(required=False, max_length=500, help_text="Why: for our books")
    amount = forms.CharField(required=False, max_length=20, help_text="Empty: all that is left")
    reason = forms.ChoiceField(required=False, choices=[(name, name) for name in REASONS[::-1]])


@admin.register(Payment)
class PaymentAdmin(ReadOnlyAdmin):
    """Payments by the processor."""

    action_form = RefundForm
    actions = ("refund",)
    list_display = (
        "id", "organization", "purpose", "status", "shown_amount", "shown_received", "shown_returned", "shown_fee",
        "currency", "intent", "invoice_id", "created_at",
    )  # fmt: skip
    list_filter = (OrganizationFilter, "status", "purpose", "cause")
    search_fields = ("=id", "=intent", "=charge", "=invoice_id", "=customer")

    @admin.action(description="Refund the chosen payments (say why; amount, or all)", permissions=["operate"])
    def refund(self, request: HttpRequest, rows: QuerySet[Payment]) -> None:
        """Give back the amount beside, or whatever is left, by the way it came. While a refund is on its way no other
        one begins here: a form that is sent twice gives back once."""
        text = request.POST.get("amount", "").strip()

        def one(row: Payment, author: Author, cur: Cursor) -> None:
            lock_organization(cur, row.organization)
            if refund_is_on_its_way(cur, organization=row.organization, payment=row.id):
                raise InvalidTransition("A refund of it is on its way: see first what becomes of it.")
            refund_payment(
                cur,
                organization=row.organization,
                payment=row.id,
                amount=parse_amount(text) if text else None,
                reason=request.POST.get("reason") or REASONS[-1],
                note=request.POST.get("note", ""),
                author=author,
            )

        self.run(request, rows, one)

    @admin.display(description="amount")
    def shown_amount(self, row: Payment) -> str:
        """What was asked for."""
        return format_amount(row.amount)

    @admin.display(description="received")
    def shown_received(self, row: Payment) -> str:
        """What came."""
        return format_amount(row.received)

    @admin.display(description="went back")
    def shown_returned(self, row: Payment) -> str:
        """What refunds and disputes took."""
        return format_amount(row.refunded + row.disputed)

    @admin.display(description="fee")
    def shown_fee(self, row: Payment) -> str:
        """What the processor kept."""
        return format_amount(row.fee)


@admin.register(Dispute)
class DisputeAdmin(ReadOnlyAdmin):
    """Disputes, with the day until which evidence is due."""

    list_display = (
        "id", "organization", "payment_id", "status", "reason", "shown_amount", "shown_withdrawn", "currency",
        "evidence_due_by",
    )  # fmt: skip
    list_filter = ("status",)
    search_fields = ("=id", "=organization", "=payment_id")

    @admin.display(description="amount")
    def shown_amount(self, row: Dispute) -> str:
        """What is disputed."""
        return format_amount(row.amount)

    @admin.display(description="withdrawn")
    def shown_withdrawn(self, row: Dispute) -> str:
        """What the processor took and did not bring back."""
        return format_amount(row.withdrawn)


@admin.register(ProcessorPayout)
class ProcessorPayoutAdmin(ReadOnlyAdmin):
    """The platform's money on its way to the bank."""

    list_display = ("payout", "status", "shown_amount", "currency", "arrival", "created_at", "failure")
    list_filter = ("status",)
    search_fields = ("=payout",)

    @admin.display(description="amount")
    def shown_amount(self, row: ProcessorPayout) -> str:
        """What is paid out."""
        return format_amount(row.amount)


@admin.register(Finding)
class FindingAdmin(ReadOnlyAdmin):
    """Differences that a person must see: assign, note, resolve."""

    list_display = (
        "opened_at", "kind", "subject", "organization", "status", "assigned_to", "detail", "proposed", "resolution",
    )  # fmt: skip
    list_filter = ("status", "kind", ("assigned_to", admin.EmptyFieldListFilter), "assigned_to")
    search_fields = ("=id", "=organization", "=subject")
    action_form = TextForm
    actions = ("assign", "note", "resolve")

    @admin.action(description="Assign the chosen ones (say to whom)", permissions=["operate"])
    def assign(self, request: HttpRequest, rows: QuerySet[Finding]) -> None:
        """Say who looks after them."""
        to = request.POST.get("text", "")
        self.run(
            request, rows, lambda row, author, cur: assign_finding(cur, finding=row.id, to=to, author=author)
        )

    @admin.action(description="Add a note to the chosen ones", permissions=["operate"])
    def note(self, request: HttpRequest, rows: QuerySet[Finding]) -> None:
        """Add what there is to say."""
        text = request.POST.get("text", "")
        self.run(
            request,
            rows,
            lambda row, author, cur: note_finding(cur, finding=row.id, text=text, author=author),
        )

    @admin.action(description="Resolve the chosen ones (give a reason)", permissions=["operate"])
    def resolve(self, request: HttpRequest, rows: QuerySet[Finding]) -> None:
        """Settle them."""
        reason = request.POST.get("text", "")
        self.run(
            request,
            rows,
            lambda row, author, cur: resolve_finding(cur, finding=row.id, reason=reason, author=author),
        )


@admin.register(AutoTopUpLetter)
class AutoTopUpLetterAdmin(ReadOnlyAdmin):
    """Letters that automatic top-ups have stopped, and what became of each."""

    list_display = ("organization", "status", "attempts", "made_at", "next_try_at", "done_at")
    list_filter = ("status",)
    search_fields = ("=organization",)
