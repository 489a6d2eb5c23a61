"""What must hold between the gate's facts and its projections, by other statements than those that write them.

Each check reads one snapshot, so it may run beside live traffic. With an organization it looks at that one only. Usage
records of retired months stand in files; their sums, kept since they left, stand in for them (queries.retired).
"""

from collections.abc import Callable, Iterator
from typing import Any, Final
from uuid import UUID

import msgspec

from events.integrity import register_check
from events.store import Cursor
from spend.queries.retired import sums_unlike_files
from spend.rules.explaining import recomputed
from spend.rules.violations import Violation

CHUNK: Final = 2_000
_decode = msgspec.json.Decoder().decode


_OF: Final = "(%(o)s::uuid IS NULL OR {}.organization = %(o)s)"

# Ids made from here on (they begin with the wall clock's milliseconds) belong to months that are not retired. The
# months of the business clock would not do: a sandbox's runs ahead.
_KEPT: Final = """(
    SELECT coalesce(rpad(lpad(to_hex((extract(epoch FROM (max(month) + interval '1 month') AT TIME ZONE 'UTC')
        * 1000)::bigint), 12, '0'), 32, '0'), repeat('0', 32))::uuid
    FROM retired_months WHERE table_name = 'usage_records'
)"""

_COUNTERS_HELD: Final = f"""
SELECT c.organization, 'budget counter ' || c.number,
    'held ' || c.held || ', active reservations ' || coalesce(s.amount, 0)
FROM budget_counters c LEFT JOIN (
    SELECT r.organization, u.counter, sum(CASE u.letter WHEN 'c' THEN r.held WHEN 'k' THEN r.estimated_cost
        WHEN 't' THEN r.tokens WHEN 'r' THEN r.credits WHEN 'p' THEN r.risk_points WHEN 'i' THEN r.input_tokens
        WHEN 'o' THEN r.tokens - r.input_tokens WHEN 'x' THEN r.tool_calls WHEN 'n' THEN 1 ELSE 0 END) AS amount
    FROM reservations r CROSS JOIN unnest(r.counters, string_to_array(r.measures, NULL)) AS u(counter, letter)
    WHERE r.status = 'active' AND {_OF.format("r")} GROUP BY 1, 2
) s ON s.organization = c.organization AND s.counter = c.number
WHERE c.held <> coalesce(s.amount, 0) AND {_OF.format("c")}
"""
_COUNTERS_SPENT: Final = f"""
SELECT c.organization, 'budget counter ' || c.number,
    'spent ' || c.spent || ', receipts of events ' || coalesce(s.spent, 0)
FROM budget_counters c LEFT JOIN (
    SELECT y.organization, y.counter, sum(y.spent) AS spent FROM (
        SELECT e.organization, x.number::int AS counter,
            coalesce((CASE coalesce(substr(e.data->>'measures', x.n::int, 1), 'c')
            WHEN 'c' THEN e.data->>'charge' WHEN 'k' THEN coalesce(e.data->>'cost', e.data->>'charge')
            WHEN 't' THEN e.data->>'tokens' WHEN 'r' THEN e.data->>'credits' WHEN 'p' THEN e.data->>'risk_points'
            WHEN 'i' THEN e.data->>'input' WHEN 'x' THEN e.data->>'calls' WHEN 'o' THEN
                (coalesce((e.data->>'tokens')::bigint, 0) - coalesce((e.data->>'input')::bigint, 0))::text
            END)::bigint, 0) AS spent
        FROM events e CROSS JOIN json_array_elements_text(e.data->'counters') WITH ORDINALITY AS x(number, n)
        WHERE e.type IN ('reservation.committed', 'reservation.released', 'reservation.expired', 'usage.recorded')
            AND {_OF.format("e")}
        UNION ALL
        SELECT e.organization, x.number::int, CASE l.letter WHEN 'g' THEN (e.data->'arrivals'->>l.before)::bigint
            WHEN 'q' THEN 1 WHEN 's' THEN 1 ELSE 0 END
        FROM events e CROSS JOIN json_array_elements_text(e.data->'counters') WITH ORDINALITY AS x(number, n)
        CROSS JOIN LATERAL (SELECT substr(e.data->>'measures', x.n::int, 1) AS letter,
            length(regexp_replace(left(e.data->>'measures', x.n::int - 1), '[^g]', '', 'g')) AS before) l
        WHERE e.type = 'reservation.reserved' AND e.data->>'measures' ~ '[qsg]' AND {_OF.format("e")}
        UNION ALL
        SELECT e.organization, (e.data->>'counter')::int, 1 FROM events e
        WHERE e.type = 'strike.counted' AND {_OF.format("e")}
    ) y GROUP BY 1, 2
) s ON s.organization = c.organization AND s.counter = c.number
WHERE c.spent <> coalesce(s.spent, 0) AND {_OF.format("c")}
"""
_COUNTERS_ORPHANED: Final = f"""
SELECT r.organization, 'reservation ' || r.id, 'counter ' || u.counter || ' does not exist'
FROM reservations r CROSS JOIN unnest(r.counters) AS u(counter)
WHERE {_OF.format("r")} AND NOT EXISTS (
    SELECT FROM budget_counters c WHERE c.organization = r.organization AND c.number = u.counter)
"""
_RUNS_HELD: Final = f"""
SELECT n.organization, 'run ' || n.id, 'held ' || n.held || ' of ' || n.reservations || ' reservations, these are '
    || coalesce(s.held, 0) || ' of ' || coalesce(s.count, 0)
FROM runs n LEFT JOIN (
    SELECT r.run_id, sum(r.held) FILTER (WHERE r.status = 'active') AS held, count(*) AS count FROM reservations r
    WHERE r.run_id IS NOT NULL AND {_OF.format("r")} GROUP BY 1
) s ON s.run_id = n.id
WHERE (n.held, n.reservations) <> (coalesce(s.held, 0), coalesce(s.count, 0)) AND {_OF.format("n")}
"""
_RUNS_USED: Final = f"""
SELECT n.organization, 'run ' || n.id, 'charged ' || n.charged || ' in ' || n.usage_count || ' records, these are '
    || coalesce(s.charge, 0) || ' in ' || coalesce(s.count, 0)
FROM runs n LEFT JOIN (
    SELECT x.run_id, sum(x.charge) AS charge, sum(x.cost) AS cost, sum(x.tokens) AS tokens, sum(x.tools) AS calls,
        sum(x.records) AS count
    FROM (
        SELECT u.run_id, u.charge::numeric, u.cost::numeric, u.input_tokens + u.output_tokens AS tokens,
            u.tool_calls::numeric AS tools, 1::bigint AS records
        FROM usage_records u WHERE u.run_id IS NOT NULL AND {_OF.format("u")}
        UNION ALL
        SELECT o.run_id, o.charge, o.cost, o.tokens, o.tool_calls, o.calls
        FROM retired_usage_runs o WHERE {_OF.format("o")}
    ) x GROUP BY 1
) s ON s.run_id = n.id
WHERE (n.charged, n.cost, n.tokens, n.tool_calls, n.usage_count) <> (coalesce(s.charge, 0), coalesce(s.cost, 0),
    coalesce(s.tokens, 0), coalesce(s.calls, 0), coalesce(s.count, 0)) AND {_OF.format("n")}
"""
_RESERVATIONS_FUNDED: Final = f"""
SELECT r.organization, 'reservation ' || r.id, 'held ' || r.held || ', its funding is ' || f.amount
FROM reservations r CROSS JOIN LATERAL (
    SELECT coalesce(sum((x->>2)::bigint), 0) AS amount FROM json_array_elements(r.funding::json) AS x
) f
WHERE r.status = 'active' AND f.amount <> r.held AND {_OF.format("r")}
"""
_COMMITS_RECORDED: Final = f"""
SELECT r.organization, 'reservation ' || r.id, 'committed with charge ' || coalesce(r.charged::text, 'none')
    || ', usage records ' || coalesce(s.count, 0) || ' with charge ' || coalesce(s.charge, 0)
FROM reservations r LEFT JOIN (
    SELECT u.reservation_id, u.organization, count(*) AS count, sum(u.charge) AS charge FROM usage_records u
    WHERE u.reservation_id IS NOT NULL AND u.source IS NULL AND {_OF.format("u")} GROUP BY 1, 2
) s ON s.reservation_id = r.id AND s.organization = r.organization
WHERE {_OF.format("r")} AND (r.id >= {_KEPT} OR s.count IS NOT NULL) AND (
    (r.status = 'committed') <> (coalesce(s.count, 0) = 1)
    OR r.status = 'committed' AND (r.charged IS DISTINCT FROM s.charge
        OR r.overage IS DISTINCT FROM greatest(0, r.charged - r.held)))
"""
# Which of the older reservations left a retired record is in the files; that there are as many and as much is here.
_COMMITS_SUMMED: Final = f"""
SELECT organization, 'commits of the organization', 'reservations differ from records, retired ones included, by '
    || sum(commits) || ' commits, charge ' || sum(charge)
FROM (
    SELECT r.organization, count(*) AS commits, sum(coalesce(r.charged, 0))::numeric AS charge FROM reservations r
    WHERE r.status = 'committed' AND {_OF.format("r")} GROUP BY 1
    UNION ALL
    SELECT u.organization, -count(*), -sum(u.charge) FROM usage_records u
    WHERE u.reservation_id IS NOT NULL AND u.source IS NULL AND {_OF.format("u")} GROUP BY 1
    UNION ALL
    SELECT o.organization, -o.commits, -o.charge FROM retired_usage_commits o WHERE {_OF.format("o")}
) x
GROUP BY organization HAVING sum(commits) <> 0 OR sum(charge) <> 0
"""
_USAGE_HOURLY: Final = f"""
SELECT organization, 'usage of ' || hour, 'the hourly rollup differs from its records by ' || sum(calls)
    || ' calls, cost ' || sum(cost) || ', charge ' || sum(charge)
FROM (
    SELECT organization, hour, team_id, agent_id, workflow_id, connection_id, provider, model, outcome, calls,
        input_tokens, cache_read_input_tokens, output_tokens, tool_calls, cost, charge, max_charge, NULL::bigint AS most
    FROM usage_hourly h WHERE {_OF.format("h")}
    UNION ALL
    SELECT organization, date_trunc('hour', occurred_at, 'UTC'), team_id, agent_id, workflow_id, connection_id,
        provider, model, outcome, -1, -input_tokens, -cache_read_input_tokens, -output_tokens, -tool_calls, -cost,
        -charge, NULL, charge
    FROM usage_records u WHERE {_OF.format("u")}
    UNION ALL
    SELECT organization, hour, team_id, agent_id, workflow_id, connection_id, provider, model, outcome, -calls,
        -input_tokens, -cache_read_input_tokens, -output_tokens, -tool_calls, -cost, -charge, NULL, max_charge
    FROM retired_usage_hourly o WHERE {_OF.format("o")}
) x
GROUP BY organization, hour, team_id, agent_id, workflow_id, connection_id, provider, model, outcome
HAVING sum(calls) <> 0 OR sum(input_tokens) <> 0 OR sum(cache_read_input_tokens) <> 0 OR sum(output_tokens) <> 0
    OR sum(tool_calls) <> 0 OR sum(cost) <> 0 OR sum(charge) <> 0 OR max(max_charge) IS DISTINCT FROM max(most)
"""
_USAGE_FUNDED: Final = f"""
SELECT u.organization, 'usage record ' || u.id, 'charge ' || u.charge || ', its receipts sum to ' || f.amount
FROM usage_records u CROSS JOIN LATERAL (
    SELECT coalesce(sum((x->>2)::bigint), 0) AS amount FROM json_array_elements(u.funding) AS x
) f
WHERE f.amount <> u.charge AND {_OF.format("u")}
"""
_RECEIPTS_NAMED: Final = f"""
SELECT o, what, 'its receipt has ' || coalesce(part->>0, 'nothing') || ' of ' || coalesce(part->>1, 'no grant')
    || coalesce(', which is ' || g.funding_source, '')
FROM (
    SELECT u.organization AS o, 'usage record ' || u.id AS what, x AS part, false AS is_held
    FROM usage_records u CROSS JOIN json_array_elements(u.funding) AS x WHERE {_OF.format("u")}
    UNION ALL
    SELECT r.organization, 'reservation ' || r.id, x, r.status NOT IN ('committed')
    FROM reservations r CROSS JOIN json_array_elements(r.funding::json) AS x WHERE {_OF.format("r")}
) receipts LEFT JOIN credit_grants g ON g.organization = o AND g.id::text = part->>1
WHERE CASE WHEN part->>0 = 'postpaid' THEN (part->>1 IS NOT NULL) <> is_held
    WHEN part->>0 = 'debt' THEN part->>1 IS NOT NULL OR is_held
    ELSE part->>0 IS DISTINCT FROM g.funding_source END
"""
# What a record says of grants is what its event burnt of them; what a breakage adds there, the event's receipt tells.
_RECEIPTS_BURNT: Final = f"""
SELECT u.organization, 'usage record ' || u.id, 'its receipt is not what its event took' FROM usage_records u
JOIN events e ON e.organization = u.organization
    AND e.stream_id = CASE WHEN u.source IS NULL THEN u.reservation_id ELSE u.id END
    AND e.type IN ('reservation.committed', 'usage.recorded', 'usage.charged')
WHERE {_OF.format("u")} AND CASE WHEN e.data->'funding' IS NOT NULL THEN u.funding::jsonb <> (e.data->'funding')::jsonb
    ELSE coalesce((SELECT jsonb_agg(jsonb_build_array(x->1, x->2) ORDER BY n)
            FROM json_array_elements(u.funding) WITH ORDINALITY AS p(x, n)
            WHERE x->>0 NOT IN ('postpaid', 'debt')), '[]')
        <> coalesce((e.data->'ledger'->'burned')::jsonb, '[]') END
"""
_CHARGES_MARKED: Final = f"""
SELECT u.organization, 'usage record ' || u.id, 'it has no agent, and is no charge of a meter' FROM usage_records u
WHERE u.agent_id IS NULL AND u.kind IS DISTINCT FROM 'metered' AND {_OF.format("u")}
"""
_USAGE_FINE: Final = f"""
SELECT f.organization, 'usage of ' || f.day || ' by ' || f.dimension, 'the finer rollup has charge ' || f.charge
    || ' of ' || n.calls || ' calls, the hourly one ' || h.charge || ' of ' || h.calls
FROM (
    SELECT organization, day, dimension, sum(cost) AS cost, sum(charge) AS charge FROM usage_daily_fine x
    WHERE {_OF.format("x")} GROUP BY 1, 2, 3
) f JOIN (
    SELECT organization, day, sum(calls) AS calls FROM usage_daily_fine x
    WHERE dimension = 'user' AND {_OF.format("x")} GROUP BY 1, 2
) n USING (organization, day) LEFT JOIN (
    SELECT organization, (hour AT TIME ZONE 'UTC')::date AS day, sum(calls) AS calls, sum(cost) AS cost,
        sum(charge) AS charge
    FROM usage_hourly x WHERE {_OF.format("x")} GROUP BY 1, 2
) h USING (organization, day)
WHERE h.calls IS NULL OR n.calls > h.calls OR f.cost > h.cost OR f.charge > h.charge
    OR n.calls = h.calls AND (f.cost, f.charge) <> (h.cost, h.charge)
"""
_RECORDS: Final = """
SELECT id, currency, cost, charge, detail::text FROM usage_records
WHERE organization = %s AND (%s::uuid IS NULL OR id > %s) ORDER BY id LIMIT %s
"""
_ORGANIZATIONS: Final = "SELECT id FROM organizations WHERE %(o)s::uuid IS NULL OR id = %(o)s ORDER BY id"

STATEMENTS: Final = (
    ("L4", "spend.counters_hold_what_is_active", _COUNTERS_HELD),
    ("S1", "spend.counters_have_spent_their_receipts", _COUNTERS_SPENT),
    ("S2", "spend.receipts_name_counters", _COUNTERS_ORPHANED),
    ("L4", "spend.runs_hold_what_is_active", _RUNS_HELD),
    ("S7", "spend.runs_used_their_records", _RUNS_USED),
    ("S2", "spend.reservations_are_funded", _RESERVATIONS_FUNDED),
    ("S5", "spend.commits_have_one_record", _COMMITS_RECORDED),
    ("S5", "spend.commits_and_records_sum_alike", _COMMITS_SUMMED),
    ("S7", "spend.rollups_equal_records", _USAGE_HOURLY),
    ("S7", "spend.finer_rollups_equal_hourly_ones", _USAGE_FINE),
    ("S9", "spend.receipts_sum_to_charges", _USAGE_FUNDED),
    ("S9", "spend.receipts_name_their_sources", _RECEIPTS_NAMED),
    ("S9", "spend.receipts_are_those_of_their_events", _RECEIPTS_BURNT),
    ("B1", "spend.records_without_agent_are_metered", _CHARGES_MARKED),
)


def violations(cur: Cursor, *, organization: UUID | None = None) -> Iterator[Violation]:
    """Yield everything that does not hold, of one organization or of all; it reads only.

    L4, S1 (counters against receipts), S2, S5, S6 (each charge worked out again from its record), S7 and S9.
    """
    for invariant, _, statement in STATEMENTS:
        yield from _found(cur, invariant, statement, organization)
    yield from charges_not_reproducible(cur, organization=organization)


def charges_not_reproducible(cur: Cursor, *, organization: UUID | None = None) -> Iterator[Violation]:
    """Yield usage records whose cost or charge is not what their own price lines come to (S6)."""
    cur.execute(_ORGANIZATIONS, {"o": organization})
    for (owner,) in cur.fetchall():
        last: UUID | None = None
        while rows := cur.execute(_RECORDS, (owner, last, last, CHUNK)).fetchall():
            last = rows[-1][0]
            for record, currency, cost, charge, detail in rows:
                again = recomputed(_decode(detail) if detail else {}, currency)
                if again != (cost, charge):
                    figures = f"cost {cost} and charge {charge}, worked out again {again[0]} and {again[1]}"
                    yield Violation("S6", owner, f"usage record {record}", figures)


def register_checks() -> None:
    """This function will make every check here part of `verify_ledger`."""
    for invariant, name, statement in STATEMENTS:
        register_check(name, _check(invariant, statement))
    register_check("spend.charges_are_reproducible", charges_not_reproducible)
    register_check("spend.retired_sums_equal_their_files", sums_unlike_files)


def _check(invariant: str, statement: str) -> Callable[[Cursor], list[Violation]]:
    return lambda cur: _found(cur, invariant, statement, None)


def _found(cur: Cursor, invariant: str, statement: str, organization: UUID | None) -> list[Violation]:
    rows: list[tuple[Any, ...]] = cur.execute(statement, {"o": organization}).fetchall()
    return [Violation(invariant, *row) for row in rows]
