"""Usage as OpenAI reports it. Input includes the cached tokens, output includes the reasoning tokens."""

from collections.abc import Mapping
from typing import Any

from spend.rules.normalise.reading import count, nonzero, part
from spend.rules.rating import Usage


def from_chat_completions(usage: Mapping[str, Any], pointer: str) -> Usage:
    """Return the usage of a chat completion (also of embeddings, and of the many providers that copy this
    shape).

    Some of them count reasoning beside the completion instead of inside it; their total then says so.
    """
    asked, answered = part(usage, "prompt_tokens_details"), part(usage, "completion_tokens_details")
    asked_at, answered_at = f"{pointer}/prompt_tokens_details", f"{pointer}/completion_tokens_details"
    prompt = count(usage, "prompt_tokens", pointer)
    completion = count(usage, "completion_tokens", pointer)
    reasoning = count(answered, "reasoning_tokens", answered_at)
    if reasoning and count(usage, "total_tokens", pointer) == prompt + completion + reasoning:
        completion += reasoning
    cached = count(asked, "cached_tokens", asked_at)
    cached = (
        cached or count(usage, "prompt_cache_hit_tokens", pointer) or count(usage, "cached_tokens", pointer)
    )
    written = count(asked, "cache_write_tokens", asked_at)
    audio = count(asked, "audio_tokens", asked_at)
    details = {
        "audio_input": audio,
        "audio_cache_read": _overlap(audio, cached, written, prompt),
        "audio_output": count(answered, "audio_tokens", answered_at),
    }
    return Usage(
        input_tokens=prompt,
        cache_read_input_tokens=cached,
        cache_creation_input_tokens=written,
        output_tokens=completion,
        reasoning_output_tokens=reasoning,
        details=nonzero(details),
    )


def from_responses(usage: Mapping[str, Any], pointer: str) -> Usage:
    """Return the usage of the Responses API."""
    asked, answered = part(usage, "input_tokens_details"), part(usage, "output_tokens_details")
    asked_at = f"{pointer}/input_tokens_details"
    return Usage(
        input_tokens=count(usage, "input_tokens", pointer),
        cache_read_input_tokens=count(asked, "cached_tokens", asked_at),
        cache_creation_input_tokens=count(asked, "cache_write_tokens", asked_at),
        output_tokens=count(usage, "output_tokens", pointer),
        reasoning_output_tokens=count(answered, "reasoning_tokens", f"{pointer}/output_tokens_details"),
    )


def _overlap(audio: int, cached: int, written: int, prompt: int) -> int:
    """Return how many tokens must be both audio and cached, because the prompt has no room for them apart."""
    return min(max(0, audio + cached + written - prompt), audio, cached)
