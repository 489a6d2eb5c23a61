"""When something falls due for a customer next, by whatever clock works: what a simulation never jumps over."""

from datetime import datetime
from typing import Final
from uuid import UUID

from events.store import Cursor

# One line for each kind of due work: a new kind adds its own, beside its job.
_NEXT: Final = """
SELECT min(at) FROM (
    SELECT next_at AS at FROM billing_customers WHERE organization = %(organization)s
    UNION ALL
    SELECT min(due_at) FROM invoice_items WHERE organization = %(organization)s AND invoice_id IS NULL
    UNION ALL
    SELECT min(end_at) FROM metered_periods WHERE organization = %(organization)s AND invoice_id IS NULL
    UNION ALL
    SELECT min(finalize_at) FROM invoices
    WHERE organization = %(organization)s AND status IN ('draft', 'tax_pending')
    UNION ALL
    SELECT min(s.next_at) FROM subscriptions s JOIN organizations o ON o.id = s.organization
    WHERE s.organization = %(organization)s AND o.status = 'active'
    UNION ALL
    SELECT min(greatest(expires_at, coalesce(breaks_at, expires_at))) FROM credit_grants
    WHERE organization = %(organization)s AND expired_at IS NULL AND remaining > 0
    UNION ALL
    SELECT min(expires_at) FROM reservations WHERE organization = %(organization)s AND status = 'active'
) AS due
"""


def next_moment(cur: Cursor, organization: UUID) -> datetime | None:
    """Return the earliest moment at which a customer's due work is to be done: the end of a billing cycle, a fee or a
    metered period that falls due, a subscription's boundary, the end of an invoice's grace period, of a grant, of a
    reservation. In the past where it was not done yet; None when nothing will ever be due."""
    row = cur.execute(_NEXT, {"organization": organization}).fetchone()
    found: datetime | None = row[0] if row else None
    return found
