"""What a recorded call would cost on other prices: its usage read back from the record, rated by the gate's own code.

Exchange rates, markup and tools stay as they were: only prices of models are other ones. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from common.money import QUANTITY_SCALE, parse_price, parse_quantity
from spend.rules.prices import (
    TOKEN_COMPONENTS,
    FxRate,
    Markup,
    PriceUnknown,
    PriceVersion,
    price_at,
)
from spend.rules.rating import MODALITIES, REQUEST, PriceCard, Usage, rate
from spend.rules.toolprices import ToolPrice, ToolPriceList, ToolUse, tool_amount, tool_prices_at

_PLAIN: Final = frozenset(
    {"input", "cache_read", "cache_creation", "cache_creation_1h", "output", "reasoning"}
)
_TOOL: Final = "tool:"
_NOBODY: Final = UUID(int=0)


@dataclass(frozen=True, slots=True)
class RecordedUse:
    """A usage record as far as its price goes: tokens in the inclusive form, money in units, `detail` as the rating
    left it."""

    id: UUID
    occurred_at: datetime
    provider: str | None
    model: str | None
    cost: int
    charge: int
    currency: str
    price_version: UUID | None
    input_tokens: int
    cache_read_input_tokens: int
    cache_creation_input_tokens: int
    output_tokens: int
    reasoning_output_tokens: int
    detail: Mapping[str, Any]

    @property
    def cost_version(self) -> UUID | None:
        """The book's price that its cost was rated with."""
        found = self.detail.get("cost_version")
        return self.price_version if found is None else UUID(found)


@dataclass(frozen=True, slots=True)
class OtherPrices:
    """The price list to try: versions of the book's and of single organizations' own prices, by the book's names."""

    book: Mapping[tuple[str, str], Sequence[PriceVersion]] = field(default_factory=dict)
    own: Mapping[tuple[UUID, str, str], Sequence[PriceVersion]] = field(default_factory=dict)
    tools: Sequence[ToolPrice] = ()

    def of(
        self, organization: UUID, name: tuple[str, str], at: datetime
    ) -> tuple[PriceVersion | None, PriceVersion | None]:
        """Return the book's and the organization's own other price of a model at a moment."""
        own = price_at(self.own.get((organization, *name), ()), at)
        return price_at(self.book.get(name, ()), at), own


@dataclass(frozen=True, slots=True)
class OtherTools:
    """The tools of a record that have another price: in the book and of its organization, by name; and how much of each
    was used, as far as the record tells."""

    book: Mapping[str, ToolPrice] = field(default_factory=dict)
    own: Mapping[str, ToolPrice] = field(default_factory=dict)
    uses: Mapping[str, ToolUse] = field(default_factory=dict)


SAME_TOOLS: Final = OtherTools()


def other_tools(
    use: RecordedUse, stated: Sequence[ToolPrice], *, book: Sequence[ToolPrice], own: Sequence[ToolPrice]
) -> OtherTools:
    """Return which of a record's tools have another price. `stated` are the prices to try that are for its
    organization, `book` and `own` all that were ever published.

    A stated price takes the place of the one of its pattern: a longer pattern that is in the list goes before it still.
    """
    names = [line[0].removeprefix(_TOOL) for line in use.detail.get("lines", ()) if line[0].startswith(_TOOL)]
    if not names or not stated:
        return SAME_TOOLS
    of_book = [one for one in stated if one.organization is None]
    of_own = [one for one in stated if one.organization is not None]
    at = use.occurred_at
    return OtherTools(
        _changed(names, of_book, book, at),
        _changed(names, of_own, own, at),
        {name: _used(use.detail, name, lines=book, own_lines=own) for name in names},
    )


def _changed(
    names: Sequence[str], stated: Sequence[ToolPrice], known: Sequence[ToolPrice], at: datetime
) -> dict[str, ToolPrice]:
    tried = tool_prices_at(stated, at).by_pattern
    listed = ToolPriceList({**tool_prices_at(known, at).by_pattern, **tried})
    found = {name: listed.find(name) for name in names}
    return {
        name: price
        for name, price in found.items()
        if price is not None and price is tried.get(price.pattern)
    }


def _used(detail: Mapping[str, Any], name: str, **known: Sequence[ToolPrice]) -> ToolUse:
    """How much of a tool was used: its calls, and what the prices that it was rated with measured."""
    versions = {version for of, version in detail.get("tool_versions", ()) if of == name}
    quantities: dict[str, int] = {}
    for place, prices in known.items():
        units = [price.unit for price in prices if str(price.id) in versions]
        texts = [text for of, text, *_ in detail.get(place, ()) if of == f"{_TOOL}{name}"]
        quantities |= {unit: parse_quantity(text) for unit in units for text in texts}
    calls = detail.get("tools", {}).get(name, quantities.get("call", 0) // QUANTITY_SCALE)
    return ToolUse(name, calls, quantities.get("second"), quantities.get("unit"))


@dataclass(frozen=True, slots=True)
class Rerated:
    """What became of a record. `verdict`: rerated, unchanged (no other price is for it), unpriced (the other price
    says nothing of what it used) or unexplained (its own rating cannot be repeated from what was kept, such as a
    batch's). All but the first keep cost and charge."""

    verdict: str
    cost: int
    charge: int


def rerated(
    use: RecordedUse,
    *,
    book: PriceVersion | None,
    own: PriceVersion | None,
    recorded_book: PriceVersion | None,
    recorded_own: PriceVersion | None,
    fx: Mapping[str, FxRate],
    tools: OtherTools = SAME_TOOLS,
) -> Rerated:
    """Return what a record would cost and be charged. `book` and `own` are the other prices that are for it, None
    where there is none; `recorded_…` those that it was rated with; `fx` the rates of its moment, for a currency that
    its own rating did not need; `tools` what of its tools has another price.

    The rating that is on record is repeated first: only a record whose figures come out again is rated anew.
    """
    same = Rerated("unchanged", use.cost, use.charge)
    is_same = book is None and own is None and not tools.book and not tools.own
    if is_same or not use.detail.get("lines"):
        return same
    told = (use.cost, use.charge)
    readings = (usage_of(use), usage_of(use, beside=True))
    usage = next((one for one in readings if _rated(use, one, recorded_book, recorded_own, fx) == told), None)
    if usage is None:
        return Rerated("unexplained", *told)
    found = _rated(use, usage, book or recorded_book, own or recorded_own, fx, tools)
    if found is None:
        return Rerated("unpriced", use.cost, use.charge)
    return Rerated("rerated", *found)


def usage_of(use: RecordedUse, *, beside: bool = False) -> Usage:
    """Return what a record's call used, in the form that it was rated in. What is named like a kind of tokens may have
    been tokens, which are part of the call's, or was stated `beside` them: a record does not say which."""
    counts = {line[0]: line[1] for line in use.detail.get("lines", ())}
    of_tokens = _PLAIN if beside else TOKEN_COMPONENTS
    tokens = {
        name: parse_quantity(text) // QUANTITY_SCALE for name, text in counts.items() if name in of_tokens
    }
    return Usage(
        input_tokens=use.input_tokens,
        cache_read_input_tokens=use.cache_read_input_tokens,
        cache_creation_input_tokens=use.cache_creation_input_tokens,
        cache_creation_1h_input_tokens=tokens.get("cache_creation_1h", 0),
        output_tokens=use.output_tokens,
        reasoning_output_tokens=use.reasoning_output_tokens,
        details=_details(tokens),
        tool_calls=tuple(_tool_uses(use.detail)),
        components=tuple(
            (name, parse_quantity(text))
            for name, text in counts.items()
            if name not in of_tokens and name != REQUEST and not name.startswith(_TOOL)
        ),
    )


def _details(tokens: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    """Parts of input and output by component, cached ones being part of their kind's input."""
    found = {name: count for name, count in tokens.items() if name not in _PLAIN}
    for kind in MODALITIES:
        cached = found.get(f"{kind}_cache_read", 0)
        if cached:
            found[f"{kind}_input"] = found.get(f"{kind}_input", 0) + cached
    return tuple(found.items())


def _rated(
    use: RecordedUse,
    usage: Usage,
    book: PriceVersion | None,
    own: PriceVersion | None,
    fx: Mapping[str, FxRate],
    tools: OtherTools = SAME_TOOLS,
) -> tuple[int, int] | None:
    detail = use.detail
    try:
        book_tools = _tools(detail.get("lines", ()), use.occurred_at, tools.book, tools.uses)
        own_tools = _tools(detail.get("own_lines", ()), use.occurred_at, tools.own, tools.uses)
    except PriceUnknown:
        return None
    card = PriceCard(
        currency=use.currency,
        book=book,
        own=own,
        markup=Markup(None, detail.get("markup_ppm", 0), use.occurred_at),
        fx={**fx, **{one.base: one for one in _recorded_rates(use)}},
        book_tools=book_tools,
        own_tools=own_tools,
        provider=use.provider,
        model=use.model,
    )
    try:
        made = rate(usage, card, amount_units=detail.get("amount", 0), own_key=detail.get("own_key", False))
    except PriceUnknown:
        return None
    return made.cost_units, made.charge_units


def _recorded_rates(use: RecordedUse) -> list[FxRate]:
    return [
        FxRate(UUID(name), base, use.currency, parse_price(rate_text), use.occurred_at, markup_ppm)
        for name, base, rate_text, markup_ppm in use.detail.get("fx", ())
    ]


def _tool_uses(detail: Mapping[str, Any]) -> list[ToolUse]:
    """Each tool once, as one unit of what it cost: see `_tools`. Its calls are kept for a model that prices them."""
    calls: Mapping[str, int] = detail.get("tools", {})
    names = [line[0].removeprefix(_TOOL) for line in detail.get("lines", ()) if line[0].startswith(_TOOL)]
    return [ToolUse(name, calls.get(name, 0), QUANTITY_SCALE, QUANTITY_SCALE) for name in names]


def _tools(
    lines: Sequence[Sequence[str]],
    at: datetime,
    other: Mapping[str, ToolPrice],
    uses: Mapping[str, ToolUse],
) -> ToolPriceList:
    """The tools of a record at the price that makes one unit of each what the record says, or what another price comes
    to for its use. Raises PriceUnknown where that price is by what was not measured."""
    found = {
        name.removeprefix(_TOOL): _of_one_unit(name.removeprefix(_TOOL), parse_price(amount), currency, at)
        for name, _, amount, currency in lines
        if name.startswith(_TOOL)
    }
    for name, price in other.items():
        found[name] = _of_one_unit(name, tool_amount(uses[name], price)[1], price.currency, at)
    return ToolPriceList(found)


def _of_one_unit(name: str, amount: int, currency: str, at: datetime) -> ToolPrice:
    return ToolPrice(_NOBODY, name, "unit", amount, currency, at)
