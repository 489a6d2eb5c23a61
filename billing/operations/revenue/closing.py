"""Closing and reopening months: decided once for a seller, then written into each of its customers' books.

A seller's month is `closing` until all books have it: one short transaction for each organization, under its lock,
books the revenue of the month, notes what the books say, and publishes to the ledger from when on they are open. A
crash leaves the rest to the next run.
"""

from __future__ import annotations

from datetime import date
from functools import partial
from typing import Any, Final
from uuid import UUID

from billing.operations.revenue.recognising import attempted, recognise_revenue
from billing.projections.recognition import stream_of
from billing.queries.accounting import (
    balances_before,
    books_to_move,
    closed_before,
    count_not_over,
    find_closed_month,
    find_period,
    last_closed,
    latest_periods,
    waiting_periods,
)
from billing.rules.accounting import (
    CLOSING,
    OPEN,
    REOPENING,
    Period,
    PeriodNotOver,
    closing,
    period_fact,
    reopening,
    settled,
)
from billing.rules.months import month_end, month_text
from common.errors import InvalidTransition, NotFound
from common.transactions import run_in_transaction
from events.store import Cursor
from ledger.operations.books import lock_books
from ledger.rules.adjustments import require_reason
from orgs import PLATFORM_ID
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization
from orgs.rules.facts import Fact, time_text

AUTHOR: Final = Author("system:close_books")
_AT_ONCE: Final = 200


def close_period(cur: Cursor, *, entity: UUID, month: date, author: Author) -> Period:
    """This function will let a month of a seller's books be closed, and return it: `closing` until all of its
    customers' books have it.

    Months are closed in their order; the first one closes whatever lies before it. Raises PeriodNotOver (by some
    customer's clock) and InvalidTransition (closed already, or not the next one).
    """
    locked = lock_organization(cur, PLATFORM_ID)
    found = find_period(cur, entity, month) or Period(
        stream_of("accounting_period", entity, month_text(month)),
        PLATFORM_ID,
        entity,
        month,
        OPEN,
        "",
        locked.now,
        author.actor,
        0,
    )
    changed = closing(found, last=last_closed(cur, entity), at=locked.now, by=author.actor)
    if locked.now < month_end(month, zone="UTC") and not _is_over(cur, entity, month):
        raise PeriodNotOver
    if count_not_over(cur, entity, month):
        raise PeriodNotOver
    record(cur, [period_fact(changed)], author=author)
    return changed


def reopen_period(cur: Cursor, *, entity: UUID, month: date, reason: str, author: Author) -> Period:
    """This function will let the last closed month of a seller be reopened, for a reason, and return it: `reopening`
    until all books have it. Raises NotFound, InvalidField without a reason, and InvalidTransition."""
    text = require_reason(reason)
    locked = lock_organization(cur, PLATFORM_ID)
    found = find_period(cur, entity, month)
    if found is None:
        raise NotFound("This month was never closed.")
    changed = reopening(found, last=last_closed(cur, entity), reason=text, at=locked.now, by=author.actor)
    record(cur, [period_fact(changed)], author=author)
    return changed


def close_due_books() -> int:
    """This function will write what was decided about months into all books that do not have it yet, and return into
    how many: also into those of customers that came to a seller after it closed a month."""
    done = 0
    for entity, month, status in run_in_transaction(waiting_periods):
        done += _move_books(entity, month, status)
        run_in_transaction(partial(_settle, entity=entity, month=month, status=status))
    for entity, month in run_in_transaction(latest_periods):
        done += _move_books(entity, month, CLOSING)
    return done


def close_books(cur: Cursor, *, organization: UUID, entity: UUID, month: date, author: Author) -> bool:
    """This function will close a month in one organization's books and return whether it was open.

    Its revenue is booked before; what the books say then is noted. Raises NotFound, and InvalidTransition when the
    month is not over by the organization's clock.
    """
    books = lock_books(cur, organization)
    found = find_closed_month(cur, organization, month)
    if found is not None and found.status == "closed":
        return False
    end = month_end(month, zone=books.organization.time_zone)
    if books.now < end:
        raise InvalidTransition("The month is not over in these books.")
    recognise_revenue(cur, organization=organization, until=end, author=author)
    until = end if books.closed_until is None else max(end, books.closed_until)
    data: dict[str, Any] = {
        "legal_entity": str(entity),
        "month": month.isoformat(),
        "ends_at": time_text(end),
        "status": "closed",
        "balances": balances_before(cur, organization, end),
        "closed_until": time_text(until),
        "ledger": {"closed_until": time_text(until)},
    }
    version = 1 if found is None else found.version + 1
    stream = stream_of("books", organization, month_text(month))
    fact = Fact(organization, "books", stream, version, "closed", data, books.now)
    record(cur, [fact], author=author)
    return True


def reopen_books(cur: Cursor, *, organization: UUID, month: date, author: Author) -> bool:
    """This function will reopen a month in one organization's books and return whether it was closed. Raises
    NotFound."""
    books = lock_books(cur, organization)
    found = find_closed_month(cur, organization, month)
    if found is None or found.status != "closed":
        return False
    until = closed_before(cur, organization, month)
    data: dict[str, Any] = {
        "legal_entity": str(found.legal_entity),
        "month": month.isoformat(),
        "ends_at": time_text(found.ends_at),
        "status": "open",
        "balances": {},
        "closed_until": time_text(until),
        "ledger": {"closed_until": time_text(until)},
    }
    fact = Fact(organization, "books", found.id, found.version + 1, "reopened", data, books.now)
    record(cur, [fact], author=author)
    return True


def _is_over(cur: Cursor, entity: UUID, month: date) -> bool:
    """Whether a month that is to come for the platform is over for all of the seller's customers, of whom there are
    some: sandbox organizations ahead of it."""
    return bool(books_to_move(cur, entity, month, CLOSING, limit=1))


def _move_books(entity: UUID, month: date, status: str) -> int:
    done = 0
    while chosen := run_in_transaction(partial(_chosen, entity=entity, month=month, status=status)):
        moved = sum(
            attempted(
                partial(_move, organization=organization, entity=entity, month=month, status=status),
                organization,
            )
            for organization in chosen
        )
        if not moved:  # another run was faster, or nobody's can be moved
            break
        done += moved
    return done


def _chosen(cur: Cursor, *, entity: UUID, month: date, status: str) -> list[UUID]:
    return books_to_move(cur, entity, month, status, limit=_AT_ONCE)


def _move(cur: Cursor, *, organization: UUID, entity: UUID, month: date, status: str) -> bool:
    if status == REOPENING:
        return reopen_books(cur, organization=organization, month=month, author=AUTHOR)
    return close_books(cur, organization=organization, entity=entity, month=month, author=AUTHOR)


def _settle(cur: Cursor, *, entity: UUID, month: date, status: str) -> None:
    """Note that all books have it, unless somebody came to the seller meanwhile: then the next run does."""
    locked = lock_organization(cur, PLATFORM_ID)
    found = find_period(cur, entity, month)
    if found is None or found.status != status or books_to_move(cur, entity, month, status, limit=1):
        return
    record(cur, [period_fact(settled(found, at=locked.now, by=AUTHOR.actor))], author=AUTHOR)
