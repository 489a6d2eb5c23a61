"""Why a line says what it says: its records, read again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from billing.queries.invoices import LineRow, find_invoice, find_line
from billing.queries.metering import records
from billing.queries.meters import find_meter
from billing.queries.standing import Range, read_range
from billing.queries.subscriptions import find_metered_period
from billing.queries.tallying import charge_of
from billing.queries.usage import FIRST, records_of
from billing.rules.cuts import Cut
from billing.rules.explaining import Recount
from billing.rules.meteredlines import METERED
from billing.rules.meters import Meter
from billing.rules.recounting import MeterRecount
from billing.rules.usagelines import Group
from common.errors import NotFound
from events.store import Cursor

MOST_RECOUNTED: Final = 100_000
"""A line with more records than this is not read through while somebody waits; its CSV has all of them."""


@dataclass(frozen=True, slots=True)
class Explained:
    """A line with its recount, or that of a meter; None for a line without records of its own, or with too many to read
    at once."""

    line: LineRow
    recount: Recount | None
    metered: MeterRecount | None = None

    @property
    def agrees(self) -> bool | None:
        """Whether the second way comes to the same; None: it was not gone."""
        if self.metered is not None:
            return self.metered.agrees_with(self.line.detail)
        if self.recount is None:
            return None
        return self.recount.agrees_with(charge=self.line.charge, detail=self.line.detail)


def explain_line(cur: Cursor, *, organization: UUID, invoice: UUID, number: int) -> Explained:
    """Return a line and what its records come to when they are added up again, one by one. Raises NotFound."""
    line, chosen = line_with_range(cur, organization=organization, invoice=invoice, number=number)
    if line.kind == METERED:
        return Explained(line, None, _counted_again(cur, organization, line))
    if chosen is None or line.detail["records"] > MOST_RECOUNTED:
        return Explained(line, None)
    recount = Recount()
    group = Group(**line.detail["group"])
    for record in records_of(cur, organization=organization, chosen=chosen, group=group):
        recount.add(record)
    return Explained(line, recount)


def line_with_range(
    cur: Cursor, *, organization: UUID, invoice: UUID, number: int
) -> tuple[LineRow, Range | None]:
    """Return a line and, where it is over use, the range of cuts that its records are from. Raises NotFound."""
    found = find_invoice(cur, organization=organization, invoice=invoice)
    line = find_line(cur, found.id, number)
    if line.kind != "usage":
        return line, None
    return line, read_range((found.usage or ())[line.detail["range"]])


def usage_range(cur: Cursor, *, organization: UUID, invoice: UUID, number: int) -> tuple[Group, Range]:
    """Return which records a line over use is about. Raises NotFound, also for a line without records."""
    line, chosen = line_with_range(cur, organization=organization, invoice=invoice, number=number)
    if chosen is None:
        raise NotFound("This line has no usage records.")
    return Group(**line.detail["group"]), chosen


@dataclass(frozen=True, slots=True)
class MeteredRecords:
    """Which records a metered line is about: those of a meter in [start, end) that its cut knows."""

    meter: Meter
    start: datetime
    end: datetime
    cut: Cut
    group_by: tuple[str, ...]

    def rows(self, cur: Cursor, organization: UUID, *, after: UUID = FIRST) -> Iterator[dict[str, Any]]:
        """Yield the records in the order of their ids, from the one after `after` on."""
        return records(
            cur, organization, self.meter, self.start, self.end, self.cut, None, self.group_by, after=after
        )


def metered_records(cur: Cursor, *, organization: UUID, invoice: UUID, number: int) -> MeteredRecords | None:
    """Return which records a metered line is about; None for a line of another kind. Raises NotFound."""
    line, _ = line_with_range(cur, organization=organization, invoice=invoice, number=number)
    if line.kind != METERED:
        return None
    return _records(cur, line, UUID(line.detail["period"]))


def _records(cur: Cursor, line: LineRow, period: UUID) -> MeteredRecords:
    row = find_metered_period(cur, period)
    cut = Cut.read(line.detail["cut"])
    of_line = find_metered_period(cur, UUID(line.detail["period"]))
    charge = charge_of(cur, of_line)
    return MeteredRecords(find_meter(cur, row.meter), row.start_at, row.end_at, cut, charge.group_by)


def _counted_again(cur: Cursor, organization: UUID, line: LineRow) -> MeterRecount | None:
    groups = [*line.detail["groups"], *line.detail.get("earlier", ())]
    if sum(one["records"] for one in groups) > MOST_RECOUNTED:
        return None
    own = UUID(line.detail["period"])
    recount: MeterRecount | None = None
    for period in (*map(UUID, line.detail.get("earlier_periods", ())), own):
        chosen = _records(cur, line, period)
        recount = recount or MeterRecount(chosen.meter.definition, chosen.group_by)
        for row in chosen.rows(cur, organization):
            recount.add(row, is_own=period == own)
    return recount
