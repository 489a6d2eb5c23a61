"""Why a line says what it says: its records, read again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from billing.queries.invoices import LineRow, find_invoice, find_line
from billing.queries.standing import Range, read_range
from billing.queries.usage import records_of
from billing.rules.explaining import Recount
from billing.rules.usagelines import Group
from common.errors import NotFound
from events.store import Cursor

MOST_RECOUNTED: Final = 100_000
"""A line with more records than this is not read through while somebody waits; its CSV has all of them."""


@dataclass(frozen=True, slots=True)
class Explained:
    """A line with its recount; None for a line without records of its own, or with too many to read at once."""

    line: LineRow
    recount: Recount | None

    @property
    def agrees(self) -> bool | None:
        """Whether the second way comes to the same; None: it was not gone."""
        if self.recount is None:
            return None
        return self.recount.agrees_with(charge=self.line.charge, detail=self.line.detail)


def explain_line(cur: Cursor, *, organization: UUID, invoice: UUID, number: int) -> Explained:
    """Return a line and what its records come to when they are added up again, one by one. Raises NotFound."""
    line, chosen = line_with_range(cur, organization=organization, invoice=invoice, number=number)
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
