"""What requests about velocity rules may hold, and what answers about pace show."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from common.api.serializers import (
    AmountField,
    CurrencyField,
    IdField,
    InstantField,
    QuantityField,
    StrictSerializer,
    TextField,
    WholeNumberField,
    WordField,
)
from spend.queries.pace import SCOPES as BURN_SCOPES
from spend.rules.velocity import (
    ACTIONS,
    LEAST_FACTOR,
    MODES,
    MOST_FACTOR,
    MOST_HISTORY_HOURS,
    SCOPES,
)


class BurnRateSerializer(serializers.Serializer[Any]):
    """Charge per minute, averaged over the last 1, 5 and 60 minutes; the windows slide."""

    last_1_minute = AmountField()
    last_5_minutes = AmountField()
    last_60_minutes = AmountField()


class RunBurnRateSerializer(BurnRateSerializer):
    """Charge per minute of the run and all below it, averaged over the last 1, 5 and 60 minutes."""

    seen_until = InstantField(help_text="Until when all usage is in it: a reader of the events adds it up.")


class BurningSerializer(serializers.Serializer[Any]):
    """One target and how fast its money goes."""

    scope = WordField(BURN_SCOPES)
    id = IdField()
    key = TextField(allow_null=True, help_text="Null: the organization.")
    agent = TextField(allow_null=True, help_text="Of a run.")
    burn_rate = BurnRateSerializer()


class BurnRatesSerializer(serializers.Serializer[Any]):
    """Burn rates, the fastest of the last five minutes first; without a target at most 100."""

    scope = WordField(BURN_SCOPES)
    currency = CurrencyField()
    at = InstantField(help_text="The organization's clock: the end of the windows.")
    seen_until = InstantField(help_text="Until when all usage is in it: a reader of the events adds it up.")
    data = BurningSerializer(many=True)  # type: ignore[assignment]


class VelocityRuleSerializer(StrictSerializer):
    """When an agent's pace is an alert: of one agent, or of every agent without a rule of its own."""

    id = IdField(read_only=True)
    organization = IdField(required=False, help_text="Only for the platform: whose it is to be.")
    scope = WordField(SCOPES)
    target = TextField(required=False, help_text="Key or id of the agent; none for the organization.")
    target_id = IdField(read_only=True, allow_null=True)
    factor = WholeNumberField(
        minimum=LEAST_FACTOR, maximum=MOST_FACTOR, required=False, help_text="Times the baseline. Default 5."
    )
    minimum = AmountField(
        allow_zero=True, required=False, help_text="Less in five minutes never alerts. Default 1."
    )
    history_hours = WholeNumberField(
        minimum=1,
        maximum=MOST_HISTORY_HOURS,
        required=False,
        help_text="An agent is judged when it is this old. Default 24.",
    )
    action = WordField(ACTIONS, required=False, help_text="Default notify.")
    mode = WordField(MODES, required=False, help_text="Default enforce.")
    currency = CurrencyField(read_only=True)
    status = WordField(("active", "archived"), read_only=True)
    version = QuantityField(read_only=True)
    created_at = InstantField(read_only=True)
    archived_at = InstantField(read_only=True, allow_null=True)


@extend_schema_serializer(component_name="VelocityRule")
class ShownVelocityRuleSerializer(VelocityRuleSerializer):
    """A velocity rule."""

    target = TextField(allow_null=True)


class VelocityRuleChangeSerializer(StrictSerializer):
    """Changes of a velocity rule; its scope and target stay."""

    scope = TextField(read_only=True)
    target = TextField(read_only=True)
    factor = WholeNumberField(minimum=LEAST_FACTOR, maximum=MOST_FACTOR, required=False)
    minimum = AmountField(allow_zero=True, required=False)
    history_hours = WholeNumberField(minimum=1, maximum=MOST_HISTORY_HOURS, required=False)
    action = WordField(ACTIONS, required=False)
    mode = WordField(MODES, required=False)
