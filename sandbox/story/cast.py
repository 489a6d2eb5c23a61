"""Who plays: three agents, the models they call, and usage objects in the shape that each provider sends."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One call of a model: what is asked for beforehand, and the provider's own report afterwards."""

    input_tokens: int
    max_output_tokens: int
    provider_usage: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent with its team, its model and the calls that it makes, over and over in this order."""

    key: str
    name: str
    team: str
    workflow: str
    connection: str
    provider: str
    model: str
    calls: tuple[ModelCall, ...]

    def call(self, number: int) -> ModelCall:
        """Return the agent's call of this number."""
        return self.calls[number % len(self.calls)]


def anthropic_usage(*, fresh: int, cache_read: int, output: int) -> dict[str, Any]:
    """Return `usage` of the Messages API: `input_tokens` leaves out what came from the cache."""
    return {
        "input_tokens": fresh,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cache_read,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": output,
        "service_tier": "standard",
    }


def openai_usage(*, prompt: int, cached: int, completion: int, reasoning: int) -> dict[str, Any]:
    """Return `usage` of a chat completion: the prompt includes what was cached, the completion the reasoning."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def gemini_usage(*, prompt: int, cached: int, answer: int, thoughts: int) -> dict[str, Any]:
    """Return `usageMetadata` of generateContent: thoughts are counted beside the candidates."""
    return {
        "promptTokenCount": prompt,
        "candidatesTokenCount": answer,
        "thoughtsTokenCount": thoughts,
        "totalTokenCount": prompt + answer + thoughts,
        "cachedContentTokenCount": cached,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": prompt}],
        "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": cached}],
        "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": answer}],
    }


RESEARCH = Agent(
    key="research-bot",
    name="Research bot",
    team="research",
    workflow="weekly-report",
    connection="anthropic-prod",
    provider="anthropic",
    model="claude-sonnet-4-5",
    calls=(
        ModelCall(5_200, 900, anthropic_usage(fresh=1_150, cache_read=4_050, output=731)),
        ModelCall(7_400, 900, anthropic_usage(fresh=3_310, cache_read=4_050, output=508)),
        ModelCall(9_000, 900, anthropic_usage(fresh=4_877, cache_read=4_050, output=846)),
    ),
)

# What the same agent sends while it repeats itself: the same prompt, and hardly another answer.
LOOPING_CALL = ModelCall(6_000, 1_000, anthropic_usage(fresh=1_850, cache_read=4_150, output=610))

SUPPORT = Agent(
    key="support-bot",
    name="Support bot",
    team="support",
    workflow="inbox",
    connection="openai-prod",
    provider="openai",
    model="gpt-5-mini",
    calls=(
        ModelCall(3_300, 700, openai_usage(prompt=3_212, cached=2_048, completion=431, reasoning=192)),
        ModelCall(2_400, 700, openai_usage(prompt=2_391, cached=2_048, completion=207, reasoning=64)),
        ModelCall(4_100, 700, openai_usage(prompt=4_018, cached=2_048, completion=655, reasoning=448)),
    ),
)

REPORT = Agent(
    key="report-bot",
    name="Report bot",
    team="research",
    workflow="weekly-report",
    connection="google-prod",
    provider="google",
    model="gemini-2.5-pro",
    calls=(
        ModelCall(12_400, 2_500, gemini_usage(prompt=12_345, cached=8_192, answer=902, thoughts=640)),
        # Thinking took more than was asked for: booked in full, and shown as overage.
        ModelCall(9_900, 1_200, gemini_usage(prompt=9_871, cached=0, answer=811, thoughts=977)),
    ),
)

AGENTS = (RESEARCH, SUPPORT, REPORT)

# Of the customer in the acts on billing: 150,000 x 15.00 and 20,000 x 75.00 for a million tokens are 3.75 a call.
ANALYST = Agent(
    key="filings-bot",
    name="Filings bot",
    team="analysis",
    workflow="filings",
    connection="anthropic-prod",
    provider="anthropic",
    model="claude-opus-4-1",
    calls=(ModelCall(150_000, 20_000, anthropic_usage(fresh=150_000, cache_read=0, output=20_000)),),
)
WEB_SEARCH, WEB_SEARCH_PRICE = "web_search", "0.01"
CRM_SEARCH = "crm.search"
