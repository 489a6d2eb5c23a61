"""Facts of events and their keys, written set by set."""

from collections.abc import Iterable, Sequence
from typing import Any, Final
from uuid import UUID

from billing.queries.meterevents import COUNTING_OF_BACKFILL, KnownEvent
from billing.rules.meterevents import EventFact
from events.store import Cursor, encode
from events.writer import array_literal, literals

_KINDS: Final = {
    "id": "uuid", "organization": "uuid", "occurred_at": "timestamptz", "event_id": "uuid", "cancels": "uuid",
    "backfill_id": "uuid", "sign": "smallint", "adjustment": "boolean", "source": "text", "external_id": "text",
    "type": "text", "subject": "text", "actor": "text", "reason": "text", "data": "json",
}  # fmt: skip
_PLAIN: Final = tuple(_KINDS)[:-1]
_INSERT: Final = (
    f"INSERT INTO meter_events ({', '.join(_KINDS)}, epoch, recorded_at) "
    f"SELECT u.*, (SELECT epoch FROM event_store), clock_timestamp() "
    f"FROM unnest({', '.join(f'%s::{kind}[]' for kind in _KINDS.values())}) AS u"
)
_INSERT_KEYS: Final = """
INSERT INTO meter_event_keys (organization, source, id_digest, payload_digest, event_id, adjustment, meters)
SELECT %s, s, d, p, e, a, string_to_array(m, ' ')
FROM unnest(%s::text[], %s::bytea[], %s::bytea[], %s::uuid[], %s::boolean[], %s::text[]) AS u(s, d, p, e, a, m)
"""
_KEY_TYPES: Final = ("text", "bytea", "bytea", "uuid", "boolean", "text")
_REVERT: Final = f"""
INSERT INTO meter_events (id, organization, occurred_at, event_id, cancels, backfill_id, sign, adjustment, source,
    external_id, type, subject, actor, reason, data, epoch, recorded_at)
SELECT n.id, o.organization, o.occurred_at, o.event_id, o.id, o.backfill_id, -1, true, o.source, o.external_id, o.type,
    o.subject, %(actor)s, %(reason)s, o.data, (SELECT epoch FROM event_store), clock_timestamp()
FROM (SELECT f.*, row_number() OVER (ORDER BY f.id) AS n {COUNTING_OF_BACKFILL}) o
JOIN unnest(%(ids)s::uuid[]) WITH ORDINALITY AS n(id, n) USING (n)
"""


def insert_facts(cur: Cursor, facts: Sequence[EventFact]) -> None:
    """This function will insert facts, in their order, by one statement."""
    if not facts:
        return
    columns: list[list[Any]] = [[getattr(fact, name) for fact in facts] for name in _PLAIN]
    columns.append([encode(fact.data).decode() for fact in facts])
    cur.execute(_INSERT, literals(_INSERT, columns))


def insert_keys(
    cur: Cursor, organization: UUID, keys: Iterable[tuple[tuple[str, bytes], KnownEvent]]
) -> None:
    """This function will keep the keys of new events, in their order, so that two transactions never wait in a ring."""
    rows = [
        (*name, one.digest, one.event_id, one.adjustment, " ".join(one.meters))
        for name, one in sorted(keys, key=_name)
    ]
    if rows:
        columns = zip(_KEY_TYPES, zip(*rows, strict=True), strict=True)
        cur.execute(_INSERT_KEYS, [organization, *(array_literal(kind, column) for kind, column in columns)])


def take_back_backfill(
    cur: Cursor, organization: UUID, backfill: UUID, *, ids: Sequence[UUID], actor: str, reason: str
) -> int:
    """This function will take back whatever counts of a backfill, by one statement, and return how much that was. As
    many ids as count are given."""
    values = {
        "organization": organization,
        "backfill": backfill,
        "ids": list(ids),
        "actor": actor,
        "reason": reason,
    }
    return cur.execute(_REVERT, values).rowcount


def _name(row: tuple[tuple[str, bytes], KnownEvent]) -> tuple[str, bytes]:
    return row[0]
