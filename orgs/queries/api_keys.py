"""API keys of ONE organization: their definitions, never their secrets."""

from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from common.errors import NotFound
from common.fields import is_id
from events.store import Cursor
from orgs.rules.rows import ApiKey

_COLUMNS: Final = (
    "id, organization, name, prefix, secret_hash, scopes, member_id, agent_ids, connection_ids, expires_at, "
    "version, created_at, revoked_at, rotated_from"
)


class ApiKeyRow(NamedTuple):
    """A key as it is shown: its definition, when it was last used (to the minute), and whether it is live."""

    key: ApiKey
    last_used_at: datetime | None
    live: bool


def find_api_key(cur: Cursor, *, organization: UUID, name: str) -> ApiKey:
    """Return a key of the organization by id. Raises NotFound."""
    row = None
    if is_id(name):
        statement = f"SELECT {_COLUMNS} FROM api_keys WHERE organization = %s AND id = %s"
        row = cur.execute(statement, (organization, UUID(name))).fetchone()
    if row is None:
        raise NotFound("There is no such API key.")
    return _key(row)


def has_live_successor(cur: Cursor, *, key: ApiKey) -> bool:
    """Whether a key that came from this one by rotation is live."""
    row = cur.execute(
        "SELECT 1 FROM api_keys WHERE organization = %s AND rotated_from = %s AND revoked_at IS NULL "
        "AND (expires_at IS NULL OR expires_at > clock_timestamp()) LIMIT 1",
        (key.organization, key.id),
    ).fetchone()
    return row is not None


def list_api_keys(
    cur: Cursor, *, organization: UUID, only: UUID | None = None, before: UUID | None = None, limit: int = 1
) -> list[ApiKeyRow]:
    """Return up to `limit` keys, newest first, made before `before`; `only`: at most this one."""
    cur.execute(
        f"SELECT {_COLUMNS}, last_used_at, revoked_at IS NULL AND "
        "(expires_at IS NULL OR expires_at > clock_timestamp()) FROM api_keys "
        "WHERE organization = %(organization)s AND (%(only)s::uuid IS NULL OR id = %(only)s) "
        "AND (%(before)s::uuid IS NULL OR id < %(before)s) ORDER BY id DESC LIMIT %(limit)s",
        {"organization": organization, "only": only, "before": before, "limit": limit},
    )
    return [ApiKeyRow(_key(row[:-2]), row[-2], row[-1]) for row in cur.fetchall()]


def _key(row: tuple[Any, ...]) -> ApiKey:
    values = list(row)
    values[4] = bytes(values[4])
    for place in (5, 7, 8):
        values[place] = None if values[place] is None else tuple(values[place])
    return ApiKey(*values)
