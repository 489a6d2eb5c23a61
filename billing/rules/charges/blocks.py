"""Tiered blocks: tiers whose widths are counted in blocks of units (house rule 14)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Any, ClassVar, Final

from billing.rules.amounts import ZERO, exact_text
from billing.rules.charges import reading
from billing.rules.charges.formula import FREE_UNITS, Formula, Terms, TierUse, step, sum_step
from billing.rules.charges.usage import Measured
from common import fields
from common.bodies import BodyReader

FIELDS = frozenset(("mode", "tiers"))
ALL_TIERS: Final = "all_tiers"
TOP_TIER: Final = "top_tier"


@dataclass(frozen=True, slots=True)
class BlockTier:
    """`price` for each block of `size` units or part of one; `blocks` of them fit into the tier (None: any number)."""

    size: Fraction
    price: Fraction
    blocks: Fraction | None


@dataclass(frozen=True, slots=True)
class AllTiers:
    """Blocks that fill tier after tier; a partial block is rounded up inside its tier."""

    tiers: tuple[BlockTier, ...]

    kind: ClassVar[str] = "blocks"
    splits: ClassVar[bool] = True
    options: ClassVar[frozenset[str]] = FREE_UNITS

    def formula(self, measured: Measured, terms: Terms) -> Formula:
        """Return the sum of the tiers' blocks."""
        billable = terms.billable(measured.quantity)
        uses = []
        for number, above, tier in _spans(self.tiers):
            if billable > above:
                end = _end(above, tier)
                part = billable - above if end is None else min(billable, end) - above
                uses.append(_use(number, above, tier, part))
        return _summed(billable, uses, self.tiers, terms, measured)

    def written(self) -> dict[str, Any]:
        """Return the fields as JSON."""
        return _written(ALL_TIERS, self.tiers)


@dataclass(frozen=True, slots=True)
class TopTier:
    """Blocks that all cost what the tier says that the total reaches (bounds inclusive). It never splits."""

    tiers: tuple[BlockTier, ...]

    kind: ClassVar[str] = "blocks"
    splits: ClassVar[bool] = False
    options: ClassVar[frozenset[str]] = FREE_UNITS

    def formula(self, measured: Measured, terms: Terms) -> Formula:
        """Return all blocks at the price of the tier that the quantity reaches."""
        billable = terms.billable(measured.quantity)
        uses = []
        if billable:
            number, above, tier = next(
                span
                for span in _spans(self.tiers)
                if (end := _end(span[1], span[2])) is None or billable <= end
            )
            uses.append(_use(number, above, tier, billable))
        return _summed(billable, uses, self.tiers, terms, measured)

    def written(self) -> dict[str, Any]:
        """Return the fields as JSON."""
        return _written(TOP_TIER, self.tiers)


def read(reader: BodyReader) -> AllTiers | TopTier:
    """Return the model of a definition."""
    mode = reader.defaulted("mode", fields.choice, ALL_TIERS, options=(ALL_TIERS, TOP_TIER))
    found = _read_tiers(reader)
    return TopTier(found) if mode == TOP_TIER else AllTiers(found)


def _read_tiers(reader: BodyReader) -> tuple[BlockTier, ...]:
    if reader.required("tiers", reading.filled_list) is None:
        return ()
    bounds = reading.Bounds(reading.whole)
    found = tuple(
        BlockTier(
            size=item.required("size", reading.positive),
            price=item.required("price", reading.unit_price),
            blocks=item.optional("blocks", bounds.read),
        )
        for item in reader.objects("tiers", allowed={"size", "price", "blocks"})
    )
    bounds.refuse_disorder(reader, "tiers", [tier.blocks for tier in found], field="blocks", rising=False)
    return found


def _written(mode: str, tiers: tuple[BlockTier, ...]) -> dict[str, Any]:
    return {
        "mode": mode,
        "tiers": [
            {
                "size": exact_text(tier.size),
                "price": exact_text(tier.price),
                "blocks": None if tier.blocks is None else exact_text(tier.blocks),
            }
            for tier in tiers
        ],
    }


def _spans(tiers: tuple[BlockTier, ...]) -> Iterator[tuple[int, Fraction, BlockTier]]:
    above = ZERO
    for number, tier in enumerate(tiers, start=1):
        yield number, above, tier
        above = _end(above, tier) or above


def _end(above: Fraction, tier: BlockTier) -> Fraction | None:
    return None if tier.blocks is None else above + tier.blocks * tier.size


def _use(number: int, above: Fraction, tier: BlockTier, quantity: Fraction) -> TierUse:
    """What a quantity costs in a tier: the quantity is in units, the price in blocks."""
    blocks = ceil(quantity / tier.size)
    return TierUse(number, above, _end(above, tier), quantity, tier.price, ZERO, blocks * tier.price)


def _summed(
    billable: Fraction, uses: list[TierUse], tiers: tuple[BlockTier, ...], terms: Terms, measured: Measured
) -> Formula:
    steps = terms.steps(measured)
    for use in uses:
        size = tiers[use.number - 1].size
        words = f"tier {use.number}: {{quantity}} / {{size}}, rounded up, x {{price}}"
        steps.append(step("tier", words, use.amount, quantity=use.quantity, size=size, price=use.unit_price))
    amounts = [use.amount for use in uses]
    if len(amounts) != 1:
        steps.append(sum_step("sum", "all tiers", amounts))
    return Formula(sum(amounts, ZERO), billable, tuple(steps), tuple(uses))
