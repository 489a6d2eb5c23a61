"""What must hold between documents and books, worked out from both by code that their writers do not share.

R1: recognised + deferred - unbilled = invoiced net of tax and credit notes + credit bought + rounding
(docs/revenue.md).
R2: deferred revenue that documents made is what the schedules have left, and what pays for included credit.
R3: a schedule has recognised what its months booked. R4: a closed month says what it said when it was closed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from events.store import Cursor
from ledger.queries.integrity import Violation

EARNED: Final = (
    "revenue", "breakage", "promotional_expense", "platform_fee", "partner_earned", "intercompany_clearing",
    "partner_payable", "payout_in_transit",
)  # fmt: skip
"""What is recognised: revenue, less what was given away; of shared calls what the platform keeps and what partners get,
also when that has moved to their own books, which have the other side."""
OWED: Final = ("deferred_revenue", "customer_credit")
"""What is deferred: fees and credit that are not used yet."""
UNBILLED: Final = ("unbilled_receivable",)
DOCUMENTS: Final = ("invoice", "invoice_void", "payment", "write_off", "credit_note")
"""The kinds of entries whose figures are a document's."""

_R1: Final = """
WITH posted AS (
    SELECT p.organization,
        sum(p.amount) FILTER (WHERE a.kind = ANY(%(sides)s)) AS recorded,
        sum(p.amount) FILTER (WHERE a.kind = 'rounding') AS rounding,
        -sum(p.amount) FILTER (WHERE e.kind <> ALL(%(documents)s) AND a.kind <> 'rounding'
            AND a.kind <> ALL(%(sides)s)) AS bought
    FROM postings p JOIN accounts a ON a.id = p.account_id JOIN journal_entries e ON e.id = p.entry_id
    WHERE {in:p.organization} GROUP BY p.organization
), invoiced AS (
    SELECT organization, sum(net) AS net, sum(greatest(-total, 0)) AS credit FROM invoices
    WHERE finalized_at IS NOT NULL AND status <> 'void' AND {in:organization} GROUP BY organization
), noted AS (
    SELECT organization, sum(net) AS net, sum(credit) AS credit FROM credit_notes WHERE {in:organization}
    GROUP BY organization
), paid AS (
    SELECT organization, sum(amount - applied - CASE WHEN method IN ('credit', 'assigned') THEN amount ELSE 0 END)
        AS credit
    FROM invoice_payments WHERE {in:organization} GROUP BY organization
), sides AS (
    SELECT p.organization, coalesce(p.recorded, 0) AS recorded,
        coalesce(i.net, 0) - coalesce(n.net, 0) - coalesce(p.rounding, 0) + coalesce(p.bought, 0)
        + coalesce(i.credit, 0) + coalesce(n.credit, 0) + coalesce(y.credit, 0) AS documented
    FROM posted p LEFT JOIN invoiced i USING (organization) LEFT JOIN noted n USING (organization)
        LEFT JOIN paid y USING (organization)
)
SELECT organization, 'its books', 'recognised + deferred - unbilled is ' || recorded || ', its documents say '
    || documented
FROM sides WHERE recorded <> documented
"""
_R2: Final = """
WITH posted AS (
    SELECT p.organization, sum(p.amount) AS amount FROM postings p JOIN accounts a ON a.id = p.account_id
        JOIN journal_entries e ON e.id = p.entry_id
    WHERE a.kind = 'deferred_revenue' AND e.kind IN ('invoice', 'invoice_void', 'credit_note', 'recognition')
        AND {in:p.organization} GROUP BY p.organization
), scheduled AS (
    SELECT organization, sum(amount - recognised) AS amount FROM recognition_schedules WHERE {in:organization}
    GROUP BY organization
), included AS (
    SELECT l.organization, sum(sign(l.amount) * (l.detail->>'included')::bigint) AS amount
    FROM invoice_lines l JOIN invoices i ON i.id = l.invoice_id
    WHERE l.account = 'deferred_revenue' AND i.finalized_at IS NOT NULL AND i.status <> 'void' AND {in:l.organization}
    GROUP BY l.organization
)
SELECT p.organization, 'deferred revenue', 'documents and recognition left ' || p.amount || ', schedules have '
    || coalesce(s.amount, 0) || ' and credit ' || coalesce(c.amount, 0)
FROM posted p LEFT JOIN scheduled s USING (organization) LEFT JOIN included c USING (organization)
WHERE p.amount <> coalesce(s.amount, 0) + coalesce(c.amount, 0)
"""
_R3: Final = """
WITH posted AS (
    SELECT p.organization, sum(p.amount) AS amount FROM postings p JOIN accounts a ON a.id = p.account_id
        JOIN journal_entries e ON e.id = p.entry_id
    WHERE a.kind = 'revenue' AND e.kind = 'recognition' AND {in:p.organization} GROUP BY p.organization
), scheduled AS (
    SELECT organization, sum(recognised) AS amount FROM recognition_schedules WHERE {in:organization}
    GROUP BY organization
), months AS (
    SELECT organization, sum(amount) AS amount FROM recognised_months WHERE {in:organization} GROUP BY organization
)
SELECT organization, 'recognised revenue', 'the journal has ' || coalesce(p.amount, 0) || ', schedules have '
    || coalesce(s.amount, 0) || ', months ' || coalesce(m.amount, 0)
FROM posted p FULL JOIN scheduled s USING (organization) FULL JOIN months m USING (organization)
WHERE coalesce(p.amount, 0) <> coalesce(s.amount, 0) OR coalesce(p.amount, 0) <> coalesce(m.amount, 0)
"""
_R3_ROWS: Final = """
SELECT organization, 'schedule ' || id, 'it is ' || status || ' with ' || recognised || ' of ' || amount || ' booked'
FROM recognition_schedules WHERE {in:organization} AND (
    amount <> billed - (SELECT coalesce(sum((change->>1)::bigint), 0) FROM jsonb_array_elements(changes) AS change)
    OR status <> 'open' AND recognised <> amount)
"""
_R4: Final = """
WITH closed AS (SELECT organization, month, ends_at, balances FROM closed_months
    WHERE status = 'closed' AND {in:organization}),
said AS (SELECT c.organization, c.month, b.key AS kind, b.value::bigint AS amount
    FROM closed c, jsonb_each_text(c.balances) AS b),
now_said AS (
    SELECT c.organization, c.month, a.kind, sum(p.amount) AS amount
    FROM closed c JOIN postings p ON p.organization = c.organization JOIN journal_entries e ON e.id = p.entry_id
        AND e.effective_at < c.ends_at JOIN accounts a ON a.id = p.account_id
    GROUP BY c.organization, c.month, a.kind HAVING sum(p.amount) <> 0
)
SELECT organization, 'month ' || to_char(month, 'YYYY-MM'), 'it was closed with ' || kind || ' '
    || coalesce(s.amount, 0) || ', and has ' || coalesce(n.amount, 0)
FROM said s FULL JOIN now_said n USING (organization, month, kind)
WHERE coalesce(s.amount, 0) <> coalesce(n.amount, 0)
"""
_CHECKS: Final = (("R1", _R1), ("R2", _R2), ("R3", _R3), ("R3", _R3_ROWS), ("R4", _R4))


def violations(cur: Cursor, organizations: Iterable[UUID] | None = None) -> list[Violation]:
    """Return everything of these organizations (None: of all) that breaks R1 to R4. Reads only."""
    chosen = None if organizations is None else list(organizations)
    given = {
        "organizations": chosen,
        "sides": [*EARNED, *OWED, *UNBILLED],
        "documents": list(DOCUMENTS),
    }
    return [
        Violation(invariant, *row)
        for invariant, statement in _CHECKS
        for row in cur.execute(_narrowed(statement, everyone=chosen is None), given).fetchall()
    ]


def _narrowed(statement: str, *, everyone: bool) -> str:
    before, *parts = statement.split("{in:")
    for part in parts:
        column, _, after = part.partition("}")
        before += ("true" if everyone else f"{column} = ANY(%(organizations)s::uuid[])") + after
    return before
