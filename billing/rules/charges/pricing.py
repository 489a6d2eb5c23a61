"""From usage to a line: usage discount, price, percentage discount, coupons, minimum or maximum (house rule 2)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from billing.rules.amounts import NO_AMOUNT, RunningAmount
from billing.rules.charges.definition import ChargeDefinition
from billing.rules.charges.formula import Formula, Step, TierUse, step
from billing.rules.charges.tiers import difference
from billing.rules.charges.usage import Usage

NOTHING_BILLED = Formula(NO_AMOUNT.after, NO_AMOUNT.after)


@dataclass(frozen=True, slots=True)
class Adjustment:
    """What is added to or taken off a line: kind `discount`, `coupon`, `minimum` or `maximum`.

    `minimum` becomes the line "minimum spend", `maximum` a discount line, so that gross use stays visible (rule 8).
    """

    kind: str
    start: RunningAmount
    result: RunningAmount

    @property
    def exact(self) -> Fraction:
        """Return the exact amount; negative for what is taken off."""
        return self.result.exact - self.start.exact

    @property
    def units(self) -> int:
        """Return the amount in 10^-8, such that line and adjustments sum to the rounded net."""
        return self.result.units - self.start.units

    def document_units(self, currency: str) -> int:
        """Return the amount in 10^-8 at its currency's precision, likewise."""
        return self.result.document_units(currency) - self.start.document_units(currency)


@dataclass(frozen=True, slots=True)
class PricedLine:
    """A priced line: gross is what the model says, net what is left after every adjustment."""

    model: str
    quantity: Fraction
    billable: Fraction
    tiers: tuple[TierUse, ...]
    steps: tuple[Step, ...]
    gross: RunningAmount
    adjustments: tuple[Adjustment, ...]
    net: RunningAmount

    @property
    def amount(self) -> Fraction:
        """Return the exact gross amount of the line."""
        return self.gross.exact

    @property
    def units(self) -> int:
        """Return the rounded gross amount of the line in 10^-8."""
        return self.gross.units

    def adjustment(self, kind: str) -> Adjustment | None:
        """Return the adjustment of a kind, None without one."""
        return next((found for found in self.adjustments if found.kind == kind), None)


def price_line(
    definition: ChargeDefinition, usage: Usage, *, coupon: RunningAmount = NO_AMOUNT
) -> PricedLine | None:
    """Return what a line of a period costs: f(all measured so far) - f(measured for earlier lines), with every step.

    `coupon` is what coupons take off the period up to and before this line (`billing.rules.coupons`); minimum
    and maximum look at what they leave. Returns None while nothing is billed: a volume or top tier charge
    before the last line of its period. Raises PriceUnknown for tokens without a price, AmountOutOfRange when
    a rounded amount is asked for that is too large.
    """
    model, terms = definition.model, definition.terms
    if not (model.splits or usage.last):
        return None
    after = model.formula(usage.whole, terms)
    billed = usage.before if model.splits else None
    before = NOTHING_BILLED if billed is None else model.formula(billed, terms)
    gross = RunningAmount(after.amount, before.amount)
    adjustments = _adjustments(definition, gross, coupon, last=usage.last)
    return PricedLine(
        model=model.kind,
        quantity=usage.measured.total if model.splits else usage.whole.total,
        billable=after.billable - before.billable,
        tiers=difference(after.tiers, before.tiers),
        steps=(
            *after.steps,
            *(_split_steps(gross) if billed is not None else ()),
            *_adjusting_steps(adjustments),
        ),
        gross=gross,
        adjustments=adjustments,
        net=adjustments[-1].result if adjustments else gross,
    )


def _adjustments(
    definition: ChargeDefinition, gross: RunningAmount, coupon: RunningAmount, *, last: bool
) -> tuple[Adjustment, ...]:
    rest = 1 - definition.discount
    discounted = RunningAmount(gross.after * rest, gross.before * rest)
    reduced = discounted + -coupon
    bounded = definition.bounds.applied(reduced, last=last)
    kind = "minimum" if bounded.exact > reduced.exact else "maximum"
    stages = (
        Adjustment("discount", gross, discounted),
        Adjustment("coupon", discounted, reduced),
        Adjustment(kind, reduced, bounded),
    )
    return tuple(found for found in stages if found.start != found.result)


def _split_steps(gross: RunningAmount) -> tuple[Step, ...]:
    words = "this line: {after} so far - {before} on earlier lines"
    return (step("split", words, gross.exact, after=gross.after, before=gross.before),)


def _adjusting_steps(adjustments: tuple[Adjustment, ...]) -> list[Step]:
    words = {
        "discount": "percentage discount",
        "coupon": "coupons",
        "minimum": "minimum spend",
        "maximum": "maximum, excess taken off",
    }
    found = []
    for change in adjustments:
        sign = "+" if change.exact >= 0 else "-"
        text = f"{words[change.kind]}: {{line}} {sign} {{change}}"
        found.append(
            step(change.kind, text, change.result.exact, line=change.start.exact, change=abs(change.exact))
        )
    return found
