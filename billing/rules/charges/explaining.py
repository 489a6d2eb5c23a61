"""A priced line as JSON, as invoice lines keep it and people are shown it: every number a decimal string."""

from typing import Any

from billing.rules.amounts import exact_text
from billing.rules.charges.formula import Step, TierUse
from billing.rules.charges.pricing import PricedLine
from common.money import format_amount


def line_json(line: PricedLine) -> dict[str, Any]:
    """Return the line with tiers, steps and adjustments.

    `exact` is the exact amount, with an ellipsis after twelve decimals where it has no end; `amount` is
    rounded to 8 decimals.
    """
    return {
        "model": line.model,
        "quantity": exact_text(line.quantity),
        "billable": exact_text(line.billable),
        "tiers": [_tier(use) for use in line.tiers],
        "steps": [step_json(step) for step in line.steps],
        "exact": exact_text(line.amount),
        "amount": format_amount(line.units),
        "adjustments": [
            {"kind": change.kind, "exact": exact_text(change.exact), "amount": format_amount(change.units)}
            for change in line.adjustments
        ],
        "net": format_amount(line.net.units),
    }


def step_json(step: Step) -> dict[str, Any]:
    """Return one step of a formula."""
    return {
        "name": step.name,
        "words": step.words,
        "values": {name: exact_text(value) for name, value in step.values},
        "result": exact_text(step.result),
    }


def _tier(use: TierUse) -> dict[str, Any]:
    return {
        "number": use.number,
        "from": exact_text(use.above),
        "to": None if use.up_to is None else exact_text(use.up_to),
        "quantity": exact_text(use.quantity),
        "unit_price": exact_text(use.unit_price),
        "flat": exact_text(use.flat),
        "amount": exact_text(use.amount),
    }
