"""Revenue for the staff: schedules to read, months to close and reopen, and the reports of a month."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from billing.models import AccountingPeriod, MonthReport, RecognitionSchedule
from billing.operations.revenue.closing import close_period, reopen_period
from billing.queries.accounting import seller_named
from billing.queries.monthbooks import ACCOUNTS, MonthOf, books_months, totals, trial_months
from billing.rules.months import month_text, parse_month
from billing.rules.rollforward import RollForward, movement_names
from common.errors import ProblemError
from common.fields import is_id
from common.money import format_amount
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.admin import MAX_CHOICES, OrganizationFilter, ReadOnlyAdmin
from orgs.models import Organization
from orgs.operations.facts import Author


class ReasonForm(ActionForm):
    """The reason of an action."""

    reason = forms.CharField(required=False, max_length=500)


@admin.register(RecognitionSchedule)
class RecognitionScheduleAdmin(ReadOnlyAdmin):
    """When invoiced fees are revenue."""

    list_display = (
        "id", "organization", "invoice_id", "line", "status", "shown_amount", "shown_recognised", "shown_deferred",
        "service_start", "service_end", "next_at",
    )  # fmt: skip
    list_filter = (OrganizationFilter, "status")
    search_fields = ("=id", "=invoice_id", "=subscription")

    @admin.display(description="amount")
    def shown_amount(self, row: RecognitionSchedule) -> str:
        """What is to be revenue in the end."""
        return format_amount(row.amount)

    @admin.display(description="recognised")
    def shown_recognised(self, row: RecognitionSchedule) -> str:
        """What is booked."""
        return format_amount(row.recognised)

    @admin.display(description="deferred")
    def shown_deferred(self, row: RecognitionSchedule) -> str:
        """What is left."""
        return format_amount(row.amount - row.recognised)


@admin.register(AccountingPeriod)
class AccountingPeriodAdmin(ReadOnlyAdmin):
    """Months that were closed, by seller. The page of a month's reports closes the next one."""

    list_display = ("month", "legal_entity", "status", "reason", "changed_at", "changed_by")
    list_filter = ("status",)
    action_form = ReasonForm
    actions = ("reopen",)

    @admin.action(description="Reopen the chosen months (give a reason)", permissions=["operate"])
    def reopen(self, request: HttpRequest, rows: QuerySet[AccountingPeriod]) -> None:
        """Reopen each of them; only a seller's last closed month can be."""
        reason = request.POST.get("reason", "")
        self.run(
            request,
            rows,
            lambda row, author, cur: reopen_period(
                cur, entity=row.legal_entity, month=row.month, reason=reason, author=author
            ),
        )


@admin.register(MonthReport)
class MonthReportAdmin(ReadOnlyAdmin):
    """One page: choose a month, a seller and an organization; see what the books say of it, and close the month."""

    def get_urls(self) -> list[URLPattern]:
        """The page; there are no rows to look at one by one."""
        view = self.admin_site.admin_view(self.changelist_view)
        return [path("", view, name="billing_monthreport_changelist")]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The reports of ?month=, for ?organization= and ?legal_entity= where these are given."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            return self._close(request)
        customers = Organization.objects.filter(is_platform=False)
        name = request.GET.get("organization", "")
        context = {
            **self.admin_site.each_context(request),
            "title": "Month reports",
            "opts": self.opts,
            "organizations": customers.order_by("name")[:MAX_CHOICES],
            "chosen": customers.filter(pk=name).first() if is_id(name) else None,
            "month": request.GET.get("month", ""),
            "legal_entity": request.GET.get("legal_entity", ""),
            "may_close": self.has_operate_permission(request),
            **self._reports(request),
        }
        return TemplateResponse(request, "admin/billing/month_report.html", context)

    def _reports(self, request: HttpRequest) -> dict[str, Any]:
        if not request.GET.get("month"):
            return {}
        try:
            return run_in_transaction(lambda cur: _reports(cur, _wanted(cur, request)))
        except ProblemError as error:
            self.message_user(request, error.detail, messages.ERROR)
            return {}

    def _close(self, request: HttpRequest) -> HttpResponse:
        """Close the month of the form. A refusal is shown."""
        if not self.has_operate_permission(request):
            raise PermissionDenied
        author = Author(f"staff:{request.user.pk}")

        def operation(cur: Cursor) -> str:
            month = parse_month(request.POST.get("month"))
            entity = seller_named(cur, request.POST.get("legal_entity") or None)
            return month_text(close_period(cur, entity=entity, month=month, author=author).month)

        try:
            closed = run_in_transaction(operation)
            self.message_user(request, f"{closed} is being closed in the books of all customers.")
        except ProblemError as error:
            self.message_user(request, error.detail, messages.ERROR)
        return HttpResponseRedirect(request.get_full_path())


def _wanted(cur: Cursor, request: HttpRequest) -> MonthOf:
    month: date = parse_month(request.GET.get("month"))
    name, seller = request.GET.get("organization", ""), request.GET.get("legal_entity", "")
    return MonthOf(month, UUID(name) if is_id(name) else None, seller_named(cur, seller) if seller else None)


def _reports(cur: Cursor, wanted: MonthOf) -> dict[str, Any]:
    figures = ("opening", "debits", "credits", "closing")
    trial = [
        [row.kind, row.currency, *(format_amount(getattr(row, name)) for name in figures)]
        for row in trial_months(cur, wanted)
    ]
    rolled = [
        {"account": name, "currency": currency, "movements": _movements(name, accounts[name])}
        for currency, accounts in totals(books_months(cur, wanted)).items()
        for name in ACCOUNTS
    ]
    return {"trial": trial, "rolled": rolled, "shown": True}


def _movements(account: str, found: RollForward) -> list[tuple[str, str]]:
    inner = [(name, format_amount(found.movements[name])) for name in movement_names(account)]
    return [("opening", format_amount(found.opening)), *inner, ("closing", format_amount(found.closing))]
