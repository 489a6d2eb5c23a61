"""What requests about subscriptions may hold, and what answers show."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from billing.api.plan_schema import CHARGE_DEFINITION
from billing.operations.subscriptions.ending import WHEN
from billing.rules.items import KINDS as ITEM_KINDS
from billing.rules.plans import CHANGES, FUNDINGS, MAX_CHARGES, MAX_TRIAL_DAYS, SOURCES
from billing.rules.subscriptions.bodies import quantities as quantities
from billing.rules.subscriptions.fees import MAX_QUANTITY
from billing.rules.subscriptions.states import STATES
from common import fields
from common.api.serializers import (
    CurrencyField,
    FlagField,
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
from common.money import format_amount

MAX_COUPONS = 10
SIGNED = r"^-?(0|[1-9][0-9]{0,10})(\.[0-9]{1,8})?$"


def _as_it_came(value: object, *, pointer: str = "") -> object:
    return value


@extend_schema_field(
    {
        "type": "object",
        "additionalProperties": {"type": "integer", "minimum": 0, "maximum": MAX_QUANTITY},
        "examples": [{"seats": 5}],
    }
)
class QuantitiesField(StrictField):
    """Whole quantities by the key of a licensed charge; the view reads them by `quantities`, which names each place."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(_as_it_came, **kwargs)


@extend_schema_field(
    {"type": "array", "items": {"type": "string"}, "maxItems": MAX_CHARGES, "uniqueItems": True}
)
class KeysField(StrictField):
    """Distinct keys."""

    def __init__(self, *, max_items: int = MAX_CHARGES, **kwargs: Any) -> None:
        super().__init__(fields.text_list, options={"max_items": max_items}, **kwargs)


@extend_schema_field({"type": "string", "pattern": SIGNED, "examples": ["-24.50"]})
class SignedAmountField(serializers.Field[Any, Any, Any, Any]):
    """An amount that may be below zero: a credit."""

    def to_representation(self, value: int) -> str:
        """The plain decimal string."""
        return format_amount(value)


class NewSubscriptionSerializer(StrictSerializer):
    """What an organization subscribes to."""

    organization = IdField(required=False, help_text="Only for the platform: who subscribes.")
    plan = ReferenceField(help_text="Key or id of a plan on sale.")
    currency = CurrencyField(required=False, help_text="The organization's own.")
    quantities = QuantitiesField(
        required=False, help_text="Of licensed charges; the default is what is included, at least 1."
    )
    add_ons = KeysField(required=False, help_text="Keys of charges that are add-ons.")
    coupons = KeysField(required=False, max_items=MAX_COUPONS, help_text="Codes of coupons.")
    start_at = InstantField(required=False, help_text="In the future. Absent: now.")
    anchor = InstantField(
        required=False, help_text="A moment that a period begins at, by the clock of the customer's zone."
    )
    trial_days = WholeNumberField(
        minimum=0,
        maximum=MAX_TRIAL_DAYS,
        required=False,
        help_text="Absent: as the plan has it, once per plan. Only the platform gives more.",
    )
    ends_at = InstantField(required=False, help_text="When the subscription expires by itself.")


class ChangeTermsSerializer(StrictSerializer):
    """How and when a change is made."""

    mode = WordField(
        CHANGES,
        required=False,
        help_text="invoice now, prorate on the next invoice, next_period, or reset (a new period now without "
        "proration). Absent: as the present plan has it for upgrades and downgrades. A customer may choose that or "
        "what gives it less: of prorate, invoice, next_period, reset (of downgrades invoice before prorate) a later. "
        "For a customer a shorter interval is a downgrade, whatever it costs.",
    )
    at = InstantField(required=False, help_text="At a moment to come.")


class SubscriptionChangeSerializer(ChangeTermsSerializer):
    """Another plan, other quantities or add-ons; what is not named stays as far as the plan has it."""

    plan = ReferenceField(required=False, help_text="Key or id of a plan on sale. Absent: the present one.")
    quantities = QuantitiesField(required=False)
    add_ons = KeysField(required=False, help_text="All add-ons to have then.")


class SubscriptionQuantitySerializer(ChangeTermsSerializer):
    """Other quantities."""

    quantities = QuantitiesField()


class SubscriptionAddOnsSerializer(ChangeTermsSerializer):
    """Add-ons to subscribe to and to leave."""

    add = KeysField(required=False)
    remove = KeysField(required=False)
    quantities = QuantitiesField(required=False, help_text="Of the add-ons that have one.")


class SubscriptionPauseSerializer(StrictSerializer):
    """For how long it is paused."""

    resumes_at = InstantField(required=False, help_text="Absent: until it is resumed.")


class SubscriptionCancelSerializer(StrictSerializer):
    """When the subscription ends."""

    when = WordField(WHEN, required=False, help_text="now, period_end (default), or at the moment `at`.")
    at = InstantField(required=False)
    credit_unused = FlagField(
        required=False,
        help_text="Credit what is unused at the end. Only the platform says so. Default false.",
    )
    reason = TextField(required=False, max_length=500, multiline=True)


class SubscriptionCouponSerializer(StrictSerializer):
    """A coupon to redeem."""

    coupon = ReferenceField(help_text="Its code or id.")


class IntervalSerializer(serializers.Serializer[Any]):
    """How long a period is."""

    unit = WordField(("week", "month", "quarter", "year"))
    count = QuantityField()


class SubscriptionCreditSerializer(serializers.Serializer[Any]):
    """Credit of the plan: planned until `grant` names it."""

    source = WordField(SOURCES)  # type: ignore[assignment]
    amount = SignedAmountField()
    paid = SignedAmountField(help_text="The part that the fee pays for.")
    taken_back = SignedAmountField()
    start = InstantField()
    end = InstantField()
    grant = IdField(allow_null=True)


class SubscriptionFeeSerializer(serializers.Serializer[Any]):
    """What one charge was billed in the running period, less what was credited; net of coupons."""

    charge = KeyField()
    billed = SignedAmountField()
    discount = SignedAmountField()
    start = InstantField()
    item = IdField(
        allow_null=True, help_text="That it began with; later changes of seats with tiers have their own."
    )


@extend_schema_field(CHARGE_DEFINITION)
class ChargePriceField(serializers.Field[Any, Any, Any, Any]):
    """A price of a charge as a plan states it."""

    def to_representation(self, value: Any) -> Any:
        """As it was written."""
        return value


class AgreedPriceSerializer(serializers.Serializer[Any]):
    """A price that a contract states for a charge, instead of the plan's."""

    charge = KeyField()
    contract = IdField()
    number = QuantityField(help_text="Of the contract's version.")
    price = ChargePriceField()
    included = TextField(
        allow_null=True, help_text="Units of a period that are not billed; null: as many as the plan has it."
    )


class AppliedCouponSerializer(serializers.Serializer[Any]):
    """A coupon of the subscription."""

    redemption = IdField()
    code = TextField()
    periods_left = QuantityField(
        allow_null=True, help_text="Periods that are still to begin; null: for ever."
    )
    until = InstantField(allow_null=True)


class PendingChangeSerializer(serializers.Serializer[Any]):
    """The change that waits; at most one does."""

    at = InstantField()
    mode = WordField(CHANGES)
    plan = KeyField()
    number = QuantityField()
    quantities = QuantitiesField()
    add_ons = KeysField()


class SubscriptionSerializer(serializers.Serializer[Any]):
    """A subscription."""

    id = IdField()
    organization = IdField()
    status = WordField(STATES)
    plan = KeyField()
    plan_id = IdField()
    number = QuantityField(help_text="Of the plan's version.")
    plan_version = IdField()
    currency = CurrencyField()
    funding = WordField(FUNDINGS, help_text="What the plan says of usage that no credit covers.")
    quantities = QuantitiesField()
    add_ons = KeysField()
    interval = IntervalSerializer()
    time_zone = TextField()
    anchor = TextField(allow_null=True, help_text="Wall time in the time zone that periods are counted from.")
    starts_at = InstantField()
    trial_end = InstantField(allow_null=True)
    period_start = InstantField(allow_null=True)
    period_end = InstantField(allow_null=True)
    fees = SubscriptionFeeSerializer(many=True)
    agreed_prices = AgreedPriceSerializer(
        many=True, help_text="What a contract says instead of the plan in the running period."
    )
    credits = SubscriptionCreditSerializer(many=True)
    coupons = AppliedCouponSerializer(many=True)
    pending_change = PendingChangeSerializer(allow_null=True)
    cancel_at = InstantField(allow_null=True)
    ends_at = InstantField(allow_null=True)
    paused_at = InstantField(allow_null=True)
    resumes_at = InstantField(allow_null=True)
    ended_at = InstantField(allow_null=True)
    next_at = InstantField(allow_null=True, help_text="When something happens next by itself.")
    version = QuantityField()
    created_at = InstantField()


class SubscriptionItemSerializer(serializers.Serializer[Any]):
    """A credit or charge that goes onto an invoice."""

    kind = WordField(ITEM_KINDS)
    description = TextField()
    charge = KeyField()
    amount = SignedAmountField()
    service_start = InstantField(allow_null=True)
    service_end = InstantField(allow_null=True)
    due_at = InstantField()


class ChangePreviewSerializer(serializers.Serializer[Any]):
    """What a change would do now; nothing is written."""

    effect = TextField(
        help_text="changed, change_scheduled, change_dropped, or none when there is nothing to change."
    )
    mode = WordField(CHANGES, allow_null=True)
    effective_at = InstantField(allow_null=True)
    items = SubscriptionItemSerializer(many=True)
    total = SignedAmountField()
    credit_granted = SignedAmountField()
    credit_taken_back = SignedAmountField()
    subscription = SubscriptionSerializer()


_VALUE: dict[str, Any] = {
    "oneOf": [
        {"type": "null"},
        {"type": "string"},
        {"type": "array", "items": {"type": "string"}},
        {"type": "object", "additionalProperties": {"type": "string"}},
    ]
}


@extend_schema_field(
    {
        "type": "object",
        "additionalProperties": {"type": "array", "items": _VALUE, "minItems": 2, "maxItems": 2},
    }
)
class ChangesField(serializers.Field[Any, Any, Any, Any]):
    """Each field that changed, as [old, new]."""

    def to_representation(self, value: Any) -> Any:
        """As the event has it."""
        return value


class SubscriptionEventSerializer(serializers.Serializer[Any]):
    """Something that happened to the subscription."""

    version = QuantityField()
    type = TextField()
    at = InstantField()
    recorded_at = InstantField()
    actor = TextField()
    status = WordField(STATES)
    changes = ChangesField()
    items = SubscriptionItemSerializer(many=True)
    metered = KeysField(help_text="Metered charges of which a period ended.")
    period_start = InstantField(allow_null=True)
    period_end = InstantField(allow_null=True)
