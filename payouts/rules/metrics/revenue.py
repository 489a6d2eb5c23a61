"""What the platform earned: the books of a month by kind of account, read as gross, net, take rate and margin. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from payouts.rules.metrics.normalising import share

FEE: Final = "platform_fee"
CLAWED_BACK: Final = "clawed_back"
"""What entries of LOST credit to FEE is kept apart: no fee was taken, a share was given back with the charge."""
LOST: Final = "earning_lost"
OWN: Final = ("revenue", "breakage", FEE, CLAWED_BACK)
"""What is the platform's own revenue."""
PARTNERS: Final = "partner_earned"
GIVEN_AWAY: Final = "promotional_expense"
COST: Final = "provider_cost"
CLEARING: Final = "intercompany_clearing"
"""An entry that has it moves what partners earned before; it earns nothing."""
ACCOUNTS: Final = ("revenue", "breakage", FEE, PARTNERS, GIVEN_AWAY, COST)
"""The kinds of accounts that revenue metrics read."""


@dataclass(frozen=True, slots=True)
class Earned:
    """Units; `promotions` and `provider_cost` are what they cost, above zero. `partner_share` is what is left of it
    after `clawed_back`."""

    own: int
    platform_fee: int
    partner_share: int
    clawed_back: int
    promotions: int
    provider_cost: int

    @property
    def gross(self) -> int:
        """Return what was sold: the platform's revenue and the partners' shares."""
        return self.own + self.partner_share

    @property
    def net(self) -> int:
        """Return what of it is the platform's: gross less partners' shares and less what was given away."""
        return self.gross - self.partner_share - self.promotions

    @property
    def margin(self) -> int:
        """Return net revenue less what providers cost."""
        return self.net - self.provider_cost

    @property
    def take_rate(self) -> Fraction | None:
        """Return which part of what listings sold the platform keeps; None where they sold nothing. What was clawed
        back changes nothing of it: of what is not paid neither side keeps anything."""
        return share(self.platform_fee, self.platform_fee + self.partner_share + self.clawed_back)

    @property
    def margin_rate(self) -> Fraction | None:
        """Return the margin as a part of net revenue."""
        return share(self.margin, self.net)


def earned_of(posted: Mapping[str, int]) -> Earned:
    """Return what postings by kind of account (units, a credit is positive) come to."""
    return Earned(
        own=sum(posted.get(kind, 0) for kind in OWN),
        platform_fee=posted.get(FEE, 0),
        partner_share=posted.get(PARTNERS, 0),
        clawed_back=posted.get(CLAWED_BACK, 0),
        promotions=-posted.get(GIVEN_AWAY, 0),
        provider_cost=-posted.get(COST, 0),
    )
