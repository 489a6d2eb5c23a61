"""Recognition schedules, what was booked of each month, and for whom something is due."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from billing.rules.schedules import Schedule
from common.errors import NotFound
from events.store import Cursor

_COLUMNS: Final = """
s.id, s.organization, s.invoice_id, s.line, s.item_id, s.subscription, s.currency, s.billed, s.included,
s.changes::text, s.service_start, s.service_end, s.method, s.zone, s.opened_at, s.ended_at, s.recognised,
s.recognised_until, s.next_at, s.status, s.version
"""
# A subscription that has ended owes no service any more: its schedules end with it.
_DUE: Final = f"""
SELECT {_COLUMNS}, b.ended_at FROM recognition_schedules s
LEFT JOIN subscriptions b ON b.id = s.subscription AND b.organization = s.organization
WHERE s.organization = %s AND s.status = 'open' AND (s.next_at <= %s OR b.ended_at IS NOT NULL AND b.ended_at < %s)
ORDER BY s.id
"""
_OF_INVOICE: Final = f"SELECT {_COLUMNS} FROM recognition_schedules s WHERE s.invoice_id = %s ORDER BY s.line"
_LIST: Final = f"""
SELECT {_COLUMNS} FROM recognition_schedules s WHERE s.organization = %(organization)s
    AND (%(status)s::text IS NULL OR s.status = %(status)s)
    AND (%(invoice)s::uuid IS NULL OR s.invoice_id = %(invoice)s)
    AND (%(subscription)s::uuid IS NULL OR s.subscription = %(subscription)s)
    AND (%(after)s::uuid IS NULL OR s.id > %(after)s)
ORDER BY s.id LIMIT %(limit)s
"""
_MONTHS: Final = """
SELECT month, amount, booked_at, version FROM recognised_months WHERE organization = %(organization)s
    AND (%(before)s::date IS NULL OR month < %(before)s) ORDER BY month DESC LIMIT %(limit)s
"""
# The latest clock of any organization narrows the index scan; each one's own clock decides.
_DUE_ORGANIZATIONS: Final = """
SELECT s.organization FROM recognition_schedules s JOIN organizations o ON o.id = s.organization
WHERE s.status = 'open' AND s.next_at <= clock_timestamp() + (SELECT max(clock_offset) FROM organizations)
    AND s.next_at <= clock_timestamp() + o.clock_offset AND (%(after)s::uuid IS NULL OR s.organization > %(after)s)
GROUP BY s.organization ORDER BY s.organization LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class RecognisedMonth:
    """What was booked of a month, in units; of more than one entry the later ones came late."""

    month: date
    amount: int
    booked_at: datetime
    version: int


def due_schedules(cur: Cursor, organization: UUID, until: datetime) -> list[tuple[Schedule, datetime | None]]:
    """Return the open schedules of which something may be revenue by then, each with when its subscription ended."""
    rows = cur.execute(_DUE, (organization, until, until)).fetchall()
    return [(_schedule(row[:-1]), row[-1]) for row in rows]


def schedules_of(cur: Cursor, invoice: UUID) -> list[Schedule]:
    """Return the schedules of an invoice's lines."""
    return [_schedule(row) for row in cur.execute(_OF_INVOICE, (invoice,)).fetchall()]


def list_schedules(
    cur: Cursor,
    *,
    organization: UUID,
    status: str | None = None,
    invoice: UUID | None = None,
    subscription: UUID | None = None,
    after: UUID | None = None,
    limit: int,
) -> list[Schedule]:
    """Return up to `limit` of an organization's schedules in the order of their ids."""
    given: dict[str, Any] = {
        "organization": organization,
        "status": status,
        "invoice": invoice,
        "subscription": subscription,
        "after": after,
        "limit": limit,
    }
    return [_schedule(row) for row in cur.execute(_LIST, given).fetchall()]


def find_schedule(cur: Cursor, *, organization: UUID, schedule: UUID) -> Schedule:
    """Return one schedule. Raises NotFound, also for another organization's."""
    row = cur.execute(
        f"SELECT {_COLUMNS} FROM recognition_schedules s WHERE s.organization = %s AND s.id = %s",
        (organization, schedule),
    ).fetchone()
    if row is None:
        raise NotFound("There is no such recognition schedule.")
    return _schedule(row)


def organization_of_schedule(cur: Cursor, schedule: UUID) -> UUID:
    """Return whose schedule it is; for the platform's own requests only. Raises NotFound."""
    row = cur.execute("SELECT organization FROM recognition_schedules WHERE id = %s", (schedule,)).fetchone()
    if row is None:
        raise NotFound("There is no such recognition schedule.")
    owner: UUID = row[0]
    return owner


def recognised_months(
    cur: Cursor, *, organization: UUID, before: date | None, limit: int
) -> list[RecognisedMonth]:
    """Return what was booked of an organization's months, the latest first."""
    given = {"organization": organization, "before": before, "limit": limit}
    return [RecognisedMonth(*row) for row in cur.execute(_MONTHS, given).fetchall()]


def booked_before(cur: Cursor, organization: UUID, months: Iterable[date]) -> dict[date, tuple[int, int]]:
    """Return (amount, how many entries) of months of which something is booked."""
    cur.execute(
        "SELECT month, amount, version FROM recognised_months WHERE organization = %s AND month = ANY(%s)",
        (organization, list(months)),
    )
    return {month: (amount, version) for month, amount, version in cur.fetchall()}


def due_organizations(cur: Cursor, *, after: UUID | None, limit: int) -> list[UUID]:
    """Return organizations of which a month is over, by their own clock, that is not booked yet."""
    rows = cur.execute(_DUE_ORGANIZATIONS, {"after": after, "limit": limit}).fetchall()
    return [row[0] for row in rows]


def _schedule(row: tuple[Any, ...]) -> Schedule:
    values = list(row)
    values[9] = tuple((datetime.fromisoformat(at), amount) for at, amount in json.loads(row[9]))
    return Schedule(*values)
