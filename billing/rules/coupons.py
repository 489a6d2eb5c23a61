"""Coupons: a percentage or a fixed amount off the lines they are for, spread exactly (house rules 2, 3 and 4; X1).

Percentages come before fixed amounts, else coupons apply in the order given. Each is spread over what remains of its
lines in proportion. Inside the shares are exact; on the document they are brought to the currency's precision by
largest remainder, so that they sum to the coupons. A line never falls below 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal

from billing.rules.amounts import ZERO
from billing.rules.sharing import rounded_shares
from common.currencies import exponent_of
from common.money import UNITS_PER_MAJOR

Duration = Literal["once", "periods", "forever"]
DURATIONS: Final = ("once", "periods", "forever")


@dataclass(frozen=True, slots=True)
class Coupon:
    """A coupon: `share` of 1 off, or `units` of 10^-8 off in the document's currency, one of the two.

    `targets` are the lines it is for, None all. `duration` "once": the first period after it was redeemed;
    "periods": the first `periods`. Raises ValueError for terms that contradict each other.
    """

    code: str
    share: Fraction | None = None
    units: int | None = None
    targets: frozenset[str] | None = None
    duration: Duration = "once"
    periods: int | None = None

    def __post_init__(self) -> None:
        if (self.share is None) == (self.units is None):
            raise ValueError("a coupon has either a percentage or an amount")
        if self.share is not None and not 0 < self.share <= 1:
            raise ValueError("a percentage lies above 0 and is at most 100")
        if self.units is not None and self.units <= 0:
            raise ValueError("an amount is more than 0")
        counted = self.periods is not None and self.periods >= 1
        if counted != (self.duration == "periods") or (self.periods is not None and not counted):
            raise ValueError("a coupon for some periods says for how many, at least 1")

    def holds_in(self, period: int) -> bool:
        """Return whether the coupon applies in a period, counted from 0 since it was redeemed."""
        if period < 0:
            return False
        if self.duration == "forever":
            return True
        return period < (1 if self.periods is None else self.periods)

    def covers(self, line: str) -> bool:
        """Return whether the coupon is for a line."""
        return self.targets is None or line in self.targets


@dataclass(frozen=True, slots=True)
class DiscountableLine:
    """A line of a document that coupons may lower: its key and its amount in 10^-8, rounded to the currency."""

    key: str
    units: int


@dataclass(frozen=True, slots=True)
class AppliedCoupon:
    """What one coupon took off: exactly from each line in their order, in all on the document, and what it had left."""

    coupon: Coupon
    shares: tuple[Fraction, ...]
    units: int
    unused: int


@dataclass(frozen=True, slots=True)
class Discounted:
    """All coupons of a document: exact share and document share of each line, and each coupon's own part."""

    exact: tuple[Fraction, ...]
    units: tuple[int, ...]
    coupons: tuple[AppliedCoupon, ...]


def step_of(currency: str) -> int:
    """Return the smallest amount that a document of this currency shows, in 10^-8."""
    step: int = UNITS_PER_MAJOR // 10 ** exponent_of(currency)
    return step


def in_order(coupons: Sequence[Coupon]) -> list[Coupon]:
    """Return coupons in the order in which they apply: percentages first, else as given (house rule 2)."""
    return sorted(coupons, key=lambda coupon: coupon.share is None)


def apply_coupons(
    lines: Sequence[DiscountableLine], coupons: Sequence[Coupon], *, currency: str
) -> Discounted:
    """Return what coupons take off the lines, in 10^-8 at the currency's precision and exactly.

    The shares of all lines sum to the parts of all coupons. Raises ValueError for a line or coupon finer than
    the currency, and for a negative line.
    """
    step = step_of(currency)
    remaining = [Fraction(_whole_steps(line.units, step)) for line in lines]
    before = tuple(remaining)
    taken = []
    for coupon in in_order(coupons):
        shares = _shares(coupon, lines, remaining, step)
        remaining = [left - share for left, share in zip(remaining, shares, strict=True)]
        taken.append((coupon, shares))
    exact = [whole - left for whole, left in zip(before, remaining, strict=True)]
    totals = rounded_shares([sum(shares, ZERO) for _, shares in taken])
    return Discounted(
        exact=tuple(share * step / UNITS_PER_MAJOR for share in exact),
        units=tuple(share * step for share in rounded_shares(exact)),
        coupons=tuple(
            _applied(coupon, shares, total * step, step)
            for (coupon, shares), total in zip(taken, totals, strict=True)
        ),
    )


def _shares(
    coupon: Coupon, lines: Sequence[DiscountableLine], remaining: Sequence[Fraction], step: int
) -> list[Fraction]:
    """What a coupon takes off each line, in steps of the currency; nothing where all its lines are at 0."""
    base = [left if coupon.covers(line.key) else ZERO for line, left in zip(lines, remaining, strict=True)]
    whole = sum(base, ZERO)
    if not whole:
        return [ZERO] * len(base)
    share = coupon.share
    if share is None:
        share = min(Fraction(_whole_steps(coupon.units or 0, step)), whole) / whole
    return [left * share for left in base]


def _applied(coupon: Coupon, shares: Sequence[Fraction], units: int, step: int) -> AppliedCoupon:
    unused = 0 if coupon.units is None else coupon.units - units
    return AppliedCoupon(coupon, tuple(share * step / UNITS_PER_MAJOR for share in shares), units, unused)


def _whole_steps(units: int, step: int) -> int:
    whole, finer = divmod(units, step)
    if finer or units < 0:
        raise ValueError("a document's amounts are not negative and not finer than its currency")
    return whole
