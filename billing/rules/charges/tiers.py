"""Tiers: what each costs, in which order they lie, and how a quantity fills them (house rule 9).

A tier reaches from above the one before it up to and including its own bound; the last has none. Fractions are
allowed. A tier's flat fee is charged when the tier is entered.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from billing.rules.amounts import PERCENT, ZERO, exact_text
from billing.rules.charges import reading
from billing.rules.charges.formula import Step, TierUse, step
from billing.rules.charges.reading import JsonObject
from common.bodies import BodyReader


@dataclass(frozen=True, slots=True)
class Tier:
    """One tier; `rate` is the price of a unit, or the share of an amount of money."""

    up_to: Fraction | None
    rate: Fraction = ZERO
    flat: Fraction = ZERO


def spans(tiers: Sequence[Tier]) -> Iterator[tuple[int, Fraction, Tier]]:
    """Yield every tier with its number from 1 on and the quantity above which it begins."""
    above = ZERO
    for number, tier in enumerate(tiers, start=1):
        yield number, above, tier
        above = tier.up_to if tier.up_to is not None else above


def filled(tiers: Sequence[Tier], quantity: Fraction, *, at_zero: bool) -> list[TierUse]:
    """Return what a quantity uses of each tier that it enters; with `at_zero` nothing at all enters the first."""
    uses = []
    for number, above, tier in spans(tiers):
        if quantity > above or (at_zero and number == 1):
            part = quantity - above if tier.up_to is None else min(quantity, tier.up_to) - above
            uses.append(use_of(number, above, tier, part))
    return uses


def reached(tiers: Sequence[Tier], quantity: Fraction) -> tuple[int, Fraction, Tier]:
    """Return the tier that a quantity reaches (bounds inclusive) with its number and where it begins."""
    return next(span for span in spans(tiers) if span[2].up_to is None or quantity <= span[2].up_to)


def use_of(number: int, above: Fraction, tier: Tier, quantity: Fraction) -> TierUse:
    """Return what a quantity within a tier costs there, with its flat fee."""
    return TierUse(
        number, above, tier.up_to, quantity, tier.rate, tier.flat, quantity * tier.rate + tier.flat
    )


def tier_step(use: TierUse, *, is_percentage: bool = False) -> Step:
    """Return the step of one tier: quantity x price + flat fee."""
    end = f"up to {exact_text(use.up_to)}" if use.up_to is not None else ""
    start = f"above {exact_text(use.above)}" if use.above or not end else ""
    span = f"{start} {end}".strip()
    price = f"{exact_text(use.unit_price * PERCENT)} %" if is_percentage else "{rate}"
    words = f"tier {use.number} ({span}): {{quantity}} x {price}"
    if use.flat:
        words += " + {flat} flat fee"
    return step("tier", words, use.amount, quantity=use.quantity, rate=use.unit_price, flat=use.flat)


def difference(after: Sequence[TierUse], before: Sequence[TierUse]) -> tuple[TierUse, ...]:
    """Return what lies between two fillings of the same tiers: what one line used of each."""
    earlier = {use.number: use for use in before}
    found = []
    for use in after:
        known = earlier.get(use.number)
        if known is None:
            found.append(use)
        elif use != known:
            found.append(
                TierUse(
                    use.number,
                    use.above,
                    use.up_to,
                    use.quantity - known.quantity,
                    use.unit_price,
                    use.flat - known.flat,
                    use.amount - known.amount,
                )
            )
    return tuple(found)


def read_tiers(reader: BodyReader, *, rate: str, check: reading.Check) -> tuple[Tier, ...]:
    """Return the tiers of a definition; everything that is wrong with them is told to the reader."""
    if reader.required("tiers", reading.filled_list) is None:
        return ()
    bounds = reading.Bounds()
    tiers = tuple(
        Tier(
            up_to=item.optional("up_to", bounds.read),
            rate=item.defaulted(rate, check, ZERO),
            flat=item.defaulted("flat", reading.money, ZERO),
        )
        for item in reader.objects("tiers", allowed={"up_to", rate, "flat"})
    )
    bounds.refuse_disorder(reader, "tiers", [tier.up_to for tier in tiers], field="up_to")
    return tiers


def written_tiers(tiers: Sequence[Tier], *, rate: str) -> list[JsonObject]:
    """Return tiers as JSON; `rate` names the field of the price."""
    scale = PERCENT if rate == "rate" else 1
    return [
        {"up_to": None if tier.up_to is None else exact_text(tier.up_to), rate: exact_text(tier.rate * scale)}
        | reading.written_fields({"flat": tier.flat})
        for tier in tiers
    ]
