"""Teams, agents, workflows and connections of ONE organization, by key or id.

Another organization's object is not there: it is answered exactly like an unknown one (S20, S109).
"""

from collections.abc import Iterable, Sequence
from typing import Final, LiteralString, NamedTuple
from uuid import UUID

from common.errors import NotFound
from common.fields import is_id
from events.store import Cursor
from orgs.rules.names import folded
from orgs.rules.rows import Subject
from orgs.rules.subjects import AGENT, CONNECTION, TEAM, WORKFLOW

MAX_KEY: Final = 100

_COLUMNS: Final = "id, organization, key, name, version, created_at, archived_at"
_READS: Final[dict[str, LiteralString]] = {
    TEAM: f"SELECT 'team', {_COLUMNS}, NULL::uuid, NULL::uuid, NULL FROM teams",
    AGENT: f"SELECT 'agent', {_COLUMNS}, team_id, listing, NULL FROM agents",
    WORKFLOW: f"SELECT 'workflow', {_COLUMNS}, NULL::uuid, NULL::uuid, NULL FROM workflows",
    CONNECTION: f"SELECT 'connection', {_COLUMNS}, NULL::uuid, NULL::uuid, billing FROM connections",
}
_TABLES: Final[dict[str, LiteralString]] = {
    TEAM: "teams",
    AGENT: "agents",
    WORKFLOW: "workflows",
    CONNECTION: "connections",
}


class SubjectEntry(NamedTuple):
    """A subject as light as the gate's cache wants it; `team_id`: of an agent, `billing`: of a connection."""

    id: UUID
    key: str
    archived: bool
    team_id: UUID | None
    billing: str | None


def find_subject(
    cur: Cursor, kind: str, *, organization: UUID, name: str, pointer: str | None = None
) -> Subject:
    """Return the organization's team, agent, workflow or connection of this key or id, also an archived one.

    Raises NotFound (with the pointer) for what the organization does not have.
    """
    row = None
    if is_id(name):
        statement = _READS[kind] + " WHERE organization = %s AND id = %s"
        row = cur.execute(statement, (organization, UUID(name))).fetchone()
    elif _may_be_key(name):
        statement = _READS[kind] + " WHERE organization = %s AND key = %s"
        row = cur.execute(statement, (organization, name)).fetchone()
    if row is None:
        raise NotFound(f"There is no such {kind}.", pointer=pointer)
    return Subject(*row)


def resolve_team(cur: Cursor, *, organization: UUID, name: str, pointer: str | None = None) -> Subject:
    """Return a team by key or id. Raises NotFound."""
    return find_subject(cur, TEAM, organization=organization, name=name, pointer=pointer)


def resolve_agent(cur: Cursor, *, organization: UUID, name: str, pointer: str | None = None) -> Subject:
    """Return an agent by key or id. Raises NotFound."""
    return find_subject(cur, AGENT, organization=organization, name=name, pointer=pointer)


def resolve_workflow(cur: Cursor, *, organization: UUID, name: str, pointer: str | None = None) -> Subject:
    """Return a workflow by key or id. Raises NotFound."""
    return find_subject(cur, WORKFLOW, organization=organization, name=name, pointer=pointer)


def resolve_connection(cur: Cursor, *, organization: UUID, name: str, pointer: str | None = None) -> Subject:
    """Return a connection by key or id. Raises NotFound."""
    return find_subject(cur, CONNECTION, organization=organization, name=name, pointer=pointer)


def load_teams(cur: Cursor, *, organization: UUID, names: Iterable[str]) -> dict[str, SubjectEntry]:
    """Return the named teams by the key or id that each was asked for; unknown ones are left out."""
    return _load(cur, TEAM, organization, names)


def load_agents(cur: Cursor, *, organization: UUID, names: Iterable[str]) -> dict[str, SubjectEntry]:
    """Return the named agents by the key or id that each was asked for; unknown ones are left out."""
    return _load(cur, AGENT, organization, names)


def load_workflows(cur: Cursor, *, organization: UUID, names: Iterable[str]) -> dict[str, SubjectEntry]:
    """Return the named workflows by the key or id that each was asked for; unknown ones are left out."""
    return _load(cur, WORKFLOW, organization, names)


def load_connections(cur: Cursor, *, organization: UUID, names: Iterable[str]) -> dict[str, SubjectEntry]:
    """Return the named connections by the key or id that each was asked for; unknown ones are left out."""
    return _load(cur, CONNECTION, organization, names)


def keys_of(cur: Cursor, kind: str, *, organization: UUID, ids: Iterable[UUID]) -> dict[UUID, str]:
    """Return the keys of the organization's subjects by their ids."""
    statement = f"SELECT id, key FROM {_TABLES[kind]} WHERE organization = %s AND id = ANY(%s)"
    return dict(cur.execute(statement, (organization, list(ids))).fetchall())


def organization_of(cur: Cursor, kind: str, *, identifier: UUID) -> UUID:
    """Return whose subject this is; for the platform's own requests only. Raises NotFound."""
    statement = f"SELECT organization FROM {_TABLES[kind]} WHERE id = %s"
    row = cur.execute(statement, (identifier,)).fetchone()
    if row is None:
        raise NotFound(f"There is no such {kind}.")
    owner: UUID = row[0]
    return owner


def list_subjects(
    cur: Cursor,
    kind: str,
    *,
    organization: UUID,
    before: UUID | None,
    limit: int,
    archived: bool | None = None,
    team_id: UUID | None = None,
    only: Sequence[UUID] | None = None,
) -> list[Subject]:
    """Return up to `limit` subjects, newest first, made before `before`.

    `archived`: only archived ones, or only others; None: both. `team_id`: agents of this team only.
    `only`: none but these; None: all.
    """
    statement = _READS[kind] + " WHERE organization = %(organization)s"
    if before is not None:
        statement += " AND id < %(before)s"
    if archived is not None:
        statement += " AND archived_at IS NOT NULL" if archived else " AND archived_at IS NULL"
    if team_id is not None:
        statement += " AND team_id = %(team)s"
    if only is not None:
        statement += " AND id = ANY(%(only)s)"
    given = {"before": before, "team": team_id, "only": None if only is None else list(only)}
    values = {"organization": organization, "limit": limit, **given}
    cur.execute(statement + " ORDER BY id DESC LIMIT %(limit)s", values)
    return [Subject(*row) for row in cur.fetchall()]


def key_is_taken(cur: Cursor, kind: str, *, organization: UUID, key: str) -> bool:
    """Whether the organization has this key or one that looks like it; keys are never free again."""
    statement = f"SELECT 1 FROM {_TABLES[kind]} WHERE organization = %s AND key_folded = %s LIMIT 1"
    return cur.execute(statement, (organization, folded(key))).fetchone() is not None


def name_has_lookalike(
    cur: Cursor, kind: str, *, organization: UUID, name: str, besides: UUID | None = None
) -> bool:
    """Whether a subject that is not archived has another name that looks like this one.

    The very same name is no lookalike: keys tell such subjects apart.
    """
    statement = (
        f"SELECT 1 FROM {_TABLES[kind]} WHERE organization = %s AND name_folded = %s AND name <> %s "
        "AND archived_at IS NULL AND id IS DISTINCT FROM %s LIMIT 1"
    )
    return cur.execute(statement, (organization, folded(name), name, besides)).fetchone() is not None


def _load(cur: Cursor, kind: str, organization: UUID, names: Iterable[str]) -> dict[str, SubjectEntry]:
    wanted = set(names)
    ids = [UUID(name) for name in wanted if is_id(name)]
    keys = [name for name in wanted if not is_id(name) and _may_be_key(name)]
    columns = {AGENT: "team_id, NULL", CONNECTION: "NULL::uuid, billing"}.get(kind, "NULL::uuid, NULL")
    cur.execute(
        f"SELECT id, key, archived_at IS NOT NULL, {columns} FROM {_TABLES[kind]} "
        "WHERE organization = %(organization)s AND key = ANY(%(keys)s::text[]) "
        f"UNION ALL SELECT id, key, archived_at IS NOT NULL, {columns} FROM {_TABLES[kind]} "
        "WHERE organization = %(organization)s AND id = ANY(%(ids)s::uuid[])",
        {"organization": organization, "keys": keys, "ids": ids},
    )
    return _by_name([SubjectEntry(*row) for row in cur.fetchall()], wanted)


def _by_name(entries: Sequence[SubjectEntry], wanted: set[str]) -> dict[str, SubjectEntry]:
    found = {}
    for entry in entries:
        for name in (entry.key, str(entry.id)):
            if name in wanted:
                found[name] = entry
    return found


def _may_be_key(name: str) -> bool:
    return len(name) <= MAX_KEY and name.isascii() and name.isprintable()
