"""Reservations as they are read: what they hold, of whom, and how they ended."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from common.errors import NotFound
from events.store import Cursor
from orgs.rules.permissions import NO_LIMITS, KeyLimits
from spend.queries.naming import SUBJECT_COLUMNS, SUBJECT_JOINS, Conditions, decode, objects
from spend.rules.thresholds import from_stored
from spend.rules.windows import first_bucket_at

STATUSES: Final = ("active", "committed", "released", "expired")
_READ: Final = f"""
SELECT x.id, x.organization, x.status, x.held, x.estimated_cost, x.charged, x.overage, x.late, x.price_version,
    x.created_at, x.expires_at, x.ended_at, x.own_key, x.action, x.funding,
    x.tokens, x.credits, x.risk_points, x.counters, x.measures, {SUBJECT_COLUMNS}, o.currency
FROM reservations x {SUBJECT_JOINS} JOIN organizations o ON o.id = x.organization
"""
_LAYERS: Final = """
SELECT c.number, b.id, b.scope, c.target,
    COALESCE(COALESCE(a.key, t.key, w.key, n.key) || substr(c.target, 37), NULLIF(c.target, '')), b.window_kind,
    b.rolling_seconds, b.unit, b.amount_limit, b.overdraft, b.thresholds::text, c.window_start, c.window_end, c.held,
    c.spent
FROM budget_counters c JOIN budgets b ON b.id = c.budget_id
LEFT JOIN agents a ON b.scope = 'agent' AND a.id::text = left(c.target, 36)
LEFT JOIN teams t ON b.scope = 'team' AND t.id::text = left(c.target, 36)
LEFT JOIN workflows w ON b.scope = 'workflow' AND w.id::text = left(c.target, 36)
LEFT JOIN connections n ON b.scope = 'connection' AND n.id::text = left(c.target, 36)
WHERE c.organization = %s AND c.number = ANY(%s::int[])
    AND b.mode <> 'observe' AND (c.target = '' OR ascii(c.target) > 31)
"""
_BUCKETS: Final = """
SELECT w.c, sum(x.held)::bigint, sum(x.spent)::bigint
FROM unnest(%s::int[], %s::uuid[], %s::text[], %s::timestamptz[]) AS w(c, b, t, s)
JOIN budget_counters x ON x.budget_id = w.b AND x.target = w.t AND x.window_start >= w.s GROUP BY w.c
"""


class ReservationFilter(NamedTuple):
    """Which reservations a list shows; None: all."""

    status: str | None = None
    run_id: UUID | None = None
    agent_id: UUID | None = None
    limits: KeyLimits = NO_LIMITS


class LiveLayer(NamedTuple):
    """A budget layer of a reservation with what its window holds and has spent now, in the budget's unit."""

    number: int
    budget_id: UUID
    scope: str
    target: str
    label: str | None
    window_kind: str
    rolling_seconds: int | None
    unit: str
    amount_limit: int
    overdraft: int
    thresholds: Any
    window_start: datetime
    window_end: datetime | None
    held: int
    spent: int


def list_reservations(
    cur: Cursor, *, organization: UUID, wanted: ReservationFilter, before: UUID | None, limit: int
) -> list[dict[str, Any]]:
    """Return up to `limit` reservations, newest first, made before `before`."""
    clause = Conditions(organization=organization, limit=limit)
    clause.add("x.id < %(before)s", "before", before)
    clause.add("x.status = %(status)s", "status", wanted.status)
    clause.add("x.run_id = %(run)s", "run", wanted.run_id)
    clause.add("x.agent_id = %(agent)s", "agent", wanted.agent_id)
    clause.narrow(wanted.limits, agent="x.agent_id", connection="x.connection_id")
    where = clause.where("x.organization = %(organization)s")
    cur.execute(_READ + where + " ORDER BY x.id DESC LIMIT %(limit)s", clause.values)
    return objects(cur, parsed=("action", "funding"))


def find_reservation(
    cur: Cursor, *, organization: UUID, reservation: UUID, limits: KeyLimits = NO_LIMITS
) -> dict[str, Any]:
    """Return a reservation of the organization. Raises NotFound, also for what a limited key is not for."""
    clause = Conditions(organization=organization, reservation=reservation)
    clause.narrow(limits, agent="x.agent_id", connection="x.connection_id")
    where = clause.where("x.organization = %(organization)s", "x.id = %(reservation)s")
    cur.execute(_READ + where, clause.values)
    found = objects(cur, parsed=("action", "funding"))
    if not found:
        raise NotFound("There is no such reservation.")
    return found[0]


def organization_of_reservation(cur: Cursor, reservation: UUID) -> UUID:
    """Return whose reservation this is; for the platform's own requests only. Raises NotFound."""
    row = cur.execute("SELECT organization FROM reservations WHERE id = %s", (reservation,)).fetchone()
    if row is None:
        raise NotFound("There is no such reservation.")
    owner: UUID = row[0]
    return owner


def live_layers(
    cur: Cursor, *, organization: UUID, counters: Sequence[int], now: datetime
) -> dict[int, LiveLayer]:
    """Return the budget layers of these counters with live figures; of a rolling budget over its whole window.

    A receipt names more counters than those of budgets that are obeyed: of limits, of thresholds, of what is observed.
    """
    cur.execute(_LAYERS, (organization, list(set(counters))))
    found = {
        row[0]: LiveLayer(*row)._replace(thresholds=from_stored(decode(row[10]))) for row in cur.fetchall()
    }
    rolling = [layer for layer in found.values() if layer.window_kind == "rolling"]
    if rolling:
        starts = [first_bucket_at(now, layer.rolling_seconds or 1) for layer in rolling]
        places = [[layer.number, layer.budget_id, layer.target] for layer in rolling]
        cur.execute(_BUCKETS, (*(list(column) for column in zip(*places, strict=True)), starts))
        for counter, held, spent in cur.fetchall():
            found[counter] = found[counter]._replace(held=held, spent=spent)
    return found
