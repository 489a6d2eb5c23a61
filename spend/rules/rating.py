"""What a call costs (what the provider takes) and what is charged for it (what the customer pays).

Exact integers throughout. Every line (component, tool) is its quantity times its price, kept to 12 decimals;
the lines are added, the charge's markup and exchange rate applied to the sum, and the result rounded once,
half up, to 10^-8. This runs on the gate's hot path: a typical call is rated in a few microseconds.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import NoReturn
from uuid import UUID

import msgspec

from common.errors import AmountOutOfRange
from common.money import MAX_UNITS, QUANTITY_SCALE
from spend.rules.prices import (
    LADDER_COMPONENTS,
    NO_MARKUP,
    PPM,
    RATE_SCALE,
    BookEntry,
    Context,
    Dated,
    FxRate,
    Markup,
    PriceUnknown,
    PriceVersion,
    next_change,
    price_at,
    price_in_context,
    token_rate,
    version_at,
)
from spend.rules.toolprices import (
    NO_TOOL_PRICES,
    ToolPrice,
    ToolPriceList,
    ToolUse,
    tool_amount,
    tool_prices_at,
)

PICO_PER_UNIT = 10_000  # 10^-12 in one 10^-8
ATTO_PER_PICO = 1_000_000
CONVERTED = PPM * RATE_SCALE * PPM  # denominator of markup x rate x the rate's markup
MODALITIES = ("audio", "image", "video")
REQUEST = "request"  # a fee per model call, where the price has one


class Usage(msgspec.Struct, frozen=True):
    """What one call used, in the inclusive form: cached tokens are part of input, reasoning tokens part of
    output.

    cache_creation_1h is part of cache_creation. `details` names further parts of input or output by
    component, such as ("audio_input", 120). `components` are quantities in 10^-12 of anything else, beside
    the tokens. `context` is what of the request changes its price, such as ("processing", "batch").
    """

    input_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    cache_creation_1h_input_tokens: int = 0
    output_tokens: int = 0
    reasoning_output_tokens: int = 0
    details: tuple[tuple[str, int], ...] = ()
    tool_calls: tuple[ToolUse, ...] = ()
    components: tuple[tuple[str, int], ...] = ()
    context: Context = ()


NO_USAGE = Usage()


class Line(msgspec.Struct, frozen=True):
    """One component of a record: quantity (whole units, or 10^-12 when `measured`) and amount in 10^-12."""

    component: str
    quantity: int
    amount: int
    currency: str
    measured: bool = False


class OrganizationPricing(msgspec.Struct, frozen=True):
    """What an organization's charges are made of beside the book; every list in order of publication.

    `own` are its price versions by (provider, model) in the order of looking up: contract, override, plan.
    `fx` are the exchange rates into its currency by the price's currency. `own_tools` are its own tool
    prices.
    """

    currency: str
    own: Mapping[tuple[str, str], tuple[tuple[PriceVersion, ...], ...]] = {}
    markups: tuple[Markup, ...] = ()
    default_markups: tuple[Markup, ...] = ()
    fx: Mapping[str, tuple[FxRate, ...]] = {}
    book_tools: tuple[ToolPrice, ...] = ()
    own_tools: tuple[ToolPrice, ...] = ()


class PriceCard(msgspec.Struct, frozen=True):
    """Every price of one organization and one model at a moment, until `until` (None: nothing is planned).

    `book` is the cost's price; `own`, where there is one, the charge's. fx holds the rates into `currency`.
    `provider` and `model` are the names that the caller used.
    """

    currency: str
    book: PriceVersion | None = None
    own: PriceVersion | None = None
    markup: Markup = NO_MARKUP
    fx: Mapping[str, FxRate] = {}
    book_tools: ToolPriceList = NO_TOOL_PRICES
    own_tools: ToolPriceList = NO_TOOL_PRICES
    until: datetime | None = None
    provider: str | None = None
    model: str | None = None


class Rated(msgspec.Struct, frozen=True):
    """A rated call: cost and charge in 10^-8 of `currency`, and how they came about.

    `price_version` is the price of the charge (the organization's own, else the book's, else the tool's);
    `cost_version` the book's. own_lines are the lines of the organization's own prices; the other lines'
    charge is their cost with the markup.
    """

    cost_units: int
    charge_units: int
    currency: str
    lines: tuple[Line, ...] = ()
    own_lines: tuple[Line, ...] = ()
    price_version: UUID | None = None
    cost_version: UUID | None = None
    markup: Markup = NO_MARKUP
    fx_rates: tuple[FxRate, ...] = ()
    tool_versions: tuple[tuple[str, UUID], ...] = ()

    @property
    def fx_rate(self) -> UUID | None:
        """Return the id of the exchange rate that was applied, None without one."""
        return self.fx_rates[0].id if self.fx_rates else None


class _Parts:
    """Sums in 10^-12 by currency while one call is rated: cost; the cost that is charged with markup; own
    prices.
    """

    __slots__ = ("cost", "lines", "marked_up", "own", "own_lines", "tools")

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.own_lines: list[Line] = []
        self.cost: dict[str, int] = {}
        self.marked_up: dict[str, int] = {}
        self.own: dict[str, int] = {}
        self.tools: list[tuple[str, UUID]] = []

    def add_cost(self, currency: str, pico: int, *, has_own: bool) -> None:
        self.cost[currency] = self.cost.get(currency, 0) + pico
        if not has_own:
            self.marked_up[currency] = self.marked_up.get(currency, 0) + pico

    def add_own(self, currency: str, pico: int) -> None:
        self.own[currency] = self.own.get(currency, 0) + pico


def rate(usage: Usage, card: PriceCard, *, amount_units: int = 0, own_key: bool = False) -> Rated:
    """Return what this usage costs and what is charged for it, both in 10^-8 of the card's currency.

    `amount_units` is an amount stated by the caller: it is added to cost and charge as it stands. `own_key`:
    the provider bills the customer, so the charge is 0. Rounding: once, half up (S10). Raises PriceUnknown
    for any token, component, tool or currency without a price (S22, S22b) and AmountOutOfRange above 2^63-1
    units.
    """
    price = card.book
    context = usage.context
    if price is not None and context:
        price = price_in_context(price, context)
    if price is None and _needs_model_price(usage):
        raise PriceUnknown("model", provider=card.provider, model=card.model)
    if (
        price is not None
        and card.own is None
        and price.currency == card.currency
        and not usage.tool_calls
        and not usage.components
        and not usage.details
        and REQUEST not in price.components
    ):
        return _rate_tokens(usage, card, price, amount_units, own_key)
    return _rate_parts(usage, card, price, amount_units, own_key)


def rate_amount(amount_units: int, *, currency: str, own_key: bool = False) -> Rated:
    """Return a call whose cost the caller states: cost and charge are that amount (charge 0 on an own
    key).
    """
    _checked_range(amount_units)
    return Rated(amount_units, 0 if own_key else amount_units, currency)


def estimate(
    card: PriceCard,
    *,
    input_tokens: int = 0,
    max_output_tokens: int = 0,
    tool_calls: tuple[ToolUse, ...] = (),
    amount_units: int = 0,
    own_key: bool = False,
) -> Rated:
    """Return what a call will cost at most by its estimate; the parts add up. Raises as `rate` does."""
    usage = Usage(input_tokens=input_tokens, output_tokens=max_output_tokens, tool_calls=tool_calls)
    return rate(usage, card, amount_units=amount_units, own_key=own_key)


def price_card(
    entry: BookEntry | None,
    pricing: OrganizationPricing,
    at: datetime,
    *,
    provider: str | None = None,
    model: str | None = None,
) -> PriceCard:
    """Return every price of this organization for this model that holds at this moment.

    Order of looking up (S78): contract, override, plan, book; the markup applies to the book's prices only.
    Raises nothing: what is missing is refused when it is used.
    """
    book = price_at(entry.versions, at) if entry is not None else None
    own_lists = pricing.own.get((entry.provider, entry.model), ()) if entry is not None else ()
    own = next((found for versions in own_lists if (found := price_at(versions, at)) is not None), None)
    rates = {base: version_at(versions, at) for base, versions in pricing.fx.items()}
    dated: tuple[Dated, ...] = (
        *(entry.versions if entry is not None else ()),
        *(version for versions in own_lists for version in versions),
        *(rate for versions in pricing.fx.values() for rate in versions),
        *pricing.markups,
        *pricing.default_markups,
        *pricing.book_tools,
        *pricing.own_tools,
    )
    return PriceCard(
        currency=pricing.currency,
        book=book,
        own=own,
        markup=version_at(pricing.markups, at) or version_at(pricing.default_markups, at) or NO_MARKUP,
        fx={base: rate for base, rate in rates.items() if rate is not None},
        book_tools=tool_prices_at(pricing.book_tools, at),
        own_tools=tool_prices_at(pricing.own_tools, at),
        until=next_change(dated, at),
        provider=provider or (entry.provider if entry is not None else None),
        model=model or (entry.model if entry is not None else None),
    )


def _needs_model_price(usage: Usage) -> bool:
    return bool(usage.input_tokens or usage.output_tokens or usage.components or usage.details)


def _rate_tokens(
    usage: Usage, card: PriceCard, price: PriceVersion, amount_units: int, own_key: bool
) -> Rated:
    """The short way: tokens only, one currency, the book's price."""
    lines: list[Line] = []
    pico = _token_lines(usage, price, lines)
    cost = (pico + 5_000) // PICO_PER_UNIT + amount_units
    markup = card.markup
    if own_key:
        charge = 0
    elif markup.ppm:
        divisor = PPM * PICO_PER_UNIT
        charge = (2 * pico * (PPM + markup.ppm) + divisor) // (2 * divisor) + amount_units
    else:
        charge = cost
    if cost > MAX_UNITS or charge > MAX_UNITS:
        raise AmountOutOfRange
    return Rated(cost, charge, card.currency, tuple(lines), (), price.id, price.id, markup)


def _rate_parts(
    usage: Usage, card: PriceCard, price: PriceVersion | None, amount_units: int, own_key: bool
) -> Rated:
    parts = _Parts()
    if price is not None:
        _add_tokens(parts, usage, price, card.own)
        _add_components(parts, usage, price, card.own)
    for use in usage.tool_calls:
        _add_tool(parts, use, card, price)
    cost = _rounded(_converted(parts.cost, card, PPM, at_cost=True)) + amount_units
    charge = 0 if own_key else _charge(parts, card) + amount_units
    _checked_range(max(cost, charge))
    currencies = parts.cost.keys() | parts.own.keys()
    cost_version = price.id if price is not None else None
    charge_version = card.own.id if card.own is not None and parts.own_lines else cost_version
    return Rated(
        cost_units=cost,
        charge_units=charge,
        currency=card.currency,
        lines=tuple(parts.lines),
        own_lines=tuple(parts.own_lines),
        price_version=charge_version or (parts.tools[0][1] if parts.tools else None),
        cost_version=cost_version,
        markup=card.markup,
        fx_rates=tuple(card.fx[base] for base in sorted(currencies) if base != card.currency),
        tool_versions=tuple(parts.tools),
    )


def _charge(parts: _Parts, card: PriceCard) -> int:
    marked_up = _converted(parts.marked_up, card, PPM + card.markup.ppm, at_cost=False)
    return _rounded(marked_up + _converted(parts.own, card, PPM, at_cost=False))


def _converted(sums: Mapping[str, int], card: PriceCard, factor_ppm: int, *, at_cost: bool) -> int:
    """Return the sums in the card's currency, times the factor, in 10^-12 / CONVERTED."""
    total = 0
    for currency, pico in sums.items():
        if currency == card.currency:
            total += pico * factor_ppm * RATE_SCALE * PPM
            continue
        fx = card.fx.get(currency)
        if fx is None:
            raise PriceUnknown("currency", currency=f"{currency}/{card.currency}")
        total += pico * factor_ppm * fx.rate * (PPM if at_cost else PPM + fx.markup_ppm)
    return total


def _rounded(converted: int) -> int:
    divisor = CONVERTED * PICO_PER_UNIT
    return (2 * converted + divisor) // (2 * divisor)


def _checked_range(units: int) -> None:
    if units > MAX_UNITS:
        raise AmountOutOfRange


def _add_tokens(parts: _Parts, usage: Usage, price: PriceVersion, own: PriceVersion | None) -> None:
    if own is not None and not own.has_tokens:
        own = None
    pico = _all_token_lines(usage, price, parts.lines)
    parts.add_cost(price.currency, pico, has_own=own is not None)
    if own is not None:
        parts.add_own(own.currency, _all_token_lines(usage, own, parts.own_lines))


def _all_token_lines(usage: Usage, price: PriceVersion, lines: list[Line]) -> int:
    return _detailed_lines(usage, price, lines) if usage.details else _token_lines(usage, price, lines)


def _token_lines(usage: Usage, price: PriceVersion, lines: list[Line]) -> int:
    """Add a line per kind of token that was used; return their sum in 10^-12."""
    total_input = usage.input_tokens
    cached = usage.cache_read_input_tokens
    created = usage.cache_creation_input_tokens
    created_1h = usage.cache_creation_1h_input_tokens
    reasoning = usage.reasoning_output_tokens
    counts = (
        total_input - cached - created,
        cached,
        created - created_1h,
        created_1h,
        usage.output_tokens - reasoning,
        reasoning,
    )
    ladder = price.ladder
    rates = ladder[-1][1]
    if len(ladder) > 1:
        rates = next(rung[1] for rung in ladder if total_input > rung[0])
    total = 0
    for index, count in enumerate(counts):
        if count:
            rate_atto = rates[index]
            if rate_atto is None:
                _unknown_component(price, LADDER_COMPONENTS[index])
            pico = (count * rate_atto + 500_000) // ATTO_PER_PICO
            lines.append(Line(LADDER_COMPONENTS[index], count, pico, price.currency))
            total += pico
    return total


def _detailed_lines(usage: Usage, price: PriceVersion, lines: list[Line]) -> int:
    """As _token_lines, for usage that splits input or output further, such as audio, image or citation
    tokens.
    """
    total = 0
    for component, count in _exclusive_counts(usage).items():
        if not count:
            continue
        rate_atto = _detailed_rate(price, component, usage.input_tokens)
        if rate_atto is None:
            _unknown_component(price, component)
        pico = (count * rate_atto + 500_000) // ATTO_PER_PICO
        lines.append(Line(component, count, pico, price.currency))
        total += pico
    return total


def _exclusive_counts(usage: Usage) -> dict[str, int]:
    """Return the counts with every token in its narrowest component only."""
    details = dict(usage.details)
    cached = {m: details.get(f"{m}_cache_read", 0) for m in MODALITIES}
    counts = {f"{m}_input": details.get(f"{m}_input", 0) - cached[m] for m in MODALITIES}
    counts |= {f"{m}_cache_read": count for m, count in cached.items()}
    outputs = {
        name: count for name, count in details.items() if name.endswith("_output") or name == "citation"
    }
    plain_input = usage.input_tokens - usage.cache_read_input_tokens - usage.cache_creation_input_tokens
    counts["input"] = plain_input - sum(counts[f"{m}_input"] for m in MODALITIES)
    counts["cache_read"] = usage.cache_read_input_tokens - sum(cached.values())
    counts["cache_creation"] = usage.cache_creation_input_tokens - usage.cache_creation_1h_input_tokens
    counts["cache_creation_1h"] = usage.cache_creation_1h_input_tokens
    counts["output"] = usage.output_tokens - usage.reasoning_output_tokens - sum(outputs.values())
    counts["reasoning"] = usage.reasoning_output_tokens
    return counts | outputs


def _detailed_rate(price: PriceVersion, component: str, input_tokens: int) -> int | None:
    modality = component.removesuffix("_cache_read")
    if modality == component or component in price.components:
        return token_rate(price.components, component, input_tokens)
    if f"{modality}_input" not in price.components:
        return token_rate(price.components, "cache_read", input_tokens)
    if "cache_read" not in price.components:
        return token_rate(price.components, f"{modality}_input", input_tokens)
    return None  # both have prices of their own: which of them holds would be a guess


def _add_components(parts: _Parts, usage: Usage, price: PriceVersion, own: PriceVersion | None) -> None:
    asked = usage.components
    if REQUEST in price.components:
        asked = (*asked, (REQUEST, QUANTITY_SCALE))
    for component, quantity in asked:
        pico = _component_pico(price, component, quantity, usage.input_tokens)
        has_own = own is not None and component in own.components
        parts.lines.append(Line(component, quantity, pico, price.currency, measured=True))
        parts.add_cost(price.currency, pico, has_own=has_own)
        if own is not None and has_own:
            pico = _component_pico(own, component, quantity, usage.input_tokens)
            parts.own_lines.append(Line(component, quantity, pico, own.currency, measured=True))
            parts.add_own(own.currency, pico)


def _component_pico(price: PriceVersion, component: str, quantity: int, input_tokens: int) -> int:
    found = price.components.get(component)
    if found is None:
        _unknown_component(price, component)
    divisor: int = found.per * QUANTITY_SCALE
    return (2 * quantity * found.amount_at(input_tokens) + divisor) // (2 * divisor)


def _add_tool(parts: _Parts, use: ToolUse, card: PriceCard, price: PriceVersion | None) -> None:
    """Add one tool's line: the model's own price of it (such as web_search) before the list of tool
    prices.
    """
    own_price = card.own_tools.find(use.name)
    name = f"tool:{use.name}"
    if price is not None and use.name in price.components:
        quantity = use.calls * QUANTITY_SCALE
        pico = _component_pico(price, use.name, quantity, 0)
        currency = price.currency
    else:
        book = card.book_tools.find(use.name)
        if book is None:
            raise PriceUnknown("tool", tool=use.name)
        quantity, pico = tool_amount(use, book)
        currency = book.currency
        parts.tools.append((use.name, book.id))
    parts.lines.append(Line(name, quantity, pico, currency, measured=True))
    parts.add_cost(currency, pico, has_own=own_price is not None)
    if own_price is not None:
        quantity, pico = tool_amount(use, own_price)
        parts.own_lines.append(Line(name, quantity, pico, own_price.currency, measured=True))
        parts.add_own(own_price.currency, pico)
        parts.tools.append((use.name, own_price.id))


def _unknown_component(price: PriceVersion, component: str) -> NoReturn:
    raise PriceUnknown("component", provider=price.provider, model=price.model, component=component)
