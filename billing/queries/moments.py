"""When something falls due for a customer next, by whatever clock works: what a simulation never jumps over."""

from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from billing.queries.dunning import CALLED, OVERDUE
from common.errors import NotFound
from events.store import Cursor
from ledger.operations.waiting import breakable

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
    SELECT min(next_at) FROM subscriptions WHERE organization = %(organization)s
    UNION ALL
    SELECT min(next_at) FROM contracts WHERE organization = %(organization)s
    UNION ALL
    {entitlements}
    UNION ALL
    {revenue}
    UNION ALL
    SELECT min(next_at) FROM dunning_cases WHERE organization = %(organization)s AND closed_at IS NULL
    UNION ALL
    {overdue}
    UNION ALL
    {grants}
    UNION ALL
    {holds}
) AS due
"""
# What falls due and comes into no case, as below a threshold, is nothing to stop at.
_OVERDUE: Final = f"""
SELECT min(w.due_at) FROM (
    SELECT i.organization, i.id, i.currency, i.due_at, greatest(i.due_at, clock_timestamp() + o.clock_offset) AS now
    FROM invoices i JOIN organizations o ON o.id = i.organization
    WHERE i.organization = %(organization)s AND {OVERDUE}
) w WHERE {CALLED}
"""
_ENTITLEMENTS: Final = "SELECT next_at FROM gate_entitlements WHERE organization = %(organization)s"
_REVENUE: Final = (
    "SELECT min(next_at) FROM recognition_schedules WHERE organization = %(organization)s AND status = 'open'"
)
_GRANTS: Final = """
SELECT min(greatest(g.expires_at, coalesce(g.breaks_at, g.expires_at))) FROM credit_grants g
WHERE g.organization = %(organization)s AND g.expired_at IS NULL AND g.remaining > 0 AND {breakable}
"""
_HOLDS: Final = (
    "SELECT min(expires_at) FROM reservations WHERE organization = %(organization)s AND status = 'active'"
)
_DUE: Final = """
SELECT coalesce(({entitlements}) <= c.now, false), coalesce(({revenue}) <= c.now, false),
    coalesce(({grants}) <= c.now, false), coalesce(({holds}) <= c.now, false)
FROM (SELECT clock_timestamp() + clock_offset AS now FROM organizations WHERE id = %(organization)s) AS c
"""


class DueWork(NamedTuple):
    """Which work that goes by its own rows alone is due by a customer's clock."""

    entitlements: bool
    revenue: bool
    grants: bool
    holds: bool


def due_work(cur: Cursor, organization: UUID) -> DueWork:
    """Return what of it is due, in one statement and without any lock: each job decides under its own. Raises
    NotFound."""
    row = cur.execute(_DUE.format(**_parts()), {"organization": organization}).fetchone()
    if row is None:
        raise NotFound("There is no such organization.")
    return DueWork(*row)


def _parts() -> dict[str, str]:
    grants = _GRANTS.format(breakable=breakable())
    return {"entitlements": _ENTITLEMENTS, "revenue": _REVENUE, "grants": grants, "holds": _HOLDS}


def next_moment(cur: Cursor, organization: UUID) -> datetime | None:
    """Return the earliest moment at which a customer's due work is to be done: the end of a billing cycle, a fee or a
    metered period that falls due, a boundary of a subscription or contract, other
    entitlements, a month's revenue, an invoice that falls
    overdue, a step of dunning, the end of an invoice's grace period, of a grant, of a reservation. In the past where it
    was not done yet; None when nothing is ever due."""
    row = cur.execute(_NEXT.format(overdue=_OVERDUE, **_parts()), {"organization": organization}).fetchone()
    found: datetime | None = row[0] if row else None
    return found
