"""Reconciliation for finance: reports, differences, money in suspense, and providers' bills."""

from __future__ import annotations

import json
from functools import partial
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
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from common.errors import InvalidField, ProblemError
from common.fields import is_id
from common.money import format_amount
from common.transactions import run_in_transaction
from orgs.admin import ReadOnlyAdmin
from orgs.operations.facts import Author
from webhooks.models import ProcessorItem, ProviderBill, Reconciliation, ReconciliationDifference
from webhooks.operations.reconciling.bills import book_bill, compare_bill, import_bill
from webhooks.operations.reconciling.suspense import assign_item, mark_foreign
from webhooks.queries.reconciling.bills import find_bill
from webhooks.rules.reconciling.bills import AGAINST, DEFAULT_TOLERANCE_PPM, MAX_BYTES, PROVIDERS


@admin.register(Reconciliation)
class ReconciliationAdmin(ReadOnlyAdmin):
    """Runs of reconciliation with their reports."""

    list_display = (
        "period",
        "cause",
        "status",
        "is_clean",
        "shown_differences",
        "started_at",
        "finished_at",
        "error",
    )
    list_filter = ("cause", "status", "is_clean")

    @admin.display(description="differences")
    def shown_differences(self, row: Reconciliation) -> str:
        """By class: found, repaired, open."""
        return json.dumps(row.differences)


@admin.register(ReconciliationDifference)
class ReconciliationDifferenceAdmin(ReadOnlyAdmin):
    """What differed, since when, and what became of it."""

    list_display = (
        "class_name", "kind", "subject", "organization", "shown_amount", "currency", "outcome", "finding",
        "first_seen_at", "last_seen_at", "ended_at",
    )  # fmt: skip
    list_filter = ("outcome", "class_name", "kind")
    search_fields = ("=subject", "=organization", "=run", "=last_run", "=finding")

    @admin.display(description="amount")
    def shown_amount(self, row: ReconciliationDifference) -> str:
        """How much more the processor says."""
        return "" if row.amount is None else format_amount(row.amount)


class ItemActionForm(ActionForm):
    """What is said about money in suspense."""

    organization = forms.CharField(required=False, max_length=36, help_text="Whose money it is (id)")
    invoice = forms.CharField(
        required=False, max_length=36, help_text="Which it pays (id); else it is credit"
    )
    reason = forms.CharField(required=False, max_length=500)


@admin.register(ProcessorItem)
class ProcessorItemAdmin(ReadOnlyAdmin):
    """Balance transactions that no object of ours explains; what is in suspense waits for finance."""

    action_form = ItemActionForm
    list_display = (
        "balance_transaction", "status", "category", "subject", "shown_amount", "shown_fee", "currency", "booked_to",
        "assigned_to", "reason", "created_at",
    )  # fmt: skip
    list_filter = ("status", "category", "booked_to")
    search_fields = ("=id", "=balance_transaction", "=subject")
    actions = ("assign", "foreign")

    @admin.display(description="amount")
    def shown_amount(self, row: ProcessorItem) -> str:
        """What came, or went below zero."""
        return format_amount(row.amount)

    @admin.display(description="fee")
    def shown_fee(self, row: ProcessorItem) -> str:
        """What the processor kept."""
        return format_amount(row.fee)

    @admin.action(description="Assign the chosen money to an organization", permissions=["operate"])
    def assign(self, request: HttpRequest, rows: QuerySet[ProcessorItem]) -> None:
        """Each of them pays the invoice, or becomes credit."""
        reason = request.POST.get("reason", "")
        try:
            organization = _named(request, "organization", required=True)
            invoice = _named(request, "invoice", required=False)
        except InvalidField as error:
            self.message_user(request, error.detail, messages.ERROR)
            return
        assert organization is not None
        self.run(
            request,
            rows,
            lambda row, author, cur: assign_item(
                cur, item=row.id, organization=organization, invoice=invoice, reason=reason, author=author
            ),
        )

    @admin.action(description="The chosen money is none of ours (give a reason)", permissions=["operate"])
    def foreign(self, request: HttpRequest, rows: QuerySet[ProcessorItem]) -> None:
        """Mark each of them."""
        reason = request.POST.get("reason", "")
        self.run(
            request,
            rows,
            lambda row, author, cur: mark_foreign(cur, item=row.id, reason=reason, author=author),
        )


class BookForm(ActionForm):
    """Against what a bill is booked."""

    against = forms.ChoiceField(required=False, choices=[(name, name) for name in AGAINST])


class UploadForm(forms.Form):
    """A cost export."""

    provider = forms.ChoiceField(choices=[(name, name) for name in PROVIDERS])
    file = forms.FileField(allow_empty_file=False)
    tolerance_ppm = forms.IntegerField(initial=DEFAULT_TOLERANCE_PPM, min_value=0, max_value=1_000_000)


@admin.register(ProviderBill)
class ProviderBillAdmin(ReadOnlyAdmin):
    """Providers' bills beside our record of calls."""

    action_form = BookForm
    change_list_template = "admin/webhooks/provider_bills.html"
    list_display = (
        "provider",
        "first_day",
        "last_day",
        "shown_total",
        "currency",
        "status",
        "created_at",
        "booked_at",
    )
    list_filter = ("provider", "status")
    exclude = ("lines",)
    readonly_fields = ("shown_days",)
    actions = ("book",)

    @admin.display(description="total")
    def shown_total(self, row: ProviderBill) -> str:
        """What was billed."""
        return format_amount(row.total)

    @admin.display(description="days")
    def shown_days(self, row: ProviderBill) -> SafeString:
        """Each day and model beside our record; what differs by more than the tolerance is marked."""
        days = run_in_transaction(lambda cur: compare_bill(cur, find_bill(cur, row.id)))
        rows = (
            (
                each.day, each.model, format_amount(each.billed), format_amount(each.ours),
                "" if each.is_within(row.tolerance_ppm) else "differs",
            )
            for each in days
        )  # fmt: skip
        return format_html_join("", "<p>{} {}: billed {}, ours {} {}</p>", rows)

    def get_urls(self) -> list[URLPattern]:
        """The page that takes a file, before those of the rows."""
        view = self.admin_site.admin_view(self.upload)
        return [path("upload/", view, name="webhooks_providerbill_upload"), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """The list, with the way to the upload for those who may."""
        may = {"may_upload": self.has_operate_permission(request)}
        return super().changelist_view(request, {**(extra_context or {}), **may})

    def upload(self, request: HttpRequest) -> HttpResponse:
        """Import the file of the form, once for its content. A refusal is shown."""
        if not self.has_operate_permission(request):
            raise PermissionDenied
        form = UploadForm(request.POST or None, request.FILES or None)
        if request.method == "POST" and form.is_valid() and self._imported(request, form.cleaned_data):
            return HttpResponseRedirect("../")
        context = {
            **self.admin_site.each_context(request),
            "title": "Import a bill",
            "opts": self.opts,
            "form": form,
        }
        return TemplateResponse(request, "admin/webhooks/provider_bill_upload.html", context)

    def _imported(self, request: HttpRequest, given: dict[str, Any]) -> bool:
        try:
            if given["file"].size > MAX_BYTES:
                raise InvalidField("The file is larger than 10 MB.")
            text = given["file"].read().decode("utf-8")
            bill, is_new = run_in_transaction(
                partial(
                    import_bill,
                    text=text,
                    provider=given["provider"],
                    tolerance_ppm=given["tolerance_ppm"],
                    author=Author(f"staff:{request.user.pk}"),
                )
            )
        except UnicodeDecodeError:
            self.message_user(request, "The file is not in UTF-8.", messages.ERROR)
            return False
        except ProblemError as error:
            self.message_user(request, error.detail, messages.ERROR)
            return False
        word = "imported" if is_new else "imported before"
        self.message_user(request, f"{format_amount(bill.total)} {bill.currency}: {word}.", messages.SUCCESS)
        return True

    @admin.action(description="Book the chosen bills", permissions=["operate"])
    def book(self, request: HttpRequest, rows: QuerySet[ProviderBill]) -> None:
        """Book each of them in the platform's books."""
        against = request.POST.get("against", "")
        self.run(
            request,
            rows,
            lambda row, author, cur: book_bill(cur, bill=row.id, against=against, author=author),
        )


def _named(request: HttpRequest, name: str, *, required: bool) -> UUID | None:
    text = request.POST.get(name, "").strip()
    if not text and not required:
        return None
    if not is_id(text):
        raise InvalidField(f"Give the id of the {name}.")
    return UUID(text)
