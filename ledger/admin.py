"""The books for the staff. Facts, balances, grants and holds are to look at, for everyone; credit is corrected by
adjustments, which one person proposes and, above the limit, another one approves (S12)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.contrib.admin.helpers import ActionForm
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join

from common.errors import ProblemError
from common.money import format_amount, parse_amount
from common.transactions import run_in_transaction
from ledger.models import Account, Adjustment, CreditGrant, Hold, JournalEntry
from ledger.operations.adjusting import (
    NewAdjustment,
    approve_adjustment,
    propose_adjustment,
    reject_adjustment,
)
from ledger.queries.accounts import balance
from ledger.queries.adjustments import find_adjustment
from ledger.queries.journal import find_entry
from ledger.rules.adjustments import CONTRA_KINDS
from orgs.admin import OrganizationFilter, ReadOnlyAdmin
from orgs.operations.facts import Author

if TYPE_CHECKING:  # generic to the type checker only
    _AdjustmentForm = forms.ModelForm[Adjustment]
else:
    _AdjustmentForm = forms.ModelForm


@admin.register(Account)
class AccountAdmin(ReadOnlyAdmin):
    """Accounts with their balances; a credit is positive."""

    list_display = ("kind", "currency", "organization", "shown_balance", "shown_held", "shown_debt", "live")
    list_filter = (OrganizationFilter, "kind")
    search_fields = ("=id",)
    fields = (
        "id", "organization", "kind", "currency", "counterparty", "live", "shown_balance", "shown_held", "shown_debt",
        "shown_limit",
    )  # fmt: skip

    @admin.display(description="posted")
    def shown_balance(self, account: Account) -> str:
        """What is posted; of an account without a limit its row does not say it."""
        read = run_in_transaction(
            lambda cur: balance(cur, organization=account.organization, account=account.id)
        )
        return format_amount(read)

    @admin.display(description="held")
    def shown_held(self, account: Account) -> str:
        """What is held."""
        return format_amount(account.held)

    @admin.display(description="debt")
    def shown_debt(self, account: Account) -> str:
        """What was taken beyond all grants."""
        return format_amount(account.debt)

    @admin.display(description="credit limit")
    def shown_limit(self, account: Account) -> str:
        """How far below zero holds may go."""
        return "none" if account.credit_limit is None else format_amount(account.credit_limit)


@admin.register(JournalEntry)
class JournalEntryAdmin(ReadOnlyAdmin):
    """Journal entries with their postings."""

    list_display = ("kind", "effective_at", "source", "reason", "actor", "id")
    list_filter = (OrganizationFilter, "kind")
    search_fields = ("=id", "=source", "=idempotency_key")
    fields = (
        "id", "organization", "kind", "effective_at", "recorded_at", "source", "idempotency_key", "actor", "reason",
        "reverses", "postings",
    )  # fmt: skip

    @admin.display(description="postings")
    def postings(self, entry: JournalEntry) -> str:
        """The lines; they sum to zero."""
        found = run_in_transaction(
            lambda cur: find_entry(cur, organization=entry.organization, entry=entry.id)
        )
        lines = ((line.kind, format_amount(line.amount), line.currency, line.account) for line in found.lines)
        return format_html_join("", "<div>{} {} {} ({})</div>", lines)


@admin.register(CreditGrant)
class CreditGrantAdmin(ReadOnlyAdmin):
    """Grants of credit."""

    list_display = (
        "funding_source", "kind", "organization", "shown_amount", "shown_remaining", "shown_held", "currency",
        "priority", "scope", "effective_at", "expires_at", "expired_at",
    )  # fmt: skip
    list_filter = (OrganizationFilter, "funding_source", "kind")
    search_fields = ("=id", "=source")

    @admin.display(description="amount")
    def shown_amount(self, grant: CreditGrant) -> str:
        """What was given."""
        return format_amount(grant.amount)

    @admin.display(description="remaining")
    def shown_remaining(self, grant: CreditGrant) -> str:
        """What is neither burnt nor expired."""
        return format_amount(grant.remaining)

    @admin.display(description="held")
    def shown_held(self, grant: CreditGrant) -> str:
        """What work in flight holds of it."""
        return format_amount(grant.held)


@admin.register(Hold)
class HoldAdmin(ReadOnlyAdmin):
    """Holds with their receipts."""

    list_display = ("id", "status", "shown_amount", "source", "placed_at", "ended_at")
    list_filter = (OrganizationFilter, "status")
    search_fields = ("=id", "=source")

    @admin.display(description="amount")
    def shown_amount(self, hold: Hold) -> str:
        """What it holds, or held."""
        return format_amount(hold.amount)


class AdjustmentForm(_AdjustmentForm):
    """What a person says about an adjustment."""

    organization = forms.UUIDField()
    direction = forms.ChoiceField(choices=[("credit", "give credit"), ("debit", "take credit")])
    amount = forms.CharField(help_text="A decimal in the organization's currency, such as 12.50")
    currency = forms.CharField(max_length=3)
    contra_kind = forms.ChoiceField(
        choices=[(kind, kind) for kind in CONTRA_KINDS], initial="promotional_expense"
    )
    reason = forms.CharField(max_length=500, widget=forms.Textarea)

    class Meta:
        model = Adjustment
        fields = ()

    def clean_amount(self) -> int:
        """Units of 10^-8, by the same rule as in the API."""
        try:
            return parse_amount(self.cleaned_data["amount"].strip())
        except ProblemError as error:
            raise ValidationError(error.detail) from None

    def as_new(self) -> NewAdjustment:
        """What the operation takes."""
        values = self.cleaned_data
        sign = 1 if values["direction"] == "credit" else -1
        return NewAdjustment(
            values["organization"], sign * values["amount"], values["currency"], values["contra_kind"],
            values["reason"],
        )  # fmt: skip


class DecisionForm(ActionForm):
    """An action, and why."""

    reason = forms.CharField(required=False, max_length=500)


@admin.register(Adjustment)
class AdjustmentAdmin(ReadOnlyAdmin):
    """Adjustments: proposed by whoever may add them, decided by whoever may change them. None is edited."""

    form = AdjustmentForm
    action_form = DecisionForm
    list_display = (
        "status", "organization", "shown_amount", "currency", "contra_kind", "reason", "proposed_by", "decided_by",
        "created_at",
    )  # fmt: skip
    list_filter = ("status",)
    search_fields = ("=id", "=organization")
    actions = ("approve", "reject")
    PROPOSED = ("organization", "direction", "amount", "currency", "contra_kind", "reason")
    SHOWN = (
        "id", "organization", "shown_amount", "currency", "contra_kind", "reason", "status", "proposed_by",
        "created_at", "decided_by", "decided_at", "decision_reason", "entry_id",
    )  # fmt: skip

    @admin.display(description="amount")
    def shown_amount(self, adjustment: Adjustment) -> str:
        """Above zero gives, below takes."""
        return format_amount(adjustment.amount)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whoever may propose."""
        return bool(request.user.has_perm("ledger.add_adjustment"))

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """The form of a new one; an old one is to read."""
        return self.PROPOSED if obj is None else self.SHOWN

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """Everything, once it is proposed."""
        return () if obj is None else self.SHOWN

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Propose it by the operation, with this person as the maker."""
        new, author = form.as_new(), Author(f"staff:{request.user.pk}")
        obj.id = run_in_transaction(lambda cur: propose_adjustment(cur, new, author=author))
        made = run_in_transaction(
            lambda cur: find_adjustment(cur, organization=new.organization, adjustment=obj.id)
        )
        obj.status = made.status

    @admin.action(description="Approve and post the chosen adjustments", permissions=["operate"])
    def approve(self, request: HttpRequest, rows: QuerySet[Adjustment]) -> None:
        """Post each of them; whoever proposed one cannot."""
        self.run(
            request,
            rows,
            lambda row, author, cur: approve_adjustment(
                cur, organization=row.organization, adjustment=row.id, author=author
            ),
        )

    @admin.action(description="Reject the chosen adjustments (give a reason)", permissions=["operate"])
    def reject(self, request: HttpRequest, rows: QuerySet[Adjustment]) -> None:
        """End each of them without an entry."""
        reason = request.POST.get("reason", "")
        self.run(
            request,
            rows,
            lambda row, author, cur: reject_adjustment(
                cur, organization=row.organization, adjustment=row.id, reason=reason, author=author
            ),
        )
