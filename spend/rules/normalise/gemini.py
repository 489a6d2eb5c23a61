"""Usage as Gemini reports it: the prompt includes cached content; thoughts and tool-use prompts are counted
apart.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from spend.rules.normalise.reading import count, first_key, nonzero
from spend.rules.rating import Usage

# A page of a document is billed as an image.
MODALITY = {"AUDIO": "audio", "IMAGE": "image", "DOCUMENT": "image", "VIDEO": "video"}


def from_usage_metadata(usage: Mapping[str, Any], pointer: str) -> Usage:
    """Return the usage of a generateContent answer, in the REST spelling or that of the Python SDK."""
    prompt = _count(usage, "promptTokenCount", "prompt_token_count", pointer)
    tool_prompt = _count(usage, "toolUsePromptTokenCount", "tool_use_prompt_token_count", pointer)
    answered = _count(usage, "candidatesTokenCount", "candidates_token_count", pointer)
    thoughts = _count(usage, "thoughtsTokenCount", "thoughts_token_count", pointer)
    details = _details(usage, pointer, "input", "promptTokensDetails", "prompt_tokens_details")
    for name, value in _details(
        usage, pointer, "input", "toolUsePromptTokensDetails", "tool_use_prompt_tokens_details"
    ).items():
        details[name] = details.get(name, 0) + value
    details |= _details(usage, pointer, "cache_read", "cacheTokensDetails", "cache_tokens_details")
    details |= _details(usage, pointer, "output", "candidatesTokensDetails", "candidates_tokens_details")
    return Usage(
        input_tokens=prompt + tool_prompt,
        cache_read_input_tokens=_count(
            usage, "cachedContentTokenCount", "cached_content_token_count", pointer
        ),
        output_tokens=answered + thoughts,
        reasoning_output_tokens=thoughts,
        details=nonzero(details),
    )


def _count(usage: Mapping[str, Any], rest: str, python: str, pointer: str) -> int:
    return count(usage, first_key(usage, rest, python), pointer)


def _details(usage: Mapping[str, Any], pointer: str, suffix: str, rest: str, python: str) -> dict[str, int]:
    key = first_key(usage, rest, python)
    listed = usage.get(key)
    found: dict[str, int] = {}
    for index, item in enumerate(listed if isinstance(listed, list) else ()):
        for modality, tokens in _modality(item, f"{pointer}/{key}/{index}"):
            name = f"{modality}_{suffix}"
            found[name] = found.get(name, 0) + tokens
    return found


def _modality(item: object, pointer: str) -> Iterable[tuple[str, int]]:
    if isinstance(item, dict):
        modality = MODALITY.get(str(item.get("modality")).upper())
        tokens = count(item, first_key(item, "tokenCount", "token_count"), pointer)
        if modality is not None:
            yield modality, tokens
