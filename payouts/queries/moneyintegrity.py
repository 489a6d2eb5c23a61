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
_SOURCES: Final = f"""
fresh AS ({FRESH}), sources AS (
    SELECT s.organization, s.partner, s.source, s.share, split_part(s.source, ':', 1) AS kind,
        CASE WHEN s.source ~ '^(grant|invoice):' THEN split_part(s.source, ':', 2)::uuid END AS id
    FROM earning_sources s JOIN fresh USING (organization)
)
"""
# What became debt, without what a reversal took off: what of a call or a clawback was repaid before that stays, and is
# nobody's, as use of a meter is.
_BECAME: Final = """
became AS (
    SELECT x.organization, x.name, CASE WHEN x.is_reversed THEN 'usage' ELSE x.cause END AS cause, x.at,
        x.amount + coalesce(sum(o.amount), 0) AS amount
    FROM (
        SELECT d.organization, d.id, 'debt:' || d.id AS name, 'call' AS cause, d.amount, d.at,
            r.id IS NOT NULL AS is_reversed
        FROM earning_debts d LEFT JOIN earning_reversals r ON r.organization = d.organization AND r.id = d.id
        UNION ALL
        SELECT d.organization, d.id, 'owing:' || d.id || ':' || d.version || ':' || d.n, d.cause, d.amount, d.at,
            e.id IS NOT NULL
        FROM earning_owing d LEFT JOIN journal_entries e ON e.reverses = d.id WHERE d.amount > 0
    ) x JOIN fresh USING (organization)
    LEFT JOIN earning_owing o ON o.organization = x.organization AND o.cause = 'off:' || x.id
    GROUP BY x.organization, x.name, x.cause, x.is_reversed, x.at, x.amount
)
"""
# Every unit of that is owed still or was repaid by a grant. The other way round it need not be: what became debt before
# it was told of, or by calls of who named no listing, is owed, too.
DEBT: Final = f"""
WITH fresh AS ({FRESH}), {_BECAME.strip()}
SELECT b.organization, 'debt of ' || b.organization, 'calls and payments became ' || b.amount || ' of debt, but '
    || coalesce(a.debt, 0) || ' are owed and ' || coalesce(r.amount, 0) || ' were repaid'
FROM (SELECT organization, sum(amount) AS amount FROM became GROUP BY 1) b
LEFT JOIN accounts a ON a.organization = b.organization AND a.kind = 'customer_credit' AND a.counterparty IS NULL
LEFT JOIN (SELECT organization, -sum(amount) AS amount FROM earning_owing WHERE cause LIKE 'grant:%%' GROUP BY 1) r
    ON r.organization = b.organization
WHERE b.amount > coalesce(a.debt, 0) + coalesce(r.amount, 0)
"""
# What became debt with what is newer of it, and what is owed of it or was repaid by credit that nobody bought: both
# counted from the newest, for the oldest is repaid first.
_DEBTS: Final = f"""
{_BECAME.strip()}, debts AS (
    SELECT *, sum(amount) OVER (PARTITION BY organization ORDER BY at DESC, name COLLATE "C" DESC) - amount AS newer
    FROM became
), books AS (
    SELECT organization, debt FROM accounts JOIN fresh USING (organization)
    WHERE kind = 'customer_credit' AND counterparty IS NULL
), repaid AS (
    SELECT organization, substr(cause, 7)::uuid AS grant_id, -amount AS amount, debt + amount + sum(-amount) OVER (
        PARTITION BY organization ORDER BY at DESC, ('owing:' || id || ':' || version || ':' || n) COLLATE "C" DESC
        ) AS newer
    FROM earning_owing JOIN books USING (organization) WHERE cause LIKE 'grant:%%'
), unpaid AS (
    SELECT organization, NULL::uuid AS grant_id, debt::numeric AS amount, 0::numeric AS newer FROM books WHERE debt > 0
    UNION ALL
    SELECT r.* FROM repaid r JOIN credit_grants g ON g.id = r.grant_id AND g.kind <> 'paid'
)
"""
# What of a grant that was not bought stands on which invoice: a plan's on that of its fee, an advance's on those of its
# items, of which the grant is the end. What a postpaid commitment repaid (`is_debt`) is an item by itself.
_BILLED: Final = """
given AS (
    SELECT g.* FROM credit_grants g JOIN (SELECT id FROM sources WHERE kind = 'grant'
        UNION SELECT grant_id FROM unpaid WHERE grant_id IS NOT NULL) x USING (id)
    WHERE g.kind NOT IN ('paid', 'promotional') AND g.cost_basis <> 0
), windows AS (
    SELECT w.organization, w.contract, w.items, c.kind, g.id, g.created_at, (x.made->>1)::bigint AS amount
    FROM contract_windows w JOIN contracts c ON c.id = w.contract CROSS JOIN jsonb_array_elements(w.grants) AS x(made)
    JOIN given g ON g.organization = w.organization AND g.id = (x.made->>0)::uuid
), advanced AS (
    SELECT w.id, w.amount, i.invoice_id, t.billed, sum(t.billed) OVER (PARTITION BY w.id ORDER BY t.n) AS upto,
        sum(t.billed) OVER (PARTITION BY w.id) AS whole
    FROM windows w CROSS JOIN LATERAL (SELECT (y.item->>0)::uuid AS item, (y.item->>1)::bigint AS billed, y.n
        FROM jsonb_array_elements(w.items) WITH ORDINALITY AS y(item, n)) t
    JOIN invoice_items i ON i.id = t.item AND i.created_at <= w.created_at WHERE w.kind = 'prepaid'
), bills AS (
    SELECT g.id, f.invoice_id, f.amount::numeric AS part, false AS is_debt FROM given g CROSS JOIN LATERAL (
        SELECT i.invoice_id, i.amount FROM invoice_items i WHERE i.organization = g.organization AND i.amount > 0
            AND i.included > 0 AND i.source = 'subscription:' || substr(g.reason, length('Credit of subscription ') + 1)
            AND g.reason LIKE 'Credit of subscription %%' AND (i.service_start = g.effective_at
                OR i.service_start <= g.effective_at AND i.service_end > g.effective_at)
        ORDER BY i.service_start = g.effective_at DESC, i.created_at, i.id LIMIT 1) f
    UNION ALL
    SELECT id, invoice_id, least(upto, whole) - greatest(upto - billed, whole - amount), false FROM advanced
    WHERE upto > whole - amount AND billed > 0
    UNION ALL
    SELECT w.id, i.invoice_id, i.amount, true FROM windows w JOIN invoice_items i ON i.organization = w.organization
        AND i.contract = w.contract AND i.kind = 'commitment' AND i.service_start IS NULL AND i.amount > 0
        AND i.created_at = w.created_at
    WHERE w.kind = 'postpaid'
), came AS (
    SELECT i.id, i.total, i.status,
        coalesce((SELECT sum(p.applied) FROM invoice_payments p
            WHERE p.invoice_id = i.id AND p.method <> 'processor'), 0)
        + coalesce((SELECT sum(p.settled - p.invoice_back) FROM payments p WHERE p.invoice_id = i.id), 0)
        - coalesce((SELECT sum(c.credit) FROM credit_notes c WHERE c.invoice_id = i.id), 0) AS got
    FROM invoices i WHERE i.id IN (SELECT invoice_id FROM bills UNION SELECT id FROM sources WHERE kind = 'invoice')
), invoiced AS (
    SELECT id, CASE WHEN total > 0 THEN least(greatest(got, 0), total) WHEN status = 'paid' THEN 1 ELSE 0 END AS paid,
        CASE WHEN total > 0 THEN total ELSE 1 END::numeric AS whole FROM came
), fees AS (
    SELECT b.id, b.is_debt, sum(div(b.part * coalesce(i.paid, 0), coalesce(i.whole, 1))) AS paid, sum(b.part) AS whole
    FROM bills b LEFT JOIN invoiced i ON i.id = b.invoice_id GROUP BY 1, 2
)
"""
# What of debt no money came for. It is missing of the call that owed it, of what the payment bought that went back, or
# else of what was used last; of payments that went back first. What a meter's charges owe is nobody's share.
_OWED: Final = """
missing AS (
    SELECT d.organization, d.name, d.cause, sum(part - coalesce(div(part * f.paid, f.whole), 0)) AS amount
    FROM debts d JOIN unpaid u USING (organization)
    CROSS JOIN LATERAL (SELECT least(d.newer + d.amount, u.newer + u.amount) - greatest(d.newer, u.newer) AS part) o
    LEFT JOIN fees f ON f.id = u.grant_id WHERE part > 0 GROUP BY 1, 2, 3
), used AS (
    SELECT organization, name AS source, name AS cause, amount::numeric AS room, at, false AS is_back FROM debts
    WHERE cause = 'call'
    UNION ALL
    SELECT g.organization, 'grant:' || g.id, coalesce('payment:' || p.id, ''),
        greatest(coalesce(u.amount, 0), 0) + coalesce(r.amount, 0), g.created_at, coalesce(p.credit_back > 0, false)
    FROM credit_grants g JOIN fresh USING (organization)
    LEFT JOIN earning_used u ON u.organization = g.organization AND u.grant_id = g.id
    LEFT JOIN (SELECT grant_id, sum(amount) AS amount FROM repaid GROUP BY 1) r ON r.grant_id = g.id
    LEFT JOIN payments p ON p.id = CASE WHEN g.source LIKE 'payment:%%' THEN substr(g.source, 9)::uuid END
    WHERE g.kind = 'paid' AND (u.amount > 0 OR r.amount > 0)
), own AS (
    SELECT u.*, CASE WHEN u.cause = '' THEN 0 ELSE least(greatest(coalesce(m.amount, 0) - sum(u.room) OVER (
        PARTITION BY u.organization, u.cause ORDER BY u.at, u.source COLLATE "C") + u.room, 0), u.room) END AS unpaid
    FROM used u LEFT JOIN (
        SELECT organization, CASE WHEN cause = 'call' THEN name ELSE cause END AS cause, sum(amount) AS amount
        FROM missing GROUP BY 1, 2) m USING (organization, cause)
), beyond AS (
    SELECT b.organization, greatest(b.debt - coalesce((SELECT sum(d.amount) FROM debts d
            WHERE d.organization = b.organization), 0), 0)
        + coalesce((SELECT sum(m.amount) FROM missing m
            WHERE m.organization = b.organization AND m.cause <> 'usage'), 0)
        - coalesce((SELECT sum(o.unpaid) FROM own o WHERE o.organization = b.organization), 0) AS amount
    FROM books b
), owed AS (
    SELECT o.organization, o.source, o.room, o.unpaid + least(greatest(b.amount - sum(o.room - o.unpaid) OVER (
        PARTITION BY o.organization ORDER BY o.is_back DESC, o.at DESC, o.source COLLATE "C" DESC)
        + o.room - o.unpaid, 0), o.room - o.unpaid) AS unpaid
    FROM own o JOIN beyond b USING (organization)
), parts AS (
    SELECT DISTINCT s.organization, s.source, i.paid, i.whole FROM sources s JOIN invoiced i USING (id)
    WHERE s.kind = 'invoice'
    UNION ALL
    SELECT DISTINCT s.organization, s.source, f.paid, f.whole FROM sources s JOIN fees f USING (id)
    WHERE s.kind = 'grant' AND NOT f.is_debt
    UNION ALL
    SELECT DISTINCT s.organization, s.source, 1, 1 FROM sources s JOIN credit_grants g ON g.id = s.id
    WHERE s.kind = 'grant' AND (g.kind = 'promotional' OR g.cost_basis = 0)
    UNION ALL
    SELECT o.organization, o.source, CASE WHEN o.room > 0 THEN o.room - o.unpaid ELSE 1 END, greatest(o.room, 1)
    FROM owed o WHERE NOT EXISTS (SELECT FROM credit_grants g WHERE o.source = 'grant:' || g.id AND g.cost_basis = 0)
)
"""
# A difference of tiers came as far as what its partner earned by these terms in that month did, payer by payer.
_DIFFERENCES: Final = """
earned AS (
    SELECT s.organization, s.partner, s.source, split_part(s.source, ':', 3) AS month, b.payer, sum(b.share) AS share
    FROM sources s JOIN earning_buckets b ON b.organization = s.organization AND b.partner = s.partner
        AND b.rule = split_part(s.source, ':', 2) AND to_char(b.day, 'YYYY-MM') = split_part(s.source, ':', 3)
    WHERE s.kind = 'adjustment' AND b.payer <> 'adjustment' GROUP BY 1, 2, 3, 4, 5 HAVING sum(b.share) > 0
), may AS (
    SELECT e.organization, e.partner, e.source, s.source AS payer_source, e.payer FROM earned e JOIN sources s
        ON s.organization = e.organization AND s.partner = e.partner AND s.source = 'grant:' || e.payer
    UNION ALL
    SELECT e.organization, e.partner, e.source, s.source, e.payer FROM earned e JOIN sources s
        ON s.organization = e.organization AND s.partner = e.partner AND e.payer = 'debt' AND s.kind = 'debt'
    JOIN debts d ON d.organization = s.organization AND d.name = s.source
        AND to_char(d.at AT TIME ZONE 'UTC', 'YYYY-MM') = e.month
    UNION ALL
    SELECT e.organization, e.partner, e.source, s.source, e.payer FROM earned e
    CROSS JOIN LATERAL (SELECT (e.month || '-01')::timestamp AT TIME ZONE 'UTC' AS begins,
        ((e.month || '-01')::timestamp + interval '1 month') AT TIME ZONE 'UTC' AS ends) t
    JOIN sources s ON s.organization = e.organization AND s.partner = e.partner AND s.kind = 'invoice'
        AND split_part(s.source, ':', 3) = CASE e.payer WHEN 'line' THEN '' ELSE e.payer END
    JOIN invoices i ON i.id = s.id AND i.status <> 'void' AND least(i.period_end, t.ends)
        - greatest(i.period_start, t.begins) > least(interval '1 day', (i.period_end - i.period_start) / 2)
), held AS (
    SELECT m.organization, m.partner, m.source, m.payer, sum(s.share) AS share,
        sum(div(s.share::numeric * p.paid, p.whole)) AS paid
    FROM may m JOIN sources s ON s.organization = m.organization AND s.partner = m.partner AND s.source = m.payer_source
    JOIN parts p ON p.organization = m.organization AND p.source = m.payer_source WHERE s.share > 0 GROUP BY 1, 2, 3, 4
), differences AS (
    SELECT e.organization, e.partner, e.source, sum(e.share) AS whole,
        sum(div(e.share * coalesce(h.paid, 0), greatest(e.share, h.share))) AS paid
    FROM earned e LEFT JOIN held h USING (organization, partner, source, payer) GROUP BY 1, 2, 3
)
"""
COLLECTED: Final = f"""
WITH {_SOURCES.strip()}, {_DEBTS.strip()}, {_BILLED.strip()}, {_OWED.strip()}, {_DIFFERENCES.strip()}, allowed AS (
    SELECT organization, partner, sum(paid) AS paid FROM (
        SELECT s.organization, s.partner, CASE WHEN p.source IS NULL THEN least(s.share, 0)
            ELSE div(s.share::numeric * p.paid, p.whole) END AS paid
        FROM sources s LEFT JOIN parts p USING (organization, source) WHERE s.kind <> 'adjustment'
        UNION ALL
        SELECT s.organization, s.partner, CASE WHEN d.source IS NULL THEN least(s.share, 0)
            WHEN s.share < 0 THEN -div(-s.share * d.paid + d.whole - 1, d.whole) ELSE div(s.share * d.paid, d.whole) END
        FROM sources s LEFT JOIN differences d USING (organization, partner, source) WHERE s.kind = 'adjustment'
    ) x GROUP BY 1, 2
)
SELECT p.organization, 'share of partner ' || p.partner, 'collected is ' || p.collected || ', but money came for '
    || a.paid
FROM earning_pairs p JOIN allowed a USING (organization, partner) WHERE p.collected > a.paid
"""
