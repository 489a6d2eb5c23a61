"""What a charge costs over a share of its period: share x price(quantity / share).

So everything that a whole period has comes in proportion: included units, bounds and flat fees of tiers, minimum and
maximum; and what a unit costs stays. Over the whole period it is the price itself.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from billing.rules.amounts import RunningAmount
from billing.rules.charges.definition import ChargeDefinition
from billing.rules.charges.formula import TierUse, step
from billing.rules.charges.pricing import Adjustment, PricedLine, price_line
from billing.rules.charges.usage import Measured, TokenUse, Usage


def price_share(definition: ChargeDefinition, measured: Measured, share: Fraction) -> PricedLine:
    """Return what was measured in a share (above 0, at most 1) of a period costs, with every step.

    Raises ValueError for another share, and PriceUnknown for tokens without a price.
    """
    if not 0 < share <= 1:
        raise ValueError("a share of a period lies above 0 and is at most 1")
    if share == 1:
        return _priced(definition, measured)
    whole = _priced(definition, _stretched(measured, share))
    words = "{quantity} in {share} of a period, as in a whole one: {quantity} / {share}"
    stretched = step("stretched", words, whole.quantity, quantity=measured.total, share=share)
    net = whole.net.exact * share
    shared = step("share", "that share of it: {whole} x {share}", net, whole=whole.net.exact, share=share)
    return replace(
        whole,
        quantity=measured.total,
        billable=whole.billable * share,
        tiers=tuple(_tier(use, share) for use in whole.tiers),
        steps=(stretched, *whole.steps, shared),
        gross=_times(whole.gross, share),
        adjustments=tuple(
            Adjustment(one.kind, _times(one.start, share), _times(one.result, share))
            for one in whole.adjustments
        ),
        net=_times(whole.net, share),
    )


def _priced(definition: ChargeDefinition, measured: Measured) -> PricedLine:
    line = price_line(definition, Usage(measured))
    assert line is not None  # the usage is the last of its period
    return line


def _stretched(measured: Measured, share: Fraction) -> Measured:
    return Measured(
        quantity=measured.quantity / share,
        events=tuple(event / share for event in measured.events),
        tokens=tuple(TokenUse(use.model, use.component, use.quantity / share) for use in measured.tokens),
    )


def _tier(use: TierUse, share: Fraction) -> TierUse:
    return replace(
        use,
        above=use.above * share,
        up_to=None if use.up_to is None else use.up_to * share,
        quantity=use.quantity * share,
        flat=use.flat * share,
        amount=use.amount * share,
    )


def _times(amount: RunningAmount, share: Fraction) -> RunningAmount:
    return RunningAmount(amount.after * share, amount.before * share)
