"""What requests about coupons may hold, and what answers show."""

from __future__ import annotations

from typing import Any, Final

from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from billing.rules.coupons import DURATIONS
from billing.rules.couponterms import MAX_PERIODS
from common import fields
from common.api.serializers import (
    AMOUNT_PATTERN,
    FINE_PATTERN,
    IdField,
    InstantField,
    KeyField,
    QuantityField,
    ReferenceField,
    StrictField,
    StrictSerializer,
    TextField,
    WholeNumberField,
    WordField,
)

MAX_REDEMPTIONS: Final = 1_000_000_000
TERMS: Final[dict[str, Any]] = {
    "type": "object",
    "description": "What is taken off: percent or amounts, one of the two.",
    "additionalProperties": False,
    "properties": {
        "percent": {"type": ["string", "null"], "pattern": FINE_PATTERN, "examples": ["20"]},
        "amounts": {
            "type": ["object", "null"],
            "description": "By currency, as fine as it.",
            "additionalProperties": {"type": "string", "pattern": AMOUNT_PATTERN},
        },
        "duration": {"type": "string", "enum": list(DURATIONS), "description": "Default once."},
        "periods": {"type": ["integer", "null"], "minimum": 1, "maximum": MAX_PERIODS},
        "charges": {
            "type": ["array", "null"],
            "description": "Keys of the charges that it is for. Null: all that take coupons.",
            "items": {"type": "string"},
        },
    },
    "examples": [{"percent": "20", "duration": "periods", "periods": 3}],
}


@extend_schema_field(TERMS)
class TermsField(StrictField):
    """What a coupon takes off; `billing.rules.couponterms` reads it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(fields.free_object, **kwargs)


class CouponSerializer(StrictSerializer):
    """A coupon: its code and what it takes off stay for ever."""

    id = IdField(read_only=True)
    code = KeyField()
    name = TextField()
    terms = TermsField()
    redeem_by = InstantField(required=False, allow_null=True, help_text="Until then, exclusive.")
    max_redemptions = WholeNumberField(minimum=1, maximum=MAX_REDEMPTIONS, required=False, allow_null=True)
    redemptions = QuantityField(read_only=True, help_text="How often it was redeemed.")
    status = WordField(("active", "archived"), read_only=True)
    version = QuantityField(read_only=True)
    created_at = InstantField(read_only=True)
    archived_at = InstantField(read_only=True, allow_null=True)


class CouponChangeSerializer(StrictSerializer):
    """Changes of a coupon; who has it keeps it as it was."""

    code = TextField(read_only=True)
    terms = TermsField(read_only=True)
    name = TextField(required=False)
    redeem_by = InstantField(required=False, allow_null=True)
    max_redemptions = WholeNumberField(minimum=1, maximum=MAX_REDEMPTIONS, required=False, allow_null=True)


class NewRedemptionSerializer(StrictSerializer):
    """Who redeems which coupon."""

    organization = IdField(required=False, help_text="Only for the platform: who redeems it.")
    coupon = ReferenceField(help_text="Code or id.")


@extend_schema_serializer(component_name="CouponRedemption")
class RedemptionSerializer(serializers.Serializer[Any]):
    """A coupon that an organization has."""

    id = IdField()
    organization = IdField()
    coupon = KeyField(help_text="The code.")
    coupon_id = IdField()
    subscription = IdField(allow_null=True, help_text="Null: it is for everything that takes coupons.")
    terms = TermsField()
    status = WordField(("active", "ended"))
    redeemed_at = InstantField()
    ended_at = InstantField(allow_null=True)
