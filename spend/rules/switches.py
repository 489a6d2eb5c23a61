"""Who may not work now: pauses, kill switches and stopped runs (S60). Durable, and read in the gate's transaction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from common.errors import InvalidField, InvalidTransition
from common.ids import AnyId
from orgs.rules.facts import Fact, time_text, with_changes

SCOPES: Final = ("platform", "organization", "team", "agent", "workflow", "connection", "user", "run", "key")
KINDS: Final = ("pause", "kill", "stop")
CAUSES: Final = ("manual", "threshold", "escalation", "loop", "velocity")
MODES: Final = ("observe", "enforce")
UNTARGETED_SCOPES: Final = frozenset(("platform", "organization"))
MAX_REASON: Final = 500


@dataclass(frozen=True, slots=True)
class NewSwitch:
    """What a person wants stopped: `target` is a key, id or label; None for the platform and the organization."""

    scope: str
    kind: str
    reason: str
    target: str | None = None
    mode: str = "enforce"


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

    @property
    def is_live(self) -> bool:
        """Whether it still stands."""
        return self.lifted_at is None

    @property
    def is_final(self) -> bool:
        """Whether nobody can lift it: a run that was really stopped never works again."""
        return self.kind == "stop" and self.mode == "enforce"

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


def check_new(new: NewSwitch) -> None:
    """Refuse what does not fit together. Raises InvalidField."""
    if new.kind == "stop" and new.scope != "run":
        raise InvalidField("Only a run is stopped.", pointer="/kind")
    if new.scope not in UNTARGETED_SCOPES and new.target is None:
        raise InvalidField(f"Which {new.scope} is it to be?", pointer="/target")
    if new.scope == "platform" and new.target is not None:
        raise InvalidField("The whole platform has no target.", pointer="/target")


def switched(
    new: NewSwitch,
    *,
    identifier: UUID,
    organization: UUID,
    target_id: UUID | None,
    target_label: str | None,
    by: str,
    at: datetime,
) -> tuple[Switch, Fact]:
    """Return a switch that a person sets, and the fact of it."""
    switch = Switch(
        id=identifier,
        organization=organization,
        scope=new.scope,
        target_id=target_id,
        target_label=target_label,
        kind=new.kind,
        mode=new.mode,
        cause="manual",
        incident_id=None,
        reason=new.reason,
        set_by=by,
        set_at=at,
    )
    return switch, _fact(switch, "set", switch.data(), at)


def lifted(switch: Switch, *, by: str, at: datetime, reason: str) -> tuple[Switch, Fact | None]:
    """Return the switch as it stops nothing any more, and the fact of it; no fact when it was lifted before.

    Raises InvalidTransition for a stopped run.
    """
    if not switch.is_live:
        return switch, None
    if switch.is_final:
        raise InvalidTransition("A stopped run never works again; begin another one.")
    new = replace(switch, lifted_by=by, lifted_at=at, lift_reason=reason, version=switch.version + 1)
    return new, _fact(new, "lifted", with_changes(new.data(), switch.data()), at)


def _fact(switch: Switch, verb: str, data: dict[str, Any], at: datetime) -> Fact:
    owner, name = UUID(str(switch.organization)), UUID(str(switch.id))
    return Fact(owner, "switch", name, switch.version, verb, data, at)


def text(identifier: AnyId | None) -> str | None:
    """Return an id as events hold it."""
    return None if identifier is None else str(identifier)


def moment(at: datetime | None) -> str | None:
    """Return a time as events hold it (RFC 3339, UTC)."""
    return time_text(at)
