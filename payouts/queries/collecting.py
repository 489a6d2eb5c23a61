"""What settling a caller reads: its sources with how far each is paid, what waits for the holdback, and who is due."""

from __future__ import annotations

import json
from collections.abc import Collection as Some
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from billing.queries.cuts import difference
from billing.queries.standing import read_range
from events.store import Cursor
from payouts.rules.collecting import (
    ALL,
    Collection,
    Fraction,
    InvoiceFigures,
    Pair,
    Source,
    Used,
    settled_of,
    unpaid,
)

ADJUSTMENT: Final = "adjustment:"
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
_GRANTS: Final = """
SELECT g.id::text, g.kind, coalesce(u.amount, 0), g.cost_basis, g.created_at FROM credit_grants g
LEFT JOIN earning_used u ON u.organization = g.organization AND u.grant_id = g.id
WHERE g.organization = %(organization)s AND (g.id = ANY(%(grants)s::uuid[])
    OR %(debt)s > 0 AND g.kind = 'paid' AND u.amount > 0)
"""
_OWED: Final = """
SELECT debt FROM accounts WHERE organization = %s AND kind = 'customer_credit' AND counterparty IS NULL
"""
# A call that was reversed owes nothing: what is owed still is an older one's.
_DEBTS: Final = """
SELECT id::text, amount, at FROM earning_debts d WHERE organization = %s AND NOT EXISTS (
    SELECT FROM earning_reversals r WHERE r.organization = d.organization AND r.id = d.id)
"""
# What an open dispute took is paid still, for nobody is asked for it, and is not here: no share is paid out of it.
_INVOICES: Final = """
SELECT i.id::text, i.status, i.total, i.paid - coalesce(d.pending, 0), coalesce(n.total, 0), i.written_off
FROM invoices i LEFT JOIN LATERAL (SELECT sum(total)::bigint AS total FROM credit_notes c
    WHERE c.invoice_id = i.id) n ON true
LEFT JOIN LATERAL (SELECT sum(p.invoice_back - p.reopened)::bigint AS pending FROM payments p
    WHERE p.invoice_id = i.id) d ON true
WHERE i.organization = %s AND i.id = ANY(%s::uuid[])
"""
# The fee that gave a grant is an item of the same source whose service begins with it, or that runs while it does.
_FEES: Final = """
SELECT g.id::text, f.invoice_id::text FROM credit_grants g CROSS JOIN LATERAL (
    SELECT i.invoice_id FROM invoice_items i WHERE i.organization = g.organization AND i.amount > 0
        AND i.source = regexp_replace(g.reason, '^(Credit of |Commitment of )(subscription|contract) ', '\\2:')
        AND (i.service_start = g.effective_at OR i.service_start <= g.effective_at AND i.service_end > g.effective_at)
    ORDER BY i.included > 0 DESC, i.service_start = g.effective_at DESC, i.created_at, i.id LIMIT 1) f
WHERE g.organization = %s AND g.id = ANY(%s::uuid[])
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
SELECT p->>0, sum((p->>3)::bigint)::bigint FROM usage_records x, json_array_elements(x.detail->'shares'->'parts') p
WHERE {condition} AND x.detail->'shares' IS NOT NULL AND p->>1 = 'line' AND {reversed} GROUP BY 1 ORDER BY 1
"""
_NOT_REVERSED: Final = (
    "NOT EXISTS (SELECT FROM earning_reversals r WHERE r.organization = x.organization AND r.id = x.id)"
)
_REVERSED: Final = "x.id = ANY(%(reversed)s)"
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
    fractions = _fractions(cur, organization, {source.name for source in sources})
    fractions |= _as_the_rest(sources, fractions)
    shrunk = [source.name for source in sources if settled_of(source, fractions)[0] < source.collected]
    given = {"organization": organization, "sources": shrunk}
    collections = [Collection(*row) for row in cur.execute(_WAITING, given).fetchall()]
    pairs = [
        Pair(partner, matured, moved, timedelta(days=days))
        for partner, matured, moved, days in cur.execute(_PAIRS, (organization,)).fetchall()
    ]
    return Standing(sources, fractions, collections, pairs)


def _as_the_rest(sources: Iterable[Source], fractions: dict[str, Fraction]) -> dict[str, Fraction]:
    """An adjustment is nobody's payment: it is collected as far as what the caller's calls earned is."""
    found = list(sources)
    rest = [one for one in found if not one.name.startswith(ADJUSTMENT)]
    whole = sum(one.share for one in rest)
    if whole <= 0 or len(rest) == len(found):
        return {}
    parts = [settled_of(one, fractions) for one in rest]
    mean = Fraction(sum(part[0] for part in parts), sum(part[1] for part in parts), whole)
    return {one.name: mean for one in found if one.name.startswith(ADJUSTMENT)}


def unnoted_invoices(cur: Cursor, organization: UUID) -> list[tuple[UUID, list[Any]]]:
    """Return the finalised invoices of a caller whose shares were not summed up, with the ranges of use they bill."""
    return [
        (invoice, json.loads(ranges))
        for invoice, ranges in cur.execute(_NOT_NOTED, (organization,)).fetchall()
    ]


def void_sources(cur: Cursor, organization: UUID) -> dict[str, list[tuple[str, int]]]:
    """Return what stands on void invoices of a caller, (partner, share) by invoice: it is on no invoice again."""
    found: dict[str, list[tuple[str, int]]] = {}
    rows = cur.execute(
        "SELECT i.id::text, s.partner::text, s.share FROM earning_sources s"
        " JOIN invoices i ON i.organization = s.organization AND s.source = 'invoice:' || i.id"
        " WHERE s.organization = %s AND i.status = 'void' AND s.share <> 0 ORDER BY 1, 2",
        (organization,),
    ).fetchall()
    for invoice, partner, share in rows:
        found.setdefault(invoice, []).append((partner, share))
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
    """Return (invoice, [partner, share]) of what the line paid for of these calls, by the living invoice that bills
    them and was summed up."""
    found = []
    for invoice, ranges in cur.execute(_NOTED, (organization,)).fetchall():
        parts = _shares(cur, organization, json.loads(ranges), _REVERSED, {"reversed": list(reversed_calls)})
        found += [(invoice, parts)] if parts else []
    return found


def shares_in(cur: Cursor, organization: UUID, ranges: Iterable[Any]) -> list[list[Any]]:
    """Return [partner, share] of what the line paid for in the ranges of cuts that an invoice bills, without what was
    reversed by now. What a cut holds never changes, so no lock is needed; see `reversals_of` for what may."""
    return _shares(cur, organization, ranges, _NOT_REVERSED, {})


def _shares(
    cur: Cursor, organization: UUID, ranges: Iterable[Any], chosen: str, values: dict[str, Any]
) -> list[list[Any]]:
    sums: dict[str, int] = {}
    for data in ranges:
        before, after = read_range(data)
        condition = difference(cur, organization, alias="x", cut=after, previous=before)
        statement = _SHARES.format(condition=condition.sql, reversed=chosen)
        for partner, share in cur.execute(statement, {**condition.values, **values}).fetchall():
            sums[partner] = sums.get(partner, 0) + share
    return [[partner, share] for partner, share in sorted(sums.items()) if share]


def _fractions(cur: Cursor, organization: UUID, names: Some[str]) -> dict[str, Fraction]:
    of = {kind: _ids(names, kind) for kind in ("grant", "invoice")}
    owed = cur.execute(_OWED, (organization,)).fetchone()
    debt = 0 if owed is None else owed[0]
    given = {"organization": organization, "grants": of["grant"], "debt": debt}
    grants = cur.execute(_GRANTS, given).fetchall()
    used = [Used(f"debt:{name}", amount, at) for name, amount, at in cur.execute(_DEBTS, (organization,))]
    used += [Used(f"grant:{row[0]}", row[2], row[4]) for row in grants if row[1] == "paid"]
    found = unpaid(used, debt)
    found |= {f"grant:{row[0]}": ALL for row in grants if row[1] == "promotional" or row[3] == 0}
    included = [row[0] for row in grants if row[1] not in ("paid", "promotional") and row[3] != 0]
    fees = dict(cur.execute(_FEES, (organization, included)).fetchall()) if included else {}
    invoices = _invoices(cur, organization, {*of["invoice"], *(one for one in fees.values() if one)})
    found |= {f"invoice:{name}": fraction for name, fraction in invoices.items()}
    found |= {f"grant:{grant}": invoices[name] for grant, name in fees.items() if name in invoices}
    return found


def _invoices(cur: Cursor, organization: UUID, ids: Some[str]) -> dict[str, Fraction]:
    if not ids:
        return {}
    rows = cur.execute(_INVOICES, (organization, sorted(ids))).fetchall()
    return {name: InvoiceFigures(*figures).fraction() for name, *figures in rows}


def _ids(names: Some[str], kind: str) -> list[str]:
    return sorted(name.removeprefix(f"{kind}:") for name in names if name.startswith(f"{kind}:"))
