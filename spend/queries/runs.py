"""Runs with their live totals, and the cost tree of a run (S18, S24)."""

from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from common.errors import NotFound
from common.fields import is_id
from events.store import Cursor

_READ: Final = """
SELECT r.id, r.organization, r.key, r.root_id, root.key, r.parent_id, parent.key, a.key, w.key, r.status, r.started_at,
    r.held, r.charged, r.cost, r.tokens, r.tool_calls, r.reservations, r.usage_count
FROM runs r JOIN runs root ON root.id = r.root_id LEFT JOIN runs parent ON parent.id = r.parent_id
LEFT JOIN agents a ON a.id = r.agent_id LEFT JOIN workflows w ON w.id = r.workflow_id
"""
_RETRIES: Final = """
SELECT u.run_id, count(*), sum(u.cost), sum(u.charge) FROM usage_records u
WHERE u.organization = %s AND u.run_id = ANY(%s::uuid[]) AND u.attempt > 1 GROUP BY u.run_id
"""
_STEPS: Final = """
SELECT u.hop, u.parent_task, u.step, u.attempt, u.kind, u.model, u.tool, count(*), sum(u.cost), sum(u.charge)
FROM usage_records u WHERE u.organization = %s AND u.run_id = %s
GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY min(u.occurred_at) LIMIT 500
"""
MAX_TREE: Final = 1_000


class RunRow(NamedTuple):
    """A run with its own totals, children not included. Money in units of 10^-8."""

    id: UUID
    organization: UUID
    key: str
    root_id: UUID
    root_key: str
    parent_id: UUID | None
    parent_key: str | None
    agent: str | None
    workflow: str | None
    status: str
    started_at: datetime
    held: int
    charged: int
    cost: int
    tokens: int
    tool_calls: int
    reservations: int
    usage_count: int


class RunFilter(NamedTuple):
    """Which runs a list shows; None: all."""

    key: str | None = None
    agent_id: UUID | None = None
    roots: bool | None = None


class Spent(NamedTuple):
    """Calls with their cost and charge in units of 10^-8."""

    calls: int
    cost: int
    charge: int


def find_named_run(cur: Cursor, *, organization: UUID, name: str) -> RunRow | None:
    """Return the organization's run of this id, or else of this key; None when there is none.

    Keys are the callers' own: a run that is named like another's id must not be stopped in its place.
    """
    if "\0" in name:  # in an address; no text of the database can hold it
        return None
    row = None
    if is_id(name):
        row = cur.execute(
            _READ + " WHERE r.organization = %s AND r.id = %s", (organization, UUID(name))
        ).fetchone()
    if row is None:
        row = cur.execute(
            _READ + " WHERE r.organization = %s AND r.key = %s", (organization, name)
        ).fetchone()
    return None if row is None else RunRow(*row)


def find_run(cur: Cursor, *, organization: UUID, name: str) -> RunRow:
    """Return the organization's run of this key or id. Raises NotFound."""
    run = find_named_run(cur, organization=organization, name=name)
    if run is None:
        raise NotFound("There is no such run.")
    return run


def organization_of_run(cur: Cursor, run: UUID) -> UUID:
    """Return whose run this is; for the platform's own requests only. Raises NotFound."""
    row = cur.execute("SELECT organization FROM runs WHERE id = %s", (run,)).fetchone()
    if row is None:
        raise NotFound("There is no such run.")
    owner: UUID = row[0]
    return owner


def list_runs(
    cur: Cursor, *, organization: UUID, wanted: RunFilter, before: UUID | None, limit: int
) -> list[RunRow]:
    """Return up to `limit` runs, newest first, started before `before`."""
    conditions = ["r.organization = %(organization)s"]
    values: dict[str, Any] = {"organization": organization, "limit": limit}
    for condition, name, value in (
        ("r.id < %(before)s", "before", before),
        ("r.key = %(key)s", "key", wanted.key),
        ("r.agent_id = %(agent)s", "agent", wanted.agent_id),
    ):
        if value is not None:
            conditions.append(condition)
            values[name] = value
    if wanted.roots is not None:
        conditions.append("r.parent_id IS NULL" if wanted.roots else "r.parent_id IS NOT NULL")
    cur.execute(_READ + " WHERE " + " AND ".join(conditions) + " ORDER BY r.id DESC LIMIT %(limit)s", values)
    return [RunRow(*row) for row in cur.fetchall()]


def tree_of(cur: Cursor, run: RunRow) -> list[RunRow]:
    """Return the run and everything below it, parents first; of a tree at most MAX_TREE runs, the oldest."""
    statement = _READ + " WHERE r.organization = %s AND r.root_id = %s ORDER BY r.id LIMIT %s"
    rows = [
        RunRow(*row) for row in cur.execute(statement, (run.organization, run.root_id, MAX_TREE)).fetchall()
    ]
    inside, found = {run.id}, [run]
    pending = [row for row in rows if row.id != run.id]
    while True:
        below = [row for row in pending if row.parent_id in inside]
        if not below:
            return found
        found += below
        inside |= {row.id for row in below}
        pending = [row for row in pending if row.id not in inside]


def retries_of(cur: Cursor, runs: list[RunRow]) -> dict[UUID, Spent]:
    """Return, by run, the calls that were a second or later attempt (S18); runs without any are left out."""
    if not runs:
        return {}
    cur.execute(_RETRIES, (runs[0].organization, [run.id for run in runs]))
    return {row[0]: Spent(int(row[1]), int(row[2]), int(row[3])) for row in cur.fetchall()}


def steps_of(cur: Cursor, run: RunRow) -> list[dict[str, Any]]:
    """Return the run's own cost by branch: hop, parent task, step, attempt and what was called; at most 500 rows."""
    cur.execute(_STEPS, (run.organization, run.id))
    names = ("hop", "parent_task", "step", "attempt", "kind", "model", "tool")
    return [
        {**dict(zip(names, row, strict=False)), "calls": row[7], "cost": int(row[8]), "charge": int(row[9])}
        for row in cur.fetchall()
    ]
