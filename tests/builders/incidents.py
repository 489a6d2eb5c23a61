"""Incidents as the gate writes them, with the switches that they set."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from common.ids import new_id
from events.store import Cursor
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization
from orgs.rules.facts import Fact
from spend.rules.incidents import Incident
from spend.rules.switches import Switch
from tests.builders.orgs import write

GATE = Author("system:gate")


def open_incident(organization: UUID, *, switch: str | None = None, **given: Any) -> Incident:
    """An incident of scope organization that paused nobody unless it is said which kind of `switch` it set."""

    def operation(cur: Cursor) -> Incident:
        now = lock_organization(cur, organization).now
        plain: dict[str, Any] = {
            "trigger": "budget_threshold", "mode": "enforce", "action": "pause" if switch else "notify",
            "scope": "organization", "target_id": None, "target_label": None, "agent_id": None, "run_id": None,
            "run_key": None, "rule_id": None, "switch_id": None, "spent": 0, "evidence": {},
            "began_at": now - timedelta(milliseconds=1_500), "opened_at": now,
        }  # fmt: skip
        incident = Incident(id=new_id(), organization=organization, **{**plain, **given})
        facts = []
        if switch is not None:
            stopped = _switch(incident, switch)
            incident = replace(incident, switch_id=stopped.id)
            facts.append(_fact("switch", "set", stopped, stopped.set_at))
        record(cur, [*facts, _fact("incident", "opened", incident, now)], author=GATE)
        return incident

    return write(operation)


def _switch(incident: Incident, kind: str) -> Switch:
    cause = {"loop": "loop", "velocity": "velocity", "rate_escalation": "escalation"}.get(
        incident.trigger, "threshold"
    )
    return Switch(
        new_id(), incident.organization, incident.scope, incident.target_id, incident.target_label, kind,
        incident.mode, cause, incident.id, "a rule", GATE.actor, incident.opened_at,
    )  # fmt: skip


def _fact(stream: str, verb: str, row: Switch | Incident, at: Any) -> Fact:
    return Fact(UUID(str(row.organization)), stream, UUID(str(row.id)), row.version, verb, row.data(), at)
