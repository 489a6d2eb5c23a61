"""Deliveries of ONE organization, and what operators watch of all."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from common.errors import NotFound
from events.store import Cursor

_COLUMNS: Final = (
    "d.id, d.organization, d.endpoint, d.message, d.event_type, d.number, d.status, d.attempts, d.next_at,"
    " d.tries::text, d.response_status, d.error, d.created_at, d.delivered_at"
)
_FIND: Final = f"""
SELECT {_COLUMNS}, m.body FROM webhook_deliveries d JOIN webhook_messages m ON m.id = d.message
WHERE d.organization = %s AND d.id = %s
"""
_LIST: Final = f"""
SELECT {_COLUMNS}, NULL FROM webhook_deliveries d
WHERE d.organization = %(organization)s AND (%(before)s::uuid IS NULL OR d.id < %(before)s)
    AND (%(endpoint)s::uuid IS NULL OR d.endpoint = %(endpoint)s)
    AND (%(status)s::text IS NULL OR d.status = %(status)s)
    AND (%(event_type)s::text IS NULL OR d.event_type = %(event_type)s)
ORDER BY d.id DESC LIMIT %(limit)s
"""
_FIGURES: Final = """
SELECT count(*) FILTER (WHERE status = 'pending'), count(*) FILTER (WHERE status = 'failed'),
    coalesce(extract(epoch FROM max(clock_timestamp() - d.next_at) FILTER (WHERE status = 'pending'
        AND EXISTS (SELECT FROM webhook_endpoints e WHERE e.id = d.endpoint AND e.status = 'enabled'))), 0)::float8,
    (SELECT count(*) FROM webhook_endpoints WHERE status = 'disabled' AND disabled_reason <> 'manual')
FROM webhook_deliveries d WHERE status <> 'delivered'
"""
STATUSES: Final = ("pending", "delivered", "failed")


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message on its way to one endpoint. `body` is what is sent, where it was asked for; `tries` the last
    attempts: when (`at`), `status` or `error`, and `milliseconds`."""

    id: UUID
    organization: UUID
    endpoint: UUID
    message: UUID
    event_type: str
    number: int
    status: str
    attempts: int
    next_at: datetime
    tries: list[dict[str, Any]]
    response_status: int | None
    error: str | None
    created_at: datetime
    delivered_at: datetime | None
    body: str | None


@dataclass(frozen=True, slots=True)
class Figures:
    """What operators watch: what waits, what was given up, how late the latest is, what was switched off."""

    pending: int
    failed: int
    late_seconds: float
    disabled_endpoints: int


def delivery_row(row: tuple[Any, ...]) -> Delivery:
    """Return a row that was selected in the order of this module's columns."""
    return Delivery(*(*row[:9], json.loads(row[9]), *row[10:]))


def find_delivery(cur: Cursor, *, organization: UUID, delivery: UUID) -> Delivery:
    """Return a delivery with its body. Raises NotFound."""
    row = cur.execute(_FIND, (organization, delivery)).fetchone()
    if row is None:
        raise NotFound("There is no such webhook delivery.")
    return delivery_row(row)


def organization_of_delivery(cur: Cursor, delivery: UUID) -> UUID:
    """Return whose delivery this is; for the platform's own requests only. Raises NotFound."""
    row = cur.execute("SELECT organization FROM webhook_deliveries WHERE id = %s", (delivery,)).fetchone()
    if row is None:
        raise NotFound("There is no such webhook delivery.")
    owner: UUID = row[0]
    return owner


def list_deliveries(
    cur: Cursor,
    *,
    organization: UUID,
    endpoint: UUID | None,
    status: str | None,
    event_type: str | None,
    before: UUID | None,
    limit: int,
) -> list[Delivery]:
    """Return up to `limit` deliveries without bodies, newest first."""
    given = {
        "organization": organization,
        "endpoint": endpoint,
        "status": status,
        "event_type": event_type,
        "before": before,
        "limit": limit,
    }
    return [delivery_row(row) for row in cur.execute(_LIST, given).fetchall()]


def delivery_figures(cur: Cursor) -> Figures:
    """Return how outbound webhooks do, over all organizations."""
    row = cur.execute(_FIGURES).fetchone()
    assert row is not None
    return Figures(*row)
