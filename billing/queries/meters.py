"""Meters, by key and by id."""

from collections.abc import Iterable, Mapping
from typing import Any, Final
from uuid import UUID

import msgspec

from billing.rules.meters import Definition, Meter, filter_of
from common.errors import NotFound
from common.fields import is_id
from events.store import Cursor
from orgs.rules.names import folded

# As text: whether jsonb arrives decoded depends on the connection.
_decode = msgspec.json.Decoder(list[Any]).decode
_READ: Final = """
SELECT id, organization, key, name, description, source, aggregation, event_type, value_property, unique_property,
    filters::text, group_by::text, version, created_at, archived_at FROM meters
"""

_SOLD_WITH: Final = """
SELECT p.key FROM plans p JOIN plan_versions v ON v.id = p.published_id
WHERE p.archived_at IS NULL AND EXISTS (
    SELECT FROM jsonb_array_elements(v.definition->'charges') c WHERE c->>'meter' = %(meter)s)
ORDER BY p.key
"""


def find_meter(cur: Cursor, name: str, *, pointer: str | None = None) -> Meter:
    """Return a meter by key or id, also an archived one. Raises NotFound."""
    column, value = ("id", UUID(name)) if is_id(name) else ("key", name)
    row = cur.execute(f"{_READ} WHERE {column} = %s", (value,)).fetchone()
    if row is None:
        raise NotFound("There is no such meter.", pointer=pointer)
    return _meter(row)


def meters_named(cur: Cursor, keys: Iterable[str | None]) -> dict[str, Meter]:
    """Return the meters that have these keys, by key; those that are not there are left out."""
    names = sorted({key for key in keys if key})
    rows = cur.execute(f"{_READ} WHERE key = ANY(%s)", (names,)).fetchall() if names else ()
    return {meter.key: meter for meter in map(_meter, rows)}


def plans_counting(cur: Cursor, meter: str) -> list[str]:
    """Return the keys of the plans whose version on sale counts by a meter, named by its key."""
    return [row[0] for row in cur.execute(_SOLD_WITH, {"meter": meter}).fetchall()]


def list_meters(
    cur: Cursor, *, archived: bool | None = None, before: UUID | None = None, limit: int
) -> list[Meter]:
    """Return up to `limit` meters, newest first, made before `before`."""
    statement = _READ + " WHERE true"
    if before is not None:
        statement += " AND id < %(before)s"
    if archived is not None:
        statement += f" AND archived_at IS {'NOT ' if archived else ''}NULL"
    cur.execute(statement + " ORDER BY id DESC LIMIT %(limit)s", {"before": before, "limit": limit})
    return [_meter(row) for row in cur.fetchall()]


def event_meters(cur: Cursor) -> Mapping[str, list[Meter]]:
    """Return all meters of events by the type of event that they are for, in the order in which they were made."""
    found: dict[str, list[Meter]] = {}
    for row in cur.execute(_READ + " WHERE source = 'events' ORDER BY id").fetchall():
        meter = _meter(row)
        found.setdefault(meter.definition.event_type or "", []).append(meter)
    return found


def meters_counting(cur: Cursor, source: str, event_type: str | None = None) -> list[Meter]:
    """Return the meters of a source, of events those of one type, also archived ones."""
    statement = f"{_READ} WHERE source = %s AND event_type IS NOT DISTINCT FROM %s ORDER BY id"
    return [_meter(row) for row in cur.execute(statement, (source, event_type)).fetchall()]


def key_is_taken(cur: Cursor, key: str) -> bool:
    """Whether a meter has this key, or one that looks like it. Keys are never used again."""
    row = cur.execute("SELECT FROM meters WHERE key_folded = %s", (folded(key),)).fetchone()
    return row is not None


def _meter(row: tuple[Any, ...]) -> Meter:
    identifier, organization, key, name, description, source, aggregation, *rest = row
    event_type, value, unique, filters, groups, version, created_at, archived_at = rest
    definition = Definition(
        source, aggregation, event_type, value, unique, tuple(map(filter_of, _decode(filters))),
        tuple(_decode(groups)),
    )  # fmt: skip
    return Meter(
        identifier, organization, key, name, description, definition, version, created_at, archived_at
    )
