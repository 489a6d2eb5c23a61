"""Archiving: what was used stays in history and answers to its key, but nothing new may use it."""

from collections.abc import Callable
from uuid import UUID

from events.store import Cursor
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization
from orgs.queries.members import find_member
from orgs.queries.subjects import find_subject
from orgs.rules import members, subjects


def archive_subject(
    cur: Cursor,
    kind: str,
    *,
    organization: UUID,
    name: str,
    author: Author,
    permit: Callable[[set[UUID | None]], None] | None = None,
) -> UUID:
    """This function will archive the team, agent, workflow or connection of this key or id; returns its id.

    The gate refuses it from its next decision on; open reservations may settle. Archiving an archived one
    does nothing. `permit` gets the agent's team and raises when the caller may not do this. Raises NotFound.
    """
    locked = lock_organization(cur, organization)
    subject = find_subject(cur, kind, organization=organization, name=name)
    if permit is not None:
        permit({subject.team_id})
    record(cur, [subjects.archived(subject, at=locked.now)], author=author)
    return subject.id


def archive_member(cur: Cursor, *, organization: UUID, name: str, author: Author) -> UUID:
    """This function will archive a member, whose keys stop at once; returns the id. Raises NotFound."""
    locked = lock_organization(cur, organization)
    member = find_member(cur, organization=organization, name=name)
    record(cur, [members.archived(member, at=locked.now)], author=author)
    return member.id
