"""How much of the whole stands on few customers. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

HHI_OF_ONE: Final = 10_000
"""The index of a single customer: shares are squared in percent."""


@dataclass(frozen=True, slots=True)
class Concentration:
    """Of `customers` with `total` units the `count` largest have `top`.

    `hhi`: the Herfindahl-Hirschman index, the sum of the squared shares in percent, up to 10,000; None of nothing.
    """

    customers: int
    total: int
    count: int
    top: int
    hhi: Fraction | None

    @property
    def top_share(self) -> Fraction | None:
        """Return which part of the whole the largest have."""
        return Fraction(self.top, self.total) if self.total else None


def concentration_of(amounts: Iterable[int], *, count: int) -> Concentration:
    """Return the concentration of amounts in units; what is not above zero is nobody's share."""
    found = sorted((amount for amount in amounts if amount > 0), reverse=True)
    total = sum(found)
    squares = sum(amount * amount for amount in found)
    hhi = Fraction(squares * HHI_OF_ONE, total * total) if total else None
    return Concentration(len(found), total, count, sum(found[:count]), hhi)
