"""What is asked of revenue metrics, and the statements' values for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from billing.rules.months import next_month


@dataclass(frozen=True, slots=True)
class Asked:
    """Months (UTC) from `first` to `last`, both whole, as far as `until` (exclusive): what is dated later is left out.

    `currency`, `organization` None: all, each currency apart. `sandbox`: of sandboxes only, else of none.
    """

    first: date
    last: date
    until: datetime
    currency: str | None = None
    organization: UUID | None = None
    sandbox: bool = False

    @property
    def start_at(self) -> datetime:
        """Return the first instant of the first month."""
        return month_start(self.first)

    @property
    def end_at(self) -> datetime:
        """Return where the last month ends, or the moment that is asked for, if that is before."""
        return min(month_start(next_month(self.last)), self.until)

    @property
    def end_day(self) -> date:
        """Return the day (UTC) behind the last one that counts, for what is kept by whole days."""
        return (self.end_at - timedelta(microseconds=1)).astimezone(UTC).date() + timedelta(days=1)

    def values(self) -> dict[str, Any]:
        """Return the values of the statements' parameters."""
        return {
            "first": self.first,
            "last": self.last,
            "start": self.start_at,
            "end": self.end_at,
            "end_day": self.end_day,
            "until": self.until,
            "currency": self.currency,
            "organization": self.organization,
            "sandbox": self.sandbox,
        }


CUSTOMERS = """
NOT o.is_platform AND o.sandbox = %(sandbox)s AND (%(organization)s::uuid IS NULL OR o.id = %(organization)s)
"""
"""Whose figures count: a sandbox's money is none."""


def month_start(month: date) -> datetime:
    """Return the first instant of a month in UTC."""
    return datetime(month.year, month.month, 1, tzinfo=UTC)
