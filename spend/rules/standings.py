"""What the gate obeys of a customer that does not pay: full work, slower work, or none (S93).

Upper apps publish it; the gate knows neither invoices nor dunning.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from common.errors import InvalidField
from common.ids import AnyId
from spend.rules.limits import RateLimit, limit_over_all

STANDINGS: Final = ("clear", "throttled", "suspended")
CLEAR, THROTTLED, SUSPENDED = STANDINGS
MOST_PER_MINUTE: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Standing:
    """How a customer stands since when. `per_minute`: the new calls that a throttled one may make in a minute;
    `case`: what it comes of; `spends_credit`: a suspended one may still spend credit that it bought."""

    standing: str
    since: datetime
    per_minute: int | None = None
    case: AnyId | None = None
    spends_credit: bool = False

    @property
    def shuts(self) -> bool:
        """Whether no new call passes."""
        return self.standing == SUSPENDED and not self.spends_credit

    @property
    def shuts_line(self) -> bool:
        """Whether only bought credit pays for new calls."""
        return self.standing == SUSPENDED and self.spends_credit


def check_standing(standing: str, per_minute: int | None, spends_credit: bool) -> None:
    """Refuse what makes no sense. Raises InvalidField."""
    if standing not in STANDINGS:
        raise InvalidField("A standing is clear, throttled or suspended.", pointer="/standing")
    if (standing == THROTTLED) != (per_minute is not None):
        raise InvalidField("A throttled customer, and no other, has calls per minute.", pointer="/per_minute")
    if per_minute is not None and not 1 <= per_minute <= MOST_PER_MINUTE:
        raise InvalidField(f"From 1 to {MOST_PER_MINUTE} calls a minute.", pointer="/per_minute")
    if spends_credit and standing != SUSPENDED:
        raise InvalidField("Only a suspended customer's credit is in question.", pointer="/spends_credit")


def limit_of(standing: Standing, organization: AnyId, zone: str) -> RateLimit | None:
    """Return the limit over the whole organization that throttling is, counted in minutes of the clock."""
    if standing.standing != THROTTLED or standing.per_minute is None:
        return None
    return limit_over_all(
        organization,
        standing.case or organization,
        unit="requests",
        most=standing.per_minute,
        window="minute",
        zone=zone,
        since=standing.since,
    )
