"""Making, changing and archiving velocity rules (S57)."""

from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import UUID

from common.errors import InvalidTransition, NameConflict, NotFound
from common.ids import new_id
from events.store import Cursor
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization
from orgs.queries.subjects import resolve_agent
from orgs.rules.organizations import require_customer, require_open
from orgs.rules.permissions import Permit, policy_level
from spend.queries.velocity import find_rule, holding_rules, level_of
from spend.rules.velocity import (
    Settings,
    VelocityRule,
    archived,
    changed,
    check_target,
    created,
)


class NewRule(NamedTuple):
    """What a new rule is to be; `target` is the key or id of an agent, or the organization's id."""

    scope: str
    settings: Settings
    target: str | None = None


def create_velocity_rule(
    cur: Cursor, organization: UUID, new: NewRule, *, author: Author, permit: Permit | None = None
) -> VelocityRule:
    """This function will make a velocity rule; the next judgement obeys it.

    `permit` gets the level that the rule belongs to and raises when the caller may not edit it (S43). Raises NotFound,
    InvalidField (an agent's rule without an agent), InvalidTransition (an archived agent), NameConflict (the target has
    a rule) and OrganizationClosed.
    """
    locked = lock_organization(cur, organization)
    require_customer(locked)
    check_target(new.scope, new.target)
    target_id, team_id = _target(cur, organization, new)
    if permit is not None:
        permit(policy_level(scope=new.scope, target_id=target_id, target_team_id=team_id))
    if any(rule.target_id == target_id for rule in holding_rules(cur, [organization])[organization]):
        raise NameConflict(
            "There is a velocity rule for this target; change that, or archive it.", pointer="/target"
        )
    rule, fact = created(
        identifier=new_id(),
        organization=organization,
        scope=new.scope,
        target_id=target_id,
        settings=new.settings,
        at=locked.now,
    )
    record(cur, [fact], author=author)
    return rule


def change_velocity_rule(
    cur: Cursor,
    organization: UUID,
    rule: UUID,
    changes: Mapping[str, Any],
    *,
    author: Author,
    permit: Permit | None = None,
) -> VelocityRule:
    """This function will give a rule another factor, minimum, history, action or mode.

    The event keeps the actor and every old and new value; the same values again change nothing. Raises NotFound,
    InvalidTransition (archived) and OrganizationClosed.
    """
    locked = lock_organization(cur, organization)
    require_open(locked)
    found = _permitted(cur, organization, rule, permit)
    new, fact = changed(found, changes, at=locked.now)
    record(cur, [fact], author=author)
    return new


def archive_velocity_rule(
    cur: Cursor, organization: UUID, rule: UUID, *, author: Author, permit: Permit | None = None
) -> VelocityRule:
    """This function will end a rule: what is wider holds again. An archived one stays as it is. Raises NotFound."""
    locked = lock_organization(cur, organization)
    found = _permitted(cur, organization, rule, permit)
    new, fact = archived(found, at=locked.now)
    record(cur, [fact], author=author)
    return new


def _permitted(cur: Cursor, organization: UUID, rule: UUID, permit: Permit | None) -> VelocityRule:
    found = find_rule(cur, organization=organization, rule=rule)
    if permit is not None:
        permit(level_of(cur, organization, found.target_id))
    return found


def _target(cur: Cursor, organization: UUID, new: NewRule) -> tuple[UUID | None, UUID | None]:
    """The agent's id and team."""
    if new.scope == "organization":
        if new.target not in (None, str(organization)):
            raise NotFound("There is no such organization.", pointer="/target")
        return None, None
    agent = resolve_agent(cur, organization=organization, name=new.target or "", pointer="/target")
    if agent.archived_at is not None:
        raise InvalidTransition("The agent is archived.", pointer="/target")
    return agent.id, agent.team_id
