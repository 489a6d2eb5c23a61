"""Where a customer's billing stands: what use was cut off, when the next boundary is, and who is due."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from billing.rules.cuts import Cut
from common.errors import NotFound
from events.store import Cursor

Range = tuple[Cut | None, Cut]
"""What is in the second cut and not in the first: the use of one invoice."""

_STANDING: Final = """
SELECT next_at, cycle_start, cut::text, open_ranges::text, threshold, version FROM billing_customers
WHERE organization = %s
"""
_ITEM_DUE: Final = """
SELECT min(due_at) FROM invoice_items WHERE organization = %s AND invoice_id IS NULL AND due_at <= %s
"""
_WAITING: Final = """
SELECT id, finalize_at FROM invoices
WHERE organization = %s AND status IN ('draft', 'tax_pending') AND finalize_at <= %s ORDER BY finalize_at, id LIMIT 1
"""
# What is on an invoice without a number is billed, although the books hold it as unbilled until that has one.
_LEFT: Final = """
-a.posted - COALESCE((SELECT sum(l.amount - l.remainder) FROM invoices i JOIN invoice_lines l ON l.invoice_id = i.id
    WHERE i.organization = a.organization AND i.status IN ('draft', 'tax_pending', 'failed')
        AND l.account = 'unbilled_receivable'), 0)
"""
_UNBILLED: Final = f"""
SELECT {_LEFT} FROM accounts a WHERE a.organization = %s AND a.kind = 'unbilled_receivable' AND a.counterparty IS NULL
"""
# The latest clock of any organization narrows the index scans; each one's own clock decides.
_DUE: Final = f"""
WITH ahead AS (SELECT clock_timestamp() + max(clock_offset) AS at FROM organizations)
SELECT d.organization FROM (
    SELECT b.organization, b.next_at AS at FROM billing_customers b, ahead WHERE b.next_at <= ahead.at
    UNION ALL
    SELECT i.organization, i.due_at FROM invoice_items i, ahead WHERE i.invoice_id IS NULL AND i.due_at <= ahead.at
    UNION ALL
    SELECT s.organization, s.next_at FROM ahead, subscriptions s JOIN organizations p ON p.id = s.organization
    WHERE s.next_at <= ahead.at AND p.status = 'active'
    UNION ALL
    SELECT m.organization, m.end_at FROM metered_periods m, ahead WHERE m.invoice_id IS NULL AND m.end_at <= ahead.at
    UNION ALL
    SELECT v.organization, v.finalize_at FROM invoices v, ahead
    WHERE v.status IN ('draft', 'tax_pending') AND v.finalize_at <= ahead.at
    UNION ALL
    SELECT b.organization, '-infinity' FROM billing_customers b JOIN accounts a ON a.organization = b.organization
        AND a.kind = 'unbilled_receivable' AND a.counterparty IS NULL AND {_LEFT} >= b.threshold
    WHERE b.threshold IS NOT NULL
) d JOIN organizations o ON o.id = d.organization
LEFT JOIN billing_runs r ON r.organization = d.organization
WHERE d.at <= clock_timestamp() + o.clock_offset AND r.parked_at IS NULL
    AND (r.claimed_at IS NULL OR r.claimed_at <= clock_timestamp() - %(claim)s)
    AND (r.failed_at IS NULL
        OR r.failed_at <= clock_timestamp() - least(%(longest)s, make_interval(secs => 10 * 2 ^ r.failures)))
GROUP BY d.organization ORDER BY min(d.at), d.organization LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """A customer's row. `threshold`: units of unbilled use at which an invoice is made between two boundaries."""

    next_at: datetime
    cycle_start: datetime
    cut: Cut | None
    open_ranges: tuple[Range, ...]
    threshold: int | None
    version: int


def standing_of(cur: Cursor, organization: UUID) -> Standing:
    """Return where a customer's billing stands. Raises NotFound: the platform owes itself nothing."""
    row = cur.execute(_STANDING, (organization,)).fetchone()
    if row is None:
        raise NotFound("This organization is not billed.")
    next_at, cycle_start, cut, ranges, threshold, version = row
    return Standing(
        next_at,
        cycle_start,
        None if cut is None else Cut.read(json.loads(cut)),
        tuple(read_range(each) for each in json.loads(ranges)),
        threshold,
        version,
    )


def read_range(data: Any) -> Range:
    """Return a range as an event holds it: [cut or null, cut]."""
    before, after = data
    return None if before is None else Cut.read(before), Cut.read(after)


def written_range(found: Range) -> list[Any]:
    """Return a range as events hold it."""
    before, after = found
    return [None if before is None else before.written(), after.written()]


def first_item_due(cur: Cursor, organization: UUID, until: datetime) -> datetime | None:
    """Return since when the first open item is due, if any is by then."""
    row = cur.execute(_ITEM_DUE, (organization, until)).fetchone()
    return None if row is None else row[0]


def first_waiting(cur: Cursor, organization: UUID, until: datetime) -> tuple[UUID, datetime] | None:
    """Return the first invoice whose grace period has ended by then, and when it did."""
    row = cur.execute(_WAITING, (organization, until)).fetchone()
    return None if row is None else (row[0], row[1])


def unbilled_of(cur: Cursor, organization: UUID) -> int:
    """Return the postpaid use, in units, that is on no invoice yet."""
    row = cur.execute(_UNBILLED, (organization,)).fetchone()
    return 0 if row is None else int(row[0])


def due_customers(cur: Cursor, *, limit: int, claim: Any, longest: Any) -> list[UUID]:
    """Return customers for whom something is due by their own clock, the longest due first: neither parked, nor in
    work (`claim`: how long a claim is good), nor failed a moment ago (`longest`: the longest pause after failures)."""
    rows = cur.execute(_DUE, {"limit": limit, "claim": claim, "longest": longest}).fetchall()
    return [row[0] for row in rows]
