"""Raw usage of a provider -> Usage in the inclusive form. Counting cached tokens twice is the commonest cost
bug.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from common.errors import InvalidField
from spend.rules.normalise.anthropic import from_messages
from spend.rules.normalise.gemini import from_usage_metadata
from spend.rules.normalise.openai import from_chat_completions, from_responses
from spend.rules.normalise.otel import from_attributes, plain_attributes
from spend.rules.normalise.reading import checked_usage
from spend.rules.prices import Context
from spend.rules.rating import Usage

Shape = Literal["openai.chat", "openai.responses", "anthropic.messages", "gemini", "opentelemetry"]

READERS: Mapping[str, Callable[[Mapping[str, Any], str], Usage]] = {
    "openai.chat": from_chat_completions,
    "openai.responses": from_responses,
    "anthropic.messages": from_messages,
    "gemini": from_usage_metadata,
    "opentelemetry": from_attributes,
}
CHAT_KEYS = frozenset(("prompt_tokens", "completion_tokens"))
GEMINI_KEYS = frozenset(
    ("promptTokenCount", "candidatesTokenCount", "prompt_token_count", "candidates_token_count")
)
ANTHROPIC_KEYS = frozenset(
    (
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
        "cache_creation",
        "server_tool_use",
        "service_tier",
    )
)
RESPONSES_KEYS = frozenset(("input_tokens_details", "output_tokens_details", "total_tokens"))
ANTHROPIC_NAMES = ("anthropic", "claude")


def normalise(
    raw: Mapping[str, Any], *, provider: str | None = None, pointer: str = "/provider_usage"
) -> Usage:
    """Return the inclusive usage of a provider's raw object: a usage object, or a whole answer that contains
    one.

    The shape is told by its keys; `provider` decides only where they leave it open. Raises InvalidField for a
    shape that is not known and InvalidQuantity, with pointers, for counts that are impossible.
    """
    usage, at = _usage_object(raw, pointer)
    shape = detect_shape(usage, provider)
    if shape is None:
        raise InvalidField("This is not the usage of a known provider.", pointer=pointer)
    found = READERS[shape](usage, at)
    context = _context(raw, usage, shape)
    return checked_usage(msgspec.structs.replace(found, context=context) if context else found, at)


def detect_shape(usage: Mapping[str, Any], provider: str | None = None) -> Shape | None:
    """Return whose usage object this is, by its keys; None when it is nobody's."""
    keys = usage.keys()
    if any(str(key).startswith("gen_ai.usage.") for key in keys):
        return "opentelemetry"
    if keys & GEMINI_KEYS:
        return "gemini"
    if keys & CHAT_KEYS:
        return "openai.chat"
    if "input_tokens" not in keys and "output_tokens" not in keys:
        return None
    if keys & ANTHROPIC_KEYS:
        return "anthropic.messages"
    if keys & RESPONSES_KEYS and not _says_anthropic(provider):
        return "openai.responses"
    return "anthropic.messages"  # input and output alone are read alike by both


def _says_anthropic(provider: str | None) -> bool:
    return provider is not None and any(name in provider.lower() for name in ANTHROPIC_NAMES)


def _usage_object(raw: Mapping[str, Any], pointer: str) -> tuple[Mapping[str, Any], str]:
    attributes = plain_attributes(raw)
    if attributes is not None:
        return attributes, pointer
    for key in ("usage", "usageMetadata", "usage_metadata"):
        inner = raw.get(key)
        if isinstance(inner, dict):
            return inner, f"{pointer}/{key}"
    return raw, pointer


def _context(raw: Mapping[str, Any], usage: Mapping[str, Any], shape: str) -> Context:
    """Return what the answer says about its price: OpenAI's service tier, Anthropic's batches.

    Anthropic's priority tier and OpenAI's scale tier draw on capacity bought beforehand; a token costs the
    standard.
    """
    if shape == "anthropic.messages":
        return (("processing", "batch"),) if usage.get("service_tier") == "batch" else ()
    tier = raw.get("service_tier")
    if shape.startswith("openai.") and tier in ("flex", "priority", "fast"):
        return (("service_tier", str(tier)),)
    return ()
