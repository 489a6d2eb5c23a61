"""The append side of the event store: plain values in, one INSERT and the projections out.

Whoever appends holds the row lock of the events' organizations (orgs.operations.locks), so that the versions that
it decided on are still true and the order of `seq` within an organization is the order of its commits.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, cast

import psycopg

from events.rules.facts import Event as Event
from events.rules.facts import encode as encode
from events.writer import Collector, Literals

Cursor = psycopg.Cursor[Any]


@dataclass(frozen=True, slots=True)
class ProjectedTable:
    """A table that projectors fill: its key, and the columns that `rebuild --check` does not compare."""

    name: str
    key: tuple[str, ...]
    ignore: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Projector:
    """Set-based SQL that turns a list of events into rows. `wants` picks the events, by their type alone unless it
    `looks_inside`; `tables` are what it fills.

    `project(cur, events)` uses only the events' data and the rows it changes, names its tables unqualified, and its
    effects on rows of other streams are sums. It is called for one event, for a batch and for a rebuild's chunk.
    """

    name: str
    wants: Callable[[Event], bool]
    project: Callable[[Cursor, Sequence[Event]], None]
    tables: tuple[ProjectedTable, ...] = field(default=())
    looks_inside: bool = False


_projectors: dict[str, Projector] = {}
_by_type: dict[str, list[Projector]] = {}
"""Who may want events of a type, found out with the first of them: asking all each time costs as much as deciding."""


def register(projector: Projector) -> None:
    """Add a projector; apps do it in `ready()`. The order of registration is the order of projection."""
    _projectors[projector.name] = projector
    _by_type.clear()


def projectors() -> Iterable[Projector]:
    """Return all projectors in their order."""
    return _projectors.values()


INSERT = """
INSERT INTO events (organization, stream_id, occurred_at, epoch, version, schema, stream_type, type, actor, cause,
                    idempotency_key, data)
SELECT o, i, t, (SELECT epoch FROM event_store), v, s, st, ty, a, c, k, d
FROM unnest(%s::uuid[], %s::uuid[], %s::timestamptz[], %s::int[], %s::smallint[], %s::text[], %s::text[], %s::text[],
            %s::text[], %s::text[], %s::json[]) WITH ORDINALITY AS e(o, i, t, v, s, st, ty, a, c, k, d, n)
ORDER BY n
"""


def append(cur: Cursor, events: Sequence[Event], *, at_once: bool = False) -> None:
    """This function will store the events in their order and project them, in the caller's transaction.

    `at_once`: all of it is one statement, for events of which no two projectors write the same row, into tables whose
    triggers look at no other table.

    The caller holds the lock of every organization named. Raises psycopg.errors.UniqueViolation when a stream's
    version exists already (a defect of the caller: it did not decide on the locked state).
    """
    if not events:
        return
    if at_once and isinstance(cur, psycopg.Cursor):
        collected = Collector()
        append(cast(Cursor, collected), events)
        collected.write(cur)
        return
    # The gate collects columns, and sends them as literals itself.
    writer = cast(Cursor, Literals(cur)) if isinstance(cur, psycopg.Cursor) else cur
    writer.execute(INSERT, _columns(events))
    project(writer, events)


def project(cur: Cursor, events: Sequence[Event]) -> None:
    """This function will hand the events, in order, to every projector that wants some of them."""
    wanted: dict[str, list[Event]] = {}
    for event in events:
        for projector in _by_type.get(event.type) or _interested(event):
            if not projector.looks_inside or projector.wants(event):
                wanted.setdefault(projector.name, []).append(event)
    for name, projector in _projectors.items():
        if name in wanted:
            projector.project(cur, wanted[name])


def _interested(event: Event) -> list[Projector]:
    found = [one for one in _projectors.values() if one.looks_inside or one.wants(event)]
    _by_type[event.type] = found
    return found


_row = attrgetter(
    "organization", "stream_id", "occurred_at", "version", "schema", "stream_type", "type", "actor", "cause",
    "idempotency_key",
)  # fmt: skip


def _columns(events: Sequence[Event]) -> list[list[Any]]:
    columns = [list(column) for column in zip(*map(_row, events), strict=True)]
    columns.append([encode(event.data).decode() for event in events])
    return columns
