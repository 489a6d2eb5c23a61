"""How an amount of a subscription came about, in steps that somebody with a calculator can follow."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from billing.rules.amounts import exact_text
from billing.rules.rounding import round_to_document
from billing.rules.subscriptions.fees import Price
from billing.rules.subscriptions.row import Fee
from common.money import UNITS_PER_MAJOR


def credit_steps(price: Price, fee: Fee, share: Fraction, amount: int, *, currency: str) -> list[Any]:
    """How a credit came about: the unused share of the fee, and how much of that does not come back."""
    unused = round_to_document(fee.price * share, currency=currency)
    steps = fee_steps(price, fee.price, share, -unused)
    if unused == amount:
        return steps
    shown, stays = (exact_text(Fraction(units, UNITS_PER_MAJOR)) for units in (unused, unused - amount))
    kept = {
        "name": "kept",
        "words": f"{shown} less {stays} that stays: credit of the plan that was used or is kept, or was not billed",
        "values": {"unused": shown, "stays": stays},
        "result": exact_text(Fraction(-amount, UNITS_PER_MAJOR)),
    }
    return [*steps, kept]


def fee_steps(price: Price, units: Fraction, share: Fraction, amount: int) -> list[Any]:
    """How the amount came about: the price of a whole period, and the share of it."""
    shown = exact_text(units / UNITS_PER_MAJOR)
    prorated = {
        "name": "proration",
        "words": f"{shown} x {exact_text(share)} of the period",
        "values": {"price": shown, "share": str(share)},
        "result": exact_text(Fraction(amount, UNITS_PER_MAJOR)),
    }
    return [*price.steps, *([] if share == 1 else [prorated])]
