"""P1, L8 and where every unit of a share is, worked out from journal, usage records and events by code of its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from events.integrity import register_check
from events.store import Cursor
from ledger.queries.integrity import Violation
from payouts.queries import moneyintegrity

# Each statement gives (organization, object, detail). {in} narrows a column to the organizations asked for.
_P1: Final = """
WITH received AS (
    SELECT p.organization AS partner, sum(p.amount) AS amount FROM postings p
    JOIN journal_entries e ON e.id = p.entry_id JOIN accounts a ON a.id = p.account_id
    WHERE e.kind = 'earning_received' AND a.kind = 'partner_payable' AND {in:p.organization} GROUP BY p.organization
), collected AS (
    SELECT partner, sum(collected) AS amount FROM earning_pairs WHERE {in:partner} GROUP BY partner
)
SELECT r.partner, 'partner ' || r.partner, 'paid, in transit and payable are ' || r.amount || ', collected is '
    || coalesce(c.amount, 0)
FROM received r LEFT JOIN collected c USING (partner) WHERE r.amount > coalesce(c.amount, 0)
"""
# Of what came in, what is no more payable is in transit or left through it.
_P1_OUT: Final = """
WITH moved AS (
    SELECT p.organization,
        sum(p.amount) FILTER (WHERE a.kind = 'partner_payable') AS payable,
        sum(p.amount) FILTER (WHERE a.kind = 'payout_in_transit') AS transit,
        sum(p.amount) FILTER (WHERE a.kind = 'partner_payable' AND e.kind = 'earning_received') AS received
    FROM postings p JOIN journal_entries e ON e.id = p.entry_id JOIN accounts a ON a.id = p.account_id
    WHERE a.kind IN ('partner_payable', 'payout_in_transit') AND {in:p.organization} GROUP BY p.organization
)
SELECT organization, 'partner ' || organization, 'it has ' || payable || ' payable and ' || coalesce(transit, 0)
    || ' in transit, and got only ' || coalesce(received, 0)
FROM moved WHERE coalesce(payable, 0) + coalesce(transit, 0) > coalesce(received, 0)
    AND coalesce(payable, 0) + coalesce(transit, 0) > 0
"""
_MOVES: Final = """
SELECT (array_agg(p.organization ORDER BY p.amount))[1], e.source, 'its two entries clear ' || sum(p.amount)
    || ' in ' || count(DISTINCT p.organization) || ' organizations'
FROM postings p JOIN journal_entries e ON e.id = p.entry_id JOIN accounts a ON a.id = p.account_id
WHERE a.kind = 'intercompany_clearing' AND e.kind IN ('earning_moved', 'earning_received') AND e.source IN (
    SELECT x.source FROM journal_entries x
    WHERE x.kind IN ('earning_moved', 'earning_received') AND {in:x.organization})
GROUP BY e.source HAVING sum(p.amount) <> 0 OR count(*) <> 2 OR count(DISTINCT p.organization) <> 2
"""
# Every unit of a share is still earned, or it moved, or it was lost.
_UNITS: Final = """
WITH posted AS (
    SELECT a.organization, a.counterparty AS partner,
        sum(p.amount) FILTER (WHERE e.kind NOT IN ('earning_moved', 'earning_lost')) AS earned,
        -sum(p.amount) FILTER (WHERE e.kind = 'earning_moved') AS moved,
        -sum(p.amount) FILTER (WHERE e.kind = 'earning_lost') AS lost
    FROM accounts a JOIN postings p ON p.account_id = a.id JOIN journal_entries e ON e.id = p.entry_id
    WHERE a.kind = 'partner_earned' AND a.counterparty IS NOT NULL AND {in:a.organization} GROUP BY 1, 2
)
SELECT organization, 'share of partner ' || partner, 'the books have earned ' || coalesce(p.earned, 0) || ', moved '
    || coalesce(p.moved, 0) || ' and lost ' || coalesce(p.lost, 0) || ', the sums ' || coalesce(s.earned, 0) || ', '
    || coalesce(s.moved, 0) || ' and ' || coalesce(s.lost, 0)
FROM posted p FULL JOIN (SELECT * FROM earning_pairs WHERE {in:organization}) s USING (organization, partner)
WHERE (coalesce(p.earned, 0), coalesce(p.moved, 0), coalesce(p.lost, 0))
    <> (coalesce(s.earned, 0), coalesce(s.moved, 0), coalesce(s.lost, 0))
"""
# The shares on the records themselves, which are facts; of months that were retired only the books are left.
_RECORDS: Final = """
WITH said AS (
    SELECT u.organization, u.id, (p->>0)::uuid AS partner, sum((p->>3)::bigint) AS share
    FROM usage_records u, json_array_elements(u.detail->'shares'->'parts') p
    WHERE u.detail->'shares' IS NOT NULL AND {in:u.organization} GROUP BY 1, 2, 3
), posted AS (
    SELECT p.organization, substring(e.source FROM 14)::uuid AS id, a.counterparty AS partner, sum(p.amount) AS share
    FROM accounts a JOIN postings p ON p.account_id = a.id JOIN journal_entries e ON e.id = p.entry_id
    WHERE a.kind = 'partner_earned' AND e.source LIKE 'usage_record:%%' AND {in:a.organization} GROUP BY 1, 2, 3
)
SELECT organization, 'usage record ' || id, 'it gives partner ' || partner || ' ' || coalesce(s.share, 0)
    || ', its entry ' || coalesce(p.share, 0)
FROM said s FULL JOIN posted p USING (organization, id, partner)
WHERE coalesce(s.share, 0) <> coalesce(p.share, 0) AND EXISTS (
    SELECT FROM usage_records u
    WHERE u.organization = coalesce(s.organization, p.organization) AND u.id = coalesce(s.id, p.id))
"""
_SUMS: Final = """
WITH buckets AS (SELECT organization, partner, sum(share) AS share FROM earning_buckets WHERE {in:organization}
    GROUP BY 1, 2),
sources AS (SELECT organization, partner, sum(share) AS share, sum(collected) AS collected, sum(lost) AS lost,
        bool_or(share >= 0 AND (collected < 0 OR lost < 0)) AS below
    FROM earning_sources WHERE {in:organization} GROUP BY 1, 2),
hours AS (SELECT organization, partner, sum(amount) AS amount, sum(amount) FILTER (WHERE matured) AS matured,
        bool_or(amount < 0 AND source <> 'line' AND source NOT LIKE 'adjustment:%%') AS below
    FROM earning_collections WHERE {in:organization} GROUP BY 1, 2)
SELECT p.organization, 'share of partner ' || p.partner, 'its sums by day, payer and hour are not those of the pair'
FROM earning_pairs p LEFT JOIN buckets b USING (organization, partner) LEFT JOIN sources s USING (organization, partner)
    LEFT JOIN hours h USING (organization, partner)
WHERE {in:p.organization} AND ((p.earned, p.earned, p.collected, p.lost, p.collected, p.matured)
    <> (coalesce(b.share, 0), coalesce(s.share, 0), coalesce(s.collected, 0), coalesce(s.lost, 0),
        coalesce(h.amount, 0), coalesce(h.matured, 0)) OR coalesce(s.below, false) OR p.moved <> p.matured)
"""
# Of an invoice no more is collected than its share of what was paid and not given back.
_PAID: Final = """
SELECT s.organization, s.source || ' and partner ' || s.partner, 'collected ' || s.collected || ' of ' || s.share
    || ', but paid are ' || i.paid || ' of ' || i.total
FROM earning_sources s JOIN invoices i ON i.organization = s.organization AND split_part(s.source, ':', 1) = 'invoice'
    AND split_part(s.source, ':', 2) = i.id::text
JOIN earning_watermarks w ON w.organization = s.organization
WHERE {in:s.organization} AND i.total > 0 AND s.collected::numeric * i.total > s.share::numeric * (i.paid - coalesce((
        SELECT sum(p.invoice_back - p.reopened) FROM payments p WHERE p.invoice_id = i.id), 0)) AND s.collected > 0
    AND s.collected + s.lost < s.share
    AND NOT EXISTS (SELECT FROM events e WHERE e.organization = s.organization AND e.seq > w.seq)
"""
# What the line pays of each call stands where it is billed: on its invoice, or still on the line. One that was reversed
# stands nowhere. Of months that were retired there are no records, so more than these is right. Of callers of whom
# nothing has happened since they were settled.
_CALLS: Final = f"""
WITH fresh AS ({moneyintegrity.FRESH}), ranges AS MATERIALIZED (
    SELECT n.organization, n.invoice_id, (r->1->>'until')::timestamptz AS until, (r->1->>'epoch')::bigint AS epoch,
        (r->1->>'snapshot')::pg_snapshot AS seen, (r->0->>'until')::timestamptz AS until_before,
        (r->0->>'epoch')::bigint AS epoch_before, (r->0->>'snapshot')::pg_snapshot AS seen_before
    FROM earning_invoices n JOIN fresh USING (organization) JOIN invoices i ON i.id = n.invoice_id
        CROSS JOIN jsonb_array_elements(i.usage) r WHERE i.status <> 'void'
), calls AS MATERIALIZED (
    SELECT u.organization, u.id, u.epoch, u.tx, u.occurred_at, (p->>0)::uuid AS partner, (p->>3)::bigint AS share
    FROM usage_records u JOIN fresh USING (organization),
        json_array_elements(u.detail->'shares'->'parts') p
    WHERE u.detail->'shares' IS NOT NULL AND p->>1 = 'line' AND NOT EXISTS (
        SELECT FROM earning_reversals x WHERE x.organization = u.organization AND x.id = u.id)
), billed AS MATERIALIZED (
    SELECT c.organization, c.id, c.partner, c.share, r.invoice_id FROM calls c JOIN ranges r USING (organization)
    WHERE c.occurred_at < r.until AND (c.epoch < r.epoch OR c.epoch = r.epoch AND pg_visible_in_snapshot(c.tx, r.seen))
        AND (r.seen_before IS NULL OR NOT (c.occurred_at < r.until_before AND (c.epoch < r.epoch_before
            OR c.epoch = r.epoch_before AND pg_visible_in_snapshot(c.tx, r.seen_before))))
), placed AS (
    SELECT organization, partner, 'invoice:' || invoice_id AS source, sum(share) AS share FROM billed GROUP BY 1, 2, 3
    UNION ALL
    SELECT c.organization, c.partner, 'line', sum(c.share) FROM calls c WHERE NOT EXISTS (
        SELECT FROM billed b WHERE b.organization = c.organization AND b.id = c.id) GROUP BY 1, 2
)
SELECT p.organization, p.source || ' and partner ' || p.partner, 'it has ' || coalesce(s.share, 0)
    || ' of shares, its calls give ' || p.share
FROM placed p LEFT JOIN earning_sources s USING (organization, partner, source) WHERE coalesce(s.share, 0) < p.share
"""
_CHECKS: Final = (
    ("P1", _P1),
    ("P1", _P1_OUT),
    ("L8", _MOVES),
    ("P1 units", _UNITS),
    ("P1 records", _RECORDS),
    ("P1 sums", _SUMS),
    ("P1 paid", _PAID),
    ("P1 calls", _CALLS),
    ("P1 earned", moneyintegrity.EARNED),
    ("P1 debt", moneyintegrity.DEBT),
    ("P1 money", moneyintegrity.COLLECTED),
)


def violations(cur: Cursor, organizations: Iterable[UUID] | None = None) -> list[Violation]:
    """Return everything of these organizations (None: of all) that breaks P1 or L8, or has a unit of a share nowhere or
    twice. Reads only."""
    chosen = None if organizations is None else list(organizations)
    return [
        Violation(invariant, *row)
        for invariant, statement in _CHECKS
        for row in cur.execute(
            _narrowed(statement, everyone=chosen is None), {"organizations": chosen}
        ).fetchall()
    ]


def register_checks() -> None:
    """This function will let `verify_ledger` run these checks."""
    register_check("payouts", violations)


def _narrowed(statement: str, *, everyone: bool) -> str:
    before, *parts = statement.split("{in:")
    for part in parts:
        column, _, after = part.partition("}")
        before += ("true" if everyone else f"{column} = ANY(%(organizations)s::uuid[])") + after
    return before
