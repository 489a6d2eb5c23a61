"""What a meter says of a period (S73): as known at a cut, or how that differs from what was known at the cut before.

For count and sum the difference is that of the records between the two cuts, signs included. For max, unique, latest
and weighted_sum it is what all records of the period give as now known, less what they gave as known then. Either way
the numbers of a chain of cuts add up to what the last of them knows: nothing is billed twice, and nothing is lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from hashlib import sha256
from typing import Any, Final, NamedTuple
from uuid import UUID

from billing.queries.cuts import (
    clock_offset,
    cut_values,
    difference,
    in_cut,
    recorded_between,
)
from billing.queries.meterrows import MeterRows
from billing.rules.cuts import Cut, check_chain
from billing.rules.meters import (
    COUNT,
    EVENTS,
    LATEST,
    MAX,
    SUM,
    UNIQUE,
    USAGE,
    WEIGHTED_SUM,
    Meter,
    check_groups,
)
from events.store import Cursor

Group = tuple[str | None, ...]
NO_RECORDS: Final = sha256(b"").digest()
_RECORDS_AT_ONCE: Final = 5_000
FIRST_ID: Final = UUID(int=0)
_MICROSECOND: Final = timedelta(microseconds=1)
_EARLY: Final = timedelta(minutes=6)  # a fact may be dated up to five minutes ahead of its recording
_VALUE: Final = {
    COUNT: "sum(s)",
    SUM: "sum(s * v)",
    MAX: "max(v) FILTER (WHERE {counts})",
    UNIQUE: "count(DISTINCT u) FILTER (WHERE {counts})",
    LATEST: "((array_agg(v ORDER BY occurred_at DESC, id DESC) FILTER (WHERE {counts}))[1])",
}
# Each level times the seconds for which it held.
_WEIGHT: Final = "sum(v * extract(epoch FROM till - since)) FILTER (WHERE {counts} AND till > since)"

_DIGEST: Final = "SELECT sha256(string_agg(uuid_send(x), ''::bytea ORDER BY x)) FROM"
_COUNTED: Final = {
    False: f"cardinality(ids), ({_DIGEST} unnest(ids) AS x)",
    True: f"(SELECT count(DISTINCT x) FROM unnest(ids) AS x), ({_DIGEST} (SELECT DISTINCT unnest(ids) AS x) AS d)",
}
"""How many records, and the digest of their ids; whether one may come as several rows."""


class Quantity(NamedTuple):
    """What a meter says of one group: its quantity, exactly, how many records came into it, and the SHA-256 over their
    ids in order."""

    group: Group
    quantity: Fraction
    records: int
    digest: bytes


class PeriodRetired(RuntimeError):
    """The usage records of a period are no longer in the database, so that what they give cannot be worked out."""


@dataclass(frozen=True, slots=True)
class Period:
    """A closed period [start, end), without what lies in its gaps."""

    start: datetime
    end: datetime
    gaps: tuple[tuple[datetime, datetime], ...] = ()

    @property
    def condition(self) -> str:
        """Return the SQL of whether a row `f` occurred in it."""
        without = "".join(
            f" AND NOT (f.occurred_at >= %(gap{place}_start)s AND f.occurred_at < %(gap{place}_end)s)"
            for place in range(len(self.gaps))
        )
        return f"f.occurred_at >= %(start)s AND f.occurred_at < %(end)s{without}"

    @property
    def values(self) -> dict[str, datetime]:
        """Return the values of the parameters that the condition names."""
        found = {"start": self.start, "end": self.end}
        for place, (start, end) in enumerate(self.gaps):
            found |= {f"gap{place}_start": start, f"gap{place}_end": end}
        return found


def aggregate(
    cur: Cursor,
    organization: UUID,
    meter: Meter,
    start: datetime,
    end: datetime,
    cut: Cut,
    previous_cut: Cut | None = None,
    group_by: Sequence[str] = (),
    *,
    gaps: Sequence[tuple[datetime, datetime]] = (),
) -> list[Quantity]:
    """This function will return what a meter says of [start, end), group by group, as known at a cut; with a previous
    cut, what that adds to what was known at it: negative where records were taken back. What occurred in the `gaps` is
    left out (not of weighted_sum, whose levels hold on).

    Quantities are exact, in the unit of what is counted (charge and cost in the currency's major unit); records and
    digest are of the records between the cuts that occurred in the period. A group of which nothing is told is left
    out. Groups are in the order of their texts. Raises InvalidField (a group that the meter has not), CutsOutOfOrder
    and PeriodRetired.
    """
    check_groups(meter.definition, group_by)
    check_chain(cut, previous_cut)
    _check_retired(cur, meter, start)
    period = Period(start, end, tuple(gaps))
    if previous_cut is None and not meter.definition.is_additive:
        return _told(_at_once(cur, organization, meter, period, cut, group_by))
    found = _between(cur, organization, meter, period, cut, previous_cut, group_by)
    if not meter.definition.is_additive:
        now = _known(cur, organization, meter, period, cut, group_by)
        assert previous_cut is not None
        before = _known(cur, organization, meter, period, previous_cut, group_by)
        zero = Fraction(0)
        for group in {*found, *now, *before}:
            _, _, records, digest = found.get(group) or Quantity(group, zero, 0, NO_RECORDS)
            found[group] = Quantity(group, now.get(group, zero) - before.get(group, zero), records, digest)
    return _told(found)


def late(
    cur: Cursor,
    organization: UUID,
    meter: Meter,
    periods: Iterable[Period],
    cut: Cut,
    previous_cut: Cut,
    group_by: Sequence[str] = (),
) -> list[tuple[Period, list[Quantity]]]:
    """This function will return, of the closed periods that are given, those of which the cut tells otherwise than the
    previous one did, with the adjustment of each group: each in the next invoice, with its own time.

    A level that is stated late (weighted_sum) holds on into later periods: they are looked at, too.
    """
    closed = sorted(periods, key=lambda period: period.start)
    span = late_span(cur, organization, meter, cut, previous_cut)
    if span is None or not closed:
        return []
    last = closed[-1].end if meter.definition.aggregation == WEIGHTED_SUM else span[1]
    touched = [period for period in closed if period.end > span[0] and period.start <= last]
    found = [
        (each, aggregate(cur, organization, meter, each.start, each.end, cut, previous_cut, group_by))
        for each in touched
    ]
    return [(period, quantities) for period, quantities in found if quantities]


def late_span(
    cur: Cursor, organization: UUID, meter: Meter, cut: Cut, previous_cut: Cut
) -> tuple[datetime, datetime] | None:
    """This function will return the first and the last time of occurrence of what a cut knows of the time before the
    previous cut's end and the previous one did not; None when that is nothing."""
    rows = MeterRows(meter)
    between = difference(
        cur, organization, alias="f", cut=cut.at(previous_cut.until), previous=previous_cut,
        occurred_from=None,
    )  # fmt: skip
    statement = f"SELECT min(occurred_at), max(occurred_at) FROM ({rows.select(between.sql, ())}) AS r"
    row = cur.execute(statement, {**between.values, **rows.values}).fetchone()
    return None if row is None or row[0] is None else (row[0], row[1])


def earliest_news(cur: Cursor, organization: UUID, cut: Cut, previous_cut: Cut | None) -> datetime | None:
    """This function will return the earliest time of occurrence that events tell of which came since a cut; None when
    none came."""
    news = difference(cur, organization, alias="f", cut=cut, previous=previous_cut)
    row = cur.execute(
        f"SELECT min(f.occurred_at) FROM meter_events f WHERE {news.sql}", dict(news.values)
    ).fetchone()
    return None if row is None else row[0]


def records(
    cur: Cursor,
    organization: UUID,
    meter: Meter,
    start: datetime,
    end: datetime,
    cut: Cut,
    previous_cut: Cut | None = None,
    group_by: Sequence[str] = (),
    group: Group | None = None,
    *,
    after: UUID = FIRST_ID,
) -> Iterator[dict[str, Any]]:
    """This function will give the records behind a quantity, those of its digest in the order of their ids: id, time of
    occurrence, sign, value (Fraction, None where the meter has none), what is unique, groups, and what names the record
    outside. With `group` only those of one group, with `after` those whose id is greater. It reads as it is asked,
    5,000 at a time."""
    check_groups(meter.definition, group_by)
    _check_retired(cur, meter, start)
    rows = MeterRows(meter)
    values, where = _period_condition(cur, organization, rows, Period(start, end), cut, previous_cut)
    if group is not None:
        for place, (name, text) in enumerate(zip(group_by, group, strict=True)):
            where += f" AND {rows.text(name)} IS NOT DISTINCT FROM %(group{place})s::text"
            values[f"group{place}"] = text
    named = [f"{column} AS n{place}" for place, column in enumerate(_named(meter))]
    inner = rows.select(f"{where} AND f.id > %(after)s", group_by, *named, at_once=False)
    columns = ["id", "occurred_at", "s", "v", "u", *(f"n{place}" for place in range(len(named)))]
    columns += [f"g{place}" for place in range(len(group_by))]
    statement = (
        f"SELECT {', '.join(columns)} FROM ({inner}) AS r ORDER BY id"
        f" FETCH FIRST {_RECORDS_AT_ONCE} ROWS WITH TIES"
    )
    last: UUID | None = after
    while last is not None:
        page = cur.execute(statement, {**values, **rows.values, "after": last}).fetchall()
        yield from (_record(row, meter, group_by) for row in page)
        last = page[-1][0] if len(page) >= _RECORDS_AT_ONCE else None


def _between(
    cur: Cursor,
    organization: UUID,
    meter: Meter,
    period: Period,
    cut: Cut,
    previous: Cut | None,
    group_by: Sequence[str],
) -> dict[Group, Quantity]:
    """Sums over the records between two cuts; of what is no sum, only how many there are and their digest."""
    rows = MeterRows(meter)
    values, where = _period_condition(cur, organization, rows, period, cut, previous)
    value = _VALUE[meter.definition.aggregation if meter.definition.is_additive else COUNT]
    names = [f"g{place}" for place in range(len(group_by))]
    statement = (
        f"SELECT {_list(names)} total, {_COUNTED[rows.repeats]} FROM ("
        f"SELECT {_list(names)} {value} AS total, array_agg(id) AS ids FROM ({rows.select(where, group_by)}) AS r"
        f" {_grouped(names)}) AS grouped WHERE ids IS NOT NULL"
    )
    found = {}
    for row in cur.execute(statement, {**values, **rows.values}).fetchall():
        *group, total, count, digest = row
        if count:
            quantity = Fraction(total) if meter.definition.is_additive else Fraction(0)
            found[tuple(group)] = Quantity(tuple(group), quantity, count, bytes(digest))
    return found


def _at_once(
    cur: Cursor, organization: UUID, meter: Meter, period: Period, cut: Cut, group_by: Sequence[str]
) -> dict[Group, Quantity]:
    """What a cut without one before it tells of what is no sum: its records and what they give, by one look at them."""
    rows = MeterRows(meter)
    weighs = meter.definition.aggregation == WEIGHTED_SUM
    where, values = _known_condition(cur, organization, period, cut, weighs=weighs)
    names = [f"g{place}" for place in range(len(group_by))]
    series, more = _series(rows) if weighs else ({}, [])
    counts = "true"
    if meter.definition.source == EVENTS:
        counts = "(f.sign = 1 AND gone.cancels IS NULL)"
    inner = rows.select(where, group_by, f"{counts} AS counts", *more, joined=_taken_back(meter))
    value = _VALUE.get(meter.definition.aggregation, _WEIGHT).format(counts="counts")
    statement = (
        f"SELECT {_list(names)} total, {_COUNTED[rows.repeats]} FROM (SELECT {_list(names)} {value} AS total,"
        f" array_agg(id) FILTER (WHERE {period.condition.replace('f.', '')}) AS ids"
        f" FROM ({_levels(inner, ['counts', *series]) if weighs else inner}) AS r {_grouped(names)}) AS grouped"
    )
    found = {}
    for *group, total, count, digest in cur.execute(statement, {**values, **rows.values}).fetchall():
        quantity = Fraction(total or 0) / _scale(meter, period)
        found[tuple(group)] = Quantity(tuple(group), quantity, count or 0, bytes(digest or NO_RECORDS))
    return found


def _known(
    cur: Cursor, organization: UUID, meter: Meter, period: Period, cut: Cut, group_by: Sequence[str]
) -> dict[Group, Fraction]:
    """What all records of a period give that a cut knows and that still count at it, of what is no sum."""
    rows = MeterRows(meter)
    weighs = meter.definition.aggregation == WEIGHTED_SUM
    where, values = _known_condition(cur, organization, period, cut, weighs=weighs)
    if meter.definition.source == EVENTS:
        where += " AND f.sign = 1 AND gone.cancels IS NULL"
    names = [f"g{place}" for place in range(len(group_by))]
    series, more = _series(rows) if weighs else ({}, [])
    inner = rows.select(where, group_by, *more, joined=_taken_back(meter))
    value = _VALUE.get(meter.definition.aggregation, _WEIGHT).format(counts="true")
    chosen = _levels(inner, series) if weighs else inner
    statement = f"SELECT {_list(names)} {value} FROM ({chosen}) AS r {_grouped(names)}"
    found = cur.execute(statement, {**values, **rows.values}).fetchall()
    scale = _scale(meter, period)
    return {tuple(group): Fraction(total) / scale for *group, total in found if total is not None}


def _known_condition(
    cur: Cursor, organization: UUID, period: Period, cut: Cut, *, weighs: bool
) -> tuple[str, dict[str, Any]]:
    """Which rows say what a period gives as a cut knows it: those of it, and where levels hold on, all before it."""
    bounds, bound_values = _recorded(cur, organization, None if weighs else period.start, cut)
    within = "f.occurred_at < %(end)s" if weighs else period.condition
    parts = ["f.organization = %(organization)s", in_cut("f", "cut_new"), within, bounds]
    values = {
        "organization": organization, **period.values, "end": min(period.end, cut.until),
        **cut_values(cut, "cut_new"), **bound_values,
    }  # fmt: skip
    return " AND ".join(parts), values


def _taken_back(meter: Meter) -> str:
    """The join that finds what took a row back, as far as the cut knows of it; it has the row's own time."""
    if meter.definition.source != EVENTS:
        return ""
    return (
        "LEFT JOIN (SELECT DISTINCT c.cancels FROM meter_events c WHERE c.organization = %(organization)s"
        f" AND c.cancels IS NOT NULL AND {in_cut('c', 'cut_new')}) AS gone ON gone.cancels = f.id"
    )


def _scale(meter: Meter, period: Period) -> Fraction:
    """By what a total is divided: a weighted sum by the seconds of its period."""
    if meter.definition.aggregation != WEIGHTED_SUM:
        return Fraction(1)
    return Fraction((period.end - period.start) // _MICROSECOND, 10**6)


def _levels(inner: str, series: Iterable[str]) -> str:
    """Since when and till when each level held within the period; a series begins with the last one before it."""
    # Which order series come in says nothing: comparing bytes takes a third of the time that a language's order does.
    parts = ", ".join(name if name == "counts" else f'{name} COLLATE "C"' for name in series)
    window = f"{f'PARTITION BY {parts}' if parts else ''} ORDER BY occurred_at, id"
    return (
        "SELECT r.*, greatest(occurred_at, %(start)s) AS since,"
        f" lead(occurred_at, 1, %(end)s::timestamptz) OVER ({window}) AS till FROM ({inner}) AS r"
    )


def _series(rows: MeterRows) -> tuple[dict[str, str], list[str]]:
    """Of what a level is, as columns: of each value of the unique property (u), else of each of the meter's groups; and
    those of them that are selected besides."""
    if rows.definition.unique_property is not None:
        return {"u": rows.unique}, []
    found = {f"series{place}": rows.text(name) for place, name in enumerate(rows.definition.group_by)}
    return found, [f"{text} AS {name}" for name, text in found.items()]


def _told(found: Mapping[Group, Quantity]) -> list[Quantity]:
    """Those of which something is told, in the order of their groups."""
    told = [one for one in found.values() if one.quantity or one.records]
    return sorted(told, key=lambda one: tuple((text is not None, text or "") for text in one.group))


def _period_condition(
    cur: Cursor, organization: UUID, rows: MeterRows, period: Period, cut: Cut, previous: Cut | None
) -> tuple[dict[str, Any], str]:
    between = difference(cur, organization, alias="f", cut=cut, previous=previous, occurred_from=period.start)
    return {**between.values, **period.values}, f"{between.sql} AND {period.condition}"


def _recorded(
    cur: Cursor, organization: UUID, occurred_from: datetime | None, cut: Cut
) -> tuple[str, Mapping[str, Any]]:
    if occurred_from is None:
        return "f.recorded_at IS NOT NULL", {}
    return recorded_between("f", occurred_from - clock_offset(cur, organization), cut.taken_at)


def _check_retired(cur: Cursor, meter: Meter, start: datetime) -> None:
    """A month that was retired holds no record older than itself but for late ones; none of a period may be gone."""
    if meter.definition.source != USAGE:
        return
    statement = (
        "SELECT max(month + interval '1 month') FROM retired_months WHERE table_name = 'usage_records'"
    )
    row = cur.execute(statement).fetchone()
    if row is not None and row[0] is not None and start - _EARLY < row[0].replace(tzinfo=UTC):
        raise PeriodRetired(f"usage records recorded before {row[0]:%Y-%m-%d} were retired")


def _named(meter: Meter) -> list[str]:
    if meter.definition.source == EVENTS:
        return ["f.source", "f.external_id", "f.event_id", "f.type", "f.reason"]
    return ["f.source", "f.external_id", "f.reservation_id", "f.kind", "f.reason"]


def _record(row: tuple[Any, ...], meter: Meter, group_by: Sequence[str]) -> dict[str, Any]:
    identifier, occurred_at, sign, value, unique, source, external_id, of, kind, reason, *groups = row
    return {
        "id": identifier,
        "occurred_at": occurred_at,
        "sign": sign,
        "value": Fraction(value) if meter.definition.value_property is not None else None,
        "unique": unique,
        "source": source,
        "external_id": external_id,
        "event" if meter.definition.source == EVENTS else "reservation": of,
        "type": kind,
        "reason": reason,
        **dict(zip(group_by, groups, strict=True)),
    }


def _list(names: Sequence[str]) -> str:
    return "".join(f"{name}, " for name in names)


def _grouped(names: Sequence[str]) -> str:
    return f"GROUP BY {', '.join(names)}" if names else ""
