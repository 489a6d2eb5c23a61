"""Estimates from history: for the gate where a call states none (S29), and for people before a run starts (S64b)."""

from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from common.ids import AnyId
from events.store import Cursor
from orgs.rules.permissions import NO_LIMITS, KeyLimits
from spend.queries.naming import Conditions
from spend.queries.periods import recorded_since
from spend.queries.runtotals import RunTotal, run_totals
from spend.rules.commands import Estimate
from spend.rules.suggesting import MEDIUM_FROM

HISTORY: Final = timedelta(days=30)
MAX_SAMPLES: Final = 1_000
"""How many calls the percentiles are taken of: the last ones."""
BASES: Final = ("as_asked", "without_workflow")

SQL: Final = """
SELECT sum(calls) FILTER (WHERE workflow_id = %(workflow)s), max(max_charge) FILTER (WHERE workflow_id = %(workflow)s),
    sum(calls), max(max_charge)
FROM usage_hourly
WHERE organization = %(organization)s AND hour >= %(since)s AND agent_id = %(agent)s
    AND provider IS NOT DISTINCT FROM %(provider)s AND model IS NOT DISTINCT FROM %(model)s AND outcome = 'completed'
"""
# The hour from which on there are enough calls for the percentiles: what was recorded before need not be read.
_ENOUGH: Final = """
SELECT COALESCE(max(hour) FILTER (WHERE calls >= %(most)s), min(hour)) FROM (
    SELECT hour, sum(sum(calls)) OVER (ORDER BY hour DESC) AS calls FROM usage_hourly x {where} GROUP BY hour
) h
"""
_CALLS: Final = """
SELECT x.charge, x.input_tokens, x.output_tokens FROM usage_records x {where} ORDER BY x.id DESC LIMIT %(most)s
"""


class Called(NamedTuple):
    """Which calls are looked at; None: all."""

    agent_id: UUID | None = None
    workflow_id: UUID | None = None
    provider: str | None = None
    model: str | None = None


class Call(NamedTuple):
    """What one call was charged, in units of 10^-8, and used."""

    charge: int
    input_tokens: int
    output_tokens: int


class History(NamedTuple):
    """Calls and whole runs of a period; `runs` None: not told. `basis`: whose calls, see BASES."""

    start: datetime
    end: datetime
    basis: str
    calls: list[Call]
    runs: list[RunTotal] | None


def estimate_from_history(
    cur: Cursor,
    *,
    organization: AnyId,
    agent: AnyId,
    provider: str | None,
    model: str | None,
    now: datetime,
    workflow: AnyId | None = None,
) -> Estimate | None:
    """Return the largest charge of completed calls to this model in the last 30 days, as an amount: of the agent in
    this workflow, else of the agent.

    None below 5 calls (confidence low), and where they were all free: the caller then needs another estimate.
    """
    values = {
        "organization": organization,
        "since": now - HISTORY,
        "agent": agent,
        "workflow": workflow,
        "provider": provider,
        "model": model,
    }
    row = cur.execute(SQL, values).fetchone()
    assert row is not None
    for calls, most in (row[:2], row[2:]):
        if calls is not None and calls >= MEDIUM_FROM and most:
            return Estimate(amount=most)
    return None


def history(
    cur: Cursor, *, organization: UUID, called: Called, now: datetime, limits: KeyLimits = NO_LIMITS
) -> History:
    """Return the last completed calls (at most MAX_SAMPLES) and root runs of the 30 days before now.

    With agent and workflow: of the agent in this workflow, and where these are fewer than 5 calls, of the agent in all
    its workflows if those are more. Runs go by agent and workflow alone: one run calls several models. To a limited key
    only its own calls, and no runs: their totals tell of the calls of others.
    """
    since = now - HISTORY
    calls, basis = _calls(cur, organization, called, since, limits), BASES[0]
    if len(calls) < MEDIUM_FROM and called.agent_id is not None and called.workflow_id is not None:
        wider = _calls(cur, organization, called._replace(workflow_id=None), since, limits)
        if len(wider) > len(calls):
            calls, basis = wider, BASES[1]
    runs = None
    if limits == NO_LIMITS:
        runs = run_totals(
            cur, organization=organization, since=since, agent=called.agent_id, workflow=called.workflow_id
        )
    return History(since, now, basis, calls, runs)


def _calls(cur: Cursor, organization: UUID, called: Called, since: datetime, limits: KeyLimits) -> list[Call]:
    first = _first_hour(cur, organization, called, since, limits)
    if first is None:
        return []
    recorded = recorded_since(cur, organization, max(first, since))
    clause = _clause(organization, called, limits)
    clause.add("x.occurred_at >= %(since)s", "since", since)
    clause.add("x.id >= %(first_id)s", "first_id", recorded.first_id)
    clause.add("x.recorded_at >= %(recorded)s", "recorded", recorded.at)
    where = clause.where("x.organization = %(organization)s", "x.outcome = 'completed'")
    cur.execute(_CALLS.format(where=where), clause.values)
    return [Call(*row) for row in cur.fetchall()]


def _first_hour(
    cur: Cursor, organization: UUID, called: Called, since: datetime, limits: KeyLimits
) -> datetime | None:
    clause = _clause(organization, called, limits)
    clause.add("x.hour >= date_trunc('hour', %(since)s::timestamptz, 'UTC')", "since", since)
    where = clause.where("x.organization = %(organization)s", "x.outcome = 'completed'")
    row = cur.execute(_ENOUGH.format(where=where), clause.values).fetchone()
    return None if row is None else row[0]


def _clause(organization: UUID, called: Called, limits: KeyLimits) -> Conditions:
    clause = Conditions(organization=organization, most=MAX_SAMPLES)
    for name in called._fields:
        clause.add(f"x.{name} = %({name})s", name, getattr(called, name))
    clause.narrow(limits, agent="x.agent_id", connection="x.connection_id")
    return clause
