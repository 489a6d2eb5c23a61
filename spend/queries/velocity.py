"""Velocity rules, and how fast agents are against what they are used to (S57)."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from common.errors import NotFound
from events.store import Cursor
from orgs.rules.permissions import PolicyLevel, policy_level
from spend.rules.pace import Slices, minute_of, spent_within
from spend.rules.velocity import (
    WINDOW,
    Pace,
    Settings,
    VelocityRule,
    history_of,
    hour_of,
    rule_for,
    settings_of,
)

_READ: Final = """
SELECT id, organization, scope, target_id, factor, minimum, history_hours, action, mode, version, created_at,
    archived_at
FROM velocity_rules
"""
_HOLDING: Final = f"{_READ} WHERE organization = ANY(%s::uuid[]) AND archived_at IS NULL ORDER BY id"
# Which organizations are worth a look; nothing is decided here, so the clock may be asked.
_BUSY: Final = """
SELECT DISTINCT u.organization FROM usage_by_minute u JOIN organizations o ON o.id = u.organization
WHERE u.minute >= clock_timestamp() - interval '6 minutes'
    AND u.minute >= clock_timestamp() + o.clock_offset - interval '6 minutes'
    AND u.minute <= clock_timestamp() + o.clock_offset
"""
_RECENT: Final = """
SELECT u.agent_id, a.created_at, COALESCE(sum(u.charge) FILTER (WHERE u.minute > %(start)s), 0),
    COALESCE(sum(u.charge) FILTER (WHERE u.minute = %(start)s), 0), min(u.minute) FILTER (WHERE u.charge > 0)
FROM usage_by_minute u JOIN agents a ON a.id = u.agent_id
WHERE u.organization = %(organization)s AND u.minute >= %(start)s AND u.minute <= %(now)s
GROUP BY u.agent_id, a.created_at ORDER BY u.agent_id
"""
_TRAILING: Final = """
SELECT h.agent_id, sum(h.charge) FROM usage_hourly h
JOIN unnest(%(agents)s::uuid[], %(starts)s::timestamptz[]) AS w(agent, start) ON h.agent_id = w.agent
WHERE h.organization = %(organization)s AND h.hour >= %(first)s AND h.hour < %(end)s AND h.hour >= w.start
GROUP BY h.agent_id
"""
_BURSTS: Final = (
    "SELECT agent_id, above_at FROM velocity_bursts WHERE organization = %s AND agent_id = ANY(%s::uuid[])"
)
_RUNS: Final = """
SELECT r.id, r.key, r.charged + r.held, s.whole, s.first FROM (
    SELECT u.root_run_id, COALESCE(sum(u.charge) FILTER (WHERE u.minute > %(start)s), 0) AS whole,
        COALESCE(sum(u.charge) FILTER (WHERE u.minute = %(start)s), 0) AS first
    FROM usage_by_minute u WHERE u.organization = %(organization)s AND u.agent_id = %(agent)s
        AND u.minute >= %(start)s AND u.minute <= %(now)s AND u.root_run_id IS NOT NULL
    GROUP BY u.root_run_id ORDER BY sum(u.charge) DESC LIMIT 3
) s JOIN runs r ON r.id = s.root_run_id ORDER BY s.whole + s.first DESC, r.id
"""
_HELD: Final = (
    "SELECT COALESCE(sum(held), 0) FROM reservations "
    "WHERE organization = %s AND status = 'active' AND agent_id = %s"
)
_PAUSED: Final = """
SELECT EXISTS (SELECT FROM switches WHERE organization = %s AND scope = 'agent' AND target_id = %s
    AND lifted_at IS NULL AND mode = 'enforce')
"""
_TEAM_OF: Final = "SELECT team_id FROM agents WHERE organization = %s AND id = %s"


class FastRun(NamedTuple):
    """A root run with what this agent spent in it in the window, and what the run has charged and holds in all."""

    id: UUID
    key: str
    total: int
    value: int


def find_rule(cur: Cursor, *, organization: UUID, rule: UUID) -> VelocityRule:
    """Return a rule of the organization, also an archived one. Raises NotFound."""
    row = cur.execute(_READ + " WHERE organization = %s AND id = %s", (organization, rule)).fetchone()
    if row is None:
        raise NotFound("There is no such velocity rule.")
    return _rule(row)


def organization_of_rule(cur: Cursor, rule: UUID) -> UUID:
    """Return whose rule this is; for the platform's own requests only. Raises NotFound."""
    row = cur.execute("SELECT organization FROM velocity_rules WHERE id = %s", (rule,)).fetchone()
    if row is None:
        raise NotFound("There is no such velocity rule.")
    owner: UUID = row[0]
    return owner


def list_rules(
    cur: Cursor, *, organization: UUID, archived: bool | None, before: UUID | None, limit: int
) -> list[VelocityRule]:
    """Return up to `limit` rules, newest first, made before `before`."""
    statement = _READ + " WHERE organization = %(organization)s"
    if before is not None:
        statement += " AND id < %(before)s"
    if archived is not None:
        statement += " AND archived_at IS NOT NULL" if archived else " AND archived_at IS NULL"
    values = {"organization": organization, "before": before, "limit": limit}
    cur.execute(statement + " ORDER BY id DESC LIMIT %(limit)s", values)
    return [_rule(row) for row in cur.fetchall()]


def holding_rules(cur: Cursor, organizations: Iterable[UUID]) -> dict[UUID, list[VelocityRule]]:
    """Return the rules of these organizations that are not archived."""
    found: dict[UUID, list[VelocityRule]] = {name: [] for name in organizations}
    for row in cur.execute(_HOLDING, (list(found),)).fetchall():
        found[row[1]].append(_rule(row))
    return found


def level_of(cur: Cursor, organization: UUID, target_id: UUID | None) -> PolicyLevel:
    """Return whose policy a rule is: the organization's, or the team's whose agent it is for."""
    if target_id is None:
        return PolicyLevel()
    row = cur.execute(_TEAM_OF, (organization, target_id)).fetchone()
    return policy_level(scope="agent", target_id=target_id, target_team_id=row[0] if row else None)


def busy_organizations(cur: Cursor) -> list[UUID]:
    """Return the organizations whose agents were charged anything in the last minutes."""
    return [row[0] for row in cur.execute(_BUSY).fetchall()]


def paces(cur: Cursor, *, organization: UUID, now: datetime, rules: Sequence[VelocityRule]) -> list[Pace]:
    """Return the pace of every agent that was charged at least its rule's minimum in the last five minutes."""
    values = {"organization": organization, "start": _start(now), "now": now}
    found = []
    for agent, made_at, whole, first, began in cur.execute(_RECENT, values).fetchall():
        value = spent_within(Slices(int(whole), int(first)), now)
        if value and value >= settings_of(rule_for(rules, agent)).minimum:
            start, end = history_of(made_at, now)
            found.append((agent, value, start, end, began))
    trailing = _trailing(cur, organization, {agent: start for agent, _, start, _, _ in found}, now)
    return [
        Pace(agent, value, trailing.get(agent, 0), end - start, began)
        for agent, value, start, end, began in found
    ]


def _trailing(
    cur: Cursor, organization: UUID, starts: dict[UUID, datetime], now: datetime
) -> dict[UUID, int]:
    """What agents were charged in the whole hours of their histories."""
    if not starts:
        return {}
    hours = [hour_of(start) for start in starts.values()]
    values = {
        "organization": organization,
        "agents": list(starts),
        "starts": hours,
        "first": min(hours),
        "end": hour_of(now),
    }
    return {row[0]: int(row[1]) for row in cur.execute(_TRAILING, values).fetchall()}


def bursts_of(cur: Cursor, organization: UUID, agents: Iterable[UUID]) -> dict[UUID, datetime]:
    """Return when these agents were last seen too fast; those that never were are left out."""
    return dict(cur.execute(_BURSTS, (organization, list(agents))).fetchall())


def fastest_runs(cur: Cursor, *, organization: UUID, agent: UUID, now: datetime) -> list[FastRun]:
    """Return the three root runs in which an agent spent most in the last five minutes."""
    values = {"organization": organization, "agent": agent, "start": _start(now), "now": now}
    return [
        FastRun(name, key, int(total), spent_within(Slices(int(whole), int(first)), now))
        for name, key, total, whole, first in cur.execute(_RUNS, values).fetchall()
    ]


def held_by(cur: Cursor, organization: UUID, agent: UUID) -> int:
    """Return what an agent's open reservations hold, in units."""
    row = cur.execute(_HELD, (organization, agent)).fetchone()
    return int(row[0]) if row else 0


def is_paused(cur: Cursor, organization: UUID, agent: UUID) -> bool:
    """Whether a switch of this agent's own stops it already."""
    return cur.execute(_PAUSED, (organization, agent)).fetchone() == (True,)


def _start(now: datetime) -> datetime:
    return minute_of(now) - WINDOW


def _rule(row: tuple[Any, ...]) -> VelocityRule:
    values: Any = (*row[:4], Settings(*row[4:9]), *row[9:])
    return VelocityRule(*values)
