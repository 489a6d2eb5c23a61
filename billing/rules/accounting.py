"""Accounting periods: the months of a seller's books, and what may be done with them. Pure.

Months are closed one after the other; the first that is closed closes whatever lies before it. Only the last closed one
can be reopened, with a reason.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from billing.rules.months import month_text, next_month
from common.errors import InvalidTransition, ProblemError
from orgs.rules.facts import Fact, time_text

CLOSING, CLOSED, REOPENING, OPEN = "closing", "closed", "reopening", "open"
STATES: Final = (CLOSING, CLOSED, REOPENING, OPEN)


class PeriodNotOver(ProblemError):
    """The month is not over yet for every customer of the seller."""

    code = "period_not_over"
    status = 409
    title = "Accounting period not over"


@dataclass(frozen=True, slots=True)
class Period:
    """A month of a seller's books. closing and reopening: not in all of its customers' books yet."""

    id: UUID
    organization: UUID
    legal_entity: UUID
    month: date
    status: str
    reason: str
    changed_at: datetime
    changed_by: str
    version: int


def closing(period: Period, *, last: date | None, at: datetime, by: str) -> Period:
    """Return the month as it is being closed; `last` is the seller's last closed month.

    Raises InvalidTransition: it is closed already, or an earlier one is open.
    """
    if period.status in (CLOSING, CLOSED) and period.version:
        raise InvalidTransition(f"{month_text(period.month)} is {period.status} already.")
    if period.status == REOPENING:
        raise InvalidTransition(f"{month_text(period.month)} is being reopened.")
    if last is not None and period.month != next_month(last):
        raise InvalidTransition(f"The month after {month_text(last)}, the last closed one, is closed next.")
    return _next(period, CLOSING, "", at, by)


def reopening(period: Period, *, last: date | None, reason: str, at: datetime, by: str) -> Period:
    """Return the last closed month as it is being reopened. Raises InvalidTransition."""
    if period.status != CLOSED or period.month != last:
        raise InvalidTransition("Only the last closed month is reopened, once all books have it.")
    return _next(period, REOPENING, reason, at, by)


def settled(period: Period, *, at: datetime, by: str) -> Period:
    """Return the month as it is in all books now."""
    return _next(period, CLOSED if period.status == CLOSING else OPEN, period.reason, at, by)


def period_fact(period: Period) -> Fact:
    """Return what happened to a month."""
    return Fact(
        period.organization,
        "accounting_period",
        period.id,
        period.version,
        {CLOSING: "closing", CLOSED: "closed", REOPENING: "reopening", OPEN: "reopened"}[period.status],
        period_data(period),
        period.changed_at,
    )


def period_data(period: Period) -> dict[str, Any]:
    """Return the row as events hold it."""
    return {
        "legal_entity": str(period.legal_entity),
        "month": period.month.isoformat(),
        "status": period.status,
        "reason": period.reason,
        "changed_at": time_text(period.changed_at),
        "changed_by": period.changed_by,
    }


def _next(period: Period, status: str, reason: str, at: datetime, by: str) -> Period:
    return replace(
        period, status=status, reason=reason, changed_at=at, changed_by=by, version=period.version + 1
    )
