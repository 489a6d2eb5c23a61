"""What requests about contracts may hold, and what answers show."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from billing.api.contract_schema import DEFINITION
from billing.api.subscription_serializers import SignedAmountField
from billing.rules.contracts.deciding import MODES
from billing.rules.contracts.row import STATES, WINDOW_STATES
from billing.rules.contracts.terms import KINDS, MAX_NET_DAYS, MAX_REFERENCE
from billing.rules.items import KINDS as ITEM_KINDS
from common import fields
from common.api.serializers import (
    CurrencyField,
    DateField,
    IdField,
    InstantField,
    QuantityField,
    StrictField,
    StrictSerializer,
    TextField,
    TimeZoneField,
    WholeNumberField,
    WordField,
)

MAX_REASON = 500
STANDINGS = ("running", "ended", "settled")


@extend_schema_field(DEFINITION)
class ContractDefinitionField(StrictField):
    """A contract's document; `billing.rules.contracts.terms` reads it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(fields.free_object, **kwargs)


class NewContractSerializer(StrictSerializer):
    """A new contract, as a draft."""

    organization = IdField(help_text="Whose contract it is.")
    definition = ContractDefinitionField()


class ContractRevisionSerializer(StrictSerializer):
    """Another document for a draft."""

    definition = ContractDefinitionField()


class ContractAmendmentSerializer(StrictSerializer):
    """The contract's next version."""

    definition = ContractDefinitionField()
    effective_on = DateField(
        required=False,
        help_text="The day from which it holds, by the customer's zone. Default: tomorrow, the earliest.",
    )


class ContractTerminationSerializer(StrictSerializer):
    """An end before the term's."""

    at = InstantField(required=False, help_text="A moment to come. Absent: now.")
    commitment = WordField(
        MODES,
        required=False,
        help_text="What is still committed in the running window: full (default), prorated (by days), or waive: "
        "nothing beyond what was used.",
    )
    reason = TextField(required=False, max_length=MAX_REASON, multiline=True)


class ContractWindowSerializer(serializers.Serializer[Any]):
    """One window [start, end) of the commitment."""

    number = QuantityField()
    start = InstantField()
    end = InstantField()
    state = WordField(STANDINGS)
    status = WordField(WINDOW_STATES)
    committed = SignedAmountField()
    drawn = SignedAmountField(help_text="What usage drew from it, at contract prices.")
    remaining = SignedAmountField(help_text="What can still be drawn.")
    overage = SignedAmountField(help_text="What exceeded it on the postpaid line, at contract prices.")
    surcharge = SignedAmountField(help_text="What overage costs on top of that (or less).")
    true_up = SignedAmountField(help_text="Owed for what was missing; once settled.")
    lapsed = SignedAmountField(help_text="Paid or owed, and never used.")
    credited = SignedAmountField(help_text="Of what was invoiced in advance.")
    rolled_in = SignedAmountField()
    rolled_over = SignedAmountField()
    settles_at = InstantField()
    settled_at = InstantField(allow_null=True)


class ContractRunRateSerializer(serializers.Serializer[Any]):
    """What was used per day."""

    days = QuantityField(help_text="Over how many whole days before today.")
    per_day = SignedAmountField()


class ContractForecastSerializer(serializers.Serializer[Any]):
    """When what can be drawn now will be used up at the run rate; null: at that rate in no foreseeable time."""

    remaining = SignedAmountField()
    window_end = InstantField()
    on = InstantField(allow_null=True, help_text="At the run rate of 28 days, or of the longest there is.")
    earliest = InstantField(allow_null=True)
    latest = InstantField(allow_null=True)
    lasts = serializers.BooleanField(help_text="Whether it lasts until the window ends.")
    rates = ContractRunRateSerializer(many=True)


class DrawDownSerializer(serializers.Serializer[Any]):
    """The draw-down of a contract."""

    contract = IdField()
    organization = IdField()
    currency = CurrencyField()
    kind = WordField(KINDS, allow_null=True)
    at = InstantField()
    windows = ContractWindowSerializer(many=True)
    forecast = ContractForecastSerializer(allow_null=True)


class ContractSerializer(serializers.Serializer[Any]):
    """A contract as it holds now."""

    id = IdField()
    organization = IdField()
    status = WordField(STATES)
    name = TextField()
    currency = CurrencyField()
    purchase_order = TextField(allow_null=True, max_length=MAX_REFERENCE)
    net_days = WholeNumberField(minimum=0, maximum=MAX_NET_DAYS)
    time_zone = TimeZoneField()
    starts_at = InstantField()
    ends_at = InstantField()
    number = QuantityField(help_text="The version that holds.")
    versions = QuantityField(help_text="How many there are.")
    definition = ContractDefinitionField()
    activated_at = InstantField(allow_null=True)
    terminates_at = InstantField(allow_null=True)
    termination = WordField(MODES, allow_null=True)
    ended_at = InstantField(allow_null=True)
    next_at = InstantField(allow_null=True, help_text="Its next boundary.")
    version = QuantityField(help_text="Rises with every change.")
    created_at = InstantField()


class ContractVersionSerializer(serializers.Serializer[Any]):
    """What a contract says from a moment on."""

    number = QuantityField()
    effective_at = InstantField()
    made_at = InstantField()
    definition = ContractDefinitionField()


class ContractItemSerializer(serializers.Serializer[Any]):
    """What an event made the customer owe, or (below zero) be credited."""

    id = IdField()
    kind = WordField(ITEM_KINDS)
    description = TextField()
    amount = SignedAmountField()
    due_at = InstantField()


class ContractEventSerializer(serializers.Serializer[Any]):
    """Something that happened to a contract."""

    version = QuantityField()
    type = TextField()
    at = InstantField()
    recorded_at = InstantField()
    actor = TextField()
    items = ContractItemSerializer(many=True)
