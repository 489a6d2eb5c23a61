"""Rows of the event table as events, in today's schema."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from events import upcasters
from events.store import Event

COLUMNS: Final = (
    "organization, stream_type, stream_id, version, type, data::text, occurred_at, actor, cause, idempotency_key,"
    " schema, seq, epoch, recorded_at"
)
_decode = msgspec.json.Decoder().decode
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


class StoredEvent(Event):
    """An event as it stands in the store: `seq` is its place in the order of all events."""

    seq: int = 0
    epoch: int = 0
    recorded_at: datetime = _NEVER


def stored_events(rows: Iterable[tuple[Any, ...]]) -> Iterator[StoredEvent]:
    """Return the events of rows that were selected as COLUMNS, lifted to the newest schema of their types."""
    lift = upcasters.has_steps()
    for row in rows:
        event = StoredEvent(*row)
        event.data = _decode(row[5])
        if lift:
            event.schema, event.data = upcasters.lifted(event.type, event.schema, event.data)
        yield event
