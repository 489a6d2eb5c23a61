"""What invoices, credit notes and voids do to recognition schedules, as the invoice's own events tell it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from billing.queries.invoices import CreditNote, LineRow
from billing.queries.recognition import schedules_of
from billing.rules.invoices import Invoice
from billing.rules.schedules import Schedule, credited, opened, schedule_data
from events.store import Cursor
from ledger.operations.books import Books


def opened_schedules(books: Books, found: Invoice, lines: Iterable[LineRow]) -> list[dict[str, Any]]:
    """Return the schedules of an invoice's lines that defer revenue, as its event holds them."""
    made = (
        opened(
            line,
            organization=found.organization,
            invoice=found.id,
            currency=found.currency,
            zone=books.organization.time_zone,
            at=found.dated_at,
            closed_until=books.closed_until,
        )
        for line in lines
    )
    return [schedule_data(one) for one in made if one is not None]


def credited_schedules(
    cur: Cursor,
    books: Books,
    lines: Sequence[LineRow],
    notes: Sequence[CreditNote],
    taken: Mapping[int, int],
) -> list[dict[str, Any]]:
    """Return the schedules that a credit note changes; `taken`: its net units by the line's number, `notes`: those
    before it. The schedule of a line of which nothing is left ends now."""
    left = {line.n: line.net for line in lines}
    for note in notes:
        for part in note.lines:
            left[part["line"]] -= part["net"]
    return [
        _changed(books, schedule, taken[schedule.line], ends=left[schedule.line] == taken[schedule.line])
        for schedule in schedules_of(cur, lines[0].invoice_id)
        if taken.get(schedule.line)
    ]


def voided_schedules(cur: Cursor, books: Books, found: Invoice) -> list[dict[str, Any]]:
    """Return the schedules of an invoice that is taken back whole: what was recognised is taken back, too."""
    return [
        _changed(books, schedule, schedule.amount, ends=True)
        for schedule in schedules_of(cur, found.id)
        if schedule.amount
    ]


def _changed(books: Books, schedule: Schedule, amount: int, *, ends: bool) -> dict[str, Any]:
    zone = books.organization.time_zone
    return schedule_data(credited(schedule, amount, at=books.now, ends=ends, zone=zone))
