"""What was drawn from postpaid commitments, as an invoice bills it: everything known at its cut less what was billed.

Counted from the window's start every time: so whatever an invoice billed that is void by now is on the next one again,
and the lines of a window are differences of one rounded running sum. Metered use that was taken
back, and so went back to a commitment, lowers the sum of the next invoice after the one that took it back.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Final, NamedTuple
from uuid import UUID

from billing.queries.contracts import PostpaidGrant, drawn_from, postpaid_commitments
from billing.queries.cuts import difference
from billing.queries.takenback import returned_to, use_back
from billing.rules.contracts.lines import CommittedUse
from billing.rules.cuts import Cut
from billing.rules.rounding import round_to_document
from events.store import Cursor

_BILLED: Final = """
SELECT l.contract, (l.detail->>'window')::integer, sum(l.amount)::bigint
FROM invoice_lines l JOIN invoices i ON i.id = l.invoice_id
WHERE l.organization = %s AND l.kind = 'commitment' AND l.item_id IS NULL AND i.status <> 'void' GROUP BY 1, 2
"""
# Beside a line below zero stands what of it a credit note had given back (`noted_line`).
_LINES: Final = """
SELECT l.invoice_id, l.n, l.net - COALESCE((SELECT sum((p->>'net')::bigint) FROM credit_notes c,
        jsonb_array_elements(c.lines) p WHERE c.invoice_id = l.invoice_id AND (p->>'line')::integer = l.n), 0)::bigint
FROM invoice_lines l JOIN invoices i ON i.id = l.invoice_id
WHERE l.organization = %s AND l.contract = %s AND l.kind IN ('commitment', 'adjustment') AND l.item_id IS NULL
    AND (l.detail->>'window')::integer = %s AND i.status <> 'void'
ORDER BY i.dated_at DESC, l.invoice_id DESC, l.n DESC
"""
_SETTLED: Final = """
SELECT contract, number, used FROM contract_windows WHERE organization = %s AND status = 'settled'
"""


class WindowLine(NamedTuple):
    """A line over what was drawn from a commitment, and what of its net no credit note took back, in units; below zero
    where it gives something back."""

    invoice: UUID
    n: int
    left: int


def window_lines(cur: Cursor, *, organization: UUID, contract: UUID, window: int) -> list[WindowLine]:
    """Return the lines of living invoices over what was drawn within a window of a contract, the latest first."""
    rows = cur.execute(_LINES, (organization, contract, window)).fetchall()
    return [WindowLine._make(row) for row in rows]


def committed_use(cur: Cursor, *, organization: UUID, currency: str, cut: Cut) -> list[CommittedUse]:
    """Return for each window of the organization's postpaid commitments what its grants have paid for at a cut, and
    what of that was billed; those that are billed to the end are left out. Without any lock: what a cut holds never
    changes."""
    windows: dict[tuple[UUID, int], list[PostpaidGrant]] = defaultdict(list)
    for grant in postpaid_commitments(cur, organization).values():
        windows[grant.contract, grant.window].append(grant)
    if not windows:
        return []
    billed = {row[:2]: int(row[2]) for row in cur.execute(_BILLED, (organization,)).fetchall()}
    for contract, number, used in cur.execute(_SETTLED, (organization,)).fetchall():
        found = windows.get((contract, number), [])
        before = billed.get((contract, number), 0) + (found[0].repaid_billed if found else 0)
        if round_to_document(used, currency=currency) == before:
            windows.pop((contract, number), None)
    grants = [grant for found in windows.values() for grant in found]
    if not grants:
        return []
    first = min(grant.start for grant in grants)
    known = difference(cur, organization, alias="x", cut=cut, occurred_from=first)
    drawn = drawn_from(
        cur, grants=[grant.grant for grant in grants], condition=known.sql, values=known.values
    )
    returned = returned_to(use_back(cur, organization))
    return [
        _use(
            found,
            sum(drawn.get(grant.grant, 0) - returned[grant.grant] for grant in found),
            billed.get(key, 0),
        )
        for key, found in sorted(windows.items(), key=lambda item: item[1][0].start)
    ]


def _use(grants: list[PostpaidGrant], drawn: int, billed: int) -> CommittedUse:
    one = grants[0]
    return CommittedUse(
        contract=one.contract,
        window=one.window,
        name=one.name,
        start=one.start,
        end=one.end,
        grants=tuple(grant.grant for grant in grants),
        drawn=one.repaid + drawn,
        billed=one.repaid_billed + billed,
    )
