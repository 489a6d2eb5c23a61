"""What requests about partners, listings and shares may hold, and what answers show."""

from __future__ import annotations

from typing import Any, Final

from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from common.api.serializers import (
    AmountField,
    CurrencyField,
    FlagField,
    IdField,
    InstantField,
    KeyField,
    ReferenceField,
    StrictField,
    StrictSerializer,
    TextField,
    WholeNumberField,
    WordField,
)
from payouts.rules.listings import LONGEST_DESCRIPTION
from payouts.rules.partners import MOST_HOLDBACK_DAYS, SCHEDULES, STATUSES
from payouts.rules.shares import MOST_PARTIES, MOST_TIERS, PROMOTIONAL
from payouts.rules.sharetexts import rate_text, read_rate, read_splits, read_tiers

RATE_SCHEMA: Final[dict[str, Any]] = {
    "type": "string",
    "pattern": r"^(0(\.[0-9]{1,6})?|1(\.0{1,6})?)$",
    "examples": ["0.2"],
}


@extend_schema_field(RATE_SCHEMA)
class RateField(StrictField):
    """A part of something: an int in millionths inside, a decimal string outside."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(read_rate, **kwargs)

    def to_representation(self, value: int) -> str:
        """The plain decimal string."""
        return rate_text(value)


@extend_schema_field(
    {
        "type": "array",
        "maxItems": MOST_TIERS,
        "description": "By the charges of a month, UTC, inclusive; the last one has no bound.",
        "items": {
            "type": "object",
            "required": ["up_to", "fee_rate"],
            "properties": {"up_to": {"type": ["string", "null"]}, "fee_rate": RATE_SCHEMA},
        },
    }
)
class TiersField(StrictField):
    """Rates by the month's volume."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(read_tiers, **kwargs)


@extend_schema_field(
    {
        "type": "array",
        "maxItems": MOST_PARTIES,
        "items": {
            "type": "object",
            "required": ["partner", "weight"],
            "properties": {
                "partner": {"type": "string", "format": "uuid"},
                "weight": {"type": "integer", "minimum": 1},
            },
        },
    }
)
class SplitsField(StrictField):
    """Who shares in what the platform does not keep."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(read_splits, **kwargs)


@extend_schema_field({"type": "string"})
class SignedField(serializers.Field[Any, Any, Any, Any]):
    """An amount that may be below zero, stated by the server."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(read_only=True, **kwargs)


class PartnerTermsSerializer(StrictSerializer):
    """What finance agrees with a partner."""

    minimum = AmountField(
        required=False, allow_null=True, help_text="The least payout; null: the currency's default."
    )
    schedule = WordField(SCHEDULES, required=False)
    holdback_days = WholeNumberField(minimum=0, maximum=MOST_HOLDBACK_DAYS, required=False)
    reserve_rate = RateField(
        required=False, help_text="The part of what came in the last 90 days that stays back."
    )
    hold_reason = TextField(
        max_length=500, required=False, allow_null=True, help_text="Holds all payouts; null lets them go on."
    )


class PartnerSerializer(PartnerTermsSerializer):
    """An organization that publishes listings and is paid its share."""

    organization = IdField()
    status = WordField(STATUSES, read_only=True)
    currency = CurrencyField(read_only=True)
    country = TextField(read_only=True, allow_null=True)
    stripe_account = TextField(read_only=True, allow_null=True)
    payouts_enabled = FlagField(read_only=True)
    disabled_reason = TextField(read_only=True, allow_null=True)
    requirements = serializers.ListField(child=serializers.CharField(), read_only=True)
    destination_changed_at = InstantField(read_only=True, allow_null=True)
    created_at = InstantField(read_only=True)
    version = WholeNumberField(minimum=1, maximum=2**31 - 1, read_only=True)


class ListingSerializer(StrictSerializer):
    """An agent that a partner offers; agents of customers name it by its key."""

    id = IdField(read_only=True)
    partner = IdField(read_only=True)
    organization = IdField(required=False, write_only=True, help_text="The partner, for platform keys.")
    key = KeyField()
    name = TextField()
    description = TextField(max_length=LONGEST_DESCRIPTION, min_length=0, multiline=True, required=False)
    status = WordField(("active", "archived"), read_only=True)
    created_at = InstantField(read_only=True)
    archived_at = InstantField(read_only=True, allow_null=True)


class ListingChangeSerializer(StrictSerializer):
    """Changes of a listing; its key stays."""

    key = KeyField(read_only=True)
    name = TextField(required=False)
    description = TextField(max_length=LONGEST_DESCRIPTION, min_length=0, multiline=True, required=False)


class RevenueShareSerializer(StrictSerializer):
    """What the platform keeps of calls and who gets the rest, from a moment on: `fee_rate`, `fixed` or `tiers`."""

    id = IdField(read_only=True)
    organization = IdField(help_text="The partner.")
    listing = ReferenceField(required=False, allow_null=True, help_text="Null: all listings of the partner.")
    plan = KeyField(
        required=False, allow_null=True, help_text="Of callers with a subscription to this plan only."
    )
    valid_from = InstantField(required=False, help_text="Now or later; without it now.")
    fee_rate = RateField(required=False, allow_null=True, help_text="The platform's part.")
    fixed = AmountField(required=False, allow_null=True, help_text="What the partners get of each call.")
    tiers = TiersField(required=False, allow_null=True)
    minimum_fee = AmountField(allow_zero=True, required=False, help_text="Of each call, for the platform.")
    splits = SplitsField(required=False, allow_null=True)
    promotional = WordField(
        PROMOTIONAL, required=False, help_text="Who pays a share of what credit given away paid for."
    )
    status = WordField(("scheduled", "in_effect", "withdrawn"), read_only=True)
    created_at = InstantField(read_only=True)


class ReasonSerializer(serializers.Serializer[Any]):
    """Why an amount that was earned cannot be withdrawn now."""

    code = serializers.CharField()
    amount = SignedField()
    detail = serializers.CharField()


@extend_schema_serializer(component_name="PartnerBalance")
class BalanceSerializer(serializers.Serializer[Any]):
    """What a partner earned, what was collected of it, is past the holdback, and can be withdrawn now."""

    currency = CurrencyField(read_only=True)
    earned = SignedField()
    collected = SignedField()
    past_holdback = SignedField()
    balance = SignedField()
    held = SignedField()
    reserved = SignedField()
    withdrawable = SignedField()
    reasons = ReasonSerializer(many=True)


class EarnedSerializer(serializers.Serializer[Any]):
    """What was earned in a group. `customer` and `agent` are references that mean something to this partner only."""

    day = serializers.DateField(required=False)
    month = serializers.CharField(required=False)
    listing = serializers.CharField(required=False)
    agent = IdField(read_only=True, required=False)
    customer = IdField(read_only=True, required=False)
    gross = SignedField()
    earned = SignedField()
    calls = serializers.IntegerField()


class EarningsSerializer(serializers.Serializer[Any]):
    """How much was earned, by whom and when, and how much of all can be withdrawn now."""

    currency = CurrencyField(read_only=True)
    total = EarnedSerializer()
    data = EarnedSerializer(many=True)  # type: ignore[assignment]
    next_cursor = serializers.CharField(allow_null=True)
    withdrawable_now = BalanceSerializer()
