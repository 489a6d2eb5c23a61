"""Letting go on: lifting switches, and releasing incidents with what they set (S59, S60)."""

from uuid import UUID

from common.errors import InvalidTransition
from events.store import Cursor
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization
from orgs.rules.facts import Fact
from orgs.rules.permissions import Permit, PolicyLevel
from orgs.rules.rows import LockedOrganization
from spend.operations.switches.targets import find_target
from spend.queries.incidents import find_incident, open_incidents_of
from spend.queries.runs import find_run
from spend.queries.switches import Place, find_switch, level_of_target, switches_on, switches_over_run
from spend.rules.incidents import Incident, released
from spend.rules.switches import Switch, lifted


def lift_switch(
    cur: Cursor,
    organization: UUID,
    switch: UUID,
    *,
    reason: str,
    author: Author,
    permit: Permit | None = None,
) -> Switch:
    """This function will lift a switch and release the incidents that led to it: a person has looked at them.

    The gate's next decision obeys it. Lifting a lifted one changes nothing. `permit` as in `set_switch`. Raises
    NotFound and InvalidTransition (a stopped run never works again).
    """
    locked = lock_organization(cur, organization)
    found = find_switch(cur, organization=organization, switch=switch)
    if permit is not None:
        permit(_level(cur, found))
    new, facts = _lift(cur, found, locked, reason=reason, by=author.actor)
    record(cur, facts, author=author)
    return new


def resume(
    cur: Cursor,
    organization: UUID,
    scope: str,
    name: str,
    *,
    reason: str,
    author: Author,
    permit: Permit | None = None,
) -> Switch:
    """This function will lift every pause of an agent or run, and return the last of them that stopped it.

    What is not paused any more is left as it is. `permit` as in `set_switch`. Raises NotFound and InvalidTransition
    (never paused, or a stopped run).
    """
    locked = lock_organization(cur, organization)
    target = find_target(cur, organization, scope, name, pointer=None)
    place = Place(organization, scope, target.id, target.label)
    if permit is not None:
        permit(level_of_target(cur, place))
    if scope == "run":
        over = switches_over_run(cur, find_run(cur, organization=organization, name=name))
        if any(found.is_final for found in over):
            raise InvalidTransition("A stopped run never works again; begin another one.")
    pauses = switches_on(cur, place, kind="pause")
    if not pauses:
        raise InvalidTransition(f"The {scope} is not paused.")
    facts: dict[UUID, Fact] = {}  # an incident behind two pauses is released once
    answers = []
    for pause in [found for found in pauses if found.is_live]:
        new, said = _lift(cur, pause, locked, reason=reason, by=author.actor)
        answers.append(new)
        facts |= {fact.stream_id: fact for fact in said}
    record(cur, facts.values(), author=author)
    return answers[0] if answers else pauses[0]


def release_incident(
    cur: Cursor,
    organization: UUID,
    incident: UUID,
    *,
    reason: str,
    author: Author,
    permit: Permit | None = None,
) -> Incident:
    """This function will note who dealt with an incident and why, and lift the switch that a rule set for it.

    A stopped run stays stopped, and so does what a person had stopped before the rule acted. Releasing a released one
    changes nothing. `permit` as in `set_switch`, with the level of the incident and of its switch. Raises NotFound.
    """
    locked = lock_organization(cur, organization)
    found = find_incident(cur, organization=organization, incident=incident)
    switch = _switch_of(cur, organization, found)
    if permit is not None:
        permit(_level(cur, found))
        if switch is not None:
            permit(_level(cur, switch))
    new, fact = released(found, by=author.actor, at=locked.now, reason=reason)
    facts = [fact]
    if fact is not None and switch is not None and switch.incident_id is not None and not switch.is_final:
        _, others = _lift(cur, switch, locked, reason=reason, by=author.actor)
        facts += [other for other in others if other.stream_id != found.id]
    record(cur, facts, author=author)
    return new


def _lift(
    cur: Cursor, switch: Switch, locked: LockedOrganization, *, reason: str, by: str
) -> tuple[Switch, list[Fact]]:
    """The lifted switch, and the facts: of it, and of the release of the incidents behind it; none if it was lifted."""
    new, fact = lifted(switch, by=by, at=locked.now, reason=reason)
    if fact is None:
        return new, []
    cause = None if switch.incident_id is None else UUID(str(switch.incident_id))
    behind = open_incidents_of(cur, organization=locked.id, switch=UUID(str(switch.id)), cause=cause)
    releases = [released(each, by=by, at=locked.now, reason=reason)[1] for each in behind]
    return new, [fact, *(release for release in releases if release is not None)]


def _switch_of(cur: Cursor, organization: UUID, incident: Incident) -> Switch | None:
    if incident.switch_id is None:
        return None
    return find_switch(cur, organization=organization, switch=UUID(str(incident.switch_id)))


def _level(cur: Cursor, found: Switch | Incident) -> PolicyLevel:
    target = None if found.target_id is None else UUID(str(found.target_id))
    place = Place(UUID(str(found.organization)), found.scope, target, found.target_label)
    return level_of_target(cur, place)
