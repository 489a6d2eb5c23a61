"""Payouts, batches and statements for finance: look, hold, release, approve, reject, try again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from common import fields
from common.errors import CurrencyMismatch, InvalidField, ProblemError
from common.money import format_amount, parse_amount
from common.transactions import run_in_transaction
from orgs.admin import ReadOnlyAdmin
from orgs.operations.facts import Author
from payouts.admin.operated import OperatedAdmin, ReasonForm, RefusingForm
from payouts.models import PartnerStatement, Payout, PayoutBatch
from payouts.operations.paying import deciding
from payouts.operations.paying.batches import request_batch
from payouts.operations.paying.requesting import request_payout
from payouts.queries.partners import require_partner
from payouts.rules.paying.row import PLATFORM_REQUEST

if TYPE_CHECKING:  # generic to the type checker only
    _PayoutForm = forms.ModelForm[Payout]
    _BatchForm = forms.ModelForm[PayoutBatch]
else:
    _PayoutForm = _BatchForm = forms.ModelForm


class PayoutForm(RefusingForm, _PayoutForm):
    """What is to be paid to a partner."""

    organization = forms.UUIDField(help_text="The partner, by the id of its organization")
    amount = forms.CharField(required=False, help_text="Empty: all that can be withdrawn")
    currency = forms.CharField(required=False, help_text="Beside an amount: the partner's")

    class Meta:
        model = Payout
        fields = ()

    def clean(self) -> dict[str, Any]:
        """Read the amount as the API does; the partner's currency stands beside it."""
        values = super().clean() or {}
        if self.errors:
            return values
        try:
            values["units"] = self._units(values)
        except ProblemError as error:
            self.refuse(error)
        return values

    def _units(self, values: dict[str, Any]) -> int | None:
        if not values["amount"]:
            return None
        if not values["currency"]:
            raise InvalidField("An amount has its currency beside it.", pointer="/currency")
        currency = fields.currency(values["currency"], pointer="/currency")
        partner = run_in_transaction(lambda cur: require_partner(cur, values["organization"]))
        if currency != partner.currency:
            raise CurrencyMismatch(f"The partner's currency is {partner.currency}.", pointer="/currency")
        return parse_amount(values["amount"])


class PayoutBatchForm(_BatchForm):
    """A batch says nothing but that it is asked for."""

    class Meta:
        model = PayoutBatch
        fields = ()


@admin.register(Payout)
class PayoutAdmin(OperatedAdmin):
    """Money on its way to partners. Whoever may add payouts requests one; above the limit another person approves."""

    form = PayoutForm
    list_display = (
        "requested_at", "organization", "state", "shown_amount", "currency", "cause", "requested_by", "hold",
        "hold_note", "waits_for", "first_approved_by", "approved_by", "transfer", "payout", "failure",
    )  # fmt: skip
    list_filter = ("state", "cause", "hold")
    search_fields = ("=id", "=organization", "=transfer", "=payout", "=account")
    action_form = ReasonForm
    actions = ("approve", "release", "hold", "reject", "try_again", "reverse")

    REQUESTED: ClassVar = ("organization", "amount", "currency")

    @admin.display(description="amount")
    def shown_amount(self, row: Payout) -> str:
        """What is paid out."""
        return format_amount(row.amount)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """What a new one is of; one that was made is to read."""
        return self.REQUESTED if obj is None else [field.name for field in self.opts.fields]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Everything, once it was requested."""
        return () if obj is None else self.get_fields(request, obj)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Request it by the operation, in this person's name."""
        values, author = form.cleaned_data, Author(f"staff:{request.user.pk}")
        made = run_in_transaction(
            lambda cur: request_payout(
                cur,
                organization=values["organization"],
                amount=values["units"],
                cause=PLATFORM_REQUEST,
                author=author,
            )
        )
        obj.id, obj.organization, obj.state = made.id, made.organization, made.state

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
class PayoutBatchAdmin(OperatedAdmin):
    """Payouts of all partners at once. Whoever may add batches requests one, by saving an empty form."""

    form = PayoutBatchForm
    list_display = ("requested_at", "state", "requested_by", "made", "refused", "finished_at")
    list_filter = ("state",)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Nothing is asked of a new one."""
        return () if obj is None else [field.name for field in self.opts.fields]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Everything, once it was requested."""
        return () if obj is None else self.get_fields(request, obj)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Request it by the operation; the job makes the payouts."""
        author = Author(f"staff:{request.user.pk}")
        made = run_in_transaction(lambda cur: request_batch(cur, author=author))
        obj.id, obj.state, obj.requested_at = made.id, made.state, made.requested_at


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
