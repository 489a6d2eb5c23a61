"""What was earned by month, from the sums by day that the reader of the events keeps."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from typing import Final
from uuid import UUID

from events.store import Cursor
from payouts.queries.metrics.asked import CUSTOMERS, Asked
from payouts.rules.metrics.revenue import Earned, earned_of

_WHERE: Final = f"""
FROM revenue_days r JOIN organizations o ON o.id = r.organization
WHERE r.day >= %(first)s AND r.day < %(end_day)s AND (%(currency)s::text IS NULL OR r.currency = %(currency)s)
    AND {CUSTOMERS}
"""
_BY_MONTH: Final = (
    "SELECT r.currency, date_trunc('month', r.day)::date, r.account, sum(r.amount)::text"
    f" {_WHERE} GROUP BY 1, 2, 3 ORDER BY 1, 2"
)
_BY_CUSTOMER: Final = f"""
SELECT r.currency, r.organization, o.name, r.account, sum(r.amount)::text {_WHERE} GROUP BY 1, 2, 3, 4 ORDER BY 1, 2
"""


def earned_by_month(cur: Cursor, asked: Asked) -> dict[tuple[str, date], Earned]:
    """Return what was earned by currency and month (UTC, of business time); months without anything are left out."""
    found: dict[tuple[str, date], dict[str, int]] = defaultdict(dict)
    for currency, month, account, amount in cur.execute(_BY_MONTH, asked.values()).fetchall():
        found[currency, month][account] = int(amount)
    return {place: earned_of(posted) for place, posted in found.items()}


def earned_by_customer(cur: Cursor, asked: Asked) -> dict[tuple[str, UUID, str], Earned]:
    """Return what was earned with each customer over all months that are asked for, by currency, id and name."""
    found: dict[tuple[str, UUID, str], dict[str, int]] = defaultdict(dict)
    for currency, owner, name, account, amount in cur.execute(_BY_CUSTOMER, asked.values()).fetchall():
        found[currency, owner, name][account] = int(amount)
    return {place: earned_of(posted) for place, posted in found.items()}
