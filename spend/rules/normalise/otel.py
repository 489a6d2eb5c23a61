"""Usage as attributes of an OpenTelemetry GenAI span: inclusive by the convention, as it is kept here."""

from collections.abc import Mapping
from typing import Any

from spend.rules.normalise.reading import count, first_key
from spend.rules.rating import Usage

PREFIX = "gen_ai.usage."


def from_attributes(attributes: Mapping[str, Any], pointer: str) -> Usage:
    """Return the usage of a span's attributes; the names used before `input_tokens` are understood, too."""
    return Usage(
        input_tokens=_count(attributes, pointer, "input_tokens", "prompt_tokens"),
        cache_read_input_tokens=_count(attributes, pointer, "cache_read.input_tokens"),
        cache_creation_input_tokens=_count(attributes, pointer, "cache_creation.input_tokens"),
        output_tokens=_count(attributes, pointer, "output_tokens", "completion_tokens"),
        reasoning_output_tokens=_count(attributes, pointer, "reasoning.output_tokens"),
    )


def plain_attributes(raw: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the attributes by name, from a flat object, `attributes`, or OTLP's list of keys and typed
    values.
    """
    attributes = raw.get("attributes", raw)
    if isinstance(attributes, list):
        attributes = dict(_otlp(item) for item in attributes if isinstance(item, dict))
    if isinstance(attributes, dict) and any(str(key).startswith(PREFIX) for key in attributes):
        return attributes
    return None


def _otlp(item: Mapping[str, Any]) -> tuple[str, Any]:
    value = item.get("value")
    number = value.get("intValue") if isinstance(value, dict) else None
    if isinstance(number, str) and number.isascii() and number.isdigit() and len(number) < 20:
        number = int(number)  # OTLP writes 64-bit integers as text
    return str(item.get("key")), number


def _count(attributes: Mapping[str, Any], pointer: str, *names: str) -> int:
    return count(attributes, first_key(attributes, *(PREFIX + name for name in names)), pointer)
