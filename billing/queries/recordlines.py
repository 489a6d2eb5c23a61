"""On which invoice lines a usage record or an event is: the way back from what `explaining` goes.

A line over use knows its range of cuts and its group, a metered line its period and its cut. So nobody's use is gone
through: one record is held against the cuts of the invoices that came after it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from billing.queries.cuts import recorded_id
from billing.queries.invoices import LINE_SELECT, LineRow, read_line
from billing.queries.meterrows import MeterRows
from billing.queries.meters import meters_counting
from billing.queries.standing import Range, read_range
from billing.queries.subscriptions import METERED_COLUMNS, MeteredRow
from billing.rules.cuts import Cut
from billing.rules.invoices import VOID
from billing.rules.meters import USAGE, Meter
from billing.rules.usagelines import Group
from common.errors import NotFound
from events.store import Cursor
from spend.rules.charging import METERED

_FACT: Final = "f.id, f.organization, f.recorded_at, f.occurred_at, f.epoch, f.tx::text::bigint"
_USAGE: Final = f"""
SELECT {_FACT}, f.kind, f.provider, f.model, f.tool, f.external_id, f.reservation_id, f.currency, f.charge,
    f.funding::text
FROM usage_records f WHERE f.organization = %s AND f.id = %s
"""
_EVENT: Final = f"""
SELECT {_FACT}, f.sign, f.type FROM meter_events f WHERE f.organization = %(organization)s AND f.id = %(event)s
    AND f.event_id = f.id
UNION ALL SELECT {_FACT}, f.sign, f.type FROM meter_events f
WHERE f.organization = %(organization)s AND f.event_id = %(event)s AND f.event_id <> f.id
ORDER BY 1
"""
# An invoice has a younger id than the records that it bills.
_RANGES: Final = """
SELECT i.id, i.usage::text FROM invoices i
WHERE i.organization = %(organization)s AND i.id >= %(first)s AND i.usage IS NOT NULL ORDER BY i.id
"""
_LINES: Final = f"""
SELECT {LINE_SELECT}, i.number, i.status, i.currency, i.period_start, i.period_end
FROM invoice_lines l JOIN invoices i ON i.id = l.invoice_id WHERE l.organization = %(organization)s AND
"""
_OF_RANGE: Final = f"""{_LINES} l.invoice_id = %(invoice)s AND l.kind = 'usage'
    AND (l.detail->>'range')::integer = %(place)s AND l.detail->'group' = %(group)s::jsonb ORDER BY l.n
"""
_OF_PERIOD: Final = f"""{_LINES} l.kind = 'metered' AND l.detail->>'period' = %(period)s
    AND (%(charge)s::text IS NULL OR l.detail->>'charge_id' = %(charge)s) ORDER BY l.invoice_id, l.n
"""
# A period ends in its window: that has an index.
_PERIODS: Final = f"""
SELECT {METERED_COLUMNS} FROM metered_periods
WHERE organization = %(organization)s AND window_end > %(at)s AND start_at <= %(at)s AND end_at > %(at)s
    AND meter = ANY(%(meters)s) ORDER BY end_at, id
"""


@dataclass(frozen=True, slots=True)
class Fact:
    """A row that a meter may count or a line be over, as cuts tell it apart. `sign`: -1 takes another back."""

    id: UUID
    organization: UUID
    recorded_at: datetime
    occurred_at: datetime
    epoch: int
    tx: int
    sign: int = 1

    def is_in(self, cut: Cut | None) -> bool:
        """Return whether a cut holds it; there is none before the first."""
        return cut is not None and cut.holds(epoch=self.epoch, tx=self.tx, occurred_at=self.occurred_at)


@dataclass(frozen=True, slots=True)
class UsageFact:
    """A usage record; money in units. `receipt`: what paid for it."""

    fact: Fact
    kind: str | None
    provider: str | None
    model: str | None
    tool: str | None
    external_id: str | None
    reservation: UUID | None
    currency: str
    charge: int
    receipt: Sequence[Sequence[Any]]

    @property
    def is_charge(self) -> bool:
        """Whether it is what a metered line charged, and no call."""
        return self.kind == METERED


@dataclass(frozen=True, slots=True)
class RecordLine:
    """A line with its invoice, and which of the facts that were asked for its records are (`counts`: they add up to
    something that counts). A line's charge itself is no record of it: then there are none."""

    line: LineRow
    number: str | None
    status: str
    currency: str
    period_start: datetime
    period_end: datetime
    facts: tuple[Fact, ...] = ()

    @property
    def counts(self) -> bool:
        """Return whether the line counts what was asked for, not only that it was taken back."""
        return not self.facts or sum(one.sign for one in self.facts) > 0

    @property
    def is_late(self) -> bool:
        """Return whether it is over what became known after its period was closed."""
        detail = self.line.detail
        return bool(detail["late"] if self.line.kind == METERED else detail["group"]["late"])

    @property
    def is_living(self) -> bool:
        """Return whether its invoice is not void."""
        return self.status != VOID


def find_usage_fact(cur: Cursor, *, organization: UUID, record: UUID) -> UsageFact:
    """Return a usage record as lines know it. Raises NotFound, also for another organization's."""
    row = cur.execute(_USAGE, (organization, record)).fetchone()
    if row is None:
        raise NotFound("There is no such usage record.")
    return UsageFact(*(Fact(*row[:6]), *row[6:-1], json.loads(row[-1])))


def find_event_facts(cur: Cursor, *, organization: UUID, event: UUID) -> tuple[str, list[Fact]]:
    """Return the type of an event and what was said of it, oldest first. Raises NotFound, also for another
    organization's."""
    rows = cur.execute(_EVENT, {"organization": organization, "event": event}).fetchall()
    if not rows:
        raise NotFound("There is no such event.")
    return rows[0][-1], [Fact(*row[:-1]) for row in rows]


def lines_of_usage(cur: Cursor, usage: UsageFact) -> list[RecordLine]:
    """Return the lines that a usage record is on, also those of void invoices: the one over its use, or that charged
    it, and those of meters that counted it."""
    own = _charged_on(cur, usage) if usage.is_charge else _used_on(cur, usage)
    return [*own, *lines_of_meters(cur, USAGE, [usage.fact])]


def lines_of_meters(
    cur: Cursor, source: str, facts: Sequence[Fact], *, event_type: str | None = None
) -> list[RecordLine]:
    """Return the metered lines among whose records are any of these facts of one organization, in the order in which
    they were made, also those of void invoices."""
    found: dict[tuple[UUID, int], RecordLine] = {}
    meters = {meter.key: meter for meter in meters_counting(cur, source, event_type)}
    for one in facts:
        for period in periods_at(cur, one.organization, meters, one.occurred_at):
            if not counts(cur, meters[period.meter], one):
                continue
            for line in _of_period(cur, one.organization, str(period.id)):
                place = line.line.invoice_id, line.line.n
                if one.is_in(Cut.read(line.line.detail["cut"])):
                    found[place] = _with_fact(found.get(place, line), one)
    return [found[place] for place in sorted(found)]


def counts(cur: Cursor, meter: Meter, fact: Fact) -> bool:
    """Return whether a meter has a row among what it counts."""
    rows = MeterRows(meter)
    one = "f.organization = %(organization)s AND f.id = %(fact)s AND f.recorded_at = %(recorded)s"
    given = {"organization": fact.organization, "fact": fact.id, "recorded": fact.recorded_at}
    statement = f"SELECT EXISTS (SELECT FROM ({rows.select(one, ())}) AS r)"
    return cur.execute(statement, {**given, **rows.values}).fetchone() == (True,)


def periods_at(cur: Cursor, organization: UUID, meters: Iterable[str], at: datetime) -> list[MeteredRow]:
    """Return the metered periods of these meters (keys) that ended and hold a moment."""
    given = {"organization": organization, "at": at, "meters": list(meters)}
    return [MeteredRow(*row) for row in cur.execute(_PERIODS, given).fetchall()]


def is_in_range(fact: Fact, chosen: Range) -> bool:
    """Return whether a record is in the second cut of a range and not in the first."""
    before, after = chosen
    return fact.is_in(after) and not fact.is_in(before)


def _used_on(cur: Cursor, usage: UsageFact) -> list[RecordLine]:
    """The lines over the use that a call is part of."""
    fact = usage.fact
    found: list[RecordLine] = []
    given = {"organization": fact.organization, "first": recorded_id(fact.recorded_at)}
    for invoice, written in cur.execute(_RANGES, given).fetchall():
        for place, chosen in enumerate(map(read_range, json.loads(written))):
            if is_in_range(fact, chosen):
                group = _group(usage, chosen)
                found += _lines(
                    cur, _OF_RANGE, organization=fact.organization, invoice=invoice, place=place,
                    group=json.dumps(group.data()),
                )  # fmt: skip
    return [_with_fact(line, fact) for line in found]


def _group(usage: UsageFact, chosen: Range) -> Group:
    before, _ = chosen
    late = before is not None and usage.fact.occurred_at < before.until
    return Group(usage.kind, usage.provider, usage.model, usage.tool, late)


def _charged_on(cur: Cursor, usage: UsageFact) -> list[RecordLine]:
    """The lines that charged a metered quantity: more than one only where the others are void."""
    charge = usage.external_id or ""
    return _of_period(cur, usage.fact.organization, charge.rpartition(":")[0], charge=charge)


def _of_period(
    cur: Cursor, organization: UUID, period: str, *, charge: str | None = None
) -> list[RecordLine]:
    return list(_lines(cur, _OF_PERIOD, organization=organization, period=period, charge=charge))


def _lines(cur: Cursor, statement: str, **given: Any) -> Iterator[RecordLine]:
    for row in cur.execute(statement, given).fetchall():
        yield RecordLine(read_line(row[:-5]), *row[-5:])


def _with_fact(line: RecordLine, fact: Fact) -> RecordLine:
    return replace(line, facts=(*line.facts, fact))
