"""Switches and incidents as answers show them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from common.money import format_amount
from events.store import Cursor
from orgs.queries.organizations import find_organization
from orgs.queries.subjects import keys_of
from spend.api.representations import utc
from spend.queries.switches import target_keys
from spend.rules.incidents import Incident
from spend.rules.switches import Switch


def switches_shown(cur: Cursor, organization: UUID, switches: Iterable[Switch]) -> dict[Any, dict[str, Any]]:
    """Switches as answers show them, by id."""
    listed = list(switches)
    keys = target_keys(cur, organization, [(each.scope, each.target_id) for each in listed])
    return {each.id: _switch(each, keys) for each in listed}


def switch_shown(cur: Cursor, switch: Switch) -> dict[str, Any]:
    """One switch as answers show it."""
    return switches_shown(cur, UUID(str(switch.organization)), [switch])[switch.id]


def incidents_shown(
    cur: Cursor, organization: UUID, incidents: Iterable[Incident]
) -> dict[Any, dict[str, Any]]:
    """Incidents as answers show them, by id."""
    listed = list(incidents)
    keys = target_keys(cur, organization, [(each.scope, each.target_id) for each in listed])
    agents = [UUID(str(each.agent_id)) for each in listed if each.agent_id is not None]
    keys |= keys_of(cur, "agent", organization=organization, ids=agents)
    currency = find_organization(cur, organization=organization).currency
    return {each.id: _incident(each, keys, currency) for each in listed}


def incident_shown(cur: Cursor, incident: Incident) -> dict[str, Any]:
    """One incident as answers show it."""
    return incidents_shown(cur, UUID(str(incident.organization)), [incident])[incident.id]


def _switch(switch: Switch, keys: Mapping[UUID, str]) -> dict[str, Any]:
    return {
        "id": switch.id,
        "organization": switch.organization,
        "scope": switch.scope,
        "target": _target(switch, keys),
        "target_id": switch.target_id,
        "kind": switch.kind,
        "mode": switch.mode,
        "status": "live" if switch.is_live else "lifted",
        "cause": switch.cause,
        "incident": switch.incident_id,
        "reason": switch.reason,
        "set_by": switch.set_by,
        "set_at": utc(switch.set_at),
        "lifted_by": switch.lifted_by,
        "lifted_at": utc(switch.lifted_at),
        "lift_reason": switch.lift_reason,
        "version": switch.version,
    }


def _incident(incident: Incident, keys: Mapping[UUID, str], currency: str) -> dict[str, Any]:
    agent = None if incident.agent_id is None else UUID(str(incident.agent_id))
    return {
        "id": incident.id,
        "organization": incident.organization,
        "trigger": incident.trigger,
        "mode": incident.mode,
        "action": incident.action,
        "status": "open" if incident.released_at is None else "released",
        "scope": incident.scope,
        "target": _target(incident, keys),
        "target_id": incident.target_id,
        "agent": None if agent is None else keys.get(agent),
        "run": incident.run_key,
        "rule": incident.rule_id,
        "switch": incident.switch_id,
        "spent": format_amount(incident.spent),
        "currency": currency,
        "evidence": incident.evidence,
        "began_at": utc(incident.began_at),
        "opened_at": utc(incident.opened_at),
        "time_to_stop_ms": incident.time_to_stop // timedelta(milliseconds=1),
        "released_at": utc(incident.released_at),
        "released_by": incident.released_by,
        "release_reason": incident.release_reason,
        "version": incident.version,
    }


def _target(row: Switch | Incident, keys: Mapping[UUID, str]) -> str | None:
    """A target by key or label; an API key, which has no name that is its own alone, by id."""
    if row.target_id is None:
        return row.target_label
    identifier = UUID(str(row.target_id))
    return keys.get(identifier, str(identifier))
