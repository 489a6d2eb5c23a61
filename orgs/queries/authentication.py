"""Who a secret belongs to: one indexed statement, so that a revoked key stops at once in every process."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from events.store import Cursor
from orgs.rules.api_keys import hash_of, looks_like_secret
from orgs.rules.permissions import Principal
from orgs.rules.scopes import effective

# API keys live by the wall clock, also in a sandbox whose business clock was moved.
_FIND: Final = """
SELECT k.id, k.organization, o.is_platform, k.scopes, k.member_id, m.role, m.team_id, k.agent_ids,
       k.connection_ids, o.status,
       k.last_used_at IS NOT NULL AND k.last_used_at > clock_timestamp() - interval '1 minute',
       k.secret_hash, o.config_epoch, extract(epoch FROM k.expires_at - clock_timestamp())::float8
FROM api_keys k
JOIN organizations o ON o.id = k.organization
LEFT JOIN members m ON m.id = k.member_id AND m.organization = k.organization
WHERE k.secret_hash = ANY (%s) AND k.revoked_at IS NULL
  AND (k.expires_at IS NULL OR k.expires_at > clock_timestamp())
  AND (k.member_id IS NULL OR (m.id IS NOT NULL AND m.archived_at IS NULL))
"""


@dataclass(frozen=True, slots=True)
class Known:
    """Whom a secret stands for, as of a `config_epoch` of the organization: every change of keys, members and
    limits raises it. `lives_seconds`: how much longer the key lives by the database's clock, None: for ever.
    """

    principal: Principal
    secret_hash: bytes
    epoch: int
    lives_seconds: float | None


def authenticate(cur: Cursor, secret: str) -> Principal | None:
    """Return whom this secret stands for, or None: unknown, revoked, expired, or its member has left.

    One statement by the unique index of the secret's SHA-256; the gate's role may run it. A key of a closed
    organization is still known: what it may do is the operation's matter.
    """
    if not looks_like_secret(secret):
        return None
    known = find_by_hash(cur, hash_of(secret))
    return None if known is None else known.principal


def find_by_hash(cur: Cursor, secret_hash: bytes) -> Known | None:
    """Return whom the secret with this SHA-256 stands for now, in the cursor's transaction; None as above."""
    row = cur.execute(_FIND, ([secret_hash],)).fetchone()
    return None if row is None else _known(row)


async def find_by_hashes(cur: psycopg.AsyncCursor[Any], secret_hashes: Sequence[bytes]) -> dict[bytes, Known]:
    """Return those of the secrets, by SHA-256, that stand for somebody now; one statement for all."""
    await cur.execute(_FIND, (list(secret_hashes),))
    found = [_known(row) for row in await cur.fetchall()]
    return {known.secret_hash: known for known in found}


def bearer_secret(header: str | None) -> str | None:
    """Return the secret in an Authorization header, or None when it holds no bearer token."""
    scheme, _, secret = (header or "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" and secret.strip() else None


def _known(row: tuple[Any, ...]) -> Known:
    return Known(_principal(row), bytes(row[11]), row[12], row[13])


def _principal(row: tuple[Any, ...]) -> Principal:
    return Principal(
        key_id=row[0],
        organization=row[1],
        is_platform=row[2],
        scopes=effective(row[3], role=row[5], is_platform=row[2]),
        member_id=row[4],
        role=row[5],
        team_id=row[6],
        agent_ids=None if row[7] is None else frozenset(row[7]),
        connection_ids=None if row[8] is None else frozenset(row[8]),
        organization_status=row[9],
        use_is_noted=row[10],
    )
