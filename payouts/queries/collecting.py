"""What settling a caller reads: its sources with how far each is paid, what waits for the holdback, and who is due."""

from __future__ import annotations

import json
from collections.abc import Collection as Some
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from billing.queries.contracts import postpaid_commitments
from billing.queries.cuts import difference
from billing.queries.standing import read_range
from events.store import Cursor
from payouts.queries.payers import fractions_of
from payouts.rules.collecting import Collection, Fraction, Pair, Source, settled_of
from spend.rules.splits import LINE

_PAIRS: Final = """
SELECT p.partner::text, p.matured, p.moved, r.holdback_days FROM earning_pairs p
JOIN partners r ON r.organization = p.partner WHERE p.organization = %s ORDER BY p.partner
"""
_SOURCES: Final = """
SELECT partner::text, source, share, collected, lost FROM earning_sources WHERE organization = %s
ORDER BY partner, source
"""
# Two ways to find them, by an index each: what has been moved long ago is not read again.
_WAITING: Final = """
SELECT partner::text, source, hour, amount, matured FROM earning_collections
WHERE organization = %(organization)s AND NOT matured
UNION ALL
SELECT partner::text, source, hour, amount, matured FROM earning_collections
WHERE organization = %(organization)s AND matured AND source = ANY(%(sources)s)
    AND partner = ANY(ARRAY(SELECT partner FROM earning_pairs WHERE organization = %(organization)s))
"""
_DUE: Final = """
SELECT p.organization FROM (SELECT DISTINCT organization FROM earning_pairs) p
LEFT JOIN earning_watermarks w USING (organization) JOIN organizations o ON o.id = p.organization
WHERE EXISTS (SELECT FROM events e WHERE e.organization = p.organization AND e.seq > coalesce(w.seq, 0))
    OR EXISTS (SELECT FROM earning_collections c JOIN partners r ON r.organization = c.partner
        WHERE c.organization = p.organization AND NOT c.matured AND c.hour + interval '1 hour'
            <= clock_timestamp() + o.clock_offset - make_interval(days => r.holdback_days))
ORDER BY p.organization
"""
_NOT_NOTED: Final = """
SELECT i.id, i.usage::text FROM invoices i WHERE i.organization = %s AND i.number IS NOT NULL AND i.status <> 'void'
    AND i.usage IS NOT NULL AND NOT EXISTS (SELECT FROM earning_invoices n WHERE n.invoice_id = i.id)
ORDER BY i.finalized_at, i.id
"""
_SHARES: Final = """
SELECT p->>0, p->>1, sum((p->>3)::bigint)::bigint
FROM usage_records x, json_array_elements(x.detail->'shares'->'parts') p
WHERE {condition} AND x.detail->'shares' IS NOT NULL AND p->>1 = ANY(%(payers)s) AND {reversed} GROUP BY 1, 2
"""
_NOT_REVERSED: Final = (
    "NOT EXISTS (SELECT FROM earning_reversals r WHERE r.organization = x.organization AND r.id = x.id)"
)
_REVERSED: Final = "x.id = ANY(%(reversed)s)"
_VOID: Final = """
SELECT i.id::text, s.partner::text, s.share, split_part(s.source, ':', 3) FROM earning_sources s
JOIN invoices i ON i.organization = s.organization AND i.id::text = split_part(s.source, ':', 2)
WHERE s.organization = %s AND s.source LIKE 'invoice:%%' AND i.status = 'void' AND s.share <> 0 ORDER BY 1, 2, 4
"""
_TO_PLACE: Final = "SELECT id FROM earning_reversals WHERE organization = %s AND NOT placed ORDER BY id"
_NOTED: Final = """
SELECT i.id, i.usage::text FROM earning_invoices n JOIN invoices i ON i.id = n.invoice_id
WHERE n.organization = %s AND i.status <> 'void' ORDER BY i.finalized_at DESC, i.id DESC
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """What settling a caller is decided on."""

    sources: list[Source]
    fractions: dict[str, Fraction]
    collections: list[Collection]
    pairs: list[Pair]


def partners_of(cur: Cursor, organization: UUID) -> list[UUID]:
    """Return the partners that earned something of a caller."""
    return [UUID(row[0]) for row in cur.execute(_PAIRS, (organization,)).fetchall()]


def due_callers(cur: Cursor) -> list[UUID]:
    """Return the callers of which something happened since they were settled, or whose holdback is over."""
    return [row[0] for row in cur.execute(_DUE).fetchall()]


def standing_of(cur: Cursor, organization: UUID) -> Standing:
    """Return what settling a caller is decided on, under its lock."""
    sources = [Source(*row) for row in cur.execute(_SOURCES, (organization,)).fetchall()]
    fractions = fractions_of(cur, organization, sources)
    shrunk = [source.name for source in sources if settled_of(source, fractions)[0] < source.collected]
    given = {"organization": organization, "sources": shrunk}
    collections = [Collection(*row) for row in cur.execute(_WAITING, given).fetchall()]
    pairs = [
        Pair(partner, matured, moved, timedelta(days=days))
        for partner, matured, moved, days in cur.execute(_PAIRS, (organization,)).fetchall()
    ]
    return Standing(sources, fractions, collections, pairs)


def unnoted_invoices(cur: Cursor, organization: UUID) -> list[tuple[UUID, list[Any]]]:
    """Return the finalised invoices of a caller whose shares were not summed up, with the ranges of use they bill."""
    return [
        (invoice, json.loads(ranges))
        for invoice, ranges in cur.execute(_NOT_NOTED, (organization,)).fetchall()
    ]


def void_sources(cur: Cursor, organization: UUID) -> dict[str, list[list[Any]]]:
    """Return what stands on void invoices of a caller, parts as in `shares_in` by invoice: it is on none again."""
    found: dict[str, list[list[Any]]] = {}
    for invoice, partner, share, grant in cur.execute(_VOID, (organization,)).fetchall():
        found.setdefault(invoice, []).append([partner, share, *([grant] if grant else [])])
    return found


def reversals_of(cur: Cursor, organization: UUID) -> int:
    """Return how many calls of a caller were reversed."""
    statement = "SELECT count(*) FROM earning_reversals WHERE organization = %s"
    row = cur.execute(statement, (organization,)).fetchone()
    return 0 if row is None else int(row[0])


def reversals_to_place(cur: Cursor, organization: UUID) -> list[UUID]:
    """Return the usage records that were reversed and have not been looked for on the caller's invoices."""
    return [row[0] for row in cur.execute(_TO_PLACE, (organization,)).fetchall()]


def placed_on(
    cur: Cursor, organization: UUID, reversed_calls: Some[UUID]
) -> list[tuple[UUID, list[list[Any]]]]:
    """Return (invoice, parts as in `shares_in`) of these calls, by the living invoice that bills them and was summed
    up."""
    found = []
    for invoice, ranges in cur.execute(_NOTED, (organization,)).fetchall():
        parts = _shares(cur, organization, json.loads(ranges), _REVERSED, {"reversed": list(reversed_calls)})
        found += [(invoice, parts)] if parts else []
    return found


def shares_in(cur: Cursor, organization: UUID, ranges: Iterable[Any]) -> list[list[Any]]:
    """Return [partner, share] of what the line paid for in the ranges of cuts that an invoice bills, and [partner,
    share, grant] of what a postpaid commitment did, which is billed as it is used, too; both without what was reversed
    by now. What a cut holds never changes, so no lock is needed; see `reversals_of` for what may."""
    return _shares(cur, organization, ranges, _NOT_REVERSED, {})


def _shares(
    cur: Cursor, organization: UUID, ranges: Iterable[Any], chosen: str, values: dict[str, Any]
) -> list[list[Any]]:
    payers = [LINE, *(str(grant) for grant in postpaid_commitments(cur, organization))]
    sums: dict[tuple[str, str], int] = {}
    for data in ranges:
        before, after = read_range(data)
        condition = difference(cur, organization, alias="x", cut=after, previous=before)
        statement = _SHARES.format(condition=condition.sql, reversed=chosen)
        given = {**condition.values, **values, "payers": payers}
        for partner, payer, share in cur.execute(statement, given).fetchall():
            sums[partner, payer] = sums.get((partner, payer), 0) + share
    return [
        [partner, share, *([] if payer == LINE else [payer])]
        for (partner, payer), share in sorted(sums.items())
        if share
    ]
