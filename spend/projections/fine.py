"""The finer rollups (user, run, tool by day), kept by a reader of the events: usage_daily_fine.

Each usage record is added once: the reader's cursor moves in the transaction that adds it. Days are days in UTC of the
time of occurrence. Every record counts in each dimension, under an empty value when it has none, so that the sums of a
day equal those of usage_hourly as soon as the reader has seen its last record.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec

from events.reading import StoredEvent
from events.store import Cursor
from events.subscribers import Subscriber, register
from spend.rules.shares import FINE, Share, dimension_shares

_RECORDS: Final = """
SELECT u.organization, (u.occurred_at AT TIME ZONE 'UTC')::date, u.cost, u.charge, u.user_label, u.run_id, u.tool,
    u.detail::text
FROM unnest(%s::uuid[], %s::uuid[]) AS w(o, i) JOIN usage_records u ON u.organization = w.o AND u.id = w.i
"""
_ADD: Final = """
INSERT INTO usage_daily_fine AS f (organization, day, dimension, value, calls, cost, charge)
SELECT * FROM unnest(%s::uuid[], %s::date[], %s::text[], %s::text[], %s::bigint[], %s::numeric[], %s::numeric[])
ON CONFLICT (organization, day, dimension, value) DO UPDATE SET calls = f.calls + excluded.calls,
    cost = f.cost + excluded.cost, charge = f.charge + excluded.charge
"""
_decode = msgspec.json.Decoder().decode
Place = tuple[UUID, Any, str, str]


def add_usage(cur: Cursor, events: Sequence[StoredEvent]) -> None:
    """This function will add the usage records that these events tell of to the finer rollups."""
    wanted = [(event.organization, record) for event in events if (record := record_of(event)) is not None]
    if not wanted:
        return
    cur.execute(_RECORDS, ([name for name, _ in wanted], [record for _, record in wanted]))
    sums: dict[Place, list[int]] = {}
    for row in cur.fetchall():
        for place, share in _places(row):
            known = sums.setdefault(place, [0, 0, 0])
            known[:] = [have + more for have, more in zip(known, share, strict=True)]
    rows = [(*place, *figures) for place, figures in sorted(sums.items())]
    cur.execute(_ADD, [list(column) for column in zip(*rows, strict=True)])


def record_of(event: StoredEvent) -> UUID | None:
    """Return the usage record that an event tells of; None when it tells of none."""
    if event.type == "reservation.committed":
        return UUID(event.data["usage"])
    return event.stream_id if event.type in ("usage.recorded", "usage.charged") else None


def _places(row: tuple[Any, ...]) -> Iterable[tuple[Place, Share]]:
    organization, day, cost, charge, user, run, tool, detail = row
    read = _decode(detail) if detail else None
    for dimension in FINE:
        shares = dimension_shares(
            dimension, user=user, run=run, tool=tool, cost=cost, charge=charge, detail=read
        )
        for value, share in shares.items():
            yield (organization, day, dimension, value), share


def register_reader() -> None:
    """This function will make the finer rollups a subscriber of the events."""
    register(Subscriber(name="spend.usage_daily_fine", handle=add_usage))
