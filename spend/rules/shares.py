"""What a usage record adds to the finer rollups: to its user, its run and the tools that it called."""

from collections.abc import Mapping
from fractions import Fraction
from math import lcm
from typing import Any, Final, NamedTuple
from uuid import UUID

from common.money import split_largest_remainder

FINE: Final = ("user", "run", "tool")
TOOL: Final = "tool:"
UNATTRIBUTED: Final = ""
"""The value of what has no user, run or tool: an explicit bucket, so that sums are the organization's total (S19)."""
_UNITS: Final = 10**8
_MILLION: Final = 10**6


class Share(NamedTuple):
    """Calls, and cost and charge in units of 10^-8."""

    calls: int
    cost: int
    charge: int


def dimension_shares(
    dimension: str,
    *,
    user: str | None,
    run: UUID | None,
    tool: str | None,
    cost: int,
    charge: int,
    detail: Mapping[str, Any] | None,
) -> dict[str, Share]:
    """Return what a record adds to one of FINE, by value; the shares sum to exactly its cost and charge."""
    if dimension == "tool":
        return tool_shares(detail, cost=cost, charge=charge, tool=tool)
    value = user if dimension == "user" else None if run is None else str(run)
    return {value or UNATTRIBUTED: Share(1, cost, charge)}


def tool_shares(
    detail: Mapping[str, Any] | None, *, cost: int, charge: int, tool: str | None
) -> dict[str, Share]:
    """Return what of a record belongs to which tool; the shares sum to exactly its cost and charge.

    Each tool gets its price lines, in proportion, by the method of largest remainders; the rest (the model's tokens)
    belongs to the record's own tool or is unattributed. `calls` of a tool are its calls, of the rest the record.
    """
    rest = tool or UNATTRIBUTED
    calls: dict[str, int] = {str(name): int(count) for name, count in (detail or {}).get("tools", {}).items()}
    if not calls:
        return {rest: Share(1, cost, charge)}
    names = sorted({rest, *calls})
    costs = _weights(detail or {}, names, rest, own=False)
    charges = _weights(detail or {}, names, rest, own=True)
    parts = zip(names, _split(cost, costs, names, rest), _split(charge, charges, names, rest), strict=True)
    shares = {name: Share(calls.get(name, 0), of_cost, of_charge) for name, of_cost, of_charge in parts}
    return {name: share for name, share in shares.items() if name in calls or any(share)}


def _split(total: int, weights: list[int], names: list[str], rest: str) -> list[int]:
    if not any(weights):
        return [total if name == rest else 0 for name in names]
    return split_largest_remainder(total, weights)


def _weights(detail: Mapping[str, Any], names: list[str], rest: str, *, own: bool) -> list[int]:
    """Return the amount of each name's lines in a common whole unit; `own`: as charged, else as they cost."""
    rates = {base: Fraction(rate) for _, base, rate, _ in detail.get("fx", ())}
    own_lines = {line[0]: line for line in detail.get("own_lines", ())} if own else {}
    markup = 1 + Fraction(detail.get("markup_ppm", 0), _MILLION) if own else Fraction(1)
    found = dict.fromkeys(names, Fraction(0))
    found[rest] += Fraction(detail.get("amount", 0), _UNITS)
    for line in detail.get("lines", ()):
        component, _, amount, currency = own_lines.get(line[0], line)
        name = component.removeprefix(TOOL) if component.startswith(TOOL) else rest
        factor = Fraction(1) if component in own_lines else markup
        found[name if name in found else rest] += Fraction(amount) * factor * rates.get(currency, Fraction(1))
    common = lcm(*(weight.denominator for weight in found.values()))
    return [int(found[name] * common) for name in names]
