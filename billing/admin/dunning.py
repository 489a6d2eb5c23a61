"""Dunning for the staff: cases with their timeline, policies with what they would do, letters. Actions call the same
operations as the API."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from billing.admin.operated import FormAdmin
from billing.admin.policy_forms import PolicyChangeForm, PolicyForm
from billing.models import DunningCase, DunningNotice, DunningPolicy, DunningRun
from billing.operations.dunning import commanding
from billing.operations.dunning.policies import archive_policy
from billing.operations.dunning.trouble import resume_dunning
from billing.queries.dunning import find_case, history_of_case, unpaid_of
from billing.queries.dunning_policies import find_policy
from billing.queries.entitlements import entitlements
from billing.rules.dunning.case import Case, consequence_of
from billing.rules.dunning.policy import MAX_EXEMPTION_DAYS, parse_policy
from billing.rules.dunning.states import TARGETS
from billing.rules.dunning.timeline import timeline
from common.money import format_document_amount
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.admin import ReadOnlyAdmin
from orgs.operations.facts import Author
from spend.queries.budgets import business_now

Command = Callable[..., Case]


class CaseActionForm(ActionForm):
    """What actions on cases ask besides."""

    reason = forms.CharField(required=False, max_length=500)
    days = forms.IntegerField(
        required=False, min_value=1, max_value=MAX_EXEMPTION_DAYS, help_text="Of an extension or exemption"
    )
    to = forms.ChoiceField(required=False, choices=[(name, name) for name in TARGETS])


@admin.register(DunningCase)
class DunningCaseAdmin(ReadOnlyAdmin):
    """Customers in arrears."""

    action_form = CaseActionForm
    list_display = (
        "id", "organization", "state", "anchor_at", "changed_at", "next_at", "failures", "is_hard", "exempt_until",
        "extended_until", "closing",
    )  # fmt: skip
    list_filter = ("state", "closing", "is_hard")
    search_fields = ("=id", "=organization")
    actions = ("extend", "exempt", "end_exemption", "move")
    readonly_fields = ("shown_unpaid", "shown_campaigns", "shown_gate", "shown_timeline")

    @admin.display(description="unpaid")
    def shown_unpaid(self, row: DunningCase) -> SafeString:
        """What it waits for."""

        def read(cur: Cursor) -> list[tuple[Any, ...]]:
            found = unpaid_of(cur, find_case(cur, organization=row.organization, case=row.id))
            return [
                (each.number, format_document_amount(each.due, currency=each.currency), each.currency)
                for each in found
            ]

        return format_html_join("", "<p>{}: {} {}</p>", run_in_transaction(read))

    @admin.display(description="campaigns")
    def shown_campaigns(self, row: DunningCase) -> SafeString:
        """Of which currencies what is overdue is asked for, and how far that is."""

        def read(cur: Cursor) -> list[tuple[Any, ...]]:
            case = find_case(cur, organization=row.organization, case=row.id)
            return [
                (each.currency, each.attempts, case.policy.max_attempts, each.next_at or "none")
                for each in case.campaigns
            ]

        return format_html_join("", "<p>{}: {} of {} attempts, next: {}</p>", run_in_transaction(read))

    @admin.display(description="gate")
    def shown_gate(self, row: DunningCase) -> str:
        """What the gate obeys, and what the customer is entitled to: from the one resolver."""

        def read(cur: Cursor) -> str:
            case = find_case(cur, organization=row.organization, case=row.id)
            found = entitlements(cur, row.organization, business_now(cur, row.organization))
            spend = "can spend" if found.can_spend else "cannot spend"
            return f"{consequence_of(case).standing}; access {found.access}, {spend}"

        return run_in_transaction(read)

    @admin.display(description="timeline")
    def shown_timeline(self, row: DunningCase) -> SafeString:
        """Everything that happened, oldest first."""

        def read(cur: Cursor) -> list[tuple[Any, ...]]:
            case = find_case(cur, organization=row.organization, case=row.id)
            return [
                (each.occurred_at, each.type.partition(".")[2], each.data["trigger"], each.actor,
                 each.data.get("reason") or each.data.get("why") or "")
                for each in history_of_case(cur, case, after=None, limit=500)
            ]  # fmt: skip

        return format_html_join("", "<p>{}: {} ({}, {}) {}</p>", run_in_transaction(read))

    @admin.action(description="Extend by days (give a reason)", permissions=["operate"])
    def extend(self, request: HttpRequest, rows: QuerySet[DunningCase]) -> None:
        """Put off the further steps of each."""
        self._for_days(request, rows, commanding.extend_case)

    @admin.action(description="Exempt for days (give a reason)", permissions=["operate"])
    def exempt(self, request: HttpRequest, rows: QuerySet[DunningCase]) -> None:
        """Hold nothing against each for so long."""
        self._for_days(request, rows, commanding.exempt_case)

    @admin.action(description="End the exemption (give a reason)", permissions=["operate"])
    def end_exemption(self, request: HttpRequest, rows: QuerySet[DunningCase]) -> None:
        """End the exemption of each."""
        self._each(request, rows, commanding.end_exemption)

    @admin.action(description="Move (choose to, give a reason)", permissions=["operate"])
    def move(self, request: HttpRequest, rows: QuerySet[DunningCase]) -> None:
        """Move each along the table."""
        self._each(request, rows, partial(commanding.move_case, to=request.POST.get("to", "")))

    def _for_days(self, request: HttpRequest, rows: QuerySet[DunningCase], command: Command) -> None:
        text = request.POST.get("days", "")
        if not (text.isascii() and text.isdigit() and len(text) < 5):
            self.message_user(request, "Say for how many days.", messages.ERROR)
            return
        self._each(request, rows, partial(command, days=int(text)))

    def _each(self, request: HttpRequest, rows: QuerySet[DunningCase], command: Command) -> None:
        reason = request.POST.get("reason", "")

        def operation(row: DunningCase, author: Author, cur: Cursor) -> Case:
            return command(cur, organization=row.organization, case=row.id, reason=reason, author=author)

        self.run(request, rows, operation)


@admin.register(DunningPolicy)
class DunningPolicyAdmin(FormAdmin):
    """What is done when, and for whom."""

    new_form = PolicyForm
    changing_form = PolicyChangeForm
    list_display = ("key", "name", "number", "is_default", "plans", "contracts", "archived_at")
    list_filter = ("is_default",)
    search_fields = ("key", "name")
    actions = ("archive",)
    readonly_fields = ("shown_trigger", "shown_timeline")

    @admin.display(description="what opens a case")
    def shown_trigger(self, row: DunningPolicy) -> str:
        """Any overdue invoice, or an overdue balance and how it is asked for."""
        policy = parse_policy(row.document)
        if not policy.is_by_balance:
            return "any overdue invoice"
        balances = (
            f"{format_document_amount(least, currency=currency)} {currency}"
            for currency, least in policy.thresholds
        )
        return (
            f"an overdue balance of {' or '.join(balances)}; at most {policy.max_attempts} attempts, "
            f"{policy.days_between_attempts} days apart"
        )

    @admin.display(description="for an invoice that falls due now, or balances at their thresholds")
    def shown_timeline(self, row: DunningPolicy) -> SafeString:
        """What it would do if every retry failed."""

        def read(cur: Cursor) -> list[tuple[datetime, int, str, str, str, str]]:
            found, now = find_policy(cur, str(row.id)), business_now(cur, UUID(str(row.organization)))
            return [
                (each.at, each.day, each.event, each.currency or "", each.state, each.standing)
                for each in timeline(found.policy, due_at=now, zone="UTC")
            ]

        return format_html_join("", "<p>{}, day {}: {} {} ({}, {})</p>", run_in_transaction(read))

    @admin.action(description="Archive the chosen policies", permissions=["operate"])
    def archive(self, request: HttpRequest, rows: QuerySet[DunningPolicy]) -> None:
        """End each; open cases keep theirs."""
        self.run(
            request, rows, lambda row, author, cur: archive_policy(cur, policy=str(row.id), author=author)
        )


@admin.register(DunningNotice)
class DunningNoticeAdmin(ReadOnlyAdmin):
    """Letters to customers in arrears, and what became of each."""

    list_display = (
        "notice", "organization", "case_id", "state", "status", "attempts", "made_at", "next_try_at", "done_at",
    )  # fmt: skip
    list_filter = ("status", "notice")
    search_fields: ClassVar = ("=case_id", "=organization")


@admin.register(DunningRun)
class DunningRunAdmin(ReadOnlyAdmin):
    """Customers whose dunning is in work or meets trouble."""

    list_display = ("organization", "failures", "failed_at", "parked_at", "last_error")
    search_fields = ("=organization",)
    actions = ("resume",)

    @admin.action(description="Let the chosen customers' dunning go on", permissions=["operate"])
    def resume(self, request: HttpRequest, rows: QuerySet[DunningRun]) -> None:
        """Forget each one's failures."""
        self.run(request, rows, lambda row, author, cur: resume_dunning(cur, organization=row.organization))
