"""Events that no projector wants: only the store, its reader and its seals see them."""

from typing import Any
from uuid import UUID

import psycopg

from common.ids import new_id

_INSERT = """
INSERT INTO events (organization, stream_id, occurred_at, epoch, version, stream_type, type, actor, data)
VALUES (%(organization)s, %(stream)s, clock_timestamp(), (SELECT epoch FROM event_store), %(version)s, 'test',
    'test.happened', 'system:test', %(data)s::jsonb) RETURNING seq
"""


def put_event(
    connection: psycopg.Connection[Any],
    *,
    stream: UUID | None = None,
    version: int = 1,
    data: str = '{"n": 1}',
    organization: UUID | None = None,
) -> int:
    """Write one event and return its number."""
    given = {
        "organization": organization or new_id(),
        "stream": stream or new_id(),
        "version": version,
        "data": data,
    }
    row = connection.execute(_INSERT, given).fetchone()
    assert row is not None
    found: int = row[0]
    return found


def transaction_id(connection: psycopg.Connection[Any]) -> int:
    """Give the open transaction its id, and return it."""
    row = connection.execute("SELECT pg_current_xact_id()::text::bigint").fetchone()
    assert row is not None
    found: int = row[0]
    return found
