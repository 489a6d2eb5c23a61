"""Endpoints of ONE organization."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from common.errors import NotFound
from events.store import Cursor
from webhooks.rules.outbound.endpoints import Endpoint, matches

_COLUMNS: Final = (
    "id, organization, url, description, event_types::text, low_credit::text, status, disabled_reason, disabled_at,"
    " secret_ids::text, version, created_at, archived_at"
)
_FIND: Final = f"SELECT {_COLUMNS} FROM webhook_endpoints WHERE organization = %s AND id = %s"
_LIST: Final = f"""
SELECT {_COLUMNS} FROM webhook_endpoints
WHERE organization = %(organization)s AND (%(before)s::uuid IS NULL OR id < %(before)s)
    AND CASE WHEN %(status)s::text IS NULL THEN status <> 'archived' ELSE status = %(status)s END
ORDER BY id DESC LIMIT %(limit)s
"""
_LIVING: Final = f"""
SELECT {_COLUMNS}, opened_at FROM webhook_endpoints
JOIN (SELECT endpoint, opened_at FROM webhook_standings) AS s ON s.endpoint = id
WHERE organization = ANY(%s::uuid[]) AND status <> 'archived'
"""


def endpoint_row(row: tuple[Any, ...]) -> Endpoint:
    """Return a row that was selected in the order of this module's columns."""
    return Endpoint(
        id=row[0],
        organization=row[1],
        url=row[2],
        description=row[3],
        event_types=tuple(json.loads(row[4])),
        low_credit=tuple(json.loads(row[5])),
        status=row[6],
        disabled_reason=row[7],
        disabled_at=row[8],
        secret_ids=tuple(json.loads(row[9])),
        version=row[10],
        created_at=row[11],
        archived_at=row[12],
    )


def find_endpoint(cur: Cursor, *, organization: UUID, endpoint: UUID) -> Endpoint:
    """Return an endpoint of the organization, also an archived one. Raises NotFound."""
    row = cur.execute(_FIND, (organization, endpoint)).fetchone()
    if row is None:
        raise NotFound("There is no such webhook endpoint.")
    return endpoint_row(row)


def organization_of_endpoint(cur: Cursor, endpoint: UUID) -> UUID:
    """Return whose endpoint this is; for the platform's own requests only. Raises NotFound."""
    row = cur.execute("SELECT organization FROM webhook_endpoints WHERE id = %s", (endpoint,)).fetchone()
    if row is None:
        raise NotFound("There is no such webhook endpoint.")
    owner: UUID = row[0]
    return owner


def list_endpoints(
    cur: Cursor, *, organization: UUID, status: str | None, before: UUID | None, limit: int
) -> list[Endpoint]:
    """Return up to `limit` endpoints, newest first; without a status those that are not archived."""
    given = {"organization": organization, "status": status, "before": before, "limit": limit}
    return [endpoint_row(row) for row in cur.execute(_LIST, given).fetchall()]


def living_endpoints(cur: Cursor, organizations: list[UUID]) -> list[tuple[Endpoint, datetime]]:
    """Return the endpoints of these organizations that are not archived, each with the wall time of its making."""
    return [(endpoint_row(row), row[-1]) for row in cur.execute(_LIVING, (organizations,)).fetchall()]


def interested(cur: Cursor, event_type: str) -> list[UUID]:
    """Return the organizations with a living endpoint that wants to be told of a type."""
    rows = cur.execute(
        "SELECT organization, event_types::text FROM webhook_endpoints WHERE status <> 'archived'"
    ).fetchall()
    return sorted(
        {row[0] for row in rows if any(matches(pattern, event_type) for pattern in json.loads(row[1]))}
    )
