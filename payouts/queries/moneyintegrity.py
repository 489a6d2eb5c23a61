"""P1: what money came for, worked out anew of payments, notes, disputes and debt, payer by payer, by code of its own.

What the settler says was collected is not read for it, but compared with it. See docs/marketplace.md for the meaning.
"""

from __future__ import annotations

from typing import Final

# Of callers of whom nothing has happened since they were settled: the others are judged when they are.
FRESH: Final = """
SELECT w.organization FROM earning_watermarks w WHERE {in:w.organization}
    AND NOT EXISTS (SELECT FROM events e WHERE e.organization = w.organization AND e.seq > w.seq)
"""
EARNED: Final = f"""
SELECT p.organization, 'share of partner ' || p.partner, 'collected are ' || p.collected || ' and lost ' || p.lost
    || ', but earned only ' || p.earned
FROM earning_pairs p JOIN ({FRESH}) w USING (organization) WHERE p.collected + p.lost > p.earned
"""
# What of credit and debt is owed: the newest that was used, without calls that were taken back.
_OWED: Final = """
used AS (
    SELECT organization, 'debt:' || id AS source, amount, at FROM earning_debts d JOIN fresh USING (organization)
    WHERE NOT EXISTS (SELECT FROM earning_reversals r WHERE r.organization = d.organization AND r.id = d.id)
    UNION ALL
    SELECT u.organization, 'grant:' || g.id, u.amount, g.created_at FROM earning_used u JOIN fresh USING (organization)
    JOIN credit_grants g ON g.id = u.grant_id WHERE g.kind = 'paid'
), newer AS (
    SELECT organization, source, amount, sum(greatest(amount, 0)) OVER (PARTITION BY organization
        ORDER BY at DESC, source COLLATE "C" DESC) - greatest(amount, 0) AS before FROM used
), owed AS (
    SELECT n.organization, n.source, n.amount, least(greatest(a.debt - n.before, 0), greatest(n.amount, 0)) AS unpaid
    FROM newer n JOIN accounts a USING (organization) WHERE a.kind = 'customer_credit' AND a.counterparty IS NULL
)
"""
# The invoice that pays for a source; of credit that a fee gave it is that fee's.
_BILLED: Final = """
billed AS (
    SELECT DISTINCT organization, source, id AS invoice FROM sources WHERE kind = 'invoice'
    UNION ALL
    SELECT s.organization, s.source, f.invoice_id FROM (
        SELECT DISTINCT organization, source, id FROM sources WHERE kind = 'grant') s
    JOIN credit_grants g ON g.id = s.id AND g.kind NOT IN ('paid', 'promotional') AND g.cost_basis <> 0
    CROSS JOIN LATERAL (SELECT i.invoice_id FROM invoice_items i WHERE i.organization = g.organization AND i.amount > 0
        AND i.source = regexp_replace(g.reason, '^(Credit of |Commitment of )(subscription|contract) ', '\\2:')
        AND (i.service_start = g.effective_at OR i.service_start <= g.effective_at AND i.service_end > g.effective_at)
        ORDER BY i.included > 0 DESC, i.service_start = g.effective_at DESC, i.created_at, i.id LIMIT 1) f
), came AS (
    SELECT i.id, i.total, i.status,
        coalesce((SELECT sum(p.applied) FROM invoice_payments p
            WHERE p.invoice_id = i.id AND p.method <> 'processor'), 0)
        + coalesce((SELECT sum(p.settled - p.invoice_back) FROM payments p WHERE p.invoice_id = i.id), 0)
        - coalesce((SELECT sum(c.credit) FROM credit_notes c WHERE c.invoice_id = i.id), 0) AS got
    FROM invoices i WHERE i.id IN (SELECT invoice FROM billed)
)
"""
COLLECTED: Final = f"""
WITH fresh AS ({FRESH}), sources AS (
    SELECT s.organization, s.partner, s.source, s.share, split_part(s.source, ':', 1) AS kind,
        CASE WHEN s.source ~ '^(grant|invoice):' THEN split_part(s.source, ':', 2)::uuid END AS id
    FROM earning_sources s JOIN fresh USING (organization)
), {_OWED.strip()}, {_BILLED.strip()}, parts AS (
    SELECT b.organization, b.source, CASE WHEN c.total > 0 THEN least(greatest(c.got, 0), c.total)
        WHEN c.status = 'paid' THEN 1 ELSE 0 END AS paid, CASE WHEN c.total > 0 THEN c.total ELSE 1 END AS whole
    FROM billed b JOIN came c ON c.id = b.invoice
    UNION ALL
    SELECT DISTINCT s.organization, s.source, 1, 1 FROM sources s JOIN credit_grants g ON g.id = s.id
    WHERE s.kind = 'grant' AND (g.kind = 'promotional' OR g.cost_basis = 0)
    UNION ALL
    SELECT o.organization, o.source, CASE WHEN o.amount > 0 THEN o.amount - o.unpaid ELSE 1 END, greatest(o.amount, 1)
    FROM owed o WHERE NOT EXISTS (SELECT FROM credit_grants g WHERE o.source = 'grant:' || g.id AND g.cost_basis = 0)
), calls AS (
    SELECT s.organization, s.partner, s.share, CASE WHEN p.source IS NULL THEN least(s.share, 0)
        ELSE div(s.share::numeric * p.paid, p.whole) END AS paid
    FROM sources s LEFT JOIN parts p USING (organization, source) WHERE s.kind <> 'adjustment'
), mean AS (SELECT organization, sum(paid) AS paid, sum(share) AS whole FROM calls GROUP BY 1), allowed AS (
    SELECT organization, partner, sum(paid) AS paid FROM (
        SELECT organization, partner, paid FROM calls
        UNION ALL
        SELECT s.organization, s.partner, CASE WHEN coalesce(m.whole, 0) <= 0 THEN least(s.share, 0)
            WHEN s.share < 0 THEN -div(-s.share * m.paid + m.whole - 1, m.whole) ELSE div(s.share * m.paid, m.whole) END
        FROM sources s LEFT JOIN mean m USING (organization) WHERE s.kind = 'adjustment') x GROUP BY 1, 2
)
SELECT p.organization, 'share of partner ' || p.partner, 'collected is ' || p.collected || ', but money came for '
    || a.paid
FROM earning_pairs p JOIN allowed a USING (organization, partner) WHERE p.collected > a.paid
"""
