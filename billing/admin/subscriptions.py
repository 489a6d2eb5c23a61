"""Subscriptions for the staff: started and changed by forms, to read with their history, and actions that each make one
call."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from billing.admin.operated import FormAdmin
from billing.admin.subscription_forms import SubscriptionChangeForm, SubscriptionForm
from billing.models import MeteredPeriod, Subscription
from billing.operations.subscriptions import ending
from billing.operations.subscriptions.ending import Cancellation
from billing.queries.subscriptions import HistoryRow, history_of, plan_names
from billing.rules.agreed import read_agreed
from billing.rules.plantexts import price_text
from common import fields
from common.errors import ProblemError
from common.money import format_amount
from common.transactions import run_in_transaction
from orgs.admin import OrganizationFilter, ReadOnlyAdmin

SHOWN_EVENTS = 100


class CancellationForm(ActionForm):
    """What a cancellation at a moment asks besides."""

    at = forms.CharField(required=False, max_length=40, help_text="Such as 2027-01-01T00:00:00Z")
    reason = forms.CharField(required=False, max_length=500)


@admin.register(Subscription)
class SubscriptionAdmin(FormAdmin):
    """Subscriptions."""

    new_form = SubscriptionForm
    changing_form = SubscriptionChangeForm
    action_form = CancellationForm
    list_display = (
        "id", "organization", "plan_name", "status", "period_start", "period_end", "change_at", "cancel_at", "next_at",
    )  # fmt: skip
    list_filter = (OrganizationFilter, "status")
    search_fields = ("=id", "=organization")
    readonly_fields = ("plan_name", "held", "agreed_prices", "timeline")
    actions = (
        "pause", "resume", "cancel_at_period_end", "cancel_then", "cancel_now", "cancel_with_credit", "uncancel",
        "mark_past_due", "mark_recovered",
    )  # fmt: skip

    def may_change(self, row: Any) -> bool:
        """One that has ended stays as it is."""
        return row.ended_at is None

    @admin.display(description="plan")
    def plan_name(self, row: Subscription) -> str:
        """Key and number of the plan's version."""
        names = run_in_transaction(lambda cur: plan_names(cur, [row.plan_version]))
        key, number = names[row.plan_version]
        return f"{key} {number}"

    @admin.display(description="quantities and add-ons")
    def held(self, row: Subscription) -> str:
        """What it has now."""
        counts = (f"{count} {key}" for key, count in sorted(row.quantities.items()))
        return ", ".join((*counts, *row.add_ons)) or "-"

    @admin.display(description="prices of a contract")
    def agreed_prices(self, row: Subscription) -> SafeString:
        """What a contract says instead of the plan in the running period, by charge."""
        held = read_agreed(row.agreed)
        told = () if held is None else sorted(held.charges.items())
        lines = format_html_join(
            "",
            "<tr><td>{}</td><td>{}</td><td>{}</td></tr>",
            ((key, price_text(one.price), one.source) for key, one in told),
        )
        return format_html("<table>{}</table>", lines)

    @admin.display(description="timeline")
    def timeline(self, row: Subscription) -> SafeString:
        """What happened, newest first, with what it made the customer owe."""
        events = run_in_transaction(
            lambda cur: history_of(
                cur,
                organization=row.organization,
                subscription=row.id,
                before=None,
                limit=SHOWN_EVENTS,
            )
        )
        lines = format_html_join(
            "", "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>", map(_told, events)
        )
        return format_html("<table>{}</table>", lines)

    @admin.action(description="Pause the chosen subscriptions", permissions=["operate"])
    def pause(self, request: HttpRequest, rows: QuerySet[Subscription]) -> None:
        """Pause each of them until it is resumed."""
        self._each(request, rows, ending.pause_subscription)

    @admin.action(description="Resume the chosen subscriptions", permissions=["operate"])
    def resume(self, request: HttpRequest, rows: QuerySet[Subscription]) -> None:
        """End the pause of each of them."""
        self._each(request, rows, ending.resume_subscription)

    @admin.action(description="Cancel at the end of the period", permissions=["operate"])
    def cancel_at_period_end(self, request: HttpRequest, rows: QuerySet[Subscription]) -> None:
        """Let each of them end with its period."""
        self._cancel(request, rows, Cancellation())

    @admin.action(description="Cancel at a moment (at, reason)", permissions=["operate"])
    def cancel_then(self, request: HttpRequest, rows: QuerySet[Subscription]) -> None:
        """Let each of them end at a moment to come."""
        try:
            at = fields.instant(request.POST.get("at", "").strip())
        except ProblemError as error:
            self.message_user(request, error.detail, messages.ERROR)
            return
        self._cancel(request, rows, Cancellation("at", at, reason=request.POST.get("reason", "").strip()))

    @admin.action(description="Cancel now, without credit", permissions=["operate"])
    def cancel_now(self, request: HttpRequest, rows: QuerySet[Subscription]) -> None:
        """End each of them now."""
        self._cancel(request, rows, Cancellation("now"))

    @admin.action(description="Cancel now and credit what is unused", permissions=["operate"])
    def cancel_with_credit(self, request: HttpRequest, rows: QuerySet[Subscription]) -> None:
        """End each of them now, and credit what was paid and not used."""
        self._cancel(request, rows, Cancellation("now", credit_unused=True))

    @admin.action(description="Take a waiting cancellation back", permissions=["operate"])
    def uncancel(self, request: HttpRequest, rows: QuerySet[Subscription]) -> None:
        """Let each of them go on."""
        self._each(request, rows, ending.uncancel_subscription)

    @admin.action(description="Mark as past due", permissions=["operate"])
    def mark_past_due(self, request: HttpRequest, rows: QuerySet[Subscription]) -> None:
        """Note that an invoice of each of them is overdue."""
        self._each(request, rows, ending.mark_past_due)

    @admin.action(description="Mark as recovered", permissions=["operate"])
    def mark_recovered(self, request: HttpRequest, rows: QuerySet[Subscription]) -> None:
        """Note that nothing is overdue any more."""
        self._each(request, rows, ending.mark_recovered)

    def _each(self, request: HttpRequest, rows: QuerySet[Subscription], operation: Any) -> None:
        self.run(
            request,
            rows,
            lambda row, author, cur: operation(cur, row.organization, row.id, author=author),
        )

    def _cancel(self, request: HttpRequest, rows: QuerySet[Subscription], wanted: Cancellation) -> None:
        self.run(
            request,
            rows,
            lambda row, author, cur: ending.cancel_subscription(
                cur, row.organization, row.id, wanted, author=author
            ),
        )


@admin.register(MeteredPeriod)
class MeteredPeriodAdmin(ReadOnlyAdmin):
    """Metered periods that ended."""

    list_display = (
        "charge_key", "meter", "organization", "subscription", "start_at", "end_at", "invoice_id", "line",
    )  # fmt: skip
    list_filter = (OrganizationFilter, ("invoice_id", admin.EmptyFieldListFilter))
    search_fields = ("=id", "=subscription", "=invoice_id")


def _told(event: HistoryRow) -> tuple[str, str, str, str]:
    owed = (f"{item['description']} {format_amount(item['amount'])}" for item in event.data.get("items", ()))
    changed = (f"{name}: {old} → {new}" for name, (old, new) in event.data.get("changed", {}).items())
    return (
        f"{event.occurred_at:%Y-%m-%d %H:%M}",
        event.type.removeprefix("subscription."),
        event.actor,
        "; ".join((*changed, *owed)),
    )
