"""Changing teams, agents, workflows, connections and members. What changes nothing leaves no event."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from events.store import Cursor
from orgs.operations.create import usable_team
from orgs.operations.facts import Author, record
from orgs.operations.listings import called_listing
from orgs.operations.locks import lock_organization
from orgs.queries.members import find_member
from orgs.queries.subjects import find_subject, name_has_lookalike
from orgs.rules import members, subjects
from orgs.rules.organizations import require_open
from orgs.rules.rows import Member, Subject


def update_subject(
    cur: Cursor,
    kind: str,
    *,
    organization: UUID,
    name: str,
    changes: Mapping[str, Any],
    author: Author,
    permit: Callable[[set[UUID | None]], None] | None = None,
) -> UUID:
    """This function will change the team, agent, workflow or connection of this key or id; returns its id.

    `changes` may hold `name`; of an agent also `team` and `listing` (key or id, None: none); of a connection `billing`.
    `permit` gets the team ids that an agent has and will have, and raises when the caller may not move it.
    Raises NotFound, OrganizationClosed, InvalidTransition (archived), CurrencyMismatch (a listing's) and NameConflict.
    """
    locked = lock_organization(cur, organization)
    require_open(locked)
    subject = find_subject(cur, kind, organization=organization, name=name)
    wanted = _with_team_id(cur, organization, changes)
    if kind == subjects.AGENT and "listing" in wanted and subject.archived_at is None:
        wanted["listing"] = called_listing(
            cur, organization=organization, name=wanted["listing"], author=author
        )
    if permit is not None:
        permit({subject.team_id, wanted.get("team_id", subject.team_id)})
    fact = subjects.changed(
        subject, changes=wanted, lookalike_name=_has_lookalike(cur, subject, wanted), at=locked.now
    )
    record(cur, [fact], author=author)
    return subject.id


def update_member(
    cur: Cursor, *, organization: UUID, name: str, changes: Mapping[str, Any], author: Author
) -> UUID:
    """This function will change a member's `role`, `team`, and in the profile `name` and `email`.

    The keys of the member have the new role at their next use. Raises NotFound, OrganizationClosed,
    InvalidTransition (archived) and InvalidField (role and team do not fit).
    """
    locked = lock_organization(cur, organization)
    require_open(locked)
    member = find_member(cur, organization=organization, name=name)
    wanted = _with_team_id(cur, organization, changes)
    definition = {field: value for field, value in wanted.items() if field in ("role", "team_id")}
    record(cur, [members.changed(member, changes=definition, at=locked.now)], author=author)
    _update_profile(cur, member, wanted)
    return member.id


def _with_team_id(cur: Cursor, organization: UUID, changes: Mapping[str, Any]) -> dict[str, Any]:
    wanted = dict(changes)
    if "team" in wanted:
        wanted["team_id"] = usable_team(cur, organization=organization, name=wanted.pop("team"))
    return wanted


def _has_lookalike(cur: Cursor, subject: Subject, wanted: Mapping[str, Any]) -> bool:
    if wanted.get("name", subject.name) == subject.name:
        return False
    return name_has_lookalike(
        cur, subject.kind, organization=subject.organization, name=wanted["name"], besides=subject.id
    )


def _update_profile(cur: Cursor, member: Member, wanted: Mapping[str, Any]) -> None:
    cur.execute(
        "UPDATE member_profiles SET name = COALESCE(%s, name), email = COALESCE(%s, email) "
        "WHERE member_id = %s AND organization = %s",
        (wanted.get("name"), wanted.get("email"), member.id, member.organization),
    )
