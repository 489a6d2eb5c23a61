"""Where signing secrets lie: sealed, in a table of their own, which no event and no rebuild knows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.conf import settings

from common.ids import new_id
from events.store import Cursor
from webhooks.rules.outbound import secrets as rules

_INSERT: Final = """
INSERT INTO webhook_secrets (id, organization, endpoint, sealed, created_at)
VALUES (%s, %s, %s, %s, clock_timestamp())
"""
_END: Final = """
UPDATE webhook_secrets SET expires_at = least(expires_at, clock_timestamp() + %s)
WHERE endpoint = %s AND id <> %s
"""
_DROP: Final = "DELETE FROM webhook_secrets WHERE endpoint = %s AND NOT id = ANY(%s::uuid[])"
_LIVE: Final = """
SELECT id, sealed FROM webhook_secrets
WHERE endpoint = %s AND (expires_at IS NULL OR expires_at > clock_timestamp()) ORDER BY created_at DESC, id DESC
"""


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A secret that was just made: its id and its bytes."""

    id: UUID
    secret: bytes


def store_secret(cur: Cursor, *, organization: UUID, endpoint: UUID) -> NewSecret:
    """This function will make a secret for an endpoint and store it sealed."""
    made = NewSecret(new_id(), rules.new_secret())
    closed = rules.sealed(made.secret, identifier=made.id, server_key=settings.SECRET_KEY)
    cur.execute(_INSERT, (made.id, organization, endpoint, closed))
    return made


def end_secrets(cur: Cursor, *, endpoint: UUID, newest: UUID, overlap_seconds: int, keep: list[str]) -> None:
    """This function will let the endpoint's older secrets end after the overlap, and drop all but `keep` at once."""
    cur.execute(_END, (timedelta(seconds=overlap_seconds), endpoint, newest))
    cur.execute(_DROP, (endpoint, keep))


def live_secrets(cur: Cursor, endpoint: UUID) -> list[bytes]:
    """Return the bytes of the secrets that sign now, newest first.

    One that was sealed under another SECRET_KEY is left out: nobody can open it.
    """
    found = []
    for identifier, closed in cur.execute(_LIVE, (endpoint,)).fetchall():
        try:
            found.append(rules.opened(closed, identifier=identifier, server_key=settings.SECRET_KEY))
        except rules.SealedElsewhere:
            continue
    return found
