"""What is kept of a rating beside a usage record, and cost and charge worked out again from it alone (S6).

The second way shares no code with the first: exact fractions instead of scaled integers.
"""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from common.money import QUANTITY_SCALE, format_price, format_quantity
from spend.rules.rating import Line, Rated

PICO = 10**12
UNITS = 10**8
MILLION = 10**6


def rating_detail(rated: Rated, *, amount_units: int = 0, own_key: bool = False) -> dict[str, Any]:
    """Return how a cost and a charge came about, as JSON with decimal strings; what is empty is left out.

    lines and own_lines are [component, quantity, amount in the price's currency, that currency]; `cost_version` is
    there when the charge has a price of its own; `fx` is [id, base, rate, markup in millionths].
    """
    detail: dict[str, Any] = {
        "lines": [_line_data(line) for line in rated.lines],
        "own_lines": [_line_data(line) for line in rated.own_lines],
        "amount": amount_units,
        "own_key": own_key,
        "fx": [[str(fx.id), fx.base, format_price(fx.rate), fx.markup_ppm] for fx in rated.fx_rates],
        "tool_versions": [[name, str(version)] for name, version in rated.tool_versions],
    }
    if rated.markup.ppm:
        detail["markup_ppm"] = rated.markup.ppm
        detail["markup"] = str(rated.markup.id) if rated.markup.id else None
    if rated.cost_version is not None and rated.cost_version != rated.price_version:
        detail["cost_version"] = str(rated.cost_version)
    return {name: value for name, value in detail.items() if value}


def recomputed(detail: Mapping[str, Any], currency: str) -> tuple[int, int]:
    """Return (cost, charge) in 10^-8 of the organization's currency, from a record's detail alone.

    A quantity of a meter was rated by billing, which keeps the steps; here its amount is what was charged.
    """
    if "metered" in detail:
        return 0, detail["metered"]["amount"]
    lines, own_lines = detail.get("lines", ()), detail.get("own_lines", ())
    stated = detail.get("amount", 0)
    rates = {base: (Fraction(rate), Fraction(ppm, MILLION)) for _, base, rate, ppm in detail.get("fx", ())}
    cost = stated + _half_up(_sum(lines, currency, rates, marked_up=False))
    if detail.get("own_key"):
        return cost, 0
    own = {line[0] for line in own_lines}
    from_book = _sum([line for line in lines if line[0] not in own], currency, rates, marked_up=True)
    markup = 1 + Fraction(detail.get("markup_ppm", 0), MILLION)
    charged = from_book * markup + _sum(own_lines, currency, rates, marked_up=True)
    return cost, stated + _half_up(charged)


def _line_data(line: Line) -> list[str]:
    quantity = line.quantity if line.measured else line.quantity * QUANTITY_SCALE
    return [line.component, format_quantity(quantity), format_price(line.amount), line.currency]


def _sum(
    lines: Iterable[Sequence[str]],
    currency: str,
    rates: Mapping[str, tuple[Fraction, Fraction]],
    *,
    marked_up: bool,
) -> Fraction:
    total = Fraction(0)
    for _, _, amount, of_currency in lines:
        factor = Fraction(1)
        if of_currency != currency:
            rate, markup = rates[of_currency]
            factor = rate * (1 + markup) if marked_up else rate
        total += Fraction(amount) * factor
    return total


def _half_up(major: Fraction) -> int:
    scaled = major * UNITS + Fraction(1, 2)
    return scaled.numerator // scaled.denominator
