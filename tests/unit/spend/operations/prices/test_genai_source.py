"""What is read from the installed genai-prices gives its own figures, for every model that it prices."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from typing import Any
from uuid import uuid4

import pytest

from spend.operations.prices.genai_source import PriceSource, SourceModel, _component, read_source
from spend.rules.modelnames import ListedModel, find_model
from spend.rules.prices import BookEntry, PriceUnknown, PriceVersion
from spend.rules.rating import OrganizationPricing, PriceCard, Usage, price_card, rate

USAGES = (
    Usage(
        input_tokens=10_000,
        cache_read_input_tokens=6_000,
        cache_creation_input_tokens=1_000,
        output_tokens=2_000,
    ),
    Usage(
        input_tokens=1_234_567,
        cache_read_input_tokens=345_678,
        output_tokens=98_765,
        reasoning_output_tokens=4_321,
    ),
    Usage(input_tokens=33_333, output_tokens=1),
)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@cache
def source() -> PriceSource:
    return read_source()


@cache
def genai_models() -> dict[tuple[str, str], tuple[Any, Any]]:
    from genai_prices.data import providers

    return {(provider.id, model.id): (provider, model) for provider in providers for model in provider.models}


def entry(model: SourceModel) -> BookEntry:
    versions = tuple(
        PriceVersion(
            id=uuid4(),
            provider=model.provider,
            model=model.model,
            currency="USD",
            components=version.components,
            valid_from=version.valid_from,
            valid_to=version.valid_to,
            variants=version.variants,
            daily=version.daily,
        )
        for version in model.versions
    )
    return BookEntry(model.provider, model.model, versions)


def card(model: SourceModel, at: datetime = NOON) -> PriceCard:
    return price_card(entry(model), OrganizationPricing("USD"), at)


def named(provider: str, model: str) -> SourceModel:
    return next(found for found in source().models if (found.provider, found.model) == (provider, model))


def their_units(
    model: SourceModel, usage: Usage, at: datetime = NOON, context: dict[str, str] | None = None
) -> int:
    from genai_prices import Usage as TheirUsage

    provider, info = genai_models()[model.provider, model.model]
    counts = {
        "input_tokens": usage.input_tokens,
        "cache_read_tokens": usage.cache_read_input_tokens,
        "cache_write_tokens": usage.cache_creation_input_tokens,
        "output_tokens": usage.output_tokens,
        "output_reasoning_tokens": usage.reasoning_output_tokens,
    }
    price = info.calc_price(TheirUsage(**counts), provider, genai_request_timestamp=at, price_context=context)
    return int((price.total_price * 10**8).quantize(Decimal(1), ROUND_HALF_UP))


def priced() -> Iterator[SourceModel]:
    return (model for model in source().models if {"input", "output"} <= components(model))


def components(model: SourceModel) -> set[str]:
    return set(card(model).book.components) if model.versions and card(model).book else set()  # type: ignore[union-attr]


class TestTheSourcesOwnFigures:
    def test_every_model_that_prices_tokens_costs_what_the_source_says(self) -> None:
        compared = 0
        for model in priced():
            for usage in USAGES:
                assert rate(usage, card(model)).cost_units == their_units(model, usage), (model.model, usage)
                compared += 1
        assert compared > 6_000

    @pytest.mark.parametrize(
        ("provider", "model", "usage", "cost"),
        [
            ("anthropic", "claude-sonnet-4-5", USAGES[0], "0.04455"),
            ("openai", "gpt-5", USAGES[0], "0.02575"),
            ("openai", "gpt-5-mini", USAGES[0], "0.00515"),
            ("anthropic", "claude-opus-4-6", USAGES[0], "0.07425"),
            ("openai", "gpt-5.2", USAGES[0], "0.03605"),
            ("google", "gemini-2.5-pro", Usage(input_tokens=300_000, output_tokens=1_000), "0.765"),
            ("google", "gemini-2.5-pro", Usage(input_tokens=100_000, output_tokens=1_000), "0.135"),
        ],
    )
    def test_the_checked_figures(self, provider: str, model: str, usage: Usage, cost: str) -> None:
        assert rate(usage, card(named(provider, model))).cost_units == int(Decimal(cost) * 10**8)

    def test_prices_that_change_with_the_date_hold_from_their_date(self) -> None:
        changing = [model for model in priced() if len(model.versions) > 1]
        for model in changing:
            for version in model.versions[1:]:
                for at in (version.valid_from - timedelta(seconds=1), version.valid_from):
                    if at.year > 1970:
                        ours = rate(USAGES[2], card(model, at)).cost_units
                        assert ours == their_units(model, USAGES[2], at), (model.model, at)
        assert len(changing) > 100

    def test_prices_of_hours_of_the_day_hold_in_them(self) -> None:
        hourly = [model for model in priced() if any(version.daily for version in model.versions)]
        for model in hourly:
            for quarter in range(96):
                at = NOON + timedelta(minutes=15 * quarter)
                assert rate(USAGES[0], card(model, at)).cost_units == their_units(model, USAGES[0], at)
        assert len(hourly) == 5

    def test_prices_of_a_context_hold_in_it(self) -> None:
        compared = 0
        for model in priced():
            book = card(model).book
            for variant in book.variants if book is not None else ():
                usage = Usage(input_tokens=5_000, output_tokens=700, context=variant.when)
                assert rate(usage, card(model)).cost_units == their_units(
                    model, usage, NOON, dict(variant.when)
                )
                compared += 1
        assert compared > 150

    def test_a_model_without_a_price_in_the_source_is_refused(self) -> None:
        unpriced = [model for model in source().models if not model.versions]
        assert len(unpriced) > 100
        with pytest.raises(PriceUnknown):
            rate(USAGES[0], card(unpriced[0]))

    def test_nothing_of_the_source_is_left_out(self) -> None:
        assert [model.model for model in source().models if model.left_out] == []


class TestFigures:
    def test_more_than_12_decimals_are_rounded_half_up_and_the_text_is_kept(self) -> None:
        price = _component(Decimal("0.0833333333335"), 1_000_000)
        assert (price.amount, price.source_text) == (83_333_333_334, "0.0833333333335")

    def test_12_decimals_are_exact(self) -> None:
        price = _component(Decimal("0.083333333333"), 1_000_000)
        assert (price.amount, price.source_text) == (83_333_333_333, None)


class TestNames:
    @pytest.mark.parametrize(
        ("provider", "asked", "model"),
        [
            ("anthropic", "claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
            ("anthropic", "Claude-Sonnet-4-5", "claude-sonnet-4-5"),
            ("openai", "gpt-5-2025-08-07", "gpt-5"),
            ("openai", "gpt-5.2-20251211", "gpt-5.2"),
            ("google", "gemini-2.5-pro-preview-06-05", "gemini-2.5-pro"),
            ("openai", "gpt-5-imaginary", None),
            ("anthropic", "no-such-model", None),
            ("anthropic", "x" * 201, None),
        ],
    )
    def test_a_spelling_means_its_model_or_none(self, provider: str, asked: str, model: str | None) -> None:
        listed = [ListedModel(m.model, m.match) for m in source().models if m.provider == provider]
        found = find_model(listed, asked)
        assert (found.model if found else None) == model

    def test_every_models_own_name_means_itself(self) -> None:
        for provider in ("anthropic", "openai", "google", "mistral"):
            listed = [ListedModel(m.model, m.match) for m in source().models if m.provider == provider]
            for model in listed:
                assert find_model(listed, model.model) == model
