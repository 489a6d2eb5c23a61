"""Incidents: a rule that acted against spending, with its evidence (S59)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from common.ids import AnyId
from orgs.rules.facts import Fact, with_changes
from spend.rules.switches import moment, text

TRIGGERS: Final = ("budget_threshold", "run_ceiling", "attempts", "loop", "rate_escalation", "velocity")
MODES: Final = ("observe", "enforce")


@dataclass(frozen=True, slots=True)
class Incident:
    """What happened: which rule (`rule_id`; None: a default of the house) acted on which target, on what evidence.

    `spent` (units) is what the run, or else the target, had charged and held when it was opened. `began_at` is the
    first call that belongs to it. In mode observe nothing was done.
    """

    id: AnyId
    organization: AnyId
    trigger: str
    mode: str
    action: str
    scope: str
    target_id: AnyId | None
    target_label: str | None
    agent_id: AnyId | None
    run_id: AnyId | None
    run_key: str | None
    rule_id: AnyId | None
    switch_id: AnyId | None
    spent: int
    evidence: dict[str, Any]
    began_at: datetime
    opened_at: datetime
    released_at: datetime | None = None
    released_by: str | None = None
    release_reason: str | None = None
    version: int = 1

    @property
    def time_to_stop(self) -> timedelta:
        """Return how long it went on before the rule acted."""
        return max(self.opened_at - self.began_at, timedelta())

    def data(self) -> dict[str, Any]:
        """Return the incident as its events hold it."""
        return {
            "trigger": self.trigger,
            "mode": self.mode,
            "action": self.action,
            "scope": self.scope,
            "target_id": text(self.target_id),
            "target_label": self.target_label,
            "agent_id": text(self.agent_id),
            "run_id": text(self.run_id),
            "run_key": self.run_key,
            "rule_id": text(self.rule_id),
            "switch_id": text(self.switch_id),
            "spent": self.spent,
            "evidence": self.evidence,
            "began_at": moment(self.began_at),
            "opened_at": moment(self.opened_at),
            "released_at": moment(self.released_at),
            "released_by": self.released_by,
            "release_reason": self.release_reason,
        }


def released(incident: Incident, *, by: str, at: datetime, reason: str) -> tuple[Incident, Fact | None]:
    """Return the incident as a person has dealt with it, and the fact of it; no fact when one did before."""
    if incident.released_at is not None:
        return incident, None
    new = replace(
        incident, released_at=at, released_by=by, release_reason=reason, version=incident.version + 1
    )
    data = with_changes(new.data(), incident.data())
    owner, name = UUID(str(new.organization)), UUID(str(new.id))
    return new, Fact(owner, "incident", name, new.version, "released", data, at)
