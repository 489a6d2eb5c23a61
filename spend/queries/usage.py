"""Usage records, and the denials beside them: a denied call is usage with outcome blocked and cost 0 (S17)."""

from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from common.errors import NotFound
from events.store import Cursor
from orgs.rules.permissions import NO_LIMITS, KeyLimits
from spend.queries.naming import (
    DECISIONS_OF_RUN,
    SUBJECT_COLUMNS,
    SUBJECT_JOINS,
    Conditions,
    NamedRun,
    objects,
)

OUTCOMES: Final = ("completed", "failed", "blocked")
_RECORD_COLUMNS: Final = f"""
SELECT 'usage' AS object, x.id, x.occurred_at, x.recorded_at, x.outcome, x.reason, 1 AS count, x.cost, x.charge,
    x.currency, x.input_tokens, x.cache_read_input_tokens, x.cache_creation_input_tokens, x.output_tokens,
    x.reasoning_output_tokens, x.tool_calls, x.reservation_id AS reservation, x.price_version, x.fx_rate, x.latency_ms,
    x.step, x.attempt, x.hop, x.parent_task, x.adjustment, x.kind, x.provider, x.model, x.tool, x.response_id,
    x.source, x.external_id, x.detail::text AS detail, x.funding::text AS funding, {SUBJECT_COLUMNS},
    root.key AS root_run
FROM usage_records x {SUBJECT_JOINS} LEFT JOIN runs root ON root.id = COALESCE(x.root_run_id, x.run_id)
"""
_DENIALS: Final = """
SELECT 'denial' AS object, x.id, x.at AS occurred_at, x.recorded_at, 'blocked' AS outcome, x.code AS reason, x.count,
    0::bigint AS cost, 0::bigint AS charge, o.currency, x.detail->>'kind' AS kind, x.detail->>'provider' AS provider,
    x.detail->>'model' AS model, x.detail->>'tool' AS tool, a.key AS agent, t.key AS team, w.key AS workflow,
    c.key AS connection, COALESCE(r.key, x.detail->>'run') AS run, x.detail->>'user' AS user
FROM decisions x JOIN organizations o ON o.id = x.organization LEFT JOIN agents a ON a.id = x.agent_id
LEFT JOIN runs r ON r.id = x.run_id LEFT JOIN teams t ON t.id = (x.detail->>'team')::uuid
LEFT JOIN workflows w ON w.id = (x.detail->>'workflow')::uuid
LEFT JOIN connections c ON c.id = (x.detail->>'connection')::uuid
"""


class UsageFilter(NamedTuple):
    """Which usage a list shows; None: all. `start` and `end` are a period of occurrence."""

    outcome: str | None = None
    run: NamedRun | None = None
    agent_id: UUID | None = None
    team_id: UUID | None = None
    workflow_id: UUID | None = None
    connection_id: UUID | None = None
    user: str | None = None
    provider: str | None = None
    model: str | None = None
    tool: str | None = None
    reservation: UUID | None = None
    start: datetime | None = None
    end: datetime | None = None
    limits: KeyLimits = NO_LIMITS


def list_usage(
    cur: Cursor, *, organization: UUID, wanted: UsageFilter, before: UUID | None, limit: int
) -> list[dict[str, Any]]:
    """Return up to `limit` usage records and denials, newest first, recorded before `before`.

    Denials of a dry run are no usage. Money in units of 10^-8.
    """
    found = _records(cur, organization, wanted, before, limit)
    if wanted.outcome in (None, "blocked") and wanted.reservation is None:
        found += _denials(cur, organization, wanted, before, limit)
    return sorted(found, key=lambda row: row["id"].int, reverse=True)[:limit]


def find_usage(
    cur: Cursor, *, organization: UUID, record: UUID, limits: KeyLimits = NO_LIMITS
) -> dict[str, Any]:
    """Return a usage record of the organization. Raises NotFound, also for what a limited key is not for."""
    clause = Conditions(organization=organization, record=record)
    clause.narrow(limits, agent="x.agent_id", connection="x.connection_id")
    where = clause.where("x.organization = %(organization)s", "x.id = %(record)s")
    cur.execute(_RECORD_COLUMNS + where, clause.values)
    found = objects(cur, parsed=("detail", "funding"))
    if not found:
        raise NotFound("There is no such usage record.")
    return found[0]


def organization_of_usage(cur: Cursor, record: UUID) -> UUID:
    """Return whose usage record this is; for the platform's own requests only. Raises NotFound."""
    row = cur.execute("SELECT organization FROM usage_records WHERE id = %s", (record,)).fetchone()
    if row is None:
        raise NotFound("There is no such usage record.")
    owner: UUID = row[0]
    return owner


def _records(
    cur: Cursor, organization: UUID, wanted: UsageFilter, before: UUID | None, limit: int
) -> list[dict[str, Any]]:
    if wanted.run is not None and wanted.run.id is None:
        return []
    clause = Conditions(organization=organization, limit=limit)
    clause.add("x.id < %(before)s", "before", before)
    clause.add("x.run_id = %(run)s", "run", wanted.run.id if wanted.run is not None else None)
    columns = {
        "outcome": "outcome",
        "provider": "provider",
        "model": "model",
        "user": "user_label",
    }
    for name in ("agent_id", "team_id", "workflow_id", "connection_id"):
        columns[name] = name
    columns["reservation"] = "reservation_id"
    for name, column in columns.items():
        clause.add(f"x.{column} = %({name})s", name, getattr(wanted, name))
    clause.add(
        "(x.tool = %(tool)s OR jsonb_exists((x.detail->'tools')::jsonb, %(tool)s))", "tool", wanted.tool
    )
    clause.add("x.occurred_at >= %(start)s", "start", wanted.start)
    clause.add("x.occurred_at < %(end)s", "end", wanted.end)
    clause.narrow(wanted.limits, agent="x.agent_id", connection="x.connection_id")
    where = clause.where("x.organization = %(organization)s")
    cur.execute(_RECORD_COLUMNS + where + " ORDER BY x.id DESC LIMIT %(limit)s", clause.values)
    return objects(cur, parsed=("detail", "funding"))


def _denials(
    cur: Cursor, organization: UUID, wanted: UsageFilter, before: UUID | None, limit: int
) -> list[dict[str, Any]]:
    clause = Conditions(organization=organization, limit=limit)
    clause.add("x.id < %(before)s", "before", before)
    if wanted.run is not None:
        clause.add(DECISIONS_OF_RUN, "key", wanted.run.key)
        clause.values["run"] = wanted.run.id
    clause.add("x.agent_id = %(agent)s", "agent", wanted.agent_id)
    for name in ("team", "workflow", "connection"):
        value = getattr(wanted, f"{name}_id")
        clause.add(f"x.detail->>'{name}' = %({name})s", name, None if value is None else str(value))
    for name in ("user", "provider", "model", "tool"):
        clause.add(f"x.detail->>'{name}' = %({name})s", name, getattr(wanted, name))
    clause.add("x.at >= %(start)s", "start", wanted.start)
    clause.add("x.at < %(end)s", "end", wanted.end)
    clause.narrow(wanted.limits, agent="x.agent_id", connection="(x.detail->>'connection')::uuid")
    where = clause.where("x.organization = %(organization)s", "x.answer = 'deny'", "NOT x.dry")
    cur.execute(_DENIALS + where + " ORDER BY x.id DESC LIMIT %(limit)s", clause.values)
    return objects(cur)
