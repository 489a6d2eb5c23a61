"""Members of ONE organization, with their profiles where they are shown."""

from typing import Final, NamedTuple
from uuid import UUID

from common.errors import NotFound
from common.fields import is_id
from events.store import Cursor
from orgs.rules.rows import Member

_COLUMNS: Final = "m.id, m.organization, m.role, m.team_id, m.version, m.created_at, m.archived_at"


class MemberRow(NamedTuple):
    """A member as it is shown: the projection and the erasable profile."""

    member: Member
    name: str
    email: str
    team_key: str | None


def find_member(cur: Cursor, *, organization: UUID, name: str, pointer: str | None = None) -> Member:
    """Return a member of the organization by id (members have no keys). Raises NotFound."""
    row = None
    if is_id(name):
        statement = f"SELECT {_COLUMNS} FROM members m WHERE organization = %s AND id = %s"
        row = cur.execute(statement, (organization, UUID(name))).fetchone()
    if row is None:
        raise NotFound("There is no such member.", pointer=pointer)
    return Member(*row)


def member_organization(cur: Cursor, *, identifier: UUID) -> UUID:
    """Return whose member this is; for the platform's own requests only. Raises NotFound."""
    row = cur.execute("SELECT organization FROM members WHERE id = %s", (identifier,)).fetchone()
    if row is None:
        raise NotFound("There is no such member.")
    owner: UUID = row[0]
    return owner


def list_members(
    cur: Cursor,
    *,
    organization: UUID,
    only: UUID | None = None,
    before: UUID | None = None,
    limit: int = 1,
    archived: bool | None = None,
) -> list[MemberRow]:
    """Return up to `limit` members with their profiles, newest first; `only`: at most this one."""
    cur.execute(
        f"SELECT {_COLUMNS}, p.name, p.email, t.key FROM members m "
        "LEFT JOIN member_profiles p ON p.member_id = m.id LEFT JOIN teams t ON t.id = m.team_id "
        "WHERE m.organization = %(organization)s AND (%(only)s::uuid IS NULL OR m.id = %(only)s) "
        "AND (%(before)s::uuid IS NULL OR m.id < %(before)s) "
        "AND (%(archived)s::boolean IS NULL OR (m.archived_at IS NOT NULL) = %(archived)s) "
        "ORDER BY m.id DESC LIMIT %(limit)s",
        {"organization": organization, "only": only, "before": before, "archived": archived, "limit": limit},
    )
    return [MemberRow(Member(*row[:7]), row[7] or "", row[8] or "", row[9]) for row in cur.fetchall()]
