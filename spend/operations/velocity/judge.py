"""Judging how fast agents spend (S57): the due job that opens incidents and, where a rule says so, pauses.

It looks without a lock, organization by organization, at what the reader of the minutes has added up. Only where an
agent seems to begin a burst does it lock the organization, look again and decide; so two workers that see the same
burst open one incident, and an organization whose agents are slow is never locked.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, Final, NamedTuple
from uuid import UUID

from common.ids import new_id
from common.money import format_amount
from common.transactions import run_in_transaction
from events.operations.advance import advance_subscriber
from events.store import Cursor
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization
from orgs.rules.facts import Fact
from spend.projections.minutes import READER
from spend.queries.budgets import business_now
from spend.queries.velocity import (
    FastRun,
    bursts_of,
    busy_organizations,
    fastest_runs,
    held_by,
    holding_rules,
    is_paused,
    paces,
)
from spend.rules.incidents import Incident
from spend.rules.switches import Switch
from spend.rules.velocity import WINDOW, Pace, VelocityRule, is_fast, may_alert, rule_for, settings_of

AUTHOR: Final = Author("system:velocity")
# Whoever sees it later has seen more.
_SEEN: Final = """
UPDATE velocity_bursts b SET above_at = %(now)s
FROM (SELECT organization, agent_id FROM velocity_bursts WHERE organization = %(organization)s
    AND agent_id = ANY(%(agents)s::uuid[]) ORDER BY agent_id FOR UPDATE) s
WHERE b.organization = s.organization AND b.agent_id = s.agent_id AND b.above_at < %(now)s
"""
_BEGUN: Final = """
INSERT INTO velocity_bursts AS b (organization, agent_id, incident_id, above_at) VALUES (%s, %s, %s, %s)
ON CONFLICT (organization, agent_id) DO UPDATE SET incident_id = excluded.incident_id, above_at = excluded.above_at
"""


class Fast(NamedTuple):
    """An agent that is too fast, by which rule (None: the house's), and whether it was so before."""

    pace: Pace
    rule: VelocityRule | None
    is_new: bool


def judge_velocity() -> int:
    """This function will open an incident for every agent that begins to spend too fast, and return how many.

    Once per agent and burst: the next alert comes only after five minutes in which the agent was not seen too fast. In
    mode observe nothing else happens; in mode enforce a rule with the action pause also pauses the agent, in the same
    transaction. Each organization is a transaction of its own. The reader of the minutes is asked to catch up first.
    """
    advance_subscriber(name=READER)
    busy = run_in_transaction(busy_organizations)
    return sum(run_in_transaction(partial(judge_organization, organization=name)) for name in sorted(busy))


def judge_organization(cur: Cursor, *, organization: UUID) -> int:
    """This function will do so for one organization. Raises NotFound."""
    now = business_now(cur, organization)
    fast = _fast(cur, organization, now)
    if any(each.is_new for each in fast):
        now = lock_organization(cur, organization).now
        fast = _fast(cur, organization, now)
    new = [each for each in fast if each.is_new]
    for each in new:
        _open(cur, organization, each, now)
    known = [each.pace.agent_id for each in fast if not each.is_new]
    if known:
        cur.execute(_SEEN, {"organization": organization, "agents": known, "now": now})
    return len(new)


def _fast(cur: Cursor, organization: UUID, now: datetime) -> list[Fast]:
    rules = holding_rules(cur, [organization])[organization]
    found = paces(cur, organization=organization, now=now, rules=rules)
    ruled = [(pace, rule_for(rules, pace.agent_id)) for pace in found]
    fast = [(pace, rule) for pace, rule in ruled if is_fast(pace, settings_of(rule))]
    bursts = bursts_of(cur, organization, [pace.agent_id for pace, _ in fast])
    return [Fast(pace, rule, may_alert(bursts.get(pace.agent_id), now)) for pace, rule in fast]


def _open(cur: Cursor, organization: UUID, fast: Fast, now: datetime) -> None:
    """The incident, the switch where there is to be one, and the beginning of the burst."""
    agent = fast.pace.agent_id
    runs = fastest_runs(cur, organization=organization, agent=agent, now=now)
    incident = _incident(cur, organization, fast, runs, now)
    facts = [Fact(organization, "incident", UUID(str(incident.id)), 1, "opened", incident.data(), now)]
    if incident.switch_id is not None:
        switch = _switch(incident, fast, now)
        facts.append(Fact(organization, "switch", UUID(str(switch.id)), 1, "set", switch.data(), now))
    record(cur, facts, author=AUTHOR)
    cur.execute(_BEGUN, (organization, agent, incident.id, now))


def _incident(
    cur: Cursor, organization: UUID, fast: Fast, runs: Sequence[FastRun], now: datetime
) -> Incident:
    settings, agent = settings_of(fast.rule), fast.pace.agent_id
    alone = next((run for run in runs if is_fast(replace(fast.pace, value=run.value), settings)), None)
    pauses = settings.action == "pause" and settings.mode == "enforce"
    spent = alone.total if alone else fast.pace.value + held_by(cur, organization, agent)
    return Incident(
        id=new_id(),
        organization=organization,
        trigger="velocity",
        mode=settings.mode,
        action=settings.action,
        scope="agent",
        target_id=agent,
        target_label=None,
        agent_id=agent,
        run_id=alone.id if alone else None,
        run_key=alone.key if alone else None,
        rule_id=fast.rule.id if fast.rule else None,
        switch_id=new_id() if pauses and not is_paused(cur, organization, agent) else None,
        spent=spent,
        evidence=_evidence(fast, runs),
        began_at=fast.pace.began_at,
        opened_at=now,
    )


def _evidence(fast: Fast, runs: Sequence[FastRun]) -> dict[str, Any]:
    """What whoever looks at it later needs in order to judge it anew. Amounts in units."""
    settings, pace = settings_of(fast.rule), fast.pace
    return {
        "metric": "charge",
        "window_seconds": int(WINDOW.total_seconds()),
        "value": pace.value,
        "baseline": pace.baseline,
        "factor": settings.factor,
        "minimum": settings.minimum,
        "history_seconds": int(pace.history.total_seconds()),
        "history_charge": pace.trailing,
        "runs": [{"id": str(run.id), "key": run.key, "value": run.value} for run in runs],
    }


def _switch(incident: Incident, fast: Fast, now: datetime) -> Switch:
    assert incident.switch_id is not None
    value, baseline = format_amount(fast.pace.value), format_amount(fast.pace.baseline)
    return Switch(
        id=incident.switch_id,
        organization=incident.organization,
        scope="agent",
        target_id=incident.target_id,
        target_label=None,
        kind="pause",
        mode="enforce",
        cause="velocity",
        incident_id=incident.id,
        reason=f"It was charged {value} in five minutes; it is used to {baseline}.",
        set_by=AUTHOR.actor,
        set_at=now,
    )
