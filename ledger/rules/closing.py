"""Closed months: what may still take effect in them (nothing), and what is done with what comes late. Pure.

Who closes months is not the ledger's matter: it is told from when on an organization's books are open.
"""

from __future__ import annotations

from datetime import datetime

from common.errors import ProblemError
from orgs.rules.facts import time_text


class PeriodClosed(ProblemError):
    """The month is closed: date the entry into an open month, or have the month reopened."""

    code = "period_closed"
    status = 409
    title = "Accounting period closed"


def require_open(moment: datetime | None, *, closed_until: datetime | None) -> None:
    """Refuse a moment in a closed month; None is now, which never is. Raises PeriodClosed."""
    if moment is not None and closed_until is not None and moment < closed_until:
        raise PeriodClosed(
            f"The books are closed until {time_text(closed_until)}: date the entry then or later, or have the month"
            " reopened.",
            extra={"closed_until": time_text(closed_until)},
        )


def open_date(moment: datetime | None, *, closed_until: datetime | None) -> datetime | None:
    """Return when what happened at a moment takes effect: then, or when the first open month begins."""
    if moment is None or closed_until is None:
        return moment
    return max(moment, closed_until)
