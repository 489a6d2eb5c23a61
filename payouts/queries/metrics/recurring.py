"""MRR as of a moment, and its movements by customer and month."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from events.store import Cursor
from payouts.queries.metrics.asked import CUSTOMERS, Asked
from payouts.rules.metrics.figures import BEFORE, Moved

# What was before the first month is one row for each customer: so much is read as there are customers, and movements in
# the months that are asked for, however long the history is.
_MOVED: Final = f"""
SELECT m.organization, m.currency, (%(first)s::date - interval '1 month')::date, '{BEFORE}', sum(m.amount)::bigint, 1
FROM mrr_movements m JOIN organizations o ON o.id = m.organization
WHERE m.at < least(%(start)s, %(end)s) AND m.at <= clock_timestamp() + o.clock_offset
    AND (%(currency)s::text IS NULL OR m.currency = %(currency)s) AND {CUSTOMERS}
GROUP BY 1, 2
UNION ALL
SELECT m.organization, m.currency, date_trunc('month', m.at AT TIME ZONE 'UTC')::date, m.kind, sum(m.amount)::bigint,
    count(DISTINCT m.at)
FROM mrr_movements m JOIN organizations o ON o.id = m.organization
WHERE m.at >= %(start)s AND m.at < %(end)s AND m.at <= clock_timestamp() + o.clock_offset
    AND (%(currency)s::text IS NULL OR m.currency = %(currency)s) AND {CUSTOMERS}
GROUP BY 1, 2, 3, 4
"""
# From one source to the next along the key, and of each the last row: so much is read as there are sources.
_SOURCES: Final = """
WITH RECURSIVE sources AS (
    (SELECT source FROM {table} WHERE %(organization)s::uuid IS NULL ORDER BY source LIMIT 1)
    UNION ALL
    SELECT (SELECT r.source FROM {table} r WHERE r.source > s.source ORDER BY r.source LIMIT 1) FROM sources s
    WHERE s.source IS NOT NULL
), wanted AS (
    SELECT source FROM sources WHERE source IS NOT NULL
    UNION ALL SELECT DISTINCT source FROM {table} WHERE organization = %(organization)s
)
"""
_STANDING: Final = f"""
{_SOURCES.format(table="recurring_levels")}
SELECT l.currency, coalesce(sum(l.mrr), 0)::bigint, coalesce(sum(l.trial), 0)::bigint,
    coalesce(sum(l.mrr) FILTER (WHERE l.status = 'past_due'), 0)::bigint, count(*) FILTER (WHERE l.mrr > 0),
    count(*) FILTER (WHERE l.status = 'trialing'), count(*) FILTER (WHERE l.status = 'paused'),
    count(DISTINCT l.organization) FILTER (WHERE l.mrr > 0)
FROM wanted w CROSS JOIN LATERAL (
    SELECT r.* FROM recurring_levels r JOIN organizations o ON o.id = r.organization
    WHERE r.source = w.source AND r.at < %(until)s AND r.at <= clock_timestamp() + o.clock_offset
        AND (%(currency)s::text IS NULL OR r.currency = %(currency)s) AND {CUSTOMERS}
    ORDER BY r.at DESC LIMIT 1
) l GROUP BY 1 ORDER BY 1
"""
_COMMITTED: Final = f"""
{_SOURCES.format(table="recurring_commitments")}
SELECT c.currency, coalesce(sum(c.committed), 0)::bigint FROM wanted w CROSS JOIN LATERAL (
    SELECT r.* FROM recurring_commitments r WHERE r.source = w.source AND r.at < %(until)s
    ORDER BY r.version DESC LIMIT 1
) c JOIN organizations o ON o.id = c.organization
WHERE (%(currency)s::text IS NULL OR c.currency = %(currency)s) AND {CUSTOMERS}
GROUP BY 1
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """What recurs at a moment in one currency; units a month, and how many sources and customers there are."""

    currency: str
    mrr: int
    trial: int
    past_due: int
    sources: int
    trials: int
    paused: int
    customers: int
    committed: int = 0


def moved_until(cur: Cursor, asked: Asked) -> list[Moved]:
    """Return what moved for every customer and month that is asked for, up to its end, and what each had before as if
    it had moved at once (BEFORE) in the month before the first."""
    return [Moved(*row) for row in cur.execute(_MOVED, asked.values()).fetchall()]


def standing_at(cur: Cursor, asked: Asked) -> list[Standing]:
    """Return what recurs at the moment that is asked for, by currency, from the levels and not from the movements."""
    committed = dict(cur.execute(_COMMITTED, asked.values()).fetchall())
    rows = cur.execute(_STANDING, asked.values()).fetchall()
    found = {row[0]: Standing(*(*row, committed.get(row[0], 0))) for row in rows}
    for currency, amount in committed.items():
        found.setdefault(currency, Standing(currency, 0, 0, 0, 0, 0, 0, 0, amount))
    return [found[currency] for currency in sorted(found)]
