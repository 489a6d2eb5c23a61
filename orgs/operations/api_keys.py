"""API keys: making, changing, rotating and revoking them, noting their use. Times are the wall clock's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import psycopg

from common.clock import wall_now
from common.errors import InvalidTransition
from common.ids import new_id
from events.store import Cursor
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization
from orgs.queries.api_keys import find_api_key, has_live_successor
from orgs.queries.members import find_member
from orgs.queries.subjects import resolve_agent, resolve_connection
from orgs.rules import api_keys as rules
from orgs.rules.organizations import require_open
from orgs.rules.permissions import Principal
from orgs.rules.rows import ApiKey, Member


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """What a key is to be: `member` by id; `agents` and `connections` by key or id, None: every one."""

    organization: UUID
    name: str
    scopes: Sequence[str]
    member: str | None = None
    agents: Sequence[str] | None = None
    connections: Sequence[str] | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key and, for this once, its secret in clear."""

    key: ApiKey
    secret: str


def create_api_key(
    cur: Cursor, new: NewApiKey, *, author: Author, principal: Principal | None = None
) -> IssuedKey:
    """This function will make an API key and return it with its secret, which is stored nowhere in clear.

    Who may give which scopes is for the caller to check (`rules.require_key_scopes`); that the key can do no more
    than `principal`, who asks for it, is checked here (None: a command or the demo). Raises Forbidden, NotFound
    (also for another organization's member, agent or connection), OrganizationClosed, InvalidTransition (an
    archived member), InvalidPeriod and InvalidField.
    """
    require_open(lock_organization(cur, new.organization))
    wall = wall_now(cur)
    secret = rules.new_secret()
    member = _member(cur, new)
    key = ApiKey(
        id=new_id(),
        organization=new.organization,
        name=new.name,
        prefix=rules.prefix_of(secret),
        secret_hash=rules.hash_of(secret),
        scopes=tuple(new.scopes),
        member_id=None if member is None else member.id,
        agent_ids=_agent_ids(cur, new),
        connection_ids=_connection_ids(cur, new),
        expires_at=new.expires_at,
        version=1,
        created_at=wall,
    )
    if principal is not None:
        rules.require_no_escalation(principal, key, role=None if member is None else member.role)
    record(cur, [rules.created(key, wall=wall)], author=author)
    return IssuedKey(key, secret)


def update_api_key(
    cur: Cursor, *, organization: UUID, name: str, changes: Mapping[str, Any], author: Author
) -> UUID:
    """This function will change a live key's `name` or `expires_at`; returns its id.

    Raises NotFound, InvalidTransition and InvalidPeriod.
    """
    lock_organization(cur, organization)
    key = find_api_key(cur, organization=organization, name=name)
    record(cur, [rules.changed(key, changes=changes, wall=wall_now(cur))], author=author)
    return key.id


def revoke_api_key(cur: Cursor, *, organization: UUID, name: str, author: Author) -> UUID:
    """This function will end a key at once, in every process; returns its id. Twice does nothing more.

    Raises NotFound.
    """
    lock_organization(cur, organization)
    key = find_api_key(cur, organization=organization, name=name)
    record(cur, [rules.revoked(key, wall=wall_now(cur))], author=author)
    return key.id


def rotate_api_key(
    cur: Cursor,
    *,
    organization: UUID,
    name: str,
    overlap_seconds: int,
    principal: Principal | None,
    author: Author,
) -> IssuedKey:
    """This function will make a successor with a new secret; the old key works until the overlap is over.

    At most two keys of a chain are live: the predecessor of the rotated key ends at once. Raises NotFound,
    OrganizationClosed, Forbidden, and InvalidTransition for a key that is not live or has a live successor.
    """
    require_open(lock_organization(cur, organization))
    wall = wall_now(cur)
    key = find_api_key(cur, organization=organization, name=name)
    if principal is not None:
        rules.require_no_escalation(principal, key, role=_role(cur, key))
    issued = _successor(key, wall)
    facts = rules.rotated(
        key,
        issued.key,
        overlap_seconds=overlap_seconds,
        predecessor=_predecessor(cur, key),
        has_successor=has_live_successor(cur, key=key),
        wall=wall,
    )
    record(cur, facts, author=author)
    return issued


def require_no_escalation(cur: Cursor, *, organization: UUID, name: str, principal: Principal) -> None:
    """This function will refuse to show a key's secret once more to whoever could not have made the key.

    An answer is repeated for everybody in the organization who knows its idempotency key. Raises NotFound and
    Forbidden.
    """
    key = find_api_key(cur, organization=organization, name=name)
    rules.require_no_escalation(principal, key, role=_role(cur, key))


_NOTE_USE: Final = """
UPDATE api_keys SET last_used_at = clock_timestamp()
WHERE id IN (SELECT id FROM api_keys WHERE id = ANY (%s) AND
            (last_used_at IS NULL OR last_used_at <= clock_timestamp() - interval '1 minute')
            FOR NO KEY UPDATE SKIP LOCKED)
"""


def note_use(cur: Cursor, principal: Principal) -> None:
    """This function will store that a key was used, at most once a minute, and wait for nobody.

    Operational, not an event. Call it outside of the transaction that does the work.
    """
    if not principal.use_is_noted:
        cur.execute(_NOTE_USE, ([principal.key_id],))


async def note_uses(cur: psycopg.AsyncCursor[Any], key_ids: Sequence[UUID]) -> None:
    """This function will do the same for several keys, beside the calls that used them."""
    await cur.execute(_NOTE_USE, (list(key_ids),))


def _successor(key: ApiKey, wall: datetime) -> IssuedKey:
    secret = rules.new_secret()
    successor = replace(
        key,
        id=new_id(),
        prefix=rules.prefix_of(secret),
        secret_hash=rules.hash_of(secret),
        version=1,
        created_at=wall,
        rotated_from=key.id,
    )
    return IssuedKey(successor, secret)


def _predecessor(cur: Cursor, key: ApiKey) -> ApiKey | None:
    if key.rotated_from is None:
        return None
    return find_api_key(cur, organization=key.organization, name=str(key.rotated_from))


def _member(cur: Cursor, new: NewApiKey) -> Member | None:
    if new.member is None:
        return None
    member = find_member(cur, organization=new.organization, name=new.member, pointer="/member")
    if member.archived_at is not None:
        raise InvalidTransition("The member is archived.", pointer="/member")
    return member


def _role(cur: Cursor, key: ApiKey) -> str | None:
    if key.member_id is None:
        return None
    return find_member(cur, organization=key.organization, name=str(key.member_id)).role


def _agent_ids(cur: Cursor, new: NewApiKey) -> tuple[UUID, ...] | None:
    if new.agents is None:
        return None
    return tuple(
        resolve_agent(cur, organization=new.organization, name=name, pointer=f"/agents/{place}").id
        for place, name in enumerate(new.agents)
    )


def _connection_ids(cur: Cursor, new: NewApiKey) -> tuple[UUID, ...] | None:
    if new.connections is None:
        return None
    return tuple(
        resolve_connection(cur, organization=new.organization, name=name, pointer=f"/connections/{place}").id
        for place, name in enumerate(new.connections)
    )
