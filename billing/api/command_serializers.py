"""What answers about outbound commands, payment methods, setups and refunds show, and what requests may hold."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from billing.operations.payments.refunding import REASONS
from billing.rules.payments.commands import STATES
from common.api.serializers import (
    AmountField,
    CurrencyField,
    FlagField,
    IdField,
    InstantField,
    QuantityField,
    StrictSerializer,
    TextField,
    WordField,
)


class PaymentCommandSerializer(serializers.Serializer[Any]):
    """What the processor is to do, and how far that came. The parameters are the processor's own, in minor units."""

    id = IdField()
    organization = IdField()
    purpose = TextField(help_text="Such as create_payment.")
    business_key = TextField(help_text="What is to happen; each generation of it has a key of its own.")
    generation = QuantityField()
    idempotency_key = TextField(help_text="As the processor gets it, the same with every try.")
    resource = TextField()
    verb = TextField()
    target = TextField(allow_null=True)
    parameters = TextField(help_text="JSON text, exactly as it is sent.")
    account = TextField(allow_null=True, help_text="The connected account; null: the platform's.")
    status = WordField(STATES)
    attempts = QuantityField()
    requested_at = InstantField()
    first_sent_at = InstantField(allow_null=True)
    next_try_at = InstantField(allow_null=True, help_text="Null: it has ended, or is tried at once.")
    ended_at = InstantField(allow_null=True)
    object_id = TextField(allow_null=True, help_text="What it made or changed at the processor.")
    request_id = TextField(
        allow_null=True, help_text="The processor's name of the last call that told something."
    )
    error_code = TextField(allow_null=True)
    decline_code = TextField(allow_null=True)
    error = TextField(allow_null=True)
    note = TextField(allow_null=True, help_text="What the last try met.")


class PaymentMethodSerializer(serializers.Serializer[Any]):
    """A payment method. What it looks like may come a little after the method itself."""

    id = TextField(help_text="The processor's.")
    is_default = FlagField(help_text="Whether it is the one that pays.")
    type = TextField(allow_null=True)
    brand = TextField(allow_null=True)
    last4 = TextField(allow_null=True)
    exp_month = QuantityField(allow_null=True)
    exp_year = QuantityField(allow_null=True)


class PaymentMethodListSerializer(serializers.Serializer[Any]):
    """All payment methods of a customer, the newest first."""

    data = PaymentMethodSerializer(many=True)  # type: ignore[assignment]


@extend_schema_field({"type": "string", "enum": ["requires_payment_method", "requires_confirmation",
                      "requires_action", "processing", "canceled", "succeeded"]})  # fmt: skip
class SetupStatusField(TextField):
    """How far a setup came, in the processor's words."""


class PaymentMethodSetupSerializer(serializers.Serializer[Any]):
    """How a customer leaves a payment method: its browser confirms the setup with the secret, at the processor. No card
    number ever comes here."""

    id = IdField()
    setup_intent = TextField()
    client_secret = TextField(help_text="For the customer's browser only; it is not stored here.")
    status = SetupStatusField()


class RefundPaymentSerializer(StrictSerializer):
    """A refund of a payment, or of a part of it."""

    amount = AmountField(required=False, help_text="Not given: all that is left.")
    currency = CurrencyField(required=False, help_text="Where an amount is given: the payment's.")
    reason = WordField(REASONS, required=False, help_text="For the processor.")
    note = TextField(max_length=500, help_text="Why, for our books.")


class PaymentSecretSerializer(serializers.Serializer[Any]):
    """With what a customer completes a payment that its bank wants it to authenticate."""

    payment = IdField()
    payment_intent = TextField()
    client_secret = TextField(help_text="For the customer's browser only; it is not stored here.")


class CollectedPaymentSerializer(serializers.Serializer[Any]):
    """A payment that was asked for. What becomes of it is told by the invoice and by the payment itself."""

    id = IdField()
    invoice = IdField(allow_null=True)
    command = IdField()
    amount = AmountField()
    currency = CurrencyField()
    status = TextField()
