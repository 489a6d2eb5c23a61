"""Taking a cut, and the SQL that finds what is in one and not in another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from billing.rules.cuts import Cut, Snapshot, check_chain
from events.store import Cursor

_TAKE: Final = """
SELECT (SELECT epoch FROM event_store), pg_current_snapshot()::text, pg_current_xact_id_if_assigned()::text::bigint,
       clock_timestamp(), current_setting('transaction_isolation')
"""
_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MARGIN: Final = timedelta(days=1)
"""What clocks are trusted with. Ids are made by this machine's clock, `recorded_at` by the database's, and a lost
record is a lost charge; a day more to look through costs little."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition on rows of a table of records, with the values of its parameters."""

    sql: str
    values: Mapping[str, Any]


def take_cut(cur: Cursor, until: datetime) -> Cut:
    """This function will take a cut of the records that occurred before `until` (business clock). The caller holds the
    lock of the organization whose records it is for.

    What the caller's own transaction writes, before or after, is in the next cut. Raises RuntimeError where each
    statement does not see what was committed before it: there a snapshot may be older than the lock.
    """
    row = cur.execute(_TAKE).fetchone()
    assert row is not None
    epoch, snapshot, own, taken_at, isolation = row
    if isolation != "read committed":
        raise RuntimeError(f"a cut is taken at READ COMMITTED, not at {isolation}")
    seen = Snapshot.parse(snapshot)
    if own is not None:
        seen = seen.without(own)
    return Cut(epoch, str(seen), until, taken_at)


def in_cut(alias: str, name: str) -> str:
    """Return the SQL of whether a row is in the cut whose values (`cut_values`) are named by a prefix."""
    return (
        f"({alias}.occurred_at < %({name}_until)s AND ({alias}.epoch < %({name}_epoch)s"
        f" OR ({alias}.epoch = %({name}_epoch)s"
        f" AND pg_visible_in_snapshot({alias}.tx, %({name}_snapshot)s::pg_snapshot))))"
    )


def cut_values(cut: Cut, name: str) -> dict[str, Any]:
    """Return the values of the parameters that `in_cut` names."""
    return {f"{name}_until": cut.until, f"{name}_epoch": cut.epoch, f"{name}_snapshot": cut.snapshot}


def difference(
    cur: Cursor,
    organization: UUID,
    *,
    alias: str,
    cut: Cut,
    previous: Cut | None = None,
    occurred_from: datetime | None = None,
) -> Condition:
    """Return the condition on an organization's rows, under an alias, of being in a cut and not in the previous one.

    The rows have organization, id (UUIDv7), recorded_at, epoch, tx and occurred_at: usage records and meter events. The
    bounds on id and recorded_at leave nothing out of what occurred at `occurred_from` or later (None: of anything);
    they are there for the index on (organization, id) and for the partitions. Parameters begin with cut_. Raises
    CutsOutOfOrder for cuts of which the second does not follow.
    """
    check_chain(cut, previous)
    parts = [f"{alias}.organization = %(cut_organization)s", in_cut(alias, "cut_new")]
    values = {"cut_organization": organization, **cut_values(cut, "cut_new")}
    after = _BEGINNING
    bounded = previous is not None or occurred_from is not None
    offset = clock_offset(cur, organization) if bounded else timedelta(0)
    if previous is not None:
        parts.append(f"NOT {in_cut(alias, 'cut_old')}")
        values |= cut_values(previous, "cut_old")
        # What is not in it was committed after it, or tells of `until` or later.
        after = min(previous.taken_at, previous.until - offset)
    if occurred_from is not None:
        after = max(after, occurred_from - offset)
    bounds, bound_values = recorded_between(alias, after, cut.taken_at)
    return Condition(" AND ".join((*parts, bounds)), {**values, **bound_values})


def recorded_between(alias: str, start: datetime, end: datetime) -> tuple[str, dict[str, Any]]:
    """Return the condition on id and recorded_at of rows that were recorded in a time of the wall clock, widened by
    what clocks are trusted with."""
    first, last = max(start - _MARGIN, _BEGINNING), end + _MARGIN
    sql = (
        f"{alias}.id >= %(cut_first_id)s AND {alias}.id < %(cut_last_id)s"
        f" AND {alias}.recorded_at >= %(cut_first)s AND {alias}.recorded_at < %(cut_last)s"
    )
    ids = {"cut_first_id": _first_id(first), "cut_last_id": _first_id(last)}
    return sql, {"cut_first": first, "cut_last": last, **ids}


def recorded_id(moment: datetime) -> UUID:
    """Return the least id that anything recorded at a moment of the wall clock, or made of it later, can have."""
    return _first_id(max(moment - _MARGIN, _BEGINNING))


def clock_offset(cur: Cursor, organization: UUID) -> timedelta:
    """Return how far an organization's clock is ahead of the wall clock. A row is not older than what it tells of, but
    for what clocks allow; and since an offset only grows, today's finds the earliest."""
    row = cur.execute("SELECT clock_offset FROM organizations WHERE id = %s", (organization,)).fetchone()
    return timedelta(0) if row is None else row[0]


def _first_id(moment: datetime) -> UUID:
    milliseconds = (moment - _BEGINNING) // timedelta(milliseconds=1)
    return UUID(int=min(max(milliseconds, 0), 2**48 - 1) << 80)
