"""Booking revenue: what of invoiced fees a month has earned, once that month is over."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import Any, Final
from uuid import UUID

from billing.projections.recognition import stream_of
from billing.queries.recognition import booked_before, due_organizations, due_schedules
from billing.rules.months import last_instant, month_text
from billing.rules.schedules import BookedMonth, Schedule, book_months, ended, schedule_data
from common.money import checked_units, format_amount
from common.transactions import run_in_transaction
from events.store import Cursor
from ledger.operations.books import Books, lock_books
from ledger.rules.effects import entry
from orgs.operations.facts import Author, record
from orgs.rules.facts import Fact, time_text

logger = logging.getLogger(__name__)

AUTHOR: Final = Author("system:recognise_revenue")
_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True)
class Booked:
    """What a month got: units of revenue, and the journal entry, None when the schedules' parts even out."""

    month: date
    amount: int
    entry: UUID | None


def recognise_revenue(
    cur: Cursor, *, organization: UUID, until: datetime | None = None, author: Author = AUTHOR
) -> list[Booked]:
    """This function will book the revenue of every month that is over by `until` (None, or later than the
    organization's clock: by that) and return what it booked, in units, a journal entry for each month.

    What a month gets is what is revenue up to its end less what is booked: run twice, late, or after a year, the books
    are the same. What is found for a month that has an entry makes another one there; for one that is closed, it is
    booked in the first open month, whose entry says so. Raises NotFound and AmountOutOfRange.
    """
    books = lock_books(cur, organization)
    limit = books.now if until is None else min(until, books.now)
    schedules = [_as_it_ended(found, at) for found, at in due_schedules(cur, organization, limit)]
    months = book_months(
        schedules, until=limit, zone=books.organization.time_zone, closed_until=books.closed_until
    )
    before = booked_before(cur, organization, (month.month for month in months))
    made = [_recognised(books, month, before.get(month.month, (0, 0))) for month in months]
    record(cur, [fact for fact, _ in made], author=author)
    return [booked for _, booked in made]


def recognise_due() -> int:
    """This function will book whatever month is over in any organization's books, and return in how many it did so.

    What stands in one's way stops nobody else: it is reported, and due again the next time.
    """
    done, after = 0, None
    while due := run_in_transaction(partial(due_organizations, after=after, limit=_AT_ONCE)):
        done += sum(
            attempted(partial(recognise_revenue, organization=organization), organization)
            for organization in due
        )
        after = due[-1]
    return done


def attempted(operation: Callable[[Cursor], Any], organization: UUID) -> bool:
    """This function will do one organization's part of a job in a transaction of its own, and return whether it did
    something; an error is reported and does not stop the job."""
    try:
        return bool(run_in_transaction(operation))
    except Exception as error:
        logger.warning("revenue.failed", exc_info=error, extra={"organization": str(organization)})
        return False


def _as_it_ended(schedule: Schedule, at: datetime | None) -> Schedule:
    return schedule if at is None else ended(schedule, at=at)


def _recognised(books: Books, month: BookedMonth, before: tuple[int, int]) -> tuple[Fact, Booked]:
    amount, version = before[0] + month.amount, before[1] + 1
    name = month_text(month.month)
    stream = stream_of("recognition", books.organization.id, name)
    data: dict[str, Any] = {
        "month": month.month.isoformat(),
        "amount": checked_units(amount),
        "booked_at": time_text(books.now),
        "late": [[month_text(late), part] for late, part in month.late],
        "schedules": [schedule_data(schedule) for schedule in month.schedules],
    }
    made = None
    if month.amount:
        posted = entry(
            kind="recognition",
            key=f"recognition:{name}:{version}",
            source=f"recognition:{stream}",
            lines=[books.line("deferred_revenue", -month.amount), books.line("revenue", month.amount)],
            currency=books.currency,
            reason=_reason(month),
            effective_at=last_instant(month.end),
        )
        made = UUID(posted["id"])
        data["ledger"] = {"entries": [posted]}
    fact = Fact(books.organization.id, "recognition", stream, version, "recognised", data, books.now)
    return fact, Booked(month.month, month.amount, made)


def _reason(month: BookedMonth) -> str:
    late = ", ".join(f"{format_amount(part)} of {month_text(at)}" for at, part in month.late)
    return f"Revenue of {month_text(month.month)}" + (f"; of closed months: {late}" if late else "")
