"""What requests about payments, top-ups and findings may hold, and what answers show."""

from __future__ import annotations

from typing import Any, Final

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from billing.rules import findings
from billing.rules.payments.facts import DISPUTE_STATUSES
from billing.rules.payments.row import PURPOSES
from billing.rules.payments.row import STATUSES as PAYMENT_STATUSES
from billing.rules.payments.topups import (
    ACTIVE,
    DEFAULT_COOL_OFF_SECONDS,
    MAX_COOL_OFF_SECONDS,
    STOPPED,
)
from common.api.serializers import (
    AmountField,
    CurrencyField,
    FlagField,
    FreeObjectField,
    IdField,
    InstantField,
    StrictSerializer,
    TextField,
    WholeNumberField,
    WordField,
)

MOST_FAILURES: Final = 1_000


class PaymentFailureSerializer(serializers.Serializer[Any]):
    """Why it did not go, in the processor's codes."""

    code = TextField()
    decline_code = TextField(allow_null=True)


class PaymentObjectSerializer(serializers.Serializer[Any]):
    """A refund of a payment at the processor."""

    id = TextField(help_text="The processor's.")
    amount = AmountField()
    status = TextField()
    created_at = InstantField()


@extend_schema_serializer(component_name="ProcessorPayment")
class PaymentSerializer(serializers.Serializer[Any]):
    """A payment by the processor. received = settled + credited; refunded + disputed is what went back."""

    id = IdField()
    organization = IdField()
    purpose = WordField(PURPOSES)
    invoice = IdField(allow_null=True)
    cause = TextField(help_text="Who asked for it: manual, automatic, or what collected the invoice.")
    status = WordField(PAYMENT_STATUSES)
    amount = AmountField()
    currency = CurrencyField()
    received = AmountField(help_text="What came, which may be less.")
    settled = AmountField(help_text="Of that: it paid the invoice.")
    credited = AmountField(help_text="Of that: it became credit.")
    refunded = AmountField()
    disputed = AmountField(help_text="What disputes took and did not bring back.")
    owed_again = AmountField(help_text="What of it is owed on the invoice again.")
    fee = AmountField(help_text="What the processor kept, as far as it is known.")
    failure = PaymentFailureSerializer(allow_null=True)
    processor_id = TextField(allow_null=True)
    refunds = PaymentObjectSerializer(many=True)
    disputes = PaymentObjectSerializer(many=True)
    created_at = InstantField()
    paid_at = InstantField(allow_null=True)


class DisputeSerializer(serializers.Serializer[Any]):
    """A dispute: somebody's bank took money back."""

    id = TextField(help_text="The processor's.")
    organization = IdField()
    payment = IdField()
    amount = AmountField()
    currency = CurrencyField()
    status = WordField(DISPUTE_STATUSES)
    reason = TextField()
    withdrawn = AmountField(help_text="What the processor took and did not bring back.")
    fee = AmountField()
    evidence_due_by = InstantField(allow_null=True)
    created_at = InstantField()


class NewTopUpSerializer(StrictSerializer):
    """Credit that is bought now, by the default payment method."""

    id = IdField(read_only=True)
    status = TextField(read_only=True)
    organization = IdField(required=False, help_text="Only for platform keys.")
    amount = AmountField(document_currency="currency")
    currency = CurrencyField()


class NewAutoTopUpSerializer(StrictSerializer):
    """When credit is bought automatically. Saying it anew lets a stopped rule go on."""

    status = TextField(read_only=True)
    failures = TextField(read_only=True)
    enabled = FlagField()
    threshold = AmountField(allow_zero=True, help_text="Below this much available credit it buys.")
    amount = AmountField(document_currency="currency")
    currency = CurrencyField()
    cool_off_seconds = WholeNumberField(
        minimum=0, maximum=MAX_COOL_OFF_SECONDS, required=False, default=DEFAULT_COOL_OFF_SECONDS
    )
    monthly_cap = AmountField(
        required=False,
        allow_null=True,
        default=None,
        help_text="At most this much in a calendar month of the organization's time zone; null: any.",
    )


class AutoTopUpSerializer(serializers.Serializer[Any]):
    """The rule of automatic top-ups, and how it fares."""

    organization = IdField()
    enabled = FlagField()
    status = WordField(
        (ACTIVE, STOPPED), help_text="stopped: it failed three times in a row, or money went back."
    )
    threshold = AmountField()
    amount = AmountField()
    currency = CurrencyField()
    cool_off_seconds = WholeNumberField(minimum=0, maximum=MAX_COOL_OFF_SECONDS)
    monthly_cap = AmountField(allow_null=True)
    bought_this_month = AmountField(help_text="What is under way counts.")
    failures = WholeNumberField(minimum=0, maximum=MOST_FAILURES, help_text="In a row.")
    stopped_reason = TextField(
        allow_null=True, help_text="Of the last failure; refunded, disputed, fraud_warning: money went back."
    )
    last_payment = IdField(allow_null=True)
    last_at = InstantField(allow_null=True)


class FindingNoteSerializer(serializers.Serializer[Any]):
    """What somebody said about it."""

    at = InstantField()
    by = TextField()
    text = TextField()


class FindingSerializer(serializers.Serializer[Any]):
    """A difference that a person must see."""

    id = IdField()
    organization = IdField(help_text="Whom it is about; the platform's own, where it is about nobody else.")
    kind = TextField()
    subject = TextField(help_text="What it is about, such as refund:re_1.")
    status = WordField(findings.STATUSES)
    detail = FreeObjectField(help_text="The evidence; amounts in units of 10^-8.")
    proposed = FreeObjectField(allow_null=True, help_text="What would settle it.")
    assigned_to = TextField(allow_null=True)
    notes = FindingNoteSerializer(many=True)
    opened_at = InstantField()
    opened_by = TextField()
    resolved_at = InstantField(allow_null=True)
    resolved_by = TextField(allow_null=True)
    resolution = TextField(allow_null=True)


class AssignFindingSerializer(StrictSerializer):
    """Who looks after it."""

    id = IdField(read_only=True)
    status = TextField(read_only=True)
    assignee = TextField(max_length=200)


class NoteFindingSerializer(StrictSerializer):
    """What there is to say about it."""

    id = IdField(read_only=True)
    status = TextField(read_only=True)
    text = TextField(max_length=findings.MAX_TEXT, multiline=True)


class ResolveFindingSerializer(StrictSerializer):
    """Why it is settled."""

    id = IdField(read_only=True)
    status = TextField(read_only=True)
    reason = TextField(max_length=findings.MAX_TEXT, multiline=True)
