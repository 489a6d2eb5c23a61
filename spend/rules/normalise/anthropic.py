"""Usage as Anthropic's Messages API reports it: `input_tokens` leaves out what was read from or written to
the cache.
"""

from collections.abc import Mapping
from typing import Any

from common.money import QUANTITY_SCALE
from spend.rules.normalise.reading import count, part
from spend.rules.rating import Usage
from spend.rules.toolprices import ToolUse


def from_messages(usage: Mapping[str, Any], pointer: str) -> Usage:
    """Return the usage of one message; its three kinds of input are added up to the inclusive input."""
    cached = count(usage, "cache_read_input_tokens", pointer)
    by_ttl, by_ttl_at = part(usage, "cache_creation"), f"{pointer}/cache_creation"
    five_minutes = count(by_ttl, "ephemeral_5m_input_tokens", by_ttl_at)
    one_hour = count(by_ttl, "ephemeral_1h_input_tokens", by_ttl_at)
    created = count(usage, "cache_creation_input_tokens", pointer) or five_minutes + one_hour
    return Usage(
        input_tokens=count(usage, "input_tokens", pointer) + cached + created,
        cache_read_input_tokens=cached,
        cache_creation_input_tokens=created,
        cache_creation_1h_input_tokens=one_hour,
        output_tokens=count(usage, "output_tokens", pointer),
        reasoning_output_tokens=count(
            part(usage, "output_tokens_details"), "thinking_tokens", f"{pointer}/output_tokens_details"
        ),
        tool_calls=_searches(usage, pointer),
    )


def _searches(usage: Mapping[str, Any], pointer: str) -> tuple[ToolUse, ...]:
    """Web searches are billed per search; fetches of single pages are not."""
    searches = count(part(usage, "server_tool_use"), "web_search_requests", f"{pointer}/server_tool_use")
    quantity = searches * QUANTITY_SCALE
    return (ToolUse("web_search", searches, quantity, quantity),) if searches else ()
