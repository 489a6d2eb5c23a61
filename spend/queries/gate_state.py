"""The rows that a batch is decided on, read under the organizations' locks.

Every `ask_*` returns a question with what collects its answer: several of them take one round trip.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

import msgspec

from common.idempotency import packed, unpacked
from events.questions import Question, Rows, question
from spend.rules.commands import RecordUsage
from spend.rules.recording import usage_body
from spend.rules.state import Counter, CounterKey, OrganizationState, Reservation, Run, Trace, Tried
from spend.rules.windows import EPOCH

MAX_EXPIRED = 200

# LATERAL with a LIMIT, so that each pair is one probe of an index whatever the planner thinks of the sizes.
KEYS = b"""
SELECT k.organization, k.key_digest, k.request, k.status, k.body FROM unnest($1::uuid[], $2::uuid[]) AS w(o, k) CROSS
JOIN LATERAL (SELECT * FROM api_idempotency_keys x WHERE x.organization = w.o AND x.key_digest = w.k LIMIT 1) AS k
"""
RESERVATION_COLUMNS = """r.id, r.organization, r.agent_id, r.team_id, r.workflow_id, r.connection_id, r.run_id,
    r.root_run_id, r.price_version, r.held, r.estimated_cost, r.tokens, r.credits, r.risk_points, r.created_at,
    r.expires_at, r.version, r.status, r.user_label, r.action, r.counters, r.measures, r.funding, r.own_key,
    r.input_tokens, r.tool_calls"""
RESERVATIONS = f"""
SELECT {RESERVATION_COLUMNS} FROM unnest($1::uuid[], $2::uuid[]) AS w(o, i) CROSS JOIN LATERAL
    (SELECT * FROM reservations x WHERE x.organization = w.o AND x.id = w.i LIMIT 1) r
UNION ALL
SELECT {RESERVATION_COLUMNS} FROM unnest($3::uuid[]) AS w(o) JOIN organizations g ON g.id = w.o
CROSS JOIN LATERAL (SELECT clock_timestamp() + g.clock_offset AS now OFFSET 0) c CROSS JOIN LATERAL
    (SELECT * FROM reservations x WHERE x.organization = w.o AND x.status = 'active'
    AND x.expires_at <= c.now ORDER BY x.expires_at LIMIT {MAX_EXPIRED}) r
""".encode()
COUNTER_COLUMNS = (
    "c.number, c.organization, c.budget_id, c.target, c.window_start, c.window_end, c.held, c.spent, c.armed, c.fired, "
    "c.approved"
)
COUNTERS = f"""
SELECT {COUNTER_COLUMNS} FROM unnest($1::uuid[], $2::text[], $3::timestamptz[]) AS w(b, t, s) CROSS JOIN LATERAL
    (SELECT * FROM budget_counters x WHERE x.budget_id = w.b AND x.target = w.t AND x.window_start = w.s LIMIT 1) c
""".encode()
BUCKETS = f"""
SELECT {COUNTER_COLUMNS} FROM unnest($1::uuid[], $2::text[], $3::timestamptz[]) AS w(b, t, s)
JOIN budget_counters c ON c.budget_id = w.b AND c.target = w.t AND c.window_start >= w.s
""".encode()
# Counters of a receipt, and with those of a rolling budget the buckets that count at the moment that was read under the
# lock: a little later, when this is asked, one of them may have left.
NUMBERED = f"""
SELECT {COUNTER_COLUMNS}, false FROM unnest($1::uuid[], $2::int[]) AS w(o, n)
JOIN budget_counters c ON c.organization = w.o AND c.number = w.n
UNION
SELECT {COUNTER_COLUMNS}, true FROM unnest($1::uuid[], $2::int[], $3::timestamptz[]) AS w(o, n, at)
JOIN budget_counters f ON f.organization = w.o AND f.number = w.n
JOIN budgets b ON b.id = f.budget_id AND b.window_kind = 'rolling'
JOIN budget_counters c ON c.budget_id = f.budget_id AND c.target = f.target
    AND c.window_end > w.at - make_interval(secs => b.rolling_seconds)
""".encode()
# Of a run below a child run also the keys of those between it and its root, nearest first.
RUNS = b"""
SELECT r.organization, r.id, r.key, r.root_id, root.key, r.parent_id, r.version, r.depth, root.started_at, CASE WHEN
    r.depth > 1 THEN (WITH RECURSIVE up AS (
        SELECT p.id, p.key, p.parent_id, p.depth FROM runs p WHERE p.id = r.parent_id
        UNION ALL SELECT p.id, p.key, p.parent_id, p.depth FROM up JOIN runs p ON p.id = up.parent_id
    ) SELECT json_agg(up.key ORDER BY up.depth DESC) FROM up WHERE up.parent_id IS NOT NULL)::text END
FROM unnest($1::uuid[], $2::text[]) AS w(o, k) JOIN runs r ON r.organization = w.o AND r.key = w.k
JOIN runs root ON root.id = r.root_id
"""
# Those of the named runs, and of their root runs, which remember what acted for the whole tree.
TRACES = b"""
WITH named AS (SELECT * FROM unnest($1::uuid[], $2::text[]) AS w(o, k))
SELECT t.organization, t.run_key, array_to_string(t.recent, ','), t.level FROM (
    SELECT o, k FROM named UNION SELECT r.organization, CASE WHEN k <> r.key THEN E'\x02' ELSE '' END || root.key
    FROM named JOIN runs r ON r.organization = o AND r.key = ltrim(k, E'\x02') JOIN runs root ON root.id = r.root_id
) w JOIN run_traces t ON t.organization = w.o AND t.run_key = w.k
"""
TRIED = b"""
SELECT t.organization, t.run_key, t.step, t.attempt, t.at, t.stopped FROM unnest($1::uuid[], $2::text[], $3::int[])
    AS w(o, k, s) JOIN run_steps t ON t.organization = w.o AND t.run_key = w.k AND t.step = w.s
"""
RUN_SUMS = b"""
SELECT r.organization, r.id, r.key, root.key, r.charged + r.held FROM unnest($1::uuid[], $2::text[]) AS w(o, k)
JOIN runs r ON r.organization = w.o AND r.key = w.k JOIN runs root ON root.id = r.root_id
"""
TREE_SUMS = b"""
SELECT t.organization, root.key, sum(t.charged + t.held)::bigint FROM (
    SELECT DISTINCT r.organization AS o, r.root_id FROM unnest($1::uuid[], $2::text[]) AS w(o, k)
    JOIN runs r ON r.organization = w.o AND r.key = w.k
) w JOIN runs t ON t.organization = w.o AND t.root_id = w.root_id JOIN runs root ON root.id = w.root_id GROUP BY 1, 2
"""
RUN_BEGINNINGS = b"""
SELECT r.organization, r.id, r.key, root.key, root.started_at FROM unnest($1::uuid[], $2::uuid[]) AS w(o, i)
JOIN runs r ON r.organization = w.o AND r.id = w.i JOIN runs root ON root.id = r.root_id
"""
LAST_NUMBERS = b"""
SELECT w.o, c.number FROM unnest($1::uuid[]) AS w(o) CROSS JOIN LATERAL
    (SELECT number FROM budget_counters x WHERE x.organization = w.o ORDER BY x.number DESC LIMIT 1) c
"""
# Of a record that left with its month the event says what was booked; what was sent, the caller has just said again.
USAGE_KEYS = b"""
SELECT k.organization, k.source, k.id_digest, k.payload_digest, k.usage_id,
    coalesce(u.cost, (e.data->>'cost')::bigint, (e.data->>'charge')::bigint),
    coalesce(u.charge, (e.data->>'charge')::bigint),
    u.external_id, u.outcome, u.currency, u.price_version, u.occurred_at, u.adjustment
FROM unnest($1::uuid[], $2::text[], $3::bytea[]) AS w(o, s, d) CROSS JOIN LATERAL
    (SELECT * FROM usage_keys x WHERE x.organization = w.o AND x.source = w.s AND x.id_digest = w.d LIMIT 1) k
LEFT JOIN usage_records u ON u.organization = k.organization AND u.id = k.usage_id
LEFT JOIN LATERAL (SELECT data FROM events x WHERE u.id IS NULL AND x.stream_id = k.usage_id
    AND x.organization = k.organization AND x.version = 1 LIMIT 1) e ON true
"""


_decode = msgspec.json.Decoder().decode


class KeptAnswer:
    """The stored answer of an idempotency key; its body is unpacked when it is asked for.

    One that is made here is packed when it is written, with all others of its batch: one after the other they take
    half the time.
    """

    __slots__ = ("_body", "_packed", "request", "status")

    def __init__(self, request: bytes, status: int, packed: bytes, *, body: bytes | None = None) -> None:
        self.request, self.status, self._packed, self._body = request, status, packed, body

    @property
    def packed(self) -> bytes:
        """Return the bytes as they are kept."""
        return self._packed if self._body is None else packed(self._body)

    def body(self) -> bytes:
        """Return the stored bytes."""
        return unpacked(self._packed) if self._body is None else self._body


def ask_keys(pairs: Sequence[tuple[str, str]], kept: dict[tuple[str, str], KeptAnswer]) -> Question:
    """Ask for the stored answers of these (organization, digest of a key)s."""

    def collect(rows: Rows) -> None:
        for organization, key, request, status, body in rows:
            kept[organization, key] = KeptAnswer(bytes(request), status, bytes(body))

    return question(KEYS, ("uuid", "uuid"), _columns(pairs), collect)


def ask_reservations(wanted: Sequence[tuple[str, str]], states: Mapping[str, OrganizationState]) -> Question:
    """Ask for the named reservations, and for those of the organizations that have expired (at most 200 of each)."""

    def collect(rows: Rows) -> None:
        for row in rows:
            found = Reservation(*row)
            found.action, found.funding = _decode(row[19]), _decode(row[22])
            states[found.organization].reservations.setdefault(found.id, found)

    columns = [[row[0] for row in wanted], [row[1] for row in wanted], list(states)]
    return question(RESERVATIONS, ("uuid", "uuid", "uuid"), columns, collect)


def ask_counters(
    states: Mapping[str, OrganizationState], fixed: Iterable[CounterKey], rolling: Iterable[CounterKey]
) -> list[Question]:
    """Ask for the counters of these windows (fixed) and for all buckets since these (rolling)."""

    def keep(rows: Rows, *, is_rolling: bool) -> None:
        for row in rows:
            _keep_counter(states[row[1]], Counter(row[0], *row[2:]), is_rolling)

    kinds = ("uuid", "text", "timestamptz")
    asked = []
    if fixed := sorted(fixed):
        asked.append(question(COUNTERS, kinds, _columns(fixed), lambda rows: keep(rows, is_rolling=False)))
    if rolling := sorted(rolling):
        asked.append(question(BUCKETS, kinds, _columns(rolling), lambda rows: keep(rows, is_rolling=True)))
    return asked


def ask_last_numbers(states: Sequence[OrganizationState]) -> Question:
    """Ask for the highest number of a counter in these organizations: a new one gets the next."""
    known = {state.id: state for state in states}

    def collect(rows: Rows) -> None:
        for organization, number in rows:
            known[organization].last_counter = number

    return question(LAST_NUMBERS, ("uuid",), (list(known),), collect)


def _keep_counter(state: OrganizationState, counter: Counter, is_rolling: bool) -> None:
    place = (counter.budget_id, counter.target)
    known = state.counters.setdefault((*place, counter.window_start), counter)
    state.counters_by_number[known.number] = known
    if is_rolling:
        buckets = state.rolling.setdefault(place, [])
        if not any(bucket is known for bucket in buckets):
            buckets.append(known)


class KnownUsage(NamedTuple):
    """A fact that was recorded before: its payload's digest, its id, what it cost and was charged, and the rest of the
    answer given, None when the record has left with its month.
    """

    payload: bytes
    usage: str
    cost: int
    charge: int
    rest: tuple[Any, ...] | None

    def body(self, command: RecordUsage, currency: str) -> dict[str, Any]:
        """Return the answer to the same fact, sent again."""
        external_id, outcome, told, price_version, occurred_at, adjustment = self.rest or (
            command.external_id, command.outcome, currency, None, command.occurred_at, True,
        )  # fmt: skip
        return usage_body(
            command.source, self.usage, external_id, outcome, self.cost, self.charge, told, price_version, occurred_at,
            adjustment,
        )  # fmt: skip


def ask_usage_keys(
    wanted: Sequence[tuple[str, str, bytes]], known: dict[tuple[str, str, bytes], KnownUsage]
) -> Question:
    """Ask for what is known of the (organization, source, digest of id)s recorded before."""

    def collect(rows: Rows) -> None:
        for organization, source, digest, payload, usage, cost, charge, *rest in rows:
            known[organization, source, bytes(digest)] = KnownUsage(
                bytes(payload), usage, cost, charge, None if rest[0] is None else tuple(rest)
            )

    return question(USAGE_KEYS, ("uuid", "text", "bytea"), _columns(wanted), collect)


def ask_runs(wanted: Sequence[tuple[str, str]], found: dict[tuple[str, str], Run]) -> Question:
    """Ask for the runs of these (organization, key)s; what does not exist stays out of `found`."""

    def collect(rows: Rows) -> None:
        for organization, *run, above in rows:
            values: Any = (*run, tuple(_decode(above)) if above else ())
            found[organization, run[1]] = Run(*values)

    return question(RUNS, ("uuid", "text"), _columns(wanted), collect)


def _columns(rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    return list(zip(*rows, strict=True))


def ask_numbered(wanted: Sequence[tuple[str, int]], states: Mapping[str, OrganizationState]) -> Question:
    """Ask for the counters of receipts, by (organization, number)."""

    def collect(rows: Rows) -> None:
        for row in rows:
            _keep_counter(states[row[1]], Counter(row[0], *row[2:11]), row[11])

    at_their_time = [(organization, number, states[organization].now) for organization, number in wanted]
    return question(NUMBERED, ("uuid", "int", "timestamptz"), _columns(at_their_time), collect)


def ask_beginnings(wanted: Sequence[tuple[str, str]], states: Mapping[str, OrganizationState]) -> Question:
    """Ask for the keys of these runs, by (organization, id), and of their roots, and when these began."""

    def collect(rows: Rows) -> None:
        for organization, run, *begun in rows:
            states[organization].begun[run] = tuple(begun)

    return question(RUN_BEGINNINGS, ("uuid", "uuid"), _columns(wanted), collect)


def ask_history(
    traced: Sequence[tuple[str, str]],
    ruled: Sequence[tuple[str, str]],
    tried: Sequence[tuple[str, str, int]],
    summed: Sequence[tuple[str, str]],
    states: Mapping[str, OrganizationState],
) -> list[Question]:
    """Ask for the last fingerprints of the `traced` runs, the last attempts of these steps, what the `summed` runs have
    used, and what all runs of the trees of the `ruled` ones have.
    """

    def collect_traces(rows: Rows) -> None:
        for organization, run, recent, level in rows:
            calls = [entry.partition("@") for entry in recent.split(",") if entry]
            kept = [(name, EPOCH + timedelta(milliseconds=int(at))) for name, _, at in calls]
            states[organization].traces[run] = Trace(kept, level)

    def collect_tried(rows: Rows) -> None:
        for organization, run, step, attempt, at, stopped in rows:
            states[organization].tried[run, step] = Tried(attempt, at, stopped)

    def collect_sums(rows: Rows) -> None:
        for organization, identifier, run, root, used in rows:
            states[organization].run_sums[run] = used
            states[organization].run_keys[identifier] = (run, root)

    def collect_trees(rows: Rows) -> None:
        for organization, root, used in rows:
            states[organization].tree_sums[root] = used

    runs = sorted(set(summed))
    asked = [question(RUN_SUMS, ("uuid", "text"), _columns(runs), collect_sums)] if runs else []
    if traced:
        asked.append(question(TRACES, ("uuid", "text"), _columns(sorted(set(traced))), collect_traces))
    if ruled:
        asked.append(question(TREE_SUMS, ("uuid", "text"), _columns(sorted(set(ruled))), collect_trees))
    if tried:
        asked.append(question(TRIED, ("uuid", "text", "int"), _columns(sorted(set(tried))), collect_tried))
    return asked
