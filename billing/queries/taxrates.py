"""Tax rates that the platform entered, which months are closed to them, and which invoices wait for one."""

from __future__ import annotations

from datetime import date
from typing import Any, Final
from uuid import UUID

from billing.rules.findings import RATE_MISSING
from billing.rules.tax import TaxRate
from common.errors import NotFound
from events.store import Cursor

_READ: Final = """
SELECT id, organization, country, tax_code, ppm, valid_from, valid_to, source, created_at, version FROM tax_rates
"""
_LIST: Final = f"""
{_READ} WHERE (%(country)s::text IS NULL OR country = %(country)s)
    AND (%(tax_code)s::text IS NULL OR tax_code = %(tax_code)s)
    AND (%(on)s::date IS NULL OR valid_from <= %(on)s AND (valid_to IS NULL OR valid_to > %(on)s))
    AND (%(before)s::uuid IS NULL OR id < %(before)s)
ORDER BY id DESC LIMIT %(limit)s
"""
# A month that is over for sandboxes alone is closed to nobody's real invoice.
_CLOSED: Final = """
SELECT (max(p.month) + interval '1 month')::date FROM accounting_periods p
JOIN legal_entities e ON e.id = p.legal_entity
WHERE e.tax_area = %s AND p.status IN ('closing', 'closed', 'reopening')
    AND p.month + interval '1 month' <= clock_timestamp() AT TIME ZONE 'UTC'
"""
# Rates are never deleted: that there are more of them than when it was tried says that one was entered since.
_ANSWERED: Final = f"""
SELECT f.organization, array_agg(f.subject ORDER BY f.id) FROM findings f
WHERE f.status = 'open' AND f.kind = '{RATE_MISSING}'
    AND (SELECT count(*) FROM tax_rates r WHERE r.country = f.detail->>'country') > (f.detail->>'rates')::integer
GROUP BY f.organization ORDER BY f.organization LIMIT %s
"""


def rates_of(cur: Cursor, country: str | None) -> tuple[TaxRate, ...]:
    """Return everything that was entered for a country, the oldest first."""
    rows = cur.execute(f"{_READ} WHERE country = %s ORDER BY id", (country,)).fetchall()
    return tuple(TaxRate(*row) for row in rows)


def find_tax_rate(cur: Cursor, rate: UUID) -> TaxRate:
    """Return one rate. Raises NotFound."""
    row = cur.execute(f"{_READ} WHERE id = %s", (rate,)).fetchone()
    if row is None:
        raise NotFound("There is no such tax rate.")
    return TaxRate(*row)


def list_tax_rates(
    cur: Cursor,
    *,
    country: str | None,
    tax_code: str | None,
    on: date | None,
    before: UUID | None,
    limit: int,
) -> list[TaxRate]:
    """Return rates, newest first; `on`: those that cover this day."""
    given: dict[str, Any] = {
        "country": country,
        "tax_code": tax_code,
        "on": on,
        "before": before,
        "limit": limit,
    }
    return [TaxRate(*row) for row in cur.execute(_LIST, given).fetchall()]


def closed_for_tax(cur: Cursor, area: str) -> date | None:
    """Return the first day after the months that a seller of this tax area has closed; None when nobody has."""
    row = cur.execute(_CLOSED, (area,)).fetchone()
    return None if row is None else row[0]


def answered_findings(cur: Cursor, *, limit: int) -> list[tuple[UUID, list[str]]]:
    """Return customers with invoices that wait for a rate, for whose country one was entered since they were tried,
    and the subjects of those findings."""
    return [
        (organization, subjects) for organization, subjects in cur.execute(_ANSWERED, (limit,)).fetchall()
    ]
