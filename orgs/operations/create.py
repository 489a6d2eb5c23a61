"""Making teams, agents, workflows, connections and members."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from common.ids import new_id
from events.store import Cursor
from orgs.operations.facts import Author, record
from orgs.operations.listings import called_listing
from orgs.operations.locks import lock_organization
from orgs.queries.subjects import key_is_taken, name_has_lookalike, resolve_team
from orgs.rules import members, subjects
from orgs.rules.organizations import require_customer
from orgs.rules.rows import LockedOrganization, Member, Subject


@dataclass(frozen=True, slots=True)
class NewSubject:
    """What a new team, agent, workflow or connection is to be called; the key stays for ever."""

    organization: UUID
    key: str
    name: str


def create_team(cur: Cursor, new: NewSubject, *, author: Author) -> Subject:
    """This function will make a team. Raises OrganizationClosed, InvalidTransition and NameConflict."""
    locked = _locked(cur, new.organization)
    return _create(cur, _subject(subjects.TEAM, new, locked), author)


def create_agent(
    cur: Cursor,
    new: NewSubject,
    *,
    team: str | None,
    author: Author,
    listing: str | None = None,
    permit: Callable[[set[UUID | None]], None] | None = None,
) -> Subject:
    """This function will make an agent, in the team of this key or id when one is named, as what `listing` offers.

    `permit` gets the team's id and raises when the caller may not make agents there.
    Raises NotFound (also for another organization's team), OrganizationClosed, InvalidTransition (an archived
    team or listing), CurrencyMismatch (the listing's) and NameConflict.
    """
    locked = _locked(cur, new.organization)
    team_id = usable_team(cur, organization=new.organization, name=team)
    if permit is not None:
        permit({team_id})
    called = called_listing(cur, organization=new.organization, name=listing, author=author)
    return _create(cur, _subject(subjects.AGENT, new, locked, team_id=team_id, listing=called), author)


def create_workflow(cur: Cursor, new: NewSubject, *, author: Author) -> Subject:
    """This function will make a workflow. Raises as `create_team`."""
    locked = _locked(cur, new.organization)
    return _create(cur, _subject(subjects.WORKFLOW, new, locked), author)


def create_connection(cur: Cursor, new: NewSubject, *, billing: str, author: Author) -> Subject:
    """This function will make a connection, `resold` or `own_key`. Raises as `create_team`."""
    locked = _locked(cur, new.organization)
    return _create(cur, _subject(subjects.CONNECTION, new, locked, billing=billing), author)


def create_member(
    cur: Cursor, *, organization: UUID, role: str, team: str | None, name: str, email: str, author: Author
) -> Member:
    """This function will make a member with a role; name and e-mail go to the profile, which can be erased.

    Raises NotFound, OrganizationClosed, InvalidTransition, and InvalidField when role and team do not fit.
    """
    locked = _locked(cur, organization)
    team_id = usable_team(cur, organization=organization, name=team)
    member = Member(new_id(), organization, role, team_id, 1, locked.now)
    record(cur, [members.created(member)], author=author)
    cur.execute(
        "INSERT INTO member_profiles (member_id, organization, name, email) VALUES (%s, %s, %s, %s)",
        (member.id, organization, name, email),
    )
    return member


def usable_team(cur: Cursor, *, organization: UUID, name: str | None) -> UUID | None:
    """The id of the named team of the organization. Raises NotFound, and InvalidTransition when archived."""
    if name is None:
        return None
    team = resolve_team(cur, organization=organization, name=name, pointer="/team")
    return subjects.require_usable_team(team)


def _locked(cur: Cursor, organization: UUID) -> LockedOrganization:
    locked = lock_organization(cur, organization)
    require_customer(locked)
    return locked


def _subject(
    kind: str,
    new: NewSubject,
    locked: LockedOrganization,
    *,
    team_id: UUID | None = None,
    listing: UUID | None = None,
    billing: str | None = None,
) -> Subject:
    return Subject(
        kind=kind,
        id=new_id(),
        organization=new.organization,
        key=new.key,
        name=new.name,
        version=1,
        created_at=locked.now,
        team_id=team_id,
        listing=listing,
        billing=billing,
    )


def _create(cur: Cursor, subject: Subject, author: Author) -> Subject:
    kind, organization = subject.kind, subject.organization
    fact = subjects.created(
        subject,
        taken_key=key_is_taken(cur, kind, organization=organization, key=subject.key),
        lookalike_name=name_has_lookalike(cur, kind, organization=organization, name=subject.name),
    )
    record(cur, [fact], author=author)
    return subject
