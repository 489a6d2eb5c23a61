"""The bulk write of a batch: events with their projections, decisions, usage records with their rollup, keys."""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any, cast

from common.strictjson import dump_bytes
from events.store import Cursor, append, encode
from events.writer import Collector
from spend.queries.gate_state import KeptAnswer
from spend.rules.effects import DecisionRow, Effects, UsageRow

INSERT_DECISIONS = """
INSERT INTO decisions (id, organization, at, requested, agent_id, run_id, reservation_id, binding_budget,
    binding_version, count, dry, answer, code, binding_scope, detail, epoch)
SELECT d.*, (SELECT epoch FROM event_store) FROM unnest(%s::uuid[], %s::uuid[], %s::timestamptz[], %s::bigint[],
    %s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::int[], %s::int[], %s::boolean[], %s::text[], %s::text[],
    %s::text[], %s::json[]) AS d
"""
_decision = attrgetter(
    "id", "organization", "at", "requested", "agent_id", "run_id", "reservation_id", "binding_budget",
    "binding_version", "count", "dry", "answer", "code", "binding_scope",
)  # fmt: skip

INSERT_USAGE = """
INSERT INTO usage_records (id, organization, occurred_at, cost, charge, input_tokens, cache_read_input_tokens,
    cache_creation_input_tokens, output_tokens, reasoning_output_tokens, tool_calls, reservation_id, agent_id, team_id,
    workflow_id, connection_id, run_id, root_run_id, price_version, fx_rate, latency_ms, adjustment, currency, outcome,
    reason, user_label, response_id, source, external_id, step, attempt, hop, kind, provider, model, tool, parent_task,
    funding, detail, raw, epoch, recorded_at)
SELECT u.*, (SELECT epoch FROM event_store), clock_timestamp() FROM unnest(%s::uuid[], %s::uuid[], %s::timestamptz[],
    %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[],
    %s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[],
    %s::int[], %s::boolean[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
    %s::int[], %s::int[], %s::int[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::json[],
    %s::json[], %s::json[]) AS u
"""
_usage = attrgetter(
    "id", "organization", "occurred_at", "cost", "charge", "input_tokens", "cache_read_input_tokens",
    "cache_creation_input_tokens", "output_tokens", "reasoning_output_tokens", "tool_calls", "reservation_id",
    "agent_id", "team_id", "workflow_id", "connection_id", "run_id", "root_run_id", "price_version", "fx_rate",
    "latency_ms", "adjustment", "currency", "outcome", "reason", "user_label", "response_id", "source", "external_id",
)  # fmt: skip
ACTION_COLUMNS = ("step", "attempt", "hop", "kind", "provider", "model", "tool", "parent_task")

ROLL_UP = """
INSERT INTO usage_hourly AS h (organization, hour, team_id, agent_id, workflow_id, connection_id, provider, model,
    outcome, calls, input_tokens, cache_read_input_tokens, output_tokens, tool_calls, cost, charge, max_charge)
SELECT * FROM unnest(%s::uuid[], %s::timestamptz[], %s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::text[],
    %s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::numeric[],
    %s::numeric[], %s::bigint[])
ON CONFLICT (organization, hour, agent_id, team_id, workflow_id, connection_id, provider, model, outcome)
DO UPDATE SET calls = h.calls + excluded.calls, input_tokens = h.input_tokens + excluded.input_tokens,
    cache_read_input_tokens = h.cache_read_input_tokens + excluded.cache_read_input_tokens,
    output_tokens = h.output_tokens + excluded.output_tokens, tool_calls = h.tool_calls + excluded.tool_calls,
    cost = h.cost + excluded.cost, charge = h.charge + excluded.charge,
    max_charge = greatest(h.max_charge, excluded.max_charge)
"""
INSERT_KEYS = """
INSERT INTO api_idempotency_keys (organization, key_digest, request, status, body)
SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::bytea[], %s::smallint[], %s::bytea[])
"""
INSERT_USAGE_KEYS = """
INSERT INTO usage_keys (organization, source, id_digest, payload_digest, usage_id)
SELECT * FROM unnest(%s::uuid[], %s::text[], %s::bytea[], %s::bytea[], %s::uuid[])
"""


def write(cur: Collector, effects: Effects, answers: Sequence[tuple[str, str, KeptAnswer]]) -> None:
    """This function will write everything that a batch decided, in the transaction that holds its locks.

    Keys first and sorted: two transactions with the same keys meet here, and the second finds the first's answer.
    """
    if answers:
        _write_keys(cur, answers)
    append(cast(Cursor, cur), effects.events)
    if effects.usages:
        _write_usage(cur, effects.usages)
    if effects.usage_keys:
        cur.execute(INSERT_USAGE_KEYS, _columns(sorted(effects.usage_keys, key=lambda row: row[:3])))
    if effects.decisions:
        _write_decisions(cur, list(effects.decisions.values()))


def _write_keys(cur: Collector, answers: Sequence[tuple[str, str, KeptAnswer]]) -> None:
    rows = sorted(answers, key=lambda row: row[:2])
    cur.execute(
        INSERT_KEYS, _columns([(*row[:2], row[2].request, row[2].status, row[2].packed) for row in rows])
    )


def _write_decisions(cur: Collector, rows: list[DecisionRow]) -> None:
    columns = _columns(list(map(_decision, rows)))
    columns.append([None if row.detail is None else encode(row.detail).decode() for row in rows])
    cur.execute(INSERT_DECISIONS, columns)


def _write_usage(cur: Collector, rows: list[UsageRow]) -> None:
    columns = _columns(list(map(_usage, rows)))
    columns += [[row.action.get(name) for row in rows] for name in ACTION_COLUMNS]
    columns.append([encode(row.funding).decode() for row in rows])
    columns.append([encode(row.detail).decode() if row.detail else None for row in rows])
    columns.append([dump_bytes(row.raw).decode() if row.raw is not None else None for row in rows])
    cur.execute(INSERT_USAGE, columns)
    cur.execute(ROLL_UP, _columns(rolled_up(rows)))


def _columns(rows: Sequence[tuple[Any, ...]]) -> list[Sequence[Any]]:
    return list(zip(*rows, strict=True))


def rolled_up(rows: list[UsageRow]) -> list[tuple[Any, ...]]:
    """Return the rows that the records add to the hourly rollup, one per place."""
    sums: dict[tuple[Any, ...], list[int]] = {}
    for row in rows:
        hour = row.occurred_at.replace(minute=0, second=0, microsecond=0)
        place = (
            row.organization, hour, row.team_id, row.agent_id, row.workflow_id, row.connection_id,
            row.action.get("provider"), row.action.get("model"), row.outcome,
        )  # fmt: skip
        figures = (
            1, row.input_tokens, row.cache_read_input_tokens, row.output_tokens, row.tool_calls, row.cost, row.charge,
        )  # fmt: skip
        known = sums.get(place)
        if known is None:
            sums[place] = [*figures, row.charge]
        else:
            known[:7] = [a + b for a, b in zip(known, figures, strict=False)]
            known[7] = max(known[7], row.charge)
    return [(*place, *figures) for place, figures in sums.items()]
