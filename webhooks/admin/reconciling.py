"""Reconciliation for finance: reports, differences, money in suspense, and providers' bills."""

from __future__ import annotations

import io
import json
from functools import partial
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.timesince import timesince

from billing.models import Finding
from billing.operations.findings import assign_finding
from billing.rules.findings import RESOLVED
from common.errors import InvalidField, ProblemError
from common.fields import is_id
from common.money import format_amount
from common.transactions import run_in_transaction
from orgs.admin import MAX_CHOICES, ReadOnlyAdmin
from orgs.operations.facts import Author
from webhooks.models import ProcessorItem, ProviderBill, Reconciliation, ReconciliationDifference
from webhooks.operations.reconciling.bills import book_bill, compare_bill, import_bill
from webhooks.operations.reconciling.suspense import assign_item, mark_foreign
from webhooks.queries.reconciling.bills import find_bill
from webhooks.rules.reconciling.billfiles import PROVIDERS, read_statement
from webhooks.rules.reconciling.bills import AGAINST, DEFAULT_TOLERANCE_PPM
from webhooks.rules.reconciling.differences import OPEN, OVERDUE


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


class OverdueFilter(admin.SimpleListFilter):
    """What is open for too long, and nobody has accepted."""

    title = "overdue"
    parameter_name = "is_overdue"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Only those, or all."""
        return [("true", f"open for over {OVERDUE.days} days")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Those."""
        if self.value() != "true":
            return queryset
        waiting = queryset.filter(outcome=OPEN, first_seen_at__lte=timezone.now() - OVERDUE)
        return waiting.exclude(finding__in=Finding.objects.filter(status=RESOLVED).values("id"))


class OwnerFilter(admin.SimpleListFilter):
    """Who looks after it."""

    title = "assigned to"
    parameter_name = "assigned_to"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Everybody who looks after an open finding, and nobody."""
        owners = Finding.objects.filter(status="open").exclude(assigned_to=None).order_by("assigned_to")
        names = owners.values_list("assigned_to", flat=True).distinct()[:MAX_CHOICES]
        return [("", "nobody"), *((f"={name}", str(name)) for name in names)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """What is theirs."""
        chosen = self.value()
        if chosen is None:
            return queryset
        return queryset.filter(assigned_to=chosen[1:]) if chosen else queryset.filter(assigned_to=None)


class OwnerForm(ActionForm):
    """Who is to look after the chosen ones."""

    assignee = forms.CharField(required=False, max_length=1_000)


@admin.register(ReconciliationDifference)
class ReconciliationDifferenceAdmin(ReadOnlyAdmin):
    """What differed, since when, who looks after it, and what became of it."""

    action_form = OwnerForm
    list_display = (
        "class_name", "kind", "subject", "organization", "shown_amount", "currency", "outcome", "shown_age",
        "shown_owner", "finding", "first_seen_at", "last_seen_at", "ended_at",
    )  # fmt: skip
    list_filter = ("outcome", OverdueFilter, OwnerFilter, "class_name", "kind")
    actions = ("assign",)
    search_fields = ("=subject", "=organization", "=run", "=last_run", "=finding")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ReconciliationDifference]:
        """With who looks after the finding."""
        owner = Finding.objects.filter(id=OuterRef("finding")).values("assigned_to")[:1]
        found: QuerySet[ReconciliationDifference] = super().get_queryset(request)
        return found.annotate(assigned_to=Subquery(owner))

    @admin.display(description="age")
    def shown_age(self, row: ReconciliationDifference) -> str:
        """How long it is, or was, open."""
        return timesince(row.first_seen_at, row.ended_at)

    @admin.display(description="assigned to", empty_value="nobody")
    def shown_owner(self, row: Any) -> str | None:
        """Who looks after it."""
        owner: str | None = row.assigned_to
        return owner

    @admin.action(description="Assign the chosen ones (say to whom)", permissions=["operate"])
    def assign(self, request: HttpRequest, rows: QuerySet[ReconciliationDifference]) -> None:
        """Say who looks after their findings; what was repaired has none."""
        to = request.POST.get("assignee", "")
        self.run(
            request,
            rows.exclude(finding=None),
            lambda row, author, cur: assign_finding(cur, finding=row.finding, to=to, author=author),
        )

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
            file = io.TextIOWrapper(given["file"].file, encoding="utf-8", newline="")
            statement = read_statement(file, provider=given["provider"])
            bill, is_new = run_in_transaction(
                partial(
                    import_bill,
                    statement=statement,
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
