"""Charges and usage at random, as Hypothesis makes them."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import hypothesis.strategies as st

from billing.rules.amounts import exact_text
from billing.rules.charges.definition import ChargeDefinition
from billing.rules.charges.pricing import PricedLine, price_line
from billing.rules.charges.usage import Measured, QuantityChange, TokenUse, Usage
from tests.builders.charges import charge
from tests.property.billing.fractions import decimals, fractions, shares

PRICES = decimals(1000, places=6)
AMOUNTS = decimals(1000, places=2)
FACTORS = decimals(10, places=5)
PERCENTS = decimals(100, places=3)
SIZES = st.integers(1, 60).map(lambda tenths: exact_text(Fraction(tenths, 10)))
QUANTITIES = st.one_of(st.integers(0, 300).map(Fraction), fractions(300, max_denominator=1000))
MODELS = ("claude-a", "claude-b", "gpt")


@st.composite
def ladders(draw: st.DrawFn, rate: str, rates: st.SearchStrategy[str]) -> list[dict[str, Any]]:
    """Tiers that rise, the last without an end."""
    bounds = sorted(draw(st.sets(st.integers(1, 2000), max_size=4)))
    ends = [exact_text(Fraction(bound, 10)) for bound in bounds]
    return [{"up_to": end, rate: draw(rates), "flat": draw(AMOUNTS)} for end in (*ends, None)]


@st.composite
def block_tiers(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Tiers of blocks, the last without an end."""
    widths = [str(width) for width in draw(st.lists(st.integers(1, 40), max_size=3))]
    return [{"size": draw(SIZES), "price": draw(AMOUNTS), "blocks": width} for width in (*widths, None)]


def _percentage(draw: st.DrawFn) -> dict[str, Any]:
    least, most = sorted((Fraction(draw(AMOUNTS)), Fraction(draw(AMOUNTS))))
    fields = {
        "rate": draw(PERCENTS),
        "fixed": draw(AMOUNTS),
        "free_volume": draw(AMOUNTS),
        "free_events": draw(st.integers(0, 4)),
    }
    bounds = {"event_minimum": exact_text(least), "event_maximum": exact_text(most)}
    return fields | (bounds if draw(st.booleans()) else {})


def _tokens(draw: st.DrawFn) -> dict[str, Any]:
    prices = [
        {"models": pattern, "per": "1000", "components": {"input": draw(PRICES), "output": draw(PRICES)}}
        for pattern in ("claude-*", "claude-a", "*")
    ]
    return {"prices": prices}


FIELDS: dict[str, Callable[[st.DrawFn], dict[str, Any]]] = {
    "flat": lambda draw: {"amount": draw(AMOUNTS)},
    "per_unit": lambda draw: {"unit_price": draw(PRICES), "per": draw(SIZES)},
    "graduated": lambda draw: {"tiers": draw(ladders("unit_price", PRICES))},
    "volume": lambda draw: {"tiers": draw(ladders("unit_price", PRICES))},
    "package": lambda draw: {"size": draw(SIZES), "price": draw(PRICES)},
    "blocks": lambda draw: {
        "tiers": draw(block_tiers()),
        "mode": draw(st.sampled_from(("all_tiers", "top_tier"))),
    },
    "percentage": _percentage,
    "graduated_percentage": lambda draw: {"tiers": draw(ladders("rate", PERCENTS))},
    "dynamic": lambda draw: {"multiplier": draw(FACTORS)},
    "tokens": _tokens,
}
COUNTED = ("per_unit", "graduated", "volume", "package", "blocks", "graduated_percentage", "dynamic")
FALLING = ("volume",)
"""Models that may charge less for more; blocks do so, too, in mode top_tier."""


@st.composite
def definitions(
    draw: st.DrawFn, kinds: tuple[str, ...] = tuple(FIELDS), *, adjusted: bool = True
) -> ChargeDefinition:
    """A charge of one of the kinds, with what may stand around its price."""
    kind = draw(st.sampled_from(kinds))
    fields = FIELDS[kind](draw)
    if kind in COUNTED:
        fields |= {"included": draw(SIZES), "usage_discount": draw(SIZES)} if draw(st.booleans()) else {}
    if kind in ("graduated", "volume", "graduated_percentage"):
        fields["flat_fee_at_zero"] = draw(st.booleans())
    if adjusted and draw(st.booleans()):
        least, most = sorted((Fraction(draw(AMOUNTS)), Fraction(draw(AMOUNTS))))
        fields |= {"discount_percent": draw(PERCENTS), "minimum": exact_text(least)}
        fields |= {"maximum": exact_text(most)} if draw(st.booleans()) else {}
    return charge(kind, **fields)


@st.composite
def changes(draw: st.DrawFn) -> tuple[QuantityChange, ...]:
    """Changes of a held quantity that never goes below 0; less of each counts the later it comes."""
    held, found = 0, []
    for rest in sorted(draw(st.lists(shares(31), max_size=5)), reverse=True):
        change = draw(st.integers(-held, 20).filter(bool))
        held += change
        found.append(QuantityChange(Fraction(change), change * rest))
    return tuple(found)


@st.composite
def measured(draw: st.DrawFn, kind: str) -> Measured:
    """What may be measured for a charge of a kind in one span."""
    if kind == "percentage":
        return Measured(events=tuple(draw(st.lists(QUANTITIES, max_size=6))))
    if kind == "tokens":
        uses = st.builds(
            TokenUse, st.sampled_from(MODELS), st.sampled_from(("input", "cache_read", "output")), QUANTITIES
        )
        return Measured(tokens=tuple(draw(st.lists(uses, max_size=6))))
    return Measured(draw(QUANTITIES))


@st.composite
def split_usage(draw: st.DrawFn, kind: str) -> list[Measured]:
    """The parts of a period's usage, one for each of its lines."""
    if kind == "graduated" and draw(st.booleans()):
        whole = draw(changes())
        cuts = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=3)))
        return [
            Measured(changes=whole[start:end])
            for start, end in zip((0, *cuts), (*cuts, len(whole)), strict=True)
        ]
    return draw(st.lists(measured(kind), min_size=1, max_size=4))


def lines_of(definition: ChargeDefinition, parts: list[Measured]) -> list[PricedLine]:
    """The lines of a period whose usage is billed in parts."""
    found, before = [], None
    for place, part in enumerate(parts):
        line = price_line(definition, Usage(part, before=before, last=place == len(parts) - 1))
        before = part if before is None else before + part
        found.append(line)
    return [line for line in found if line is not None]


def whole_of(parts: list[Measured]) -> Measured:
    """All parts together."""
    return sum(parts[1:], start=parts[0])
