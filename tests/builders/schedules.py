"""Schedules of revenue in the hand: made of an invoice's lines by the rules alone, without a database."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from billing.rules.schedules import Schedule, book_months, opened

MAJOR = 100_000_000
FAR = datetime(2030, 1, 1, tzinfo=UTC)


def day(text: str) -> datetime:
    """Midnight of a day in UTC, or the instant of a longer text."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def line(net: int, start: str | None, end: str | None, **given: Any) -> Any:
    """A line of an invoice that defers revenue."""
    values = {
        "n": 1, "account": "deferred_revenue", "amount": net, "net": net, "item_id": None, "subscription": None,
        "service_start": start and day(start), "service_end": end and day(end), "detail": {},
    }  # fmt: skip
    return SimpleNamespace(**{**values, **given})


def schedule_of(line: Any, at: str = "2026-01-01", closed_until: datetime | None = None) -> Schedule | None:
    """The schedule of a line of an invoice of that day; None for a line that defers nothing."""
    return opened(
        line,
        organization=UUID(int=1),
        invoice=UUID(int=2),
        currency="USD",
        zone="UTC",
        at=day(at),
        closed_until=closed_until,
    )


def months_of(*schedules: Schedule | None, until: datetime = FAR) -> dict[str, int]:
    """What is booked of schedules by month ("04"), without the months that have nothing."""
    found = book_months([one for one in schedules if one], until=until, zone="UTC", closed_until=None)
    return {f"{one.month:%m}": one.amount for one in found if one.amount}
