"""Usage in figures of the platform: run-rate, margins by model, agent and customer, and the top agents.

From the hourly rollup, by whole hours of business time. What a call with the customer's own key cost is not the
platform's cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any, Final
from uuid import UUID

from common.money import round_half_up
from events.store import Cursor
from payouts.queries.metrics.asked import CUSTOMERS, Asked
from payouts.rules.metrics.normalising import monthly, share

RUN_RATE_DAYS: Final = 28
GROUPS: Final = ("model", "agent", "customer")

_FROM: Final = """
FROM organizations o JOIN usage_hourly u ON u.organization = o.id AND u.hour >= %(start)s AND u.hour < %(end)s
    LEFT JOIN connections c ON c.organization = u.organization AND c.id = u.connection_id
"""
_WHERE: Final = f"WHERE {CUSTOMERS} AND (%(currency)s::text IS NULL OR o.currency = %(currency)s)"
_SUMS: Final = """
sum(u.calls)::bigint AS calls, sum(u.charge)::text AS charge,
    coalesce(sum(u.cost) FILTER (WHERE c.billing IS DISTINCT FROM 'own_key'), 0)::text AS cost
"""
_MODELS: Final = f"""
SELECT o.currency, NULL::uuid, NULL::text, NULL::uuid, u.model, u.provider, {_SUMS} {_FROM} {_WHERE} GROUP BY 1, 5, 6
"""
# Summed up by ids, named afterwards: there are far more hours than agents.
_AGENTS: Final = f"""
WITH hours AS (
    SELECT u.organization, u.agent_id, u.connection_id, sum(u.calls) AS calls, sum(u.charge) AS charge,
        sum(u.cost) AS cost
    FROM organizations o JOIN usage_hourly u ON u.organization = o.id AND u.hour >= %(start)s AND u.hour < %(end)s
    {_WHERE} GROUP BY 1, 2, 3
), used AS (
    SELECT u.organization, u.agent_id, {_SUMS} FROM hours u
    LEFT JOIN connections c ON c.organization = u.organization AND c.id = u.connection_id GROUP BY 1, 2
)
SELECT o.currency, o.id, o.name, u.agent_id, a.key, NULL::text, u.calls, u.charge, u.cost
FROM used u JOIN organizations o ON o.id = u.organization
    LEFT JOIN agents a ON a.organization = u.organization AND a.id = u.agent_id
"""
_CUSTOMERS: Final = f"""
SELECT o.currency, o.id, o.name, NULL::uuid, NULL::text, NULL::text, {_SUMS} {_FROM} {_WHERE} GROUP BY 1, 2, 3
"""
# What partners got of the same use, under the same names.
_SHARED: Final = f"""
SELECT o.currency, {{names}}, sum(s.share)::text
FROM organizations o JOIN shared_hours s ON s.organization = o.id AND s.hour >= %(start)s AND s.hour < %(end)s
{_WHERE} GROUP BY 1, 2, 3, 4, 5
"""
_NAMES: Final = {
    "model": "NULL::uuid, NULL::uuid, s.model, s.provider",
    "agent": "o.id, s.agent_id, NULL::text, NULL::text",
    "customer": "o.id, NULL::uuid, NULL::text, NULL::text",
}
_STATEMENTS: Final = {"model": _MODELS, "agent": _AGENTS, "customer": _CUSTOMERS}
_RATE: Final = f"""
SELECT o.currency, sum(u.charge)::text FROM organizations o JOIN usage_hourly u ON u.organization = o.id
    AND u.hour >= %(start)s AND u.hour < %(end)s
{_WHERE} GROUP BY 1 ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Used:
    """Use of one model, agent or customer in units: what was charged, what it cost the platform, and what of the
    charge is the partners'.

    Names that are None: of all, or of what has none.
    """

    currency: str
    organization: UUID | None
    organization_name: str | None
    agent: UUID | None
    key: str | None
    provider: str | None
    calls: int
    charge: int
    cost: int
    partner_share: int = 0

    @property
    def margin(self) -> int:
        """Return what is left of the charge after what it cost, the partners' part included."""
        return self.charge - self.cost

    @property
    def platform_margin(self) -> int:
        """Return what of that is the platform's."""
        return self.margin - self.partner_share

    @property
    def platform_margin_rate(self) -> Fraction | None:
        """Return the platform's margin as a part of the charge less the partners' share."""
        return share(self.platform_margin, self.charge - self.partner_share)

    @property
    def margin_rate(self) -> Fraction | None:
        """Return the margin as a part of the charge."""
        return share(self.margin, self.charge)


@dataclass(frozen=True, slots=True)
class RunRate:
    """What was charged for use in 28 whole days [start, end), and what that comes to a month and a year; units."""

    currency: str
    start: datetime
    end: datetime
    charged: int

    @property
    def monthly(self) -> int:
        """Return the charges x 365/12/28, half up."""
        exact = monthly(Fraction(self.charged), "day", RUN_RATE_DAYS)
        return round_half_up(exact.numerator, exact.denominator)

    @property
    def annual(self) -> int:
        """Return the charges x 365/28, half up."""
        return round_half_up(self.charged * 365, RUN_RATE_DAYS)


def used_by(cur: Cursor, asked: Asked, group: str) -> list[Used]:
    """Return use in the months that are asked for by model, agent or customer: by currency, the largest first."""
    rows = cur.execute(_STATEMENTS[group], asked.values()).fetchall()
    shared = _shared_by(cur, asked, group)
    found = []
    for currency, owner, name, agent, key, provider, calls, charge, cost in rows:
        place = (currency, owner, agent, key if group == "model" else None, provider)
        part = shared.get(place, 0)
        found.append(Used(currency, owner, name, agent, key, provider, calls, int(charge), int(cost), part))
    return sorted(found, key=lambda one: (one.currency, -one.charge, one.cost, _named(one)))


def _shared_by(cur: Cursor, asked: Asked, group: str) -> dict[tuple[Any, ...], int]:
    rows = cur.execute(_SHARED.format(names=_NAMES[group]), asked.values()).fetchall()
    return {tuple(place): int(amount) for *place, amount in rows}


def run_rates(cur: Cursor, asked: Asked) -> list[RunRate]:
    """Return the run-rate of use by currency: of the 28 whole days (UTC) before the moment that is asked for."""
    end = asked.until.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    start = end - timedelta(days=RUN_RATE_DAYS)
    values: dict[str, Any] = {**asked.values(), "start": start, "end": end}
    rows = cur.execute(_RATE, values).fetchall()
    return [RunRate(currency, start, end, int(charged)) for currency, charged in rows]


def _named(one: Used) -> tuple[str, str, str]:
    return str(one.organization), str(one.key), str(one.provider)
