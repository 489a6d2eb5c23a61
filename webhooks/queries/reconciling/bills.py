"""Providers' bills, and what our own record of calls says that they should be."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import date
from typing import Any, Final
from uuid import UUID

from common.errors import NotFound
from events.store import Cursor
from webhooks.rules.reconciling.bills import Bill, line_of

_NAMES: Final = tuple(field.name for field in fields(Bill))
_SELECT: Final = (
    "SELECT "
    + ", ".join(f"{name}::text" if name == "lines" else name for name in _NAMES)
    + " FROM provider_bills"
)
# What is ours to pay: calls with a key of the customer's own are billed to that customer by the provider.
_OURS: Final = """
SELECT (u.occurred_at AT TIME ZONE 'UTC')::date, lower(coalesce(u.model, 'other')), sum(u.cost)::bigint
FROM usage_records u LEFT JOIN connections c ON c.id = u.connection_id
WHERE u.provider = %(provider)s AND u.currency = %(currency)s AND u.occurred_at >= %(first)s::date
    AND u.occurred_at < %(last)s::date + 1 AND coalesce(c.billing, 'resold') = 'resold'
GROUP BY 1, 2 HAVING sum(u.cost) <> 0
"""


def find_bill(cur: Cursor, bill: UUID) -> Bill:
    """Return one bill. Raises NotFound."""
    row = cur.execute(f"{_SELECT} WHERE id = %s", (bill,)).fetchone()
    if row is None:
        raise NotFound("There is no such bill.")
    return _bill(row)


def bill_of_digest(cur: Cursor, digest: str) -> Bill | None:
    """Return the bill of a file that was imported before."""
    row = cur.execute(f"{_SELECT} WHERE digest = %s", (digest,)).fetchone()
    return None if row is None else _bill(row)


def list_bills(cur: Cursor, *, provider: str | None, before: UUID | None, limit: int) -> list[Bill]:
    """Return bills, by id from the last on."""
    statement = (
        f"{_SELECT} WHERE (%(provider)s::text IS NULL OR provider = %(provider)s)"
        " AND (%(before)s::uuid IS NULL OR id < %(before)s) ORDER BY id DESC LIMIT %(limit)s"
    )
    given = {"provider": provider, "before": before, "limit": limit}
    return [_bill(row) for row in cur.execute(statement, given).fetchall()]


def open_bills(cur: Cursor, *, since: date) -> list[Bill]:
    """Return the bills that are to be compared: those not booked yet, of days from then on."""
    found = cur.execute(f"{_SELECT} WHERE status = 'imported' AND last_day >= %s ORDER BY id", (since,))
    return [_bill(row) for row in found.fetchall()]


def costs(cur: Cursor, bill: Bill) -> dict[tuple[date, str], int]:
    """Return what our record of calls says for the days of a bill, in units by day and model."""
    given = {
        "provider": bill.provider,
        "currency": bill.currency,
        "first": bill.first_day,
        "last": bill.last_day,
    }
    return {(day, model): int(cost) for day, model, cost in cur.execute(_OURS, given).fetchall()}


def beside(cur: Cursor, bill: Bill) -> list[Bill]:
    """Return the other bills of the provider and currency that have days in common with one: a provider is exported in
    several files, by project or workspace."""
    found = cur.execute(
        f"{_SELECT} WHERE provider = %s AND currency = %s AND first_day <= %s AND last_day >= %s AND id <> %s",
        (bill.provider, bill.currency, bill.last_day, bill.first_day, bill.id),
    )
    return [_bill(row) for row in found.fetchall()]


def _bill(row: tuple[Any, ...]) -> Bill:
    values = dict(zip(_NAMES, row, strict=True))
    values["lines"] = tuple(line_of(line) for line in json.loads(values["lines"]))
    return Bill(**values)
