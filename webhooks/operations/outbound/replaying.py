"""Sending again what an endpoint did not get, and a test on demand."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from common.errors import InvalidPeriod
from common.ids import new_id
from events.store import Cursor
from orgs.operations.locks import lock_organization
from webhooks.operations.outbound.telling import Message, tell
from webhooks.queries.outbound.deliveries import Delivery, find_delivery
from webhooks.queries.outbound.endpoints import find_endpoint
from webhooks.rules.outbound.endpoints import Endpoint, require_enabled
from webhooks.rules.outbound.types import TEST

MOST_REPLAYED: Final = 10_000
_ANEW: Final = """
status = 'pending', attempts = 0, next_at = clock_timestamp(), error = NULL, response_status = NULL, delivered_at = NULL
"""
_ONE: Final = f"UPDATE webhook_deliveries SET {_ANEW} WHERE id = %s AND status <> 'pending'"
_FIND: Final = """
SELECT m.id, m.event_type, d.id, d.status FROM webhook_messages m
LEFT JOIN webhook_deliveries d ON d.message = m.id AND d.endpoint = %(endpoint)s
WHERE m.organization = %(organization)s AND m.created_at >= %(since)s
    AND (%(until)s::timestamptz IS NULL OR m.created_at < %(until)s)
    AND (d.id IS NULL OR d.status = 'failed' OR (%(delivered)s AND d.status = 'delivered'))
ORDER BY m.number
"""
_AGAIN: Final = f"UPDATE webhook_deliveries SET {_ANEW} WHERE id = ANY(%s::uuid[]) AND status <> 'pending'"
_MISSING: Final = """
INSERT INTO webhook_deliveries (id, organization, endpoint, message, event_type, number, status, next_at)
SELECT w.d, m.organization, %s, m.id, m.event_type, m.number, 'pending', clock_timestamp()
FROM unnest(%s::uuid[], %s::uuid[]) AS w(d, m) JOIN webhook_messages m ON m.id = w.m
ON CONFLICT (endpoint, message) DO NOTHING
"""


def replay_delivery(cur: Cursor, *, organization: UUID, delivery: UUID) -> Delivery:
    """This function will send a delivery again, from the first step of the ladder on, also one that was delivered.

    The receiver gets it under the same id. One that is on its way stays as it is. Raises NotFound and
    InvalidTransition (its endpoint is not enabled).
    """
    lock_organization(cur, organization)
    found = find_delivery(cur, organization=organization, delivery=delivery)
    require_enabled(find_endpoint(cur, organization=organization, endpoint=found.endpoint))
    cur.execute(_ONE, (delivery,))
    return find_delivery(cur, organization=organization, delivery=delivery)


def replay_since(
    cur: Cursor,
    *,
    organization: UUID,
    endpoint: UUID,
    since: datetime,
    until: datetime | None = None,
    include_delivered: bool = False,
) -> tuple[int, bool]:
    """This function will send an endpoint what it did not get of the messages made in [since, until): what failed, what
    was made while it was disabled, with `include_delivered` also what it got. In their order, at most 10,000.

    Returns how many, and whether there are more. Raises NotFound, InvalidTransition (not enabled) and InvalidPeriod.
    """
    if until is not None and until <= since:
        raise InvalidPeriod(pointer="/until")
    lock_organization(cur, organization)
    found = find_endpoint(cur, organization=organization, endpoint=endpoint)
    require_enabled(found)
    given = {
        "organization": organization,
        "endpoint": endpoint,
        "since": since,
        "until": until,
        "delivered": include_delivered,
    }
    rows = [row for row in cur.execute(_FIND, given).fetchall() if found.wants(row[1])]
    taken = rows[:MOST_REPLAYED]
    missing = [row[0] for row in taken if row[2] is None]
    cur.execute(_AGAIN, ([row[2] for row in taken if row[2] is not None],))
    cur.execute(_MISSING, (endpoint, [new_id() for _ in missing], missing))
    return len(taken), len(rows) > len(taken)


def send_test(cur: Cursor, *, organization: UUID, endpoint: UUID) -> Delivery:
    """This function will have a test sent to an endpoint, whatever it wants to be told, and return its delivery.

    Raises NotFound and InvalidTransition (not enabled).
    """
    locked = lock_organization(cur, organization)
    found: Endpoint = find_endpoint(cur, organization=organization, endpoint=endpoint)
    require_enabled(found)
    message = Message(
        organization, f"test:{new_id()}", TEST, {"endpoint": str(endpoint)}, locked.now, only=endpoint
    )
    made = tell(cur, [message])
    row = cur.execute("SELECT id FROM webhook_deliveries WHERE message = %s", (made[0],)).fetchone()
    assert row is not None
    return find_delivery(cur, organization=organization, delivery=row[0])
