"""What requests about rate limits may hold and answers show."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from common.api.serializers import (
    IdField,
    InstantField,
    QuantityField,
    StrictField,
    StrictSerializer,
    TextField,
    TimeZoneField,
    WordField,
)
from spend.api.serializers import MAX_TARGET, as_it_is
from spend.rules.limitfacts import MAX_BURST, MAX_DENIALS, MAX_ESCALATION_SECONDS, parse_burst
from spend.rules.limits import BEHAVIOURS, CALLERS, DIRECTIONS, MODES, SCOPES, UNITS, WINDOWS

CLOCK_PATTERN = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"


@extend_schema_field({"type": "integer", "minimum": 1, "maximum": MAX_BURST})
class BurstField(StrictField):
    """How much of the unit may pass at once."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(parse_burst, **kwargs)


@extend_schema_field(
    {
        "type": "object",
        "required": ["denials", "seconds"],
        "properties": {
            "denials": {"type": "integer", "minimum": 1, "maximum": MAX_DENIALS},
            "seconds": {"type": "integer", "minimum": 1, "maximum": MAX_ESCALATION_SECONDS},
        },
        "additionalProperties": False,
        "description": "After so many 429s within so many seconds the target is paused until a person resumes it.",
    }
)
class EscalationField(StrictField):
    """When denials lead to a pause; the rules check its members."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(as_it_is, **kwargs)


@extend_schema_field(
    {
        "type": "object",
        "required": ["from", "until"],
        "properties": {
            "from": {"type": "string", "pattern": CLOCK_PATTERN, "examples": ["09:00"]},
            "until": {"type": "string", "pattern": CLOCK_PATTERN, "examples": ["17:00"]},
            "time_zone": {"type": "string", "examples": ["Europe/Berlin"]},
        },
        "additionalProperties": False,
        "description": "Wall times between which the limit holds; until before from: over midnight.",
    }
)
class ActiveHoursField(StrictField):
    """The wall times between which a limit holds; the rules check its members."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(as_it_is, **kwargs)


class LimitCounterSerializer(serializers.Serializer[Any]):
    """What one target, or one caller of it, has used of the limit now."""

    target = TextField(allow_null=True)
    caller = TextField(allow_null=True)
    window_start = InstantField(allow_null=True)
    window_end = InstantField(allow_null=True)
    held = QuantityField(help_text="Of `used`, what open reservations hold.")
    used = QuantityField()
    remaining = QuantityField()
    resets_at = InstantField(allow_null=True)


class RateLimitSerializer(StrictSerializer):
    """A rate limit. Without a target every one of its scope gets its own."""

    id = IdField(read_only=True)
    organization = IdField(required=False, help_text="Only for the platform: whose it is to be.")
    scope = WordField(SCOPES)
    target = TextField(
        max_length=MAX_TARGET,
        required=False,
        help_text="Key or id; of an API key its id, of a user the label.",
    )
    target_id = IdField(read_only=True, allow_null=True)
    per = WordField(
        CALLERS, required=False, allow_null=True, help_text="Count each caller of the target on its own."
    )
    unit = WordField(UNITS)
    direction = WordField(
        DIRECTIONS, required=False, allow_null=True, help_text="Of tokens: count only these."
    )
    limit = QuantityField()
    window = WordField(
        WINDOWS, required=False, allow_null=True, help_text="Of every unit but concurrent, which has none."
    )
    burst = BurstField(required=False)
    behaviour = WordField(BEHAVIOURS)
    escalate = EscalationField(required=False)
    active_hours = ActiveHoursField(required=False)
    time_zone = TimeZoneField(read_only=True, help_text="In which its windows begin.")
    mode = WordField(MODES, required=False)
    status = WordField(("active", "archived"), read_only=True)
    version = QuantityField(read_only=True)
    created_at = InstantField(read_only=True)
    archived_at = InstantField(read_only=True, allow_null=True)
    counters = LimitCounterSerializer(many=True, read_only=True)


@extend_schema_serializer(component_name="RateLimit")
class ShownRateLimitSerializer(RateLimitSerializer):
    """A rate limit. Without a target every one of its scope gets its own."""

    target = TextField(allow_null=True)
    per = WordField(CALLERS, allow_null=True)
    direction = WordField(DIRECTIONS, allow_null=True)
    window = WordField(WINDOWS, allow_null=True)
    burst = BurstField(allow_null=True)
    escalate = EscalationField(allow_null=True)
    active_hours = ActiveHoursField(allow_null=True)


class RateLimitChangeSerializer(StrictSerializer):
    """Changes of a rate limit. Null ends a burst, an escalation or active hours."""

    scope = TextField(read_only=True)
    target = TextField(read_only=True)
    per = TextField(read_only=True)
    unit = TextField(read_only=True)
    direction = TextField(read_only=True)
    window = TextField(read_only=True)
    time_zone = TextField(read_only=True)
    limit = QuantityField(required=False)
    burst = BurstField(required=False, allow_null=True)
    behaviour = WordField(BEHAVIOURS, required=False)
    escalate = EscalationField(required=False, allow_null=True)
    active_hours = ActiveHoursField(required=False, allow_null=True)
    mode = WordField(MODES, required=False)
