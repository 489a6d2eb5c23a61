"""Reading counts out of JSON that a provider made, and the constraints that every usage must satisfy."""

from collections.abc import Iterable, Mapping
from typing import Any

from common.errors import InvalidQuantity, combined
from common.money import MAX_COUNT
from spend.rules.rating import Usage


def count(source: Mapping[str, Any], key: str, pointer: str) -> int:
    """Return the count under this key; absent and null are 0. Raises InvalidQuantity outside 0 to 10^12."""
    value = source.get(key)
    if value is None:
        return 0
    if type(value) is not int or not 0 <= value <= MAX_COUNT:
        raise InvalidQuantity(pointer=f"{pointer}/{key}")
    return value


def part(source: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return the object under this key, an empty one where there is none."""
    value = source.get(key)
    return value if isinstance(value, dict) else {}


def first_key(source: Mapping[str, Any], *keys: str) -> str:
    """Return the first of these keys that is there, else the first one."""
    return next((key for key in keys if source.get(key) is not None), keys[0])


def nonzero(counts: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    """Return the counts that are not 0, as pairs."""
    return tuple((name, value) for name, value in counts.items() if value)


def checked_usage(usage: Usage, pointer: str = "/usage") -> Usage:
    """Return the usage if its counts can be true together.

    Upholds cache_read + cache_creation <= input, cache_creation_1h <= cache_creation, reasoning <= output,
    detailed parts within what they are part of, and every count within 0 to 10^12. Raises InvalidQuantity
    naming each field that is wrong by its pointer.
    """
    wrong = [
        InvalidQuantity(reason, pointer=f"{pointer}/{field}") for field, reason in _contradictions(usage)
    ]
    if wrong:
        raise combined(wrong)
    return usage


def _contradictions(usage: Usage) -> Iterable[tuple[str, str]]:
    for field in COUNT_FIELDS:
        if not 0 <= getattr(usage, field) <= MAX_COUNT:
            yield field, "A count of tokens is an integer from 0 to 10^12."
    cached, created = usage.cache_read_input_tokens, usage.cache_creation_input_tokens
    if cached + created > usage.input_tokens:
        field = "cache_read_input_tokens" if cached else "cache_creation_input_tokens"
        yield field, "Cached tokens are part of input_tokens; together they cannot be more."
    if usage.cache_creation_1h_input_tokens > created:
        yield "cache_creation_1h_input_tokens", "These are part of cache_creation_input_tokens."
    if usage.reasoning_output_tokens > usage.output_tokens:
        yield "reasoning_output_tokens", "Reasoning tokens are part of output_tokens and cannot be more."
    if usage.details:
        yield from _contradicting_details(usage)


def _contradicting_details(usage: Usage) -> Iterable[tuple[str, str]]:
    details = dict(usage.details)
    cached = {name: value for name, value in details.items() if name.endswith("_cache_read")}
    inputs = {name: value for name, value in details.items() if name.endswith("_input")}
    outputs = sum(value for name, value in details.items() if name not in cached and name not in inputs)
    apart = usage.cache_read_input_tokens + usage.cache_creation_input_tokens - sum(cached.values())
    wrong_cache = any(
        value > details.get(name.replace("_cache_read", "_input"), 0) for name, value in cached.items()
    )
    if wrong_cache or sum(cached.values()) > usage.cache_read_input_tokens:
        yield "cache_read_input_tokens", "The cached parts are more than what they are part of."
    if sum(inputs.values()) + apart > usage.input_tokens:
        yield "input_tokens", "The parts of the input are more than the whole."
    if outputs + usage.reasoning_output_tokens > usage.output_tokens:
        yield "output_tokens", "The parts of the output are more than the whole."


COUNT_FIELDS = (
    "input_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cache_creation_1h_input_tokens",
    "output_tokens",
    "reasoning_output_tokens",
)
