"""Raw usage as the providers document it, and the exact inclusive counts that it means."""

from typing import Any

import pytest

from common.errors import InvalidField, InvalidQuantity, ProblemError, UnknownField
from spend.rules.normalise import detect_shape, normalise
from spend.rules.normalise.contract import parse_usage
from spend.rules.normalise.reading import checked_usage
from spend.rules.rating import Usage
from spend.rules.toolprices import tool_use

OPENAI_CHAT = {
    "prompt_tokens": 10_000,
    "completion_tokens": 2_000,
    "total_tokens": 12_000,
    "prompt_tokens_details": {"cached_tokens": 6_000, "audio_tokens": 0},
    "completion_tokens_details": {
        "reasoning_tokens": 1_200,
        "audio_tokens": 0,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    },
}
OPENAI_RESPONSES = {
    "input_tokens": 10_000,
    "input_tokens_details": {"cached_tokens": 6_000},
    "output_tokens": 2_000,
    "output_tokens_details": {"reasoning_tokens": 1_200},
    "total_tokens": 12_000,
}
ANTHROPIC = {
    "input_tokens": 3_000,
    "cache_creation_input_tokens": 1_000,
    "cache_read_input_tokens": 6_000,
    "cache_creation": {"ephemeral_5m_input_tokens": 600, "ephemeral_1h_input_tokens": 400},
    "output_tokens": 2_000,
    "service_tier": "standard",
    "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 1},
}
GEMINI = {
    "promptTokenCount": 10_000,
    "cachedContentTokenCount": 6_000,
    "candidatesTokenCount": 800,
    "thoughtsTokenCount": 1_200,
    "toolUsePromptTokenCount": 50,
    "totalTokenCount": 12_050,
    "promptTokensDetails": [
        {"modality": "TEXT", "tokenCount": 9_700},
        {"modality": "AUDIO", "tokenCount": 300},
    ],
    "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 6_000}],
}
OTEL = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "anthropic",
    "gen_ai.usage.input_tokens": 10_000,
    "gen_ai.usage.cache_read.input_tokens": 6_000,
    "gen_ai.usage.cache_creation.input_tokens": 1_000,
    "gen_ai.usage.output_tokens": 2_000,
    "gen_ai.usage.reasoning.output_tokens": 700,
}


class TestShapes:
    @pytest.mark.parametrize(
        ("raw", "provider", "expected"),
        [
            (OPENAI_CHAT, "openai", Usage(10_000, 6_000, 0, 0, 2_000, 1_200)),
            (OPENAI_RESPONSES, "openai", Usage(10_000, 6_000, 0, 0, 2_000, 1_200)),
            (
                ANTHROPIC,
                "anthropic",
                Usage(10_000, 6_000, 1_000, 400, 2_000, tool_calls=(tool_use("web_search", 2),)),
            ),
            (GEMINI, "google", Usage(10_050, 6_000, 0, 0, 2_000, 1_200, details=(("audio_input", 300),))),
            (OTEL, "anthropic", Usage(10_000, 6_000, 1_000, 0, 2_000, 700)),
        ],
        ids=["chat completions", "responses", "messages", "gemini", "opentelemetry"],
    )
    def test_cached_tokens_are_counted_once(
        self, raw: dict[str, Any], provider: str, expected: Usage
    ) -> None:
        assert normalise(raw, provider=provider) == expected
        assert normalise(raw) == expected

    @pytest.mark.parametrize(
        ("answer", "expected"),
        [
            ({"id": "chatcmpl-1", "model": "gpt-5", "usage": OPENAI_CHAT}, normalise(OPENAI_CHAT)),
            ({"id": "msg_1", "type": "message", "usage": ANTHROPIC}, normalise(ANTHROPIC)),
            ({"modelVersion": "gemini-2.5-pro", "usageMetadata": GEMINI}, normalise(GEMINI)),
            ({"name": "chat", "attributes": OTEL}, normalise(OTEL)),
        ],
    )
    def test_a_whole_answer_is_understood_too(self, answer: dict[str, Any], expected: Usage) -> None:
        assert normalise(answer) == expected

    def test_an_exporters_list_of_typed_attributes_is_understood(self) -> None:
        attributes = [
            {
                "key": key,
                "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value},
            }
            for key, value in OTEL.items()
        ]
        assert normalise({"attributes": attributes}) == normalise(OTEL)

    def test_geminis_python_spelling_is_understood(self) -> None:
        raw = {"prompt_token_count": 100, "cached_content_token_count": 40, "candidates_token_count": 7}
        assert normalise(raw) == Usage(100, 40, 0, 0, 7)

    def test_an_anthropic_call_without_a_cache_needs_nothing_added(self) -> None:
        raw = {"input_tokens": 12, "output_tokens": 5, "cache_read_input_tokens": None}
        assert normalise(raw, provider="anthropic") == Usage(input_tokens=12, output_tokens=5)

    def test_reasoning_counted_beside_the_completion_is_added_to_the_output(self) -> None:
        raw = {
            "prompt_tokens": 32,
            "completion_tokens": 9,
            "total_tokens": 135,
            "completion_tokens_details": {"reasoning_tokens": 94},
        }
        assert normalise(raw, provider="x-ai") == Usage(
            input_tokens=32, output_tokens=103, reasoning_output_tokens=94
        )

    def test_deepseeks_cache_hits_are_cache_reads(self) -> None:
        raw = {
            "prompt_tokens": 100,
            "prompt_cache_hit_tokens": 64,
            "prompt_cache_miss_tokens": 36,
            "completion_tokens": 5,
        }
        assert normalise(raw, provider="deepseek") == Usage(100, 64, 0, 0, 5)

    def test_audio_and_cache_that_must_overlap_are_not_counted_twice(self) -> None:
        raw = {
            "prompt_tokens": 100,
            "completion_tokens": 0,
            "prompt_tokens_details": {"cached_tokens": 60, "audio_tokens": 70},
        }
        assert normalise(raw).details == (("audio_input", 70), ("audio_cache_read", 30))

    def test_a_batch_and_a_service_tier_are_kept_as_context(self) -> None:
        assert normalise({**ANTHROPIC, "service_tier": "batch"}).context == (("processing", "batch"),)
        assert normalise({"usage": OPENAI_CHAT, "service_tier": "flex"}).context == (
            ("service_tier", "flex"),
        )
        assert normalise({"usage": OPENAI_CHAT, "service_tier": "default"}).context == ()

    @pytest.mark.parametrize("raw", [{}, {"tokens": 5}, {"usage": {"cost": 1}}, {"usage": [1]}])
    def test_a_shape_that_is_nobodys_is_refused(self, raw: dict[str, Any]) -> None:
        with pytest.raises(InvalidField) as refused:
            normalise(raw)
        assert (refused.value.status, refused.value.errors[0].pointer) == (400, "/provider_usage")

    def test_shapes_are_told_by_their_keys(self) -> None:
        assert [detect_shape(raw) for raw in (OPENAI_CHAT, OPENAI_RESPONSES, ANTHROPIC, GEMINI, OTEL)] == [
            "openai.chat",
            "openai.responses",
            "anthropic.messages",
            "gemini",
            "opentelemetry",
        ]


class TestCountsThatCannotBe:
    @pytest.mark.parametrize("value", [-1, 10**12 + 1, 1.0, "5", True, [1]])
    def test_a_count_is_an_integer_from_0_to_10_to_the_12(self, value: object) -> None:
        with pytest.raises(InvalidQuantity) as refused:
            normalise({"usage": {**OPENAI_CHAT, "prompt_tokens": value}})
        assert refused.value.errors[0].pointer == "/provider_usage/usage/prompt_tokens"

    @pytest.mark.parametrize(
        ("usage", "pointer"),
        [
            (Usage(10, 6, 5), "/usage/cache_read_input_tokens"),
            (Usage(10, 0, 11), "/usage/cache_creation_input_tokens"),
            (Usage(10, 0, 5, 6), "/usage/cache_creation_1h_input_tokens"),
            (Usage(0, output_tokens=5, reasoning_output_tokens=6), "/usage/reasoning_output_tokens"),
            (Usage(-1), "/usage/input_tokens"),
            (Usage(10, details=(("audio_input", 11),)), "/usage/input_tokens"),
            (Usage(10, output_tokens=1, details=(("image_output", 2),)), "/usage/output_tokens"),
            (Usage(10, 1, details=(("audio_cache_read", 1),)), "/usage/cache_read_input_tokens"),
        ],
    )
    def test_parts_that_are_more_than_the_whole_are_refused(self, usage: Usage, pointer: str) -> None:
        with pytest.raises(InvalidQuantity) as refused:
            checked_usage(usage)
        assert pointer in [error.pointer for error in refused.value.errors]

    def test_parts_that_are_the_whole_pass(self) -> None:
        usage = Usage(10, 6, 4, 4, 5, 5)
        assert checked_usage(usage) is usage


class TestOurOwnUsageObject:
    def test_every_field_is_read(self) -> None:
        usage = parse_usage(
            {
                "input_tokens": 10,
                "cache_read_input_tokens": 3,
                "cache_creation_input_tokens": 2,
                "cache_creation_1h_input_tokens": 1,
                "output_tokens": 5,
                "reasoning_output_tokens": 4,
                "tool_calls": {"web_search": 3},
                "components": [{"component": "image_output", "quantity": "3"}],
            }
        )
        assert usage == Usage(
            10, 3, 2, 1, 5, 4, (), (tool_use("web_search", 3),), (("image_output", 3 * 10**12),)
        )

    @pytest.mark.parametrize(
        ("value", "error", "pointer"),
        [
            ([], InvalidField, "/usage"),
            ({"tokens": 1}, UnknownField, "/usage/tokens"),
            ({"input_tokens": 1.0}, InvalidQuantity, "/usage/input_tokens"),
            ({"input_tokens": -1}, InvalidQuantity, "/usage/input_tokens"),
            ({"input_tokens": None}, InvalidQuantity, "/usage/input_tokens"),
            ({"tool_calls": {"a/b": True}}, InvalidQuantity, "/usage/tool_calls/a~1b"),
            ({"tool_calls": 3}, InvalidField, "/usage/tool_calls"),
            ({"components": {}}, InvalidField, "/usage/components"),
            (
                {"components": [{"component": "x", "quantity": 3}]},
                InvalidQuantity,
                "/usage/components/0/quantity",
            ),
            ({"components": [{"quantity": "3"}]}, InvalidField, "/usage/components/0/component"),
            (
                {"components": [{"component": "x", "quantity": "1", "y": 1}]},
                UnknownField,
                "/usage/components/0/y",
            ),
        ],
    )
    def test_what_is_wrong_is_named(self, value: object, error: type[ProblemError], pointer: str) -> None:
        with pytest.raises(error) as refused:
            parse_usage(value)
        assert refused.value.errors[0].pointer == pointer
