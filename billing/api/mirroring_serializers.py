"""What requests about what is mirrored may hold, and what answers show."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field

from billing.rules.mirroring.rows import CreditPrice, MirroredInvoice, MirroredSubscription
from common import fields
from common.api.serializers import (
    AmountField,
    CurrencyField,
    FlagField,
    IdField,
    InstantField,
    QuantityField,
    StrictField,
    StrictSerializer,
    TextField,
    WholeNumberField,
)
from common.errors import InvalidField
from common.money import format_amount


def reference(value: object, *, pointer: str = "") -> str:
    """An id of the processor's. Raises InvalidField and InvalidText."""
    text = fields.text(value, max_length=255, pointer=pointer)
    if not text.isascii() or not text.replace("_", "").replace("-", "").isalnum():
        raise InvalidField("This is no id of the processor.", pointer=pointer)
    return text


def days(value: object, *, pointer: str = "") -> int:
    """A number of days from 1 to 3650. Raises InvalidField."""
    if type(value) is not int or not 1 <= value <= 3650:
        raise InvalidField("This is no whole number from 1 to 3650.", pointer=pointer)
    return value


@extend_schema_field({"type": "string", "maxLength": 255, "examples": ["price_1Nw"]})
class ReferenceField(StrictField):
    """An id of the processor's."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(reference, **kwargs)


@extend_schema_field({"type": "integer", "minimum": 1, "maximum": 3650})
class DaysField(StrictField):
    """A number of days."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(days, **kwargs)


class CreditPriceChangeSerializer(StrictSerializer):
    """Changes of what a price gives, from the next paid invoice on."""

    price = ReferenceField(read_only=True)
    name = TextField(required=False)
    credit = AmountField(required=False, help_text="For each of the line's quantity.")
    currency = CurrencyField(required=False)
    lifetime_days = DaysField(required=False, allow_null=True, help_text="null: the credit has no end.")


class CreditPriceSerializer(CreditPriceChangeSerializer):
    """How much credit a price of the processor gives on a paid invoice."""

    price = ReferenceField()
    name = TextField()
    credit = AmountField(help_text="For each of the line's quantity.")
    currency = CurrencyField()
    version = QuantityField(read_only=True)
    created_at = InstantField(read_only=True)
    archived_at = InstantField(read_only=True, allow_null=True)


class MirroredCustomerSerializer(StrictSerializer):
    """Which organization a customer at the processor is."""

    customer = ReferenceField()
    organization = IdField()
    linked_at = InstantField(read_only=True)


class MirroredItemSerializer(StrictSerializer):
    """A price of a mirrored subscription."""

    price = ReferenceField()
    quantity = QuantityField()


class MirroredSubscriptionSerializer(StrictSerializer):
    """A subscription that lives at the processor."""

    subscription = ReferenceField()
    organization = IdField()
    customer = ReferenceField()
    status = TextField(help_text="The processor's word.")
    items = MirroredItemSerializer(many=True)
    period_start = InstantField(allow_null=True)
    period_end = InstantField(allow_null=True)
    cancel_at = InstantField(allow_null=True)
    ended_at = InstantField(allow_null=True)
    created_at = InstantField()


class MirroredInvoiceSerializer(StrictSerializer):
    """An invoice that lives at the processor."""

    invoice = ReferenceField()
    organization = IdField()
    subscription = ReferenceField(allow_null=True)
    customer = ReferenceField()
    number = TextField(allow_null=True)
    status = TextField(help_text="draft, open, paid, void or uncollectible.")
    currency = CurrencyField()
    total = AmountField()
    amount_paid = AmountField()
    amount_remaining = AmountField()
    failed = FlagField(help_text="Its payment was tried, and it is not paid, nor is a debit on its way.")
    attempts = WholeNumberField(
        minimum=0,
        maximum=2**31 - 1,
        allow_null=True,
        help_text="How often its payment was tried, without a debit that is on its way; null: not known.",
    )
    due_at = InstantField(allow_null=True)
    paid_at = InstantField(allow_null=True)
    created_at = InstantField()
    credit = AmountField(help_text="What its payment gave.")
    grant = IdField(allow_null=True)


def show_price(row: CreditPrice) -> dict[str, Any]:
    """A price as answers show it."""
    return {
        "price": row.price,
        "name": row.name,
        "credit": format_amount(row.credit),
        "currency": row.currency,
        "lifetime_days": row.lifetime_days,
        "version": row.version,
        "created_at": row.created_at,
        "archived_at": row.archived_at,
    }


def show_subscription(row: MirroredSubscription) -> dict[str, Any]:
    """A mirrored subscription as answers show it."""
    return {
        "subscription": row.subscription,
        "organization": row.organization,
        "customer": row.customer,
        "status": row.status,
        "items": [{"price": price, "quantity": quantity} for price, quantity in row.items],
        "period_start": row.period_start,
        "period_end": row.period_end,
        "cancel_at": row.cancel_at,
        "ended_at": row.ended_at,
        "created_at": row.created_at,
    }


def show_invoice(row: MirroredInvoice) -> dict[str, Any]:
    """A mirrored invoice as answers show it."""
    return {
        "invoice": row.invoice,
        "organization": row.organization,
        "subscription": row.subscription,
        "customer": row.customer,
        "number": row.number,
        "status": row.status,
        "currency": row.currency,
        "total": format_amount(row.total),
        "amount_paid": format_amount(row.paid),
        "amount_remaining": format_amount(row.remaining),
        "failed": row.failed,
        "attempts": row.attempts,
        "due_at": row.due_at,
        "paid_at": row.paid_at,
        "created_at": row.created_at,
        "credit": format_amount(row.credit),
        "grant": row.grant,
    }
