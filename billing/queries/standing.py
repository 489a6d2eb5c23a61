"""Where a customer's billing stands: what use was cut off, when the next boundary is, and who is due."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from billing.rules.cuts import Cut
from billing.rules.progressive import Progress, read_progress
from common.errors import NotFound
from events.store import Cursor
from spend.queries.charges import PASSED_THE_GATE
from spend.queries.periods import recorded_since

Range = tuple[Cut | None, Cut]
"""What is in the second cut and not in the first: the use of one invoice."""

_STANDING: Final = """
SELECT next_at, cycle_start, cut::text, open_ranges::text, threshold, version, progressive::text FROM billing_customers
WHERE organization = %s
"""
# Ordered by a sum, lest the customer's first draft be looked for among those of everybody, in their order.
_DUES: Final = """
SELECT b.next_at, b.cycle_start, b.cut::text, b.open_ranges::text, b.threshold, b.version, b.progressive::text,
    (SELECT min(i.due_at) FROM invoice_items i WHERE i.organization = b.organization AND i.invoice_id IS NULL),
    (SELECT min(m.end_at) FROM metered_periods m WHERE m.organization = b.organization AND m.invoice_id IS NULL),
    least((SELECT min(s.next_at) FROM subscriptions s WHERE s.organization = b.organization AND s.next_at IS NOT NULL),
        (SELECT min(c.next_at) FROM contracts c WHERE c.organization = b.organization AND c.next_at IS NOT NULL)),
    w.id, w.finalize_at, EXISTS (SELECT FROM invoice_lines l WHERE l.invoice_id = w.id AND l.treatment IS NULL)
FROM billing_customers b LEFT JOIN LATERAL (
    SELECT v.id, v.finalize_at FROM invoices v
    WHERE v.organization = b.organization AND v.status IN ('draft', 'tax_pending')
    ORDER BY v.finalize_at + interval '0', v.id LIMIT 1
) w ON true
WHERE b.organization = %s
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
_AHEAD: Final = f"""
SELECT COALESCE(sum((p->>2)::bigint), 0) FROM usage_records x, json_array_elements(x.funding) AS p
WHERE x.organization = %(organization)s AND x.id >= %(first_id)s AND x.recorded_at >= %(recorded)s
    AND x.occurred_at >= %(at)s AND x.{PASSED_THE_GATE} AND p->>0 = 'postpaid'
"""
# What waits, and when it is due by the customer's clock.
_WAITS: Final = (
    ("billing_customers", "next_at", "true"),
    ("invoice_items", "due_at", "w.invoice_id IS NULL"),
    ("subscriptions", "next_at", "w.next_at IS NOT NULL"),
    ("contracts", "next_at", "w.next_at IS NOT NULL"),
    ("metered_periods", "end_at", "w.invoice_id IS NULL"),
    ("invoices", "finalize_at", "w.status IN ('draft', 'tax_pending')"),
)
_FREE: Final = """
NOT EXISTS (SELECT FROM billing_runs r WHERE r.organization = o.id AND (r.parked_at IS NOT NULL
    OR r.claimed_at > statement_timestamp() - %(claim)s
    OR r.failed_at > statement_timestamp() - least(%(longest)s, make_interval(secs => 10 * 2 ^ r.failures))))
"""
# By the wall clock, as nearly everybody's goes: in the order of an index, no further than is asked for.
_BY_WALL: Final = """
(SELECT o.id AS organization, w.{at} AS at FROM {table} w JOIN organizations o ON o.id = w.organization
 WHERE w.{at} <= statement_timestamp() AND {condition} AND {free} ORDER BY w.{at} LIMIT %(limit)s)
"""
# Clocks of sandboxes that were moved on: these few are looked at one by one.
_BY_MOVED: Final = """
SELECT o.id, w.{at} FROM organizations o JOIN {table} w ON w.organization = o.id
WHERE o.clock_offset > '0' AND w.{at} <= statement_timestamp() + o.clock_offset AND {condition} AND {free}
"""
_OVER: Final = f"""
SELECT o.id, '-infinity' FROM billing_customers b JOIN organizations o ON o.id = b.organization
    JOIN accounts a ON a.organization = b.organization
        AND a.kind = 'unbilled_receivable' AND a.counterparty IS NULL AND {_LEFT} >= b.threshold
WHERE b.threshold IS NOT NULL AND {_FREE}
"""
_DUE: Final = f"""
SELECT d.organization FROM (
    {
    " UNION ALL ".join(
        (
            *(
                select.format(table=table, at=at, condition=condition, free=_FREE)
                for table, at, condition in _WAITS
                for select in (_BY_WALL, _BY_MOVED)
            ),
            _OVER,
        )
    )
}
) d GROUP BY d.organization ORDER BY min(d.at), d.organization LIMIT %(limit)s
"""


# Since closing ends what was agreed, only an organization that was closed before has any of this.
_UNENDED: Final = """
SELECT e.occurred_at FROM events e
WHERE e.organization = %(organization)s AND e.stream_type = 'organization' AND e.stream_id = %(organization)s
    AND e.type = 'organization.closed'
    AND (EXISTS (SELECT FROM subscriptions s WHERE s.organization = e.organization AND s.ended_at IS NULL)
        OR EXISTS (SELECT FROM contracts c WHERE c.organization = e.organization AND c.ended_at IS NULL))
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """A customer's row. `progress`: how far the period is towards the thresholds of progressive billing."""

    next_at: datetime
    cycle_start: datetime
    cut: Cut | None
    open_ranges: tuple[Range, ...]
    progress: Progress
    version: int

    @property
    def threshold(self) -> int | None:
        """Return at how many units of unbilled use an invoice is made before the next boundary."""
        return self.progress.trigger


@dataclass(frozen=True, slots=True)
class Waiting:
    """A customer's first invoice without a number: when its grace period ends, and whether a line waits for its tax."""

    invoice: UUID
    at: datetime
    lacks_tax: bool


@dataclass(frozen=True, slots=True)
class Dues:
    """Where a customer's billing stands, and when what waits is due: its first open item, its first metered period to
    rate, the first boundary of its subscriptions and contracts, its first draft. None: there is none."""

    standing: Standing
    item: datetime | None
    metered: datetime | None
    turn: datetime | None
    waiting: Waiting | None


def dues_of(cur: Cursor, organization: UUID) -> Dues:
    """Return what waits for a customer's billing run, in one statement. Raises NotFound, like `standing_of`."""
    row = cur.execute(_DUES, (organization,)).fetchone()
    if row is None:
        raise NotFound("This organization is not billed.")
    item, metered, subscription, invoice, at, lacks_tax = row[7:]
    waiting = None if invoice is None else Waiting(invoice, at, lacks_tax)
    return Dues(_standing(row[:7]), item, metered, subscription, waiting)


def unended_since(cur: Cursor, organization: UUID) -> datetime | None:
    """Return when a closed organization was closed if a subscription or contract of its did not end with it."""
    row = cur.execute(_UNENDED, {"organization": organization}).fetchone()
    return None if row is None else row[0]


def standing_of(cur: Cursor, organization: UUID) -> Standing:
    """Return where a customer's billing stands. Raises NotFound: the platform owes itself nothing."""
    row = cur.execute(_STANDING, (organization,)).fetchone()
    if row is None:
        raise NotFound("This organization is not billed.")
    return _standing(row)


def _standing(row: tuple[Any, ...]) -> Standing:
    next_at, cycle_start, cut, ranges, threshold, version, progress = row
    return Standing(
        next_at,
        cycle_start,
        None if cut is None else Cut.read(json.loads(cut)),
        tuple(read_range(each) for each in json.loads(ranges)),
        read_progress(None if progress is None else json.loads(progress), threshold),
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


def unbilled_of(cur: Cursor, organization: UUID) -> int:
    """Return the postpaid use, in units, that is on no invoice yet."""
    row = cur.execute(_UNBILLED, (organization,)).fetchone()
    return 0 if row is None else int(row[0])


def dated_ahead(cur: Cursor, organization: UUID, *, at: datetime) -> int:
    """Return what of the postpaid use of calls, in units, occurred at a moment of the customer's clock or later:
    callers may date it up to five minutes ahead, and a cut at that moment leaves it to the next one."""
    recorded = recorded_since(cur, organization, at)
    values = {"organization": organization, "at": at, "first_id": recorded.first_id, "recorded": recorded.at}
    row = cur.execute(_AHEAD, values).fetchone()
    return 0 if row is None else int(row[0])


def due_customers(cur: Cursor, *, limit: int, claim: Any, longest: Any) -> list[UUID]:
    """Return customers for whom something is due by their own clock, the longest due first: neither parked, nor in
    work (`claim`: how long a claim is good), nor failed a moment ago (`longest`: the longest pause after failures)."""
    rows = cur.execute(_DUE, {"limit": limit, "claim": claim, "longest": longest}).fetchall()
    return [row[0] for row in rows]
