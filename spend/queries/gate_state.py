"""The rows that a batch is decided on, read under the organizations' locks, in as few round trips as possible."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from events.store import Cursor
from spend.rules.state import Counter, OrganizationState, Reservation, Run

CounterKey = tuple[UUID, str, datetime]
MAX_EXPIRED = 200

RESERVATION_COLUMNS = """r.id, r.organization, r.agent_id, r.team_id, r.workflow_id, r.connection_id, r.run_id,
    r.root_run_id, r.price_version, r.held, r.estimated_cost, r.created_at, r.expires_at, r.version, r.status, r.user_label, r.action,
    r.counters, r.counter_amounts, r.measures, r.funding, r.own_key"""
RESERVATIONS = f"""
SELECT {RESERVATION_COLUMNS} FROM unnest(%s::uuid[], %s::uuid[]) AS w(o, i)
JOIN reservations r ON r.organization = w.o AND r.id = w.i
"""
EXPIRED = f"""
SELECT {RESERVATION_COLUMNS} FROM unnest(%s::uuid[], %s::timestamptz[]) AS w(o, t)
JOIN LATERAL (SELECT * FROM reservations x WHERE x.organization = w.o AND x.status = 'active' AND x.expires_at <= w.t
    ORDER BY x.expires_at LIMIT {MAX_EXPIRED}) r ON true
"""
COUNTER_COLUMNS = "c.id, c.organization, c.budget_id, c.target, c.window_start, c.window_end, c.held, c.spent"
COUNTERS = f"""
SELECT {COUNTER_COLUMNS} FROM unnest(%s::uuid[], %s::text[], %s::timestamptz[]) AS w(b, t, s)
JOIN budget_counters c ON c.budget_id = w.b AND c.target = w.t AND c.window_start = w.s
"""
BUCKETS = f"""
SELECT {COUNTER_COLUMNS} FROM unnest(%s::uuid[], %s::text[], %s::timestamptz[]) AS w(b, t, s)
JOIN budget_counters c ON c.budget_id = w.b AND c.target = w.t AND c.window_start >= w.s
"""
RUNS = """
SELECT r.organization, r.id, r.key, r.root_id, root.key, r.parent_id, r.version
FROM unnest(%s::uuid[], %s::text[]) AS w(o, k) JOIN runs r ON r.organization = w.o AND r.key = w.k
JOIN runs root ON root.id = r.root_id
"""
USAGE_KEYS = """
SELECT k.organization, k.source, k.id_digest, k.payload_digest, k.usage_id
FROM unnest(%s::uuid[], %s::text[], %s::bytea[]) AS w(o, s, d)
JOIN usage_keys k ON k.organization = w.o AND k.source = w.s AND k.id_digest = w.d
"""


def read_reservations(
    cur: Cursor, wanted: Sequence[tuple[UUID, UUID]], states: dict[UUID, OrganizationState]
) -> None:
    """Put the named reservations, and those of the organizations that have expired, into their states."""
    if wanted:
        cur.execute(RESERVATIONS, ([o for o, _ in wanted], [i for _, i in wanted]))
        for row in cur:
            states[row[1]].reservations[row[0]] = Reservation(*row)
    cur.execute(EXPIRED, (list(states), [state.now for state in states.values()]))
    for row in cur:
        states[row[1]].reservations.setdefault(row[0], Reservation(*row))


def read_counters(
    cur: Cursor,
    states: dict[UUID, OrganizationState],
    fixed: Iterable[CounterKey],
    rolling: Iterable[CounterKey],
) -> None:
    """Put the counters of these windows (fixed) and all later buckets (rolling) into their states."""
    _fetch_counters(cur, COUNTERS, sorted(set(fixed)), states)
    buckets = sorted(set(rolling))
    for counter in _fetch_counters(cur, BUCKETS, buckets, states):
        states_of = states[counter[0]]
        states_of.rolling.setdefault((counter[1].budget_id, counter[1].target), []).append(counter[1])


def _fetch_counters(
    cur: Cursor, sql: str, keys: list[CounterKey], states: dict[UUID, OrganizationState]
) -> list[tuple[UUID, Counter]]:
    if not keys:
        return []
    cur.execute(sql, tuple(list(column) for column in zip(*keys, strict=True)))
    found = []
    for row in cur:
        counter = Counter(row[0], *row[2:])
        state = states[row[1]]
        counter = state.counters.setdefault((counter.budget_id, counter.target, counter.window_start), counter)
        found.append((row[1], counter))
    return found


def read_runs(cur: Cursor, wanted: Sequence[tuple[UUID, str]]) -> list[tuple[UUID, Run]]:
    """Return the runs of these (organization, key)s that exist, with their organization."""
    if not wanted:
        return []
    cur.execute(RUNS, ([o for o, _ in wanted], [k for _, k in wanted]))
    return [(row[0], Run(row[1], row[2], row[3], row[4], row[5], row[6])) for row in cur]


def read_usage_keys(
    cur: Cursor, wanted: Sequence[tuple[UUID, str, bytes]]
) -> dict[tuple[UUID, str, bytes], tuple[bytes, UUID]]:
    """Return (payload digest, usage id) of these (organization, source, digest of id)s that were recorded before."""
    if not wanted:
        return {}
    cur.execute(USAGE_KEYS, tuple(list(column) for column in zip(*wanted, strict=True)))
    return {(row[0], row[1], bytes(row[2])): (bytes(row[3]), row[4]) for row in cur}
