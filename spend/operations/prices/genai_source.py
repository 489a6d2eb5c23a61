"""The installed genai-prices package as plain values: providers, models, and dated versions of their prices.

Only its data is read. Its updater is never started and its calculation is not used; the package prices a call
whose context it does not know at the full price without a word, so everything here that is not known is
reported instead.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from decimal import ROUND_HALF_UP, Decimal
from importlib.metadata import version as installed_version
from typing import Any

from common.money import FINE_DECIMALS
from spend.rules.prices import (
    CONTEXT_VALUES,
    STANDARD_CONTEXT,
    ComponentPrice,
    Components,
    Context,
    PriceVariant,
)

SOURCE = "genai-prices"
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
FINEST = Decimal(1).scaleb(-FINE_DECIMALS)

# The source's price keys -> our components, and per how many units the price is.
COMPONENTS: Mapping[str, tuple[str, int]] = {
    "input_mtok": ("input", 1_000_000),
    "output_mtok": ("output", 1_000_000),
    "cache_read_mtok": ("cache_read", 1_000_000),
    "cache_write_mtok": ("cache_creation", 1_000_000),
    "cache_write_1h_mtok": ("cache_creation_1h", 1_000_000),
    "output_reasoning_mtok": ("reasoning", 1_000_000),
    "output_citation_mtok": ("citation", 1_000_000),
    "input_audio_mtok": ("audio_input", 1_000_000),
    "input_image_mtok": ("image_input", 1_000_000),
    "input_video_mtok": ("video_input", 1_000_000),
    "output_audio_mtok": ("audio_output", 1_000_000),
    "output_image_mtok": ("image_output", 1_000_000),
    "output_video_mtok": ("video_output", 1_000_000),
    "cache_audio_read_mtok": ("audio_cache_read", 1_000_000),
    "cache_image_read_mtok": ("image_cache_read", 1_000_000),
    "cache_video_read_mtok": ("video_cache_read", 1_000_000),
    "web_searches_kcount": ("web_search", 1_000),
    "storage_searches_kcount": ("storage_search", 1_000),
    "requests_kcount": ("request", 1_000),
    "audio_hours": ("audio_seconds", 3_600),
    "input_audio_hours": ("audio_input_seconds", 3_600),
    "input_document_kpages": ("document_pages", 1_000),
    "input_annotated_document_kpages": ("annotated_document_pages", 1_000),
    "input_mchars": ("input_characters", 1_000_000),
    "input_text_messages_kcount": ("input_text_messages", 1_000),
}


class UnknownInSource(Exception):
    """The source says something that this importer was not taught."""


@dataclass(frozen=True, slots=True)
class SourceVersion:
    """A price of a model during [valid_from, valid_to), for these seconds of the day where it is not for
    all.
    """

    valid_from: datetime
    valid_to: datetime | None
    components: Components
    variants: tuple[PriceVariant, ...] = ()
    daily: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class SourceModel:
    """A model with the rule of its names and its prices, oldest first; `left_out` is what could not be
    read.
    """

    provider: str
    model: str
    position: int
    match: dict[str, Any]
    context_window: int | None
    deprecated: bool
    versions: tuple[SourceVersion, ...]
    left_out: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class PriceSource:
    """All that the installed package knows."""

    name: str
    version: str
    providers: Mapping[str, tuple[str, ...]]
    models: Sequence[SourceModel]


def read_source() -> PriceSource:
    """Return the data of the installed package as plain values."""
    from genai_prices.data import providers  # a second of loading, for the importer alone

    return PriceSource(
        name=SOURCE,
        version=installed_version(SOURCE),
        providers={provider.id: tuple(provider.fallback_model_providers or ()) for provider in providers},
        models=[
            _model(provider.id, position, model)
            for provider in providers
            for position, model in enumerate(provider.models)
        ],
    )


def _model(provider: str, position: int, model: Any) -> SourceModel:
    try:
        versions, left_out = _versions(model)
    except UnknownInSource as unknown:
        versions, left_out = (), (str(unknown),)
    return SourceModel(
        provider=provider,
        model=model.id,
        position=position,
        match=_rule(model.match),
        context_window=model.context_window,
        deprecated=bool(model.deprecated),
        versions=versions,
        left_out=left_out,
    )


def _rule(clause: Any) -> dict[str, Any]:
    for kind in ("equals", "starts_with", "ends_with", "contains", "regex"):
        if hasattr(clause, kind):
            return {kind: getattr(clause, kind)}
    kind = "or" if hasattr(clause, "or_") else "and"
    return {kind: [_rule(inner) for inner in getattr(clause, f"{kind}_")]}


def _versions(model: Any) -> tuple[tuple[SourceVersion, ...], tuple[str, ...]]:
    """The source's list of conditional prices, of which the last that applies wins, as dated versions."""
    listed: list[tuple[Any, Any]] = (
        [(entry.constraint, entry.prices) for entry in model.prices]
        if isinstance(model.prices, list)
        else [(None, model.prices)]
    )
    variants, left_out = _variants(model.price_variants or ())
    starts = sorted(
        {BEGINNING}
        | {_start(constraint) for constraint, _ in listed if _is_dated(constraint)}
        | {start for start, _ in variants}
    )
    ends: list[datetime | None] = [*starts[1:], None]
    found: list[SourceVersion] = []
    for start, end in zip(starts, ends, strict=True):
        found.extend(_versions_from(listed, [v for at, v in variants if at <= start], start, end))
    priced = any(version.components for version in found)
    return tuple(_merged(found)) if priced else (), left_out


def _versions_from(
    listed: Sequence[tuple[Any, Any]], variants: list[PriceVariant], start: datetime, end: datetime | None
) -> Iterable[SourceVersion]:
    active = [(c, prices) for c, prices in listed if not _is_dated(c) or _start(c) <= start] or listed[:1]
    whole_day = [index for index, (constraint, _) in enumerate(active) if not _is_daily(constraint)]
    last = whole_day[-1] if whole_day else 0
    base = _components(active[last][1])
    yield SourceVersion(start, None, base, tuple(variants))
    for constraint, prices in active[last + 1 :]:
        daily = (_second(constraint.start_time), _second(constraint.end_time))
        yield SourceVersion(start, end, _components(prices), tuple(variants), daily)


def _merged(versions: Iterable[SourceVersion]) -> Iterable[SourceVersion]:
    """Leave out what only repeats the version for all day that holds already."""
    last: SourceVersion | None = None
    for version in versions:
        if version.daily is not None:
            yield version
        elif last is None or replace(version, valid_from=last.valid_from) != last:
            last = version
            yield version


def _variants(listed: Iterable[Any]) -> tuple[list[tuple[datetime, PriceVariant]], tuple[str, ...]]:
    found: list[tuple[datetime, PriceVariant]] = []
    left_out: list[str] = []
    for variant in listed:
        when: Context = tuple(sorted(variant.when.items()))
        known = all(value in CONTEXT_VALUES.get(key, ()) for key, value in when)
        if all(pair in STANDARD_CONTEXT for pair in when):
            continue
        if not known or _is_daily(variant.constraint):
            left_out.append(f"prices when {dict(when)}")
            continue
        start = _start(variant.constraint) if _is_dated(variant.constraint) else BEGINNING
        found.append((start, PriceVariant(when, _components(variant.prices))))
    return found, tuple(left_out)


def _components(prices: Any) -> Components:
    found: dict[str, ComponentPrice] = {}
    for key, value in vars(prices).items():
        if key.startswith("_") or value is None:
            continue
        if key not in COMPONENTS:
            raise UnknownInSource(f"price key {key}")
        name, per = COMPONENTS[key]
        found[name] = _component(value, per)
    return found


def _component(value: Any, per: int) -> ComponentPrice:
    base, tiers = (value, ()) if isinstance(value, Decimal) else (value.base, value.tiers)
    amounts = [base, *(tier.price for tier in tiers)]
    rounded = [_pico(amount) for amount in amounts]
    exact = all(
        Decimal(pico).scaleb(-FINE_DECIMALS) == amount for pico, amount in zip(rounded, amounts, strict=True)
    )
    return ComponentPrice(
        amount=rounded[0],
        per=per,
        tiers=tuple((tier.start, pico) for tier, pico in zip(tiers, rounded[1:], strict=True)),
        source_text=None if exact else " ".join(str(amount) for amount in amounts),
    )


def _pico(amount: Decimal) -> int:
    """A price in 10^-12, half up: some of the source's figures carry the noise of binary fractions."""
    return int(amount.quantize(FINEST, ROUND_HALF_UP).scaleb(FINE_DECIMALS))


def _is_dated(constraint: Any) -> bool:
    return hasattr(constraint, "start_date")


def _is_daily(constraint: Any) -> bool:
    return hasattr(constraint, "start_time")


def _start(constraint: Any) -> datetime:
    day: date = constraint.start_date
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _second(moment: time) -> int:
    if moment.utcoffset():
        raise UnknownInSource(f"hours of the day in {moment.tzinfo}")
    return moment.hour * 3_600 + moment.minute * 60 + moment.second
