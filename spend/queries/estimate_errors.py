"""Estimate against actual: what committed reservations held and what they were charged, by agent and model (S64b)."""

from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from events.store import Cursor
from orgs.rules.permissions import NO_LIMITS, KeyLimits
from spend.queries.naming import Conditions
from spend.queries.periods import recorded_since

MAX_ROWS: Final = 1_000
PARTS: Final = 10_000
"""Ratios are in ten thousandths, cut down."""
_FIGURES: Final = """
count(*), sum(x.held), sum(x.charged), sum(abs(x.charged - x.held)), count(*) FILTER (WHERE x.charged > x.held),
COALESCE(sum(x.charged - x.held) FILTER (WHERE x.charged > x.held), 0)
"""
_RATIO: Final = f"(x.charged * {PARTS}::numeric / NULLIF(x.held, 0))"
_READ: Final = f"""
WITH x AS MATERIALIZED (
    SELECT x.agent_id, x.action::json->>'provider' AS provider, x.action::json->>'model' AS model, x.held::numeric,
        x.charged::numeric
    FROM reservations x {{where}}
)
SELECT grouping(x.agent_id) = 1, a.key, x.provider, x.model, {_FIGURES},
    floor(percentile_disc(0.5) WITHIN GROUP (ORDER BY {_RATIO}) FILTER (WHERE x.held > 0)),
    floor(percentile_disc(0.95) WITHIN GROUP (ORDER BY {_RATIO}) FILTER (WHERE x.held > 0))
FROM x LEFT JOIN agents a ON a.id = x.agent_id
GROUP BY GROUPING SETS ((x.agent_id, a.key, x.provider, x.model), ())
ORDER BY 1 DESC, 8 DESC, 2, 3, 4 LIMIT {MAX_ROWS + 2}
"""


class ErrorFigures(NamedTuple):
    """Sums over committed reservations, money in units of 10^-8. Ratios are charged / estimated in ten thousandths, by
    nearest rank; None where nothing was held."""

    calls: int = 0
    estimated: int = 0
    charged: int = 0
    absolute_error: int = 0
    underestimated: int = 0
    overage: int = 0
    ratio_p50: int | None = None
    ratio_p95: int | None = None


class ErrorRow(NamedTuple):
    """The errors of one agent's estimates for one model."""

    agent: str
    provider: str | None
    model: str | None
    figures: ErrorFigures


class Errors(NamedTuple):
    """Rows by falling absolute error, whether there are more, and the figures of all calls together."""

    rows: list[ErrorRow]
    has_more: bool
    total: ErrorFigures


class ErrorFilter(NamedTuple):
    """Which reservations are compared; None: all. They were made in [start, end) of the business clock."""

    start: datetime
    end: datetime
    agent_id: UUID | None = None
    provider: str | None = None
    model: str | None = None
    limits: KeyLimits = NO_LIMITS


def estimate_errors(cur: Cursor, *, organization: UUID, wanted: ErrorFilter) -> Errors:
    """Return how far what reservations held was from what their commits were charged, by agent and model.

    Released and expired reservations used nothing and are left out, and calls over connections that are the
    organization's own, which charge nothing.
    """
    clause = Conditions(organization=organization)
    recorded = recorded_since(cur, organization, wanted.start)
    clause.add("x.id >= %(first_id)s", "first_id", recorded.first_id)
    clause.add("x.created_at >= %(start)s", "start", wanted.start)
    clause.add("x.created_at < %(end)s", "end", wanted.end)
    clause.add("x.agent_id = %(agent)s", "agent", wanted.agent_id)
    for name in ("provider", "model"):
        clause.add(f"x.action::json->>'{name}' = %({name})s", name, getattr(wanted, name))
    clause.narrow(wanted.limits, agent="x.agent_id", connection="x.connection_id")
    where = clause.where("x.organization = %(organization)s", "x.status = 'committed'", "NOT x.own_key")
    cur.execute(_READ.format(where=where), clause.values)
    total, *rows = cur.fetchall()
    found = [ErrorRow(row[1], row[2], row[3], _figures(row[4:])) for row in rows]
    return Errors(found[:MAX_ROWS], len(found) > MAX_ROWS, _figures(total[4:]))


def _figures(row: tuple[Any, ...]) -> ErrorFigures:
    numbers = [int(value or 0) for value in row[:6]]
    return ErrorFigures(*numbers, *(None if value is None else int(value) for value in row[6:]))
