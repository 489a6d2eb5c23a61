"""What requests about budgets may hold and answers show."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from common.api.serializers import (
    AmountField,
    CurrencyField,
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
from common.errors import InvalidAmount
from spend.rules.budgetfacts import MAX_ROLLING_SECONDS, MEASURES, MODES
from spend.rules.budgets import MONEY_FREE_UNITS, SCOPES
from spend.rules.thresholds import ACTIONS, MAX_COOLDOWN_MS, limit_text
from spend.rules.windows import WINDOW_KINDS

MAX_TARGET = 200
"""Keys and ids are shorter; the labels of runs and users may be this long."""


def as_it_is(value: object, *, pointer: str = "") -> object:
    """The value itself: the rules of budgets check it, which know the unit."""
    return value


@extend_schema_field({"type": "string", "examples": ["5.00", "100000"]})
class LimitField(StrictField):
    """A limit: a decimal string in a currency, a string of digits in TOKENS, CREDITS or RISK_POINTS."""

    null_error = InvalidAmount

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(limit_text, **kwargs)


@extend_schema_field(
    {
        "type": "array",
        "maxItems": 100,
        "items": {
            "type": "object",
            "required": ["action"],
            "properties": {
                "percent": {"type": "integer", "minimum": 1, "maximum": 100},
                "amount": {"type": "string"},
                "action": {"type": "string", "enum": [*ACTIONS]},
                "per_minute": {"type": "integer", "minimum": 1, "description": "Of a throttle."},
                "rate_percent": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": 100,
                    "description": "Of a throttle, instead of per_minute: so much of `rate_limit`.",
                },
                "rate_limit": {"type": "string", "format": "uuid"},
                "caps": {
                    "type": "object",
                    "properties": {
                        "max_output_tokens": {"type": "integer", "minimum": 1},
                        "models": {"type": "array", "items": {"type": "string"}},
                        "tools": {"type": "array", "items": {"type": "string"}},
                        "cooldown_ms": {"type": "integer", "minimum": 1, "maximum": MAX_COOLDOWN_MS},
                        "steps": {"type": "integer", "minimum": 1},
                    },
                    "additionalProperties": False,
                    "description": "Of a cap; without it only the output tokens that the rest can buy.",
                },
            },
            "additionalProperties": False,
        },
        "description": "Distinct and ascending, each a percent or an amount. Default: 50, 80 notify, 100 block.",
    }
)
class ThresholdsField(StrictField):
    """The thresholds of a budget."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(as_it_is, **kwargs)


class CounterSerializer(serializers.Serializer[Any]):
    """What one target has spent and holds in the budget's current window."""

    target = TextField(allow_null=True)
    window_start = InstantField()
    window_end = InstantField(allow_null=True)
    spent = LimitField()
    held = LimitField()
    remaining = LimitField()
    resets_at = InstantField(allow_null=True)


class BudgetSerializer(StrictSerializer):
    """A budget. Without a target every one of its scope gets its own."""

    later: ClassVar = ("fail_mode",)

    id = IdField(read_only=True)
    organization = IdField(required=False, help_text="Only for the platform: whose it is to be.")
    scope = WordField(SCOPES)
    target = TextField(
        max_length=MAX_TARGET, required=False, help_text="Key or id; of a run its key, of a user the label."
    )
    target_id = IdField(read_only=True, allow_null=True)
    window = WordField(WINDOW_KINDS)
    rolling_seconds = WholeNumberField(minimum=1, maximum=MAX_ROLLING_SECONDS, required=False)
    limit = LimitField()
    currency = CurrencyField(required=False, help_text="Either a currency or a unit.")
    unit = WordField(MONEY_FREE_UNITS, required=False)
    measure = WordField(MEASURES, required=False)
    time_zone = TimeZoneField(required=False, help_text="Default: the organization's.")
    overdraft = LimitField(required=False)
    mode = WordField(MODES, required=False)
    thresholds = ThresholdsField(required=False)
    status = WordField(("active", "archived"), read_only=True)
    version = QuantityField(read_only=True)
    created_at = InstantField(read_only=True)
    archived_at = InstantField(read_only=True, allow_null=True)
    counters = CounterSerializer(many=True, read_only=True)


@extend_schema_serializer(component_name="Budget")
class ShownBudgetSerializer(BudgetSerializer):
    """A budget. Without a target every one of its scope gets its own; of currency and unit one is null."""

    target = TextField(allow_null=True)
    rolling_seconds = WholeNumberField(minimum=1, maximum=MAX_ROLLING_SECONDS, allow_null=True)
    currency = CurrencyField(allow_null=True)
    unit = WordField(MONEY_FREE_UNITS, allow_null=True)


class BudgetChangeSerializer(StrictSerializer):
    """Changes of a budget. What its counters mean (scope, target, window, unit) stays for ever."""

    later: ClassVar = ("fail_mode",)

    scope = TextField(read_only=True)
    target = TextField(read_only=True)
    window = TextField(read_only=True)
    rolling_seconds = QuantityField(read_only=True)
    currency = CurrencyField(read_only=True)
    unit = TextField(read_only=True)
    measure = TextField(read_only=True)
    time_zone = TextField(read_only=True)
    limit = LimitField(required=False)
    overdraft = LimitField(required=False)
    mode = WordField(MODES, required=False)
    thresholds = ThresholdsField(required=False)


class RunSerializer(serializers.Serializer[Any]):
    """A run with its own totals, and with those of everything below it."""

    id = IdField()
    organization = IdField()
    key = TextField()
    root_run = TextField()
    parent_run = TextField(allow_null=True)
    agent = TextField(allow_null=True)
    workflow = TextField(allow_null=True)
    status = TextField()
    started_at = InstantField()
    currency = CurrencyField()
    held = AmountField()
    charged = AmountField()
    cost = AmountField()
    tokens = QuantityField()
    tool_calls = QuantityField()
    reservations = QuantityField()
    usage_records = QuantityField()
