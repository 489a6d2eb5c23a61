"""Events as they were said and corrected, by id and in lists; backfills."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

import msgspec

from billing.rules.meterevents import MAX_AGE, Backfill, Closed, EventFact
from common.errors import NotFound
from events.store import Cursor
from events.writer import array_literal

_decode = msgspec.json.Decoder(dict[str, Any]).decode
_FACT: Final = """
SELECT f.id, f.organization, f.occurred_at, f.event_id, f.sign, f.adjustment, f.source, f.external_id, f.type,
    f.subject, f.data::text, f.actor, f.cancels, f.backfill_id, f.reason, f.recorded_at FROM meter_events f
"""
_KEYS: Final = """
SELECT k.source, k.id_digest, k.payload_digest, k.event_id, k.adjustment, k.meters
FROM unnest(%s::text[], %s::bytea[]) AS w(s, d) CROSS JOIN LATERAL (
    SELECT * FROM meter_event_keys x WHERE x.organization = %s AND x.source = w.s AND x.id_digest = w.d LIMIT 1) k
"""
_BACKFILL: Final = """
SELECT id, organization, name, reason, status, created_by, created_at, version, reverted_by, reverted_at, revert_reason
FROM event_backfills
"""
# Older than 35 days an event is an adjustment whatever is closed.
_CLOSED: Final = """
SELECT NULL, NULL, closed_until FROM closed_books WHERE organization = %(organization)s AND closed_until IS NOT NULL
UNION ALL SELECT DISTINCT meter, start_at, end_at FROM metered_periods
WHERE organization = %(organization)s AND invoice_id IS NOT NULL AND end_at > %(since)s
"""
# What still counts of a backfill: what it stated, and what amendments stated instead.
COUNTING_OF_BACKFILL: Final = """
FROM meter_events f WHERE f.backfill_id = %(backfill)s AND f.organization = %(organization)s AND f.sign = 1
    AND NOT EXISTS (SELECT FROM meter_events c WHERE c.cancels = f.id)
"""


@dataclass(frozen=True, slots=True)
class KnownEvent:
    """What is kept of an event's key: its content's digest, and what the first answer said."""

    digest: bytes
    event_id: UUID
    adjustment: bool
    meters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events a list shows; `start` and `end` are times of occurrence."""

    source: str | None = None
    external_id: str | None = None
    type: str | None = None
    backfill: UUID | None = None
    start: datetime | None = None
    end: datetime | None = None


def id_digest(external_id: str) -> bytes:
    """Return the 16 bytes under which an event's id is kept."""
    return sha256(external_id.encode()).digest()[:16]


def known_events(
    cur: Cursor, organization: UUID, names: Sequence[tuple[str, bytes]]
) -> Mapping[tuple[str, bytes], KnownEvent]:
    """Return what is known of the (source, digest of id)s that were recorded before."""
    columns = (
        array_literal("text", [name[0] for name in names]),
        array_literal("bytea", [name[1] for name in names]),
    )
    rows = cur.execute(_KEYS, (*columns, organization)).fetchall()
    return {
        (source, bytes(digest)): KnownEvent(bytes(payload), event, adjustment, tuple(meters))
        for source, digest, payload, event, adjustment, meters in rows
    }


def closed_times(cur: Cursor, organization: UUID, *, now: datetime) -> Closed:
    """Return which times of the last 35 days are closed: months in the books, and periods that are on an invoice."""
    values = {"organization": organization, "since": now - MAX_AGE}
    until: datetime | None = None
    invoiced: defaultdict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
    for meter, start, end in cur.execute(_CLOSED, values).fetchall():
        if meter is None:
            until = end
        else:
            invoiced[meter].append((start, end))
    return Closed(until, invoiced)


def history_of(cur: Cursor, organization: UUID, event: UUID) -> list[EventFact]:
    """Return all that was said about an event, oldest first. Raises NotFound."""
    where = "WHERE f.organization = %(o)s AND (f.id = %(e)s AND f.event_id = f.id)"
    corrected = "WHERE f.organization = %(o)s AND f.event_id = %(e)s AND f.event_id <> f.id"
    statement = f"{_FACT} {where} UNION ALL {_FACT} {corrected} ORDER BY 1"
    found = [_fact(row) for row in cur.execute(statement, {"o": organization, "e": event}).fetchall()]
    if not found:
        raise NotFound("There is no such event.")
    return found


def histories_of(cur: Cursor, firsts: Sequence[EventFact]) -> list[list[EventFact]]:
    """Return the histories of events, given their first facts."""
    statement = f"{_FACT} WHERE f.event_id = ANY(%s::uuid[]) AND f.event_id <> f.id ORDER BY f.id"
    found = {first.id: [first] for first in firsts}
    for row in cur.execute(statement, (list(found),)).fetchall():
        found[row[3]].append(_fact(row))
    return list(found.values())


def organization_of_event(cur: Cursor, event: UUID) -> UUID:
    """Return whose event this is; for the platform's own requests only. Raises NotFound."""
    row = cur.execute(
        "SELECT organization FROM meter_events WHERE id = %s AND event_id = id", (event,)
    ).fetchone()
    if row is None:
        raise NotFound("There is no such event.")
    owner: UUID = row[0]
    return owner


def list_events(
    cur: Cursor, *, organization: UUID, wanted: EventFilter, before: UUID | None, limit: int
) -> list[EventFact]:
    """Return the first facts of up to `limit` events, newest first, recorded before `before`."""
    parts = ["f.organization = %(organization)s", "f.event_id = f.id"]
    values: dict[str, Any] = {"organization": organization, "before": before, "limit": limit}
    for name, column in (("source", "source"), ("external_id", "external_id"), ("type", "type")):
        if getattr(wanted, name) is not None:
            parts.append(f"f.{column} = %({name})s")
            values[name] = getattr(wanted, name)
    if wanted.source is not None and wanted.external_id is not None:
        known = known_events(cur, organization, [(wanted.source, id_digest(wanted.external_id))])
        parts.append("f.id = ANY(%(ids)s::uuid[])")
        values["ids"] = [each.event_id for each in known.values()]
    conditions = (
        ("before", before, "f.id < %(before)s"),
        ("backfill", wanted.backfill, "f.backfill_id = %(backfill)s"),
        ("start", wanted.start, "f.occurred_at >= %(start)s"),
        ("end", wanted.end, "f.occurred_at < %(end)s"),
    )
    for name, value, condition in conditions:
        if value is not None:
            parts.append(condition)
            values[name] = value
    statement = f"{_FACT} WHERE {' AND '.join(parts)} ORDER BY f.id DESC LIMIT %(limit)s"
    return [_fact(row) for row in cur.execute(statement, values).fetchall()]


def find_backfill(cur: Cursor, organization: UUID, backfill: UUID) -> Backfill:
    """Return a backfill of the organization. Raises NotFound."""
    row = cur.execute(f"{_BACKFILL} WHERE organization = %s AND id = %s", (organization, backfill)).fetchone()
    if row is None:
        raise NotFound("There is no such backfill.")
    return Backfill(*row)


def organization_of_backfill(cur: Cursor, backfill: UUID) -> UUID:
    """Return whose backfill this is; for the platform's own requests only. Raises NotFound."""
    row = cur.execute("SELECT organization FROM event_backfills WHERE id = %s", (backfill,)).fetchone()
    if row is None:
        raise NotFound("There is no such backfill.")
    owner: UUID = row[0]
    return owner


def list_backfills(cur: Cursor, *, organization: UUID, before: UUID | None, limit: int) -> list[Backfill]:
    """Return up to `limit` backfills, newest first, made before `before`."""
    statement = f"{_BACKFILL} WHERE organization = %(o)s AND (%(b)s::uuid IS NULL OR id < %(b)s)"
    rows = cur.execute(
        f"{statement} ORDER BY id DESC LIMIT %(n)s", {"o": organization, "b": before, "n": limit}
    )
    return [Backfill(*row) for row in rows.fetchall()]


def events_in_backfill(cur: Cursor, organization: UUID, backfill: UUID) -> tuple[int, int]:
    """Return how many events were recorded with a backfill, and how many of them still count."""
    values = {"organization": organization, "backfill": backfill}
    stated = "FROM meter_events f WHERE f.backfill_id = %(backfill)s AND f.organization = %(organization)s"
    row = cur.execute(
        f"SELECT (SELECT count(*) {stated} AND f.event_id = f.id), (SELECT count(*) {COUNTING_OF_BACKFILL})",
        values,
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def _fact(row: tuple[Any, ...]) -> EventFact:
    values = list(row)
    values[10] = _decode(row[10])
    return EventFact(*values)
