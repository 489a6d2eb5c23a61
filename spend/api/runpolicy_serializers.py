"""What requests about run policies may hold and answers show."""

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
    WholeNumberField,
    WordField,
)
from spend.api.serializers import MAX_TARGET, as_it_is
from spend.rules.runpolicies import LOOP_ACTIONS
from spend.rules.runpolicyfacts import (
    BOUNDS,
    MAX_ATTEMPTS,
    MAX_COOLDOWN_MS,
    MAX_FIRST_MS,
    MAX_LEVELS,
    MAX_LONGEST_MS,
    MODES,
    SCOPES,
    WINDOW,
)


def _integer(low: int, high: int, **more: Any) -> dict[str, Any]:
    return {"type": "integer", "minimum": low, "maximum": high, **more}


@extend_schema_field(
    {
        "type": "object",
        "properties": {
            "max": _integer(1, MAX_ATTEMPTS, default=5),
            "first_ms": _integer(0, MAX_FIRST_MS, default=1_000),
            "longest_ms": _integer(0, MAX_LONGEST_MS, default=60_000),
        },
        "additionalProperties": False,
        "description": "Attempts of one step, and the pause before the second, which doubles up to the longest.",
    }
)
class AttemptsField(StrictField):
    """How often, and how soon, a step may be attempted again."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(as_it_is, **kwargs)


@extend_schema_field(
    {
        "type": "object",
        "properties": {
            "window": _integer(*WINDOW, default=50),
            "levels": {
                "type": "array",
                "minItems": 1,
                "maxItems": MAX_LEVELS,
                "items": {
                    "type": "object",
                    "required": ["repeats", "action"],
                    "properties": {
                        "repeats": _integer(2, WINDOW[1]),
                        "action": {"type": "string", "enum": [*LOOP_ACTIONS]},
                        "cooldown_ms": _integer(
                            1, MAX_COOLDOWN_MS, description="Of cap only; default 30000."
                        ),
                    },
                    "additionalProperties": False,
                },
            },
        },
        "additionalProperties": False,
        "description": "Equal fingerprints among the last calls of a run; levels ascend by repeats.",
    }
)
class LoopField(StrictField):
    """What is done about repeated fingerprints."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(as_it_is, **kwargs)


def _ceiling(name: str, **kwargs: Any) -> WholeNumberField:
    low, high = BOUNDS[name]
    return WholeNumberField(minimum=low, maximum=high, required=False, **kwargs)


class RunPolicySerializer(StrictSerializer):
    """A run policy: at least one rule. Without a target it is for all runs of its scope."""

    id = IdField(read_only=True)
    organization = IdField(required=False, help_text="Only for the platform: whose it is to be.")
    scope = WordField(SCOPES)
    target = TextField(max_length=MAX_TARGET, required=False, help_text="Key or id; of a run its key.")
    target_id = IdField(read_only=True, allow_null=True)
    max_steps = _ceiling("max_steps")
    max_tool_calls = _ceiling("max_tool_calls")
    max_seconds = _ceiling("max_seconds")
    max_depth = _ceiling("max_depth")
    attempts = AttemptsField(required=False)
    loop = LoopField(required=False)
    mode = WordField(MODES, required=False)
    status = WordField(("active", "archived"), read_only=True)
    version = QuantityField(read_only=True)
    created_at = InstantField(read_only=True)
    archived_at = InstantField(read_only=True, allow_null=True)


@extend_schema_field({"type": ["integer", "null"]})
class ShownCeilingField(serializers.Field[Any, Any, Any, Any]):
    """A ceiling, null where the policy has none."""


class ShownAttemptsSerializer(serializers.Serializer[Any]):
    """Attempts with their pause."""

    max = QuantityField()
    first_ms = QuantityField()
    longest_ms = QuantityField()


class ShownLoopLevelSerializer(serializers.Serializer[Any]):
    """A level of loop detection."""

    repeats = QuantityField()
    action = WordField(LOOP_ACTIONS)
    cooldown_ms = QuantityField(required=False)


class ShownLoopSerializer(serializers.Serializer[Any]):
    """Loop detection."""

    window = QuantityField()
    levels = ShownLoopLevelSerializer(many=True)


@extend_schema_serializer(component_name="RunPolicyShown")
class ShownRunPolicySerializer(serializers.Serializer[Any]):
    """A run policy; a rule that it does not have is null."""

    id = IdField()
    organization = IdField()
    scope = WordField(SCOPES)
    target = TextField(allow_null=True)
    target_id = IdField(allow_null=True)
    max_steps = ShownCeilingField()
    max_tool_calls = ShownCeilingField()
    max_seconds = ShownCeilingField()
    max_depth = ShownCeilingField()
    attempts = ShownAttemptsSerializer(allow_null=True)
    loop = ShownLoopSerializer(allow_null=True)
    mode = WordField(MODES)
    status = WordField(("active", "archived"))
    version = QuantityField()
    created_at = InstantField()
    archived_at = InstantField(allow_null=True)


class RunPolicyChangeSerializer(StrictSerializer):
    """Changes of a run policy: each rule is replaced as a whole, null takes it away. Whose runs it is for stays."""

    scope = TextField(read_only=True)
    target = TextField(read_only=True)
    max_steps = _ceiling("max_steps", allow_null=True)
    max_tool_calls = _ceiling("max_tool_calls", allow_null=True)
    max_seconds = _ceiling("max_seconds", allow_null=True)
    max_depth = _ceiling("max_depth", allow_null=True)
    attempts = AttemptsField(required=False, allow_null=True)
    loop = LoopField(required=False, allow_null=True)
    mode = WordField(MODES, required=False)
