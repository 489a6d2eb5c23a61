"""Who may not work now: pauses, kill switches and stopped runs (S60). Durable, and read in the gate's transaction."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from common.ids import AnyId

SCOPES: Final = ("platform", "organization", "team", "agent", "workflow", "connection", "user", "run", "key")
KINDS: Final = ("pause", "kill", "stop")
CAUSES: Final = ("manual", "threshold", "escalation", "loop", "velocity")


@dataclass(frozen=True, slots=True)
class Switch:
    """One target that may not work. A pause or a kill ends when a person lifts it; a stopped run never works again.

    `organization` is the platform's own for scope platform, which stops everybody. A switch in mode observe only says
    what it would stop. `incident_id` is what led to it; None when a person set it.
    """

    id: AnyId
    organization: AnyId
    scope: str
    target_id: AnyId | None
    target_label: str | None
    kind: str
    mode: str
    cause: str
    incident_id: AnyId | None
    reason: str
    set_by: str
    set_at: datetime
    lifted_by: str | None = None
    lifted_at: datetime | None = None
    lift_reason: str | None = None
    version: int = 1

    def data(self) -> dict[str, Any]:
        """Return the switch as its events hold it."""
        return {
            "scope": self.scope,
            "target_id": text(self.target_id),
            "target_label": self.target_label,
            "kind": self.kind,
            "mode": self.mode,
            "cause": self.cause,
            "incident_id": text(self.incident_id),
            "reason": self.reason,
            "set_by": self.set_by,
            "set_at": moment(self.set_at),
            "lifted_by": self.lifted_by,
            "lifted_at": moment(self.lifted_at),
            "lift_reason": self.lift_reason,
        }


def text(identifier: AnyId | None) -> str | None:
    """Return an id as events hold it."""
    return None if identifier is None else str(identifier)


def moment(at: datetime | None) -> str | None:
    """Return a time as events hold it (RFC 3339, UTC)."""
    return None if at is None else at.isoformat().replace("+00:00", "Z")
