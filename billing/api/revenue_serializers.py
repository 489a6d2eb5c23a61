"""What requests about revenue and accounting periods may hold, and what answers show."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from billing.api.invoice_serializers import SignedAmountField
from billing.rules.accounting import STATES as PERIOD_STATES
from billing.rules.recognition import METHODS
from billing.rules.schedules import AT_ONCE, STATES
from common import fields
from common.api.serializers import (
    CurrencyField,
    IdField,
    InstantField,
    QuantityField,
    StrictField,
    StrictSerializer,
    TextField,
    WordField,
)

MONTH: dict[str, Any] = {"type": "string", "pattern": "^[0-9]{4}-(0[1-9]|1[0-2])$", "examples": ["2026-03"]}


def _as_it_came(value: object, *, pointer: str = "") -> object:
    return value


@extend_schema_field(MONTH)
class MonthField(StrictField):
    """A month, stated by the server."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(_as_it_came, read_only=True, **kwargs)


class ScheduleChangeSerializer(serializers.Serializer[Any]):
    """What a credit note or a void took back of the amount."""

    at = InstantField(read_only=True)
    amount = SignedAmountField()


class ScheduleSerializer(serializers.Serializer[Any]):
    """When an invoiced fee is revenue. amount = billed - changes = recognised + deferred."""

    id = IdField(read_only=True)
    organization = IdField(read_only=True)
    invoice = IdField(read_only=True)
    line = QuantityField(read_only=True)
    item = IdField(read_only=True, allow_null=True)
    subscription = IdField(read_only=True, allow_null=True)
    status = WordField(STATES, read_only=True)
    method = WordField((*METHODS, AT_ONCE), read_only=True)
    currency = CurrencyField(read_only=True)
    billed = SignedAmountField(help_text="The line's net less what of it pays for included credit.")
    included = SignedAmountField(
        help_text="What of the line pays for credit; it is revenue when that is burnt."
    )
    changes = ScheduleChangeSerializer(many=True, read_only=True)
    amount = SignedAmountField()
    recognised = SignedAmountField(help_text="Exact, to eight decimals.")
    deferred = SignedAmountField()
    service_start = InstantField(read_only=True)
    service_end = InstantField(read_only=True)
    time_zone = TextField(read_only=True)
    opened_at = InstantField(read_only=True)
    ended_at = InstantField(read_only=True, allow_null=True)
    recognised_until = InstantField(read_only=True, allow_null=True)
    next_at = InstantField(
        read_only=True, allow_null=True, help_text="The end of the month that is booked next."
    )


class RecognisedMonthSerializer(serializers.Serializer[Any]):
    """What was booked as revenue of a month; of more than one entry the later ones came late."""

    month = MonthField()
    amount = SignedAmountField()
    entries = QuantityField(read_only=True)
    booked_at = InstantField(read_only=True)


class PeriodSerializer(serializers.Serializer[Any]):
    """A month of a seller's books. closing, reopening: not in all of its customers' books yet."""

    id = IdField(read_only=True)
    legal_entity = IdField(read_only=True)
    month = MonthField()
    status = WordField(PERIOD_STATES, read_only=True)
    reason = TextField(read_only=True, help_text="Why it was reopened.")
    changed_at = InstantField(read_only=True)
    changed_by = TextField(read_only=True)
    unfinished_invoices = QuantityField(
        read_only=True,
        help_text="Invoices dated in it, or before, that have no number yet; they take effect in the next month.",
    )


class PeriodCloseSerializer(StrictSerializer):
    """Whose month: a legal entity's; without one the default one's."""

    legal_entity = TextField(required=False, max_length=fields.MAX_NAME, help_text="Key or id.")


class PeriodReopenSerializer(PeriodCloseSerializer):
    """Why it is reopened."""

    reason = TextField(max_length=500)


class TrialMonthSerializer(serializers.Serializer[Any]):
    """An account kind's month: opening + debits + credits = closing. A credit is positive, a debit negative."""

    kind = TextField(read_only=True)
    currency = CurrencyField(read_only=True)
    opening = SignedAmountField()
    debits = SignedAmountField()
    credits = SignedAmountField()
    closing = SignedAmountField()


class TrialMonthsSerializer(serializers.Serializer[Any]):
    """The trial balance of a month; openings and closings sum to zero per currency."""

    month = MonthField()
    closed = serializers.BooleanField(
        read_only=True, help_text="Whether the month is closed in these books, all of them."
    )
    data = TrialMonthSerializer(many=True, read_only=True)  # type: ignore[assignment]


class DeferredRollForwardSerializer(serializers.Serializer[Any]):
    """Deferred revenue: opening and all movements come to closing. A credit is positive."""

    opening = SignedAmountField()
    billed = SignedAmountField()
    voided = SignedAmountField()
    credited = SignedAmountField(help_text="By credit notes.")
    recognised = SignedAmountField()
    moved_to_credit = SignedAmountField(help_text="What fees paid for included credit.")
    other = SignedAmountField()
    closing = SignedAmountField()


class UnbilledRollForwardSerializer(serializers.Serializer[Any]):
    """The unbilled line, which is a debit, so below zero: opening and all movements come to closing."""

    opening = SignedAmountField()
    used = SignedAmountField()
    billed = SignedAmountField()
    voided = SignedAmountField()
    other = SignedAmountField()
    closing = SignedAmountField()


class CreditRollForwardSerializer(serializers.Serializer[Any]):
    """Customers' credit: opening and all movements come to closing. A credit is positive."""

    opening = SignedAmountField()
    granted = SignedAmountField(
        help_text="Bought, given away, or included in a plan; less what came back of that."
    )
    used = SignedAmountField()
    expired = SignedAmountField()
    given_back = SignedAmountField(help_text="Refunds and clawbacks.")
    settled = SignedAmountField(help_text="Paid too much, or used to pay an invoice.")
    credited = SignedAmountField(help_text="By credit notes on what was paid.")
    other = SignedAmountField()
    closing = SignedAmountField()


class RollForwardSerializer(serializers.Serializer[Any]):
    """How deferred revenue, the unbilled line and credit came from a month's opening to its closing."""

    currency = CurrencyField(read_only=True)
    deferred_revenue = DeferredRollForwardSerializer(read_only=True)
    unbilled_receivable = UnbilledRollForwardSerializer(read_only=True)
    customer_credit = CreditRollForwardSerializer(read_only=True)


class BooksRollForwardSerializer(RollForwardSerializer):
    """The same, of one organization."""

    organization = IdField(read_only=True)


class RollForwardsSerializer(serializers.Serializer[Any]):
    """The month of each organization, page by page, and all of them together."""

    month = MonthField()
    data = BooksRollForwardSerializer(many=True, read_only=True)  # type: ignore[assignment]
    total = RollForwardSerializer(many=True, read_only=True, help_text="Of all pages, one for each currency.")
    next_cursor = serializers.CharField(read_only=True, allow_null=True)
