"""Velocity alerts (S57): an agent's last five minutes against its own trailing seven days, and the rules that say when.

The baseline is what the agent was charged per five minutes on average, over the last seven days up to the running hour,
or since it was made when it is younger. It is fast when its last five minutes reach `factor` times that and `minimum`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from common.errors import InvalidField, InvalidTransition
from common.money import UNITS_PER_MAJOR, round_half_up
from orgs.rules.facts import Fact, id_text, time_text, with_changes

SCOPES: Final = ("organization", "agent")
ACTIONS: Final = ("notify", "pause")
MODES: Final = ("off", "observe", "enforce")
WINDOW: Final = timedelta(minutes=5)
REST: Final = timedelta(minutes=5)
"""So long an agent must have been slower before it can alert again."""
TRAILING: Final = timedelta(days=7)
LEAST_FACTOR, MOST_FACTOR = 2, 1_000
MOST_HISTORY_HOURS: Final = 168


@dataclass(frozen=True, slots=True)
class Settings:
    """When an agent is too fast and what is done then. `minimum` in units of the organization's currency."""

    factor: int = 5
    minimum: int = UNITS_PER_MAJOR
    history_hours: int = 24
    action: str = "notify"
    mode: str = "enforce"


HOUSE: Final = Settings()
"""What holds where no rule does."""


@dataclass(frozen=True, slots=True)
class VelocityRule:
    """A rule's row: of one agent, or (scope organization) of every agent without one of its own."""

    id: UUID
    organization: UUID
    scope: str
    target_id: UUID | None
    settings: Settings
    version: int
    created_at: datetime
    archived_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    """What an agent spends and is used to, in units. `history`: over how long `trailing` was charged."""

    agent_id: UUID
    value: int
    trailing: int
    history: timedelta
    began_at: datetime

    @property
    def baseline(self) -> int:
        """Return the average of five minutes, in units, rounded half up."""
        return round_half_up(self.trailing * _whole(WINDOW), _whole(self.history)) if self.history else 0


def history_of(made_at: datetime, now: datetime) -> tuple[datetime, datetime]:
    """Return from when to when an agent that was made at `made_at` has a history: up to the running hour, of seven
    days at most."""
    end = hour_of(now)
    return min(end, max(made_at, end - TRAILING)), end


def is_fast(pace: Pace, settings: Settings) -> bool:
    """Whether an agent's pace is an alert. An agent with too little history never is."""
    if settings.mode == "off" or not pace.value or pace.value < settings.minimum:
        return False
    if pace.history < timedelta(hours=settings.history_hours):
        return False
    return pace.value * _whole(pace.history) >= settings.factor * pace.trailing * _whole(WINDOW)


def may_alert(above_at: datetime | None, now: datetime) -> bool:
    """Whether a fast agent begins a new burst: it was never seen fast, or not for five minutes."""
    return above_at is None or now - above_at >= REST


def rule_for(rules: Iterable[VelocityRule], agent: UUID) -> VelocityRule | None:
    """Return the rule that holds for an agent: its own before the organization's; None: the house's defaults."""
    found = {rule.target_id: rule for rule in rules}
    return found.get(agent) or found.get(None)


def settings_of(rule: VelocityRule | None) -> Settings:
    """Return what a rule says, or the house's defaults."""
    return HOUSE if rule is None else rule.settings


def created(
    *,
    identifier: UUID,
    organization: UUID,
    scope: str,
    target_id: UUID | None,
    settings: Settings,
    at: datetime,
) -> tuple[VelocityRule, Fact]:
    """Return a new rule and the fact that makes it."""
    rule = VelocityRule(identifier, organization, scope, target_id, settings, 1, at)
    return rule, _fact(rule, "created", _data(rule), at)


def changed(
    rule: VelocityRule, changes: Mapping[str, Any], *, at: datetime
) -> tuple[VelocityRule, Fact | None]:
    """Return the rule with other settings, and the fact of it with old and new values; none when nothing differs.

    Raises InvalidTransition for an archived one.
    """
    if rule.archived_at is not None:
        raise InvalidTransition("The velocity rule is archived.")
    return _next(rule, replace(rule, settings=replace(rule.settings, **changes)), "changed", at)


def archived(rule: VelocityRule, *, at: datetime) -> tuple[VelocityRule, Fact | None]:
    """Return the rule as it no longer holds, and the fact of it; no fact when it is archived already."""
    if rule.archived_at is not None:
        return rule, None
    return _next(rule, replace(rule, archived_at=at), "archived", at)


def check_target(scope: str, target: str | None) -> None:
    """Refuse a rule of an agent that names none. Raises InvalidField."""
    if scope == "agent" and target is None:
        raise InvalidField("A rule of scope agent names its agent.", pointer="/target")


def hour_of(moment: datetime) -> datetime:
    """Return the beginning of a moment's hour, in UTC."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _next(old: VelocityRule, new: VelocityRule, verb: str, at: datetime) -> tuple[VelocityRule, Fact | None]:
    before, data = _data(old), _data(new)
    if before == data:
        return old, None
    new = replace(new, version=old.version + 1)
    return new, _fact(new, verb, with_changes(data, before), at)


def _fact(rule: VelocityRule, verb: str, data: Mapping[str, Any], at: datetime) -> Fact:
    return Fact(rule.organization, "velocity_rule", rule.id, rule.version, verb, data, at)


def _data(rule: VelocityRule) -> dict[str, Any]:
    settings = rule.settings
    return {
        "scope": rule.scope,
        "target_id": id_text(rule.target_id),
        "factor": settings.factor,
        "minimum": settings.minimum,
        "history_hours": settings.history_hours,
        "action": settings.action,
        "mode": settings.mode,
        "created_at": time_text(rule.created_at),
        "archived_at": time_text(rule.archived_at),
    }


def _whole(span: timedelta) -> int:
    return span // timedelta(seconds=1)
