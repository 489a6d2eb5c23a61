"""The rows that a batch is decided on, read under the organizations' locks.

Every `ask_*` sends its statement and returns what collects the answer: in a pipeline all of them take one round trip.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg

from common.idempotency import unpacked
from events.writer import array_literal
from spend.rules.settlement import usage_body
from spend.rules.state import Counter, OrganizationState, Reservation, Run

Connection = psycopg.Connection[Any]
CounterKey = tuple[UUID, str, datetime]
Collect = Callable[[], None]
MAX_EXPIRED = 200

# LATERAL with a LIMIT, so that each pair is one probe of an index whatever the planner thinks of the sizes.
KEYS = b"""
SELECT k.organization, k.key, k.request, k.status, k.body FROM unnest($1::uuid[], $2::text[]) AS w(o, k)
CROSS JOIN LATERAL (SELECT * FROM api_idempotency_keys x WHERE x.organization = w.o AND x.key = w.k LIMIT 1) AS k
"""
RESERVATION_COLUMNS = """r.id, r.organization, r.agent_id, r.team_id, r.workflow_id, r.connection_id, r.run_id,
    r.root_run_id, r.price_version, r.held, r.estimated_cost, r.created_at, r.expires_at, r.version, r.status,
    r.user_label, r.action, r.counters, r.counter_amounts, r.measures, r.funding, r.own_key"""
RESERVATIONS = f"""
SELECT {RESERVATION_COLUMNS} FROM unnest($1::uuid[], $2::uuid[]) AS w(o, i) CROSS JOIN LATERAL
    (SELECT * FROM reservations x WHERE x.organization = w.o AND x.id = w.i LIMIT 1) r
UNION ALL
SELECT {RESERVATION_COLUMNS} FROM unnest($3::uuid[], $4::timestamptz[]) AS w(o, t) CROSS JOIN LATERAL
    (SELECT * FROM reservations x WHERE x.organization = w.o AND x.status = 'active'
    AND x.expires_at <= w.t ORDER BY x.expires_at LIMIT {MAX_EXPIRED}) r
""".encode()
COUNTER_COLUMNS = "c.id, c.organization, c.budget_id, c.target, c.window_start, c.window_end, c.held, c.spent"
COUNTERS = f"""
SELECT {COUNTER_COLUMNS} FROM unnest($1::uuid[], $2::text[], $3::timestamptz[]) AS w(b, t, s) CROSS JOIN LATERAL
    (SELECT * FROM budget_counters x WHERE x.budget_id = w.b AND x.target = w.t AND x.window_start = w.s LIMIT 1) c
""".encode()
BUCKETS = f"""
SELECT {COUNTER_COLUMNS} FROM unnest($1::uuid[], $2::text[], $3::timestamptz[]) AS w(b, t, s)
JOIN budget_counters c ON c.budget_id = w.b AND c.target = w.t AND c.window_start >= w.s
""".encode()
RUNS = b"""
SELECT r.organization, r.id, r.key, r.root_id, root.key, r.parent_id, r.version
FROM unnest($1::uuid[], $2::text[]) AS w(o, k) JOIN runs r ON r.organization = w.o AND r.key = w.k
JOIN runs root ON root.id = r.root_id
"""
USAGE_KEYS = b"""
SELECT k.organization, k.source, k.id_digest, k.payload_digest, u.id, u.external_id, u.outcome, u.cost, u.charge,
    u.currency, u.price_version, u.occurred_at, u.adjustment
FROM unnest($1::uuid[], $2::text[], $3::bytea[]) AS w(o, s, d) CROSS JOIN LATERAL
    (SELECT * FROM usage_keys x WHERE x.organization = w.o AND x.source = w.s AND x.id_digest = w.d LIMIT 1) k
JOIN usage_records u ON u.organization = k.organization AND u.id = k.usage_id
"""


class KeptAnswer:
    """The stored answer of an idempotency key; its body is unpacked when it is asked for."""

    __slots__ = ("packed", "request", "status")

    def __init__(self, request: bytes, status: int, packed: bytes) -> None:
        self.request, self.status, self.packed = request, status, packed

    def body(self) -> bytes:
        """Return the stored bytes."""
        return unpacked(self.packed)


def _ask(connection: Connection, sql: bytes, columns: Sequence[Sequence[Any]]) -> psycopg.Cursor[Any]:
    """Send a statement whose parameters are arrays; written as text they cost a tenth of the driver's own way."""
    cur: psycopg.Cursor[Any] = psycopg.RawCursor(connection)
    return cur.execute(sql, [array_literal(column) for column in columns], prepare=True, binary=True)


def ask_keys(
    connection: Connection, pairs: Sequence[tuple[UUID, str]], kept: dict[tuple[UUID, str], KeptAnswer]
) -> Collect:
    """Ask for the stored answers of these keys."""
    if not pairs:
        return _nothing
    cur = _ask(connection, KEYS, list(zip(*pairs, strict=True)))

    def collect() -> None:
        for organization, key, request, status, body in cur:
            kept[organization, key] = KeptAnswer(bytes(request), status, bytes(body))

    return collect


def ask_reservations(
    connection: Connection, wanted: Sequence[tuple[UUID, UUID]], states: Mapping[UUID, OrganizationState]
) -> Collect:
    """Ask for the named reservations, and for those of the organizations that have expired (at most 200 of each)."""
    columns: list[list[Any]] = [[row[0] for row in wanted], [row[1] for row in wanted]]
    columns += [list(states), [state.now for state in states.values()]]
    cur = _ask(connection, RESERVATIONS, columns)

    def collect() -> None:
        for row in cur:
            states[row[1]].reservations.setdefault(row[0], Reservation(*row))

    return collect


def ask_counters(
    connection: Connection,
    states: Mapping[UUID, OrganizationState],
    fixed: Iterable[CounterKey],
    rolling: Iterable[CounterKey],
) -> Collect:
    """Ask for the counters of these windows (fixed) and for all buckets since these (rolling)."""
    asked = []
    for sql, keys in ((COUNTERS, sorted(set(fixed))), (BUCKETS, sorted(set(rolling)))):
        if keys:
            asked.append((sql is BUCKETS, _ask(connection, sql, list(zip(*keys, strict=True)))))

    def collect() -> None:
        for is_rolling, cur in asked:
            for row in cur:
                _keep_counter(states[row[1]], Counter(row[0], *row[2:]), is_rolling)

    return collect


def _keep_counter(state: OrganizationState, counter: Counter, is_rolling: bool) -> None:
    place = (counter.budget_id, counter.target)
    known = state.counters.setdefault((*place, counter.window_start), counter)
    state.counters_by_id[known.id] = known
    if is_rolling:
        state.rolling.setdefault(place, []).append(known)


def ask_usage_keys(
    connection: Connection,
    wanted: Sequence[tuple[UUID, str, bytes]],
    known: dict[tuple[UUID, str, bytes], tuple[bytes, dict[str, Any]]],
) -> Collect:
    """Ask for (payload digest, the answer given) of the (organization, source, digest of id)s recorded before."""
    if not wanted:
        return _nothing
    cur = _ask(connection, USAGE_KEYS, list(zip(*wanted, strict=True)))

    def collect() -> None:
        for organization, source, digest, payload, *usage in cur:
            known[organization, source, bytes(digest)] = (bytes(payload), usage_body(source, *usage))

    return collect


def read_runs(connection: Connection, wanted: Sequence[tuple[UUID, str]]) -> list[tuple[UUID, Run]]:
    """Return the runs of these (organization, key)s that exist, with their organization."""
    if not wanted:
        return []
    cur = _ask(connection, RUNS, list(zip(*wanted, strict=True)))
    return [(row[0], Run(row[1], row[2], row[3], row[4], row[5], row[6])) for row in cur.fetchall()]


def _nothing() -> None:
    """Collect the answer to what was not asked."""
