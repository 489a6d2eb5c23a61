"""What a price is: dated versions of a model's or tool's price, exchange rates and markups, and which one
holds when.

Amounts are integers in 10^-12 of the currency's major unit ("pico"), per a stated number of units (a million
tokens, a thousand searches, an hour of 3,600 seconds). Periods are [valid_from, valid_to).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypeVar
from uuid import UUID

from common.errors import InvalidField, ProblemError

TOKENS_PER_MILLION = 1_000_000
PPM = 1_000_000
RATE_SCALE = 10**12
SECONDS_PER_DAY = 86_400

# A token of the left kind is one of the right kind, too, and costs what that costs unless it has a price of
# its own.
INCLUDED_IN = {
    "cache_read": "input",
    "cache_creation": "input",
    "cache_creation_1h": "cache_creation",
    "reasoning": "output",
    "citation": "output",
    "audio_input": "input",
    "image_input": "input",
    "video_input": "input",
    "audio_output": "output",
    "image_output": "output",
    "video_output": "output",
}
TOKEN_COMPONENTS = frozenset(
    ("input", "output", *INCLUDED_IN, "audio_cache_read", "image_cache_read", "video_cache_read")
)

# Request context that changes a price. What is not listed here is refused, because a price source that does
# not know a key would silently answer with the full price. An empty tuple of "standard" values means: no
# change of price.
CONTEXT_VALUES: Mapping[str, frozenset[str]] = {
    "processing": frozenset(("batch",)),
    "service_tier": frozenset(("flex", "priority", "fast")),
    "speed": frozenset(("fast",)),
    "route": frozenset(("mistral/eu",)),
    "search_type": frozenset(("fast", "web")),
}
STANDARD_CONTEXT = frozenset(
    (("service_tier", "default"), ("service_tier", "standard"), ("processing", "standard"))
)

Context = tuple[tuple[str, str], ...]


class PriceUnknown(ProblemError):
    """There is no price for this; nothing is priced at 0 or by a guess (S22).

    The problem names what has none: provider, model, component, tool, currency.
    """

    code = "price_unknown"
    status = 422
    title = "Price unknown"

    def __init__(self, missing: str, **names: str | None) -> None:
        self.missing = missing
        self.fields = {name: value for name, value in names.items() if value is not None}
        named = ", ".join(f"{name} {value}" for name, value in self.fields.items())
        detail = f"The price book has no price for this {missing}"
        super().__init__(f"{detail}: {named}." if named else f"{detail}.", extra=self.fields)


class PriceInvalid(InvalidField):
    """A price contradicts itself: an unknown unit, a negative amount, tiers out of order."""


class Dated(Protocol):
    """Something that holds during [valid_from, valid_to)."""

    @property
    def valid_from(self) -> datetime: ...

    @property
    def valid_to(self) -> datetime | None: ...


AnyDated = TypeVar("AnyDated", bound=Dated)


@dataclass(frozen=True, slots=True)
class ComponentPrice:
    """The price of one component: `amount` (10^-12) for each `per` units.

    `tiers` are (above_tokens, amount), ascending: the last one whose above_tokens is less than the call's
    total input tokens replaces `amount` for the whole component (providers price long context as a cliff, not
    as a slope). `source_text` is the source's own figure where it had more than 12 decimals and was rounded
    half up.
    """

    amount: int
    per: int = TOKENS_PER_MILLION
    tiers: tuple[tuple[int, int], ...] = ()
    source_text: str | None = None

    def __post_init__(self) -> None:
        starts = [above for above, _ in self.tiers]
        amounts = [self.amount, *(amount for _, amount in self.tiers)]
        if self.per < 1 or min(amounts) < 0 or starts != sorted(set(starts)):
            raise PriceInvalid("a price needs per >= 1, amounts >= 0 and ascending tiers")

    def amount_at(self, input_tokens: int) -> int:
        """Return the amount that holds for a call with so many input tokens in all."""
        found = self.amount
        for above, amount in self.tiers:
            if input_tokens > above:
                found = amount
        return found


Components = Mapping[str, ComponentPrice]
# Prices per token in 10^-18 for: input, cache_read, cache_creation, cache_creation_1h, output, reasoning.
Rung = tuple[int, tuple[int | None, ...]]
LADDER_COMPONENTS = ("input", "cache_read", "cache_creation", "cache_creation_1h", "output", "reasoning")


@dataclass(frozen=True, slots=True)
class PriceVariant:
    """Prices that replace those of the same name when the request was made in this context, such as a
    batch.
    """

    when: Context
    components: Components


@dataclass(frozen=True, slots=True)
class PriceVersion:
    """One dated, immutable price of a model with all its components; usage records name it by id (S6).

    `kind` is book, plan, override or contract. `daily` are the seconds of the UTC day [from, to) in which it
    holds (it may wrap round midnight), for providers with off-peak prices. `ladder` is derived: per
    long-context step, highest first, the price of each kind of token.
    """

    id: UUID
    provider: str
    model: str
    currency: str
    components: Components
    valid_from: datetime
    valid_to: datetime | None = None
    kind: str = "book"
    organization: UUID | None = None
    variants: tuple[PriceVariant, ...] = ()
    daily: tuple[int, int] | None = None
    source: str = ""
    source_version: str = ""
    ladder: tuple[Rung, ...] = field(init=False, repr=False, compare=False)
    has_tokens: bool = field(init=False, repr=False, compare=False)
    in_context: dict[Context, "PriceVersion"] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ladder", _ladder(self.components))
        object.__setattr__(self, "has_tokens", any(name in TOKEN_COMPONENTS for name in self.components))
        object.__setattr__(self, "in_context", {})


@dataclass(frozen=True, slots=True)
class FxRate:
    """One unit of `base` is rate/10^12 units of `quote`. `markup_ppm` is added to what is charged, not to the
    cost.
    """

    id: UUID
    base: str
    quote: str
    rate: int
    valid_from: datetime
    markup_ppm: int = 0
    valid_to: datetime | None = None


@dataclass(frozen=True, slots=True)
class Markup:
    """What is added to prices of the book to get the customer's charge, in millionths: 200,000 is 20 %."""

    id: UUID | None
    ppm: int
    valid_from: datetime
    valid_to: datetime | None = None


NO_MARKUP = Markup(id=None, ppm=0, valid_from=datetime(1970, 1, 1, tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class BookEntry:
    """A model of the price book under its own name, with every version of its price, oldest first."""

    provider: str
    model: str
    versions: tuple[PriceVersion, ...]
    context_window: int | None = None
    max_output_tokens: int | None = None


def version_at(versions: Iterable[AnyDated], at: datetime) -> AnyDated | None:
    """Return what holds at this moment: of all whose period contains it, the one that began last.

    Of two that began together the later of the sequence wins, so callers pass them in order of publication.
    """
    found: AnyDated | None = None
    for version in versions:
        if version.valid_from <= at and (version.valid_to is None or at < version.valid_to):
            found = version if found is None or version.valid_from >= found.valid_from else found
    return found


def price_at(versions: Iterable[PriceVersion], at: datetime) -> PriceVersion | None:
    """Return the price version that holds at this moment; one for these hours of the day before one for all
    day.
    """
    current = [version for version in versions if _in_hours(version, at)]
    hourly = version_at([v for v in current if v.daily is not None], at)
    whole_day = version_at([v for v in current if v.daily is None], at)
    if hourly is not None and (whole_day is None or hourly.valid_from >= whole_day.valid_from):
        return hourly
    return whole_day


def next_change(versions: Iterable[AnyDated], at: datetime) -> datetime | None:
    """Return the first moment after `at` at which another of these may hold; None when nothing is planned."""
    moments: list[datetime] = []
    for version in versions:
        moments.append(version.valid_from)
        if version.valid_to is not None:
            moments.append(version.valid_to)
        if isinstance(version, PriceVersion) and version.daily is not None:
            moments.extend(_next_time_of_day(second, at) for second in version.daily)
    return min((moment for moment in moments if moment > at), default=None)


def checked_context(context: Context) -> Context:
    """Return the part of a request's context that changes prices, sorted. Raises PriceUnknown for any other
    key.
    """
    relevant = []
    for key, value in context:
        if (key, value) in STANDARD_CONTEXT:
            continue
        if value not in CONTEXT_VALUES.get(key, ()):
            raise PriceUnknown("context", component=f"{key}={value}")
        relevant.append((key, value))
    return tuple(sorted(relevant))


def price_in_context(price: PriceVersion, context: Context) -> PriceVersion:
    """Return the price with the variants of this context laid over it. Raises PriceUnknown where it has
    none.
    """
    if not context:
        return price
    found = price.in_context.get(context)
    if found is None:
        relevant = checked_context(context)
        found = _overlaid(price, relevant) if relevant else price
        price.in_context[context] = found
    return found


def _overlaid(price: PriceVersion, context: Context) -> PriceVersion:
    given = set(context)
    fitting = [variant for variant in price.variants if given.issuperset(variant.when)]
    known = {pair for variant in fitting for pair in variant.when}
    for key, value in context:
        if (key, value) not in known:
            raise PriceUnknown(
                "context", provider=price.provider, model=price.model, component=f"{key}={value}"
            )
    components = dict(price.components)
    for variant in reversed(fitting):
        components.update(variant.components)
    return PriceVersion(
        id=price.id,
        provider=price.provider,
        model=price.model,
        currency=price.currency,
        components=components,
        valid_from=price.valid_from,
        valid_to=price.valid_to,
        kind=price.kind,
        organization=price.organization,
    )


def _ladder(components: Components) -> tuple[Rung, ...]:
    tokens = {name: components[name] for name in LADDER_COMPONENTS if name in components}
    steps = {above for component in tokens.values() for above, _ in component.tiers}
    rungs = [(above, _rates(components, above + 1)) for above in sorted(steps, reverse=True)]
    return (*rungs, (-1, _rates(components, 0)))


def _rates(components: Components, input_tokens: int) -> tuple[int | None, ...]:
    return tuple(token_rate(components, name, input_tokens) for name in LADDER_COMPONENTS)


def token_rate(components: Components, name: str, input_tokens: int) -> int | None:
    """Return the price of one token of this kind in 10^-18; None where neither it nor what includes it has
    one.
    """
    at: str | None = name
    while at is not None:
        component = components.get(at)
        if component is not None:
            if TOKENS_PER_MILLION % component.per:
                raise PriceInvalid(f"tokens are priced per 1, 1,000 or 1,000,000, not per {component.per}")
            return component.amount_at(input_tokens) * (TOKENS_PER_MILLION // component.per)
        at = INCLUDED_IN.get(at)
    return None


def _in_hours(version: PriceVersion, at: datetime) -> bool:
    if version.daily is None:
        return True
    start, end = version.daily
    utc = at.astimezone(UTC)
    second = utc.hour * 3600 + utc.minute * 60 + utc.second
    if end < start:
        return second >= start or second < end
    return start <= second < end


def _next_time_of_day(second: int, at: datetime) -> datetime:
    utc = at.astimezone(UTC)
    midnight = utc.replace(hour=0, minute=0, second=0, microsecond=0)
    today = midnight + timedelta(seconds=second)
    return today if today > utc else today + timedelta(seconds=SECONDS_PER_DAY)
