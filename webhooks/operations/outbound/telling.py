"""From what happened to messages, and from a message to one delivery for each endpoint that wants it.

A message is made once for each `source` (an event's number, a window of denials, a fall of credit), in the transaction
that moves the reader's cursor or the mark; so no crash loses or doubles one. It is made where a living endpoint wants
its type, also a disabled one, which can have it by a replay.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from common.ids import new_id
from events.publictypes import public_types, told
from events.reading import StoredEvent
from events.store import Cursor, encode
from events.subscribers import Subscriber, register
from orgs.rules.facts import time_text
from webhooks.queries.outbound.endpoints import living_endpoints
from webhooks.rules.outbound.endpoints import ENABLED, Endpoint

logger = logging.getLogger(__name__)

READER: Final = "webhooks.outbound"
_INSERT: Final = """
INSERT INTO webhook_messages (id, organization, source, event_type, body, occurred_at)
SELECT i, o, s, t, b, a FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::text[], %s::timestamptz[])
    WITH ORDINALITY AS m(i, o, s, t, b, a, n) ORDER BY n
ON CONFLICT (organization, source) DO NOTHING RETURNING id
"""
_DELIVER: Final = """
INSERT INTO webhook_deliveries (id, organization, endpoint, message, event_type, number, status, next_at)
SELECT w.d, m.organization, w.e, m.id, m.event_type, m.number, 'pending', clock_timestamp()
FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[]) WITH ORDINALITY AS w(d, e, m, n) JOIN webhook_messages m ON m.id = w.m
ORDER BY m.number, w.n ON CONFLICT (endpoint, message) DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Message:
    """What is to be told to an organization. `only`: to this endpoint alone, whatever it wants. `recorded_at`: the wall
    time of its event; an endpoint is told of nothing that was recorded before it was made."""

    organization: UUID
    source: str
    event_type: str
    data: Mapping[str, Any]
    at: datetime
    only: UUID | None = None
    recorded_at: datetime | None = None

    def body(self) -> str:
        """Return the JSON that is sent, word for word at each attempt."""
        told_ = {
            "type": self.event_type,
            "timestamp": time_text(self.at),
            "organization": str(self.organization),
            "data": self.data,
        }
        return encode(told_).decode()


def tell_events(cur: Cursor, events: Sequence[StoredEvent]) -> None:
    """This function will store what these events mean outside, for the endpoints that want it."""
    meant = {name for kind in public_types() for name in kind.sources}
    messages = [
        Message(
            UUID(str(event.organization)),
            f"event:{event.seq}:{name}",
            name,
            data,
            event.occurred_at,
            recorded_at=event.recorded_at,
        )
        for event in events
        if event.type in meant
        for name, data in _meaning(event)
    ]
    tell(cur, messages)


def _meaning(event: StoredEvent) -> list[tuple[str, Mapping[str, Any]]]:
    """What an event means outside. One that cannot be told is a defect: it is reported, and holds up no other."""
    try:
        return told(event)
    except (KeyError, TypeError, ValueError) as error:
        logger.error("webhooks.not_told", exc_info=error, extra={"seq": event.seq, "type": event.type})
        return []


def tell(cur: Cursor, messages: Sequence[Message]) -> list[UUID]:
    """This function will store messages that an endpoint wants, once for each source, and a delivery for each enabled
    endpoint that wants it; returns the new messages' ids, in no order."""
    if not messages:
        return []
    endpoints: dict[UUID, list[tuple[Endpoint, datetime]]] = {}
    for endpoint, opened_at in living_endpoints(cur, list({message.organization for message in messages})):
        endpoints.setdefault(endpoint.organization, []).append((endpoint, opened_at))
    wanted = {
        new_id(): (message, takers)
        for message in messages
        if (takers := _takers(message, endpoints.get(message.organization, [])))
    }
    made = _insert(cur, {identifier: message for identifier, (message, _) in wanted.items()})
    rows = [
        (new_id(), endpoint.id, identifier)
        for identifier, (_, takers) in wanted.items()
        if identifier in made
        for endpoint in takers
        if endpoint.status == ENABLED
    ]
    if rows:
        cur.execute(_DELIVER, [list(column) for column in zip(*rows, strict=True)])
    return list(made)


def _takers(message: Message, endpoints: Sequence[tuple[Endpoint, datetime]]) -> list[Endpoint]:
    if message.only is not None:
        return [endpoint for endpoint, _ in endpoints if endpoint.id == message.only]
    return [
        endpoint
        for endpoint, opened_at in endpoints
        if endpoint.wants(message.event_type)
        and (message.recorded_at is None or message.recorded_at >= opened_at)
    ]


def _insert(cur: Cursor, messages: Mapping[UUID, Message]) -> set[UUID]:
    if not messages:
        return set()
    columns = [
        list(messages),
        [message.organization for message in messages.values()],
        [message.source for message in messages.values()],
        [message.event_type for message in messages.values()],
        [message.body() for message in messages.values()],
        [message.at for message in messages.values()],
    ]
    return {row[0] for row in cur.execute(_INSERT, columns).fetchall()}


def register_reader() -> None:
    """This function will make outbound webhooks a subscriber of the events."""
    register(Subscriber(name=READER, handle=tell_events))
