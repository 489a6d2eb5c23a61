"""What was invoiced progressively in a customer's period."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from billing.rules.progressive import THRESHOLD, ProgressiveInvoice, statement
from events.store import Cursor

# Every invoice begins with the period that it is drafted in, so that of two in a month each finds its own.
_FIND: Final = """
SELECT i.id, i.number, i.finalized_at, i.net - COALESCE(sum(n.net), 0)::bigint, i.tax - COALESCE(sum(n.tax), 0)::bigint
FROM invoices i LEFT JOIN credit_notes n ON n.invoice_id = i.id
WHERE i.organization = %(organization)s AND i.period_start = %(start)s AND i.cause = %(cause)s AND i.status <> 'void'
GROUP BY i.id ORDER BY i.dated_at, i.id
"""


def period_statement(cur: Cursor, *, organization: UUID, start: datetime, net: int) -> dict[str, Any] | None:
    """Return what the last invoice of the period that began at `start` states of those before it, as events hold it;
    None where there are none. `net`: what that invoice is over, in units without tax."""
    given = {"organization": organization, "start": start, "cause": THRESHOLD}
    found = [ProgressiveInvoice(*row) for row in cur.execute(_FIND, given).fetchall()]
    return statement(found, net=net)
