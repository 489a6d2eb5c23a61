"""What must hold between payments, their effects and the books, by code that their writers do not share.

W1: each effect that a payment or a mirrored invoice names stands once in `effects`, each entry of a payment has one,
and none is without. M1: of each organization, what the processor holds by its payments is received - refunded -
disputed - fees (what mirrored invoices were paid stands in their own entries; what was assigned, and its fee, in the
platform's). M2: what is paid on an invoice is what came, less credit notes and what went back. M3: the platform's
payouts are in its books.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from events.integrity import register_check
from events.store import Cursor
from ledger.queries.integrity import Violation

KINDS: Final = ("top_up", "overpayment", "processor_refund", "dispute", "processor_fee")
"""Entries that payments make by themselves; what settles an invoice is of the kind `payment`."""

_CLEARING: Final = """
WITH posted AS (
    SELECT p.organization, -sum(p.amount) AS amount FROM postings p JOIN accounts a ON a.id = p.account_id
        JOIN journal_entries e ON e.id = p.entry_id
    WHERE a.kind = 'processor_clearing' AND (e.kind = ANY(%(kinds)s) OR e.kind = 'payment') GROUP BY p.organization
), told AS (
    SELECT organization,
        sum(CASE WHEN purpose IN ('mirrored', 'assigned') THEN 0 ELSE received END - refunded - disputed - fee
            + CASE WHEN purpose = 'assigned' THEN (SELECT coalesce(sum((b.value->>'fee')::bigint), 0)
                FROM jsonb_each(balances) b) ELSE 0 END) AS amount
    FROM payments GROUP BY organization
)
SELECT organization, 'processor_clearing', 'the journal has ' || coalesce(p.amount, 0) || ', its payments say '
    || coalesce(t.amount, 0)
FROM posted p FULL JOIN told t USING (organization) WHERE coalesce(p.amount, 0) <> coalesce(t.amount, 0)
"""
_EFFECTS: Final = """
WITH named AS (
    SELECT p.organization, k.key FROM payments p, jsonb_array_elements_text(p.applied) AS k(key)
    UNION ALL SELECT e.organization, e.idempotency_key FROM journal_entries e WHERE e.kind = 'processor_payout'
    UNION ALL SELECT organization, 'invoice:' || invoice FROM mirrored_invoices WHERE grant_id IS NOT NULL
)
SELECT coalesce(n.organization, e.organization), 'effect ' || coalesce(n.key, e.effect_key),
    CASE WHEN e.effect_key IS NULL THEN 'a payment names it, it stands nowhere' ELSE 'no payment names it' END
FROM named n FULL JOIN effects e ON e.organization = n.organization AND e.effect_key = n.key
WHERE n.key IS NULL OR e.effect_key IS NULL
"""
_ENTRIES: Final = """
SELECT e.organization, 'entry ' || e.id, 'no payment has its effect ' || e.idempotency_key FROM journal_entries e
WHERE e.kind = ANY(%(kinds)s) AND NOT EXISTS (SELECT FROM effects f
    WHERE f.organization = e.organization AND f.effect_key = e.idempotency_key)
"""
# Of what became credit only later (a refund failed when its invoice was paid otherwise) the invoice has nothing.
_INVOICES: Final = """
WITH came AS (
    SELECT invoice_id, sum(applied) AS amount,
        coalesce(sum(amount - applied) FILTER (WHERE method = 'processor'), 0) AS over
    FROM invoice_payments GROUP BY invoice_id
), noted AS (SELECT invoice_id, sum(credit) AS amount FROM credit_notes GROUP BY invoice_id),
overpaid AS (
    SELECT p.invoice_id, sum(o.amount) AS amount FROM journal_entries e JOIN postings o ON o.entry_id = e.id
        JOIN accounts a ON a.id = o.account_id JOIN payments p ON p.id = substr(e.source, 9)::uuid
    WHERE e.kind = 'overpayment' AND a.kind = 'customer_credit' GROUP BY p.invoice_id
), back AS (
    SELECT invoice_id, sum(reopened) AS reopened, sum(excess) AS excess
    FROM payments WHERE invoice_id IS NOT NULL GROUP BY invoice_id
), said AS (
    SELECT i.organization, i.id, i.paid, coalesce(c.amount, 0) - coalesce(n.amount, 0) - b.reopened
        - (b.excess - coalesce(c.over, 0) - coalesce(o.amount, 0)) AS told
    FROM back b JOIN invoices i ON i.id = b.invoice_id LEFT JOIN came c ON c.invoice_id = i.id
        LEFT JOIN noted n ON n.invoice_id = i.id LEFT JOIN overpaid o ON o.invoice_id = i.id
)
SELECT organization, 'invoice ' || id, 'paid is ' || paid || ', its payments say ' || told FROM said WHERE paid <> told
"""
_PAYOUTS: Final = """
WITH posted AS (
    SELECT p.organization, p.currency, -coalesce(sum(p.amount) FILTER (WHERE a.kind = 'cash'), 0) AS arrived,
        -coalesce(sum(p.amount) FILTER (WHERE a.kind = 'payout_in_transit'), 0) AS in_transit
    FROM postings p JOIN accounts a ON a.id = p.account_id JOIN journal_entries e ON e.id = p.entry_id
    WHERE e.kind = 'processor_payout' GROUP BY p.organization, p.currency
), told AS (
    SELECT organization, currency, sum(arrived) AS arrived, sum(in_transit) AS in_transit FROM processor_payouts
    GROUP BY organization, currency
)
SELECT organization, 'payouts in ' || currency, 'the journal has ' || coalesce(p.arrived, 0) || ' arrived and '
    || coalesce(p.in_transit, 0) || ' on the way, they say ' || coalesce(t.arrived, 0) || ' and '
    || coalesce(t.in_transit, 0)
FROM posted p FULL JOIN told t USING (organization, currency)
WHERE (coalesce(p.arrived, 0), coalesce(p.in_transit, 0)) <> (coalesce(t.arrived, 0), coalesce(t.in_transit, 0))
"""
_CHECKS: Final = (
    ("M1", _CLEARING),
    ("W1", _EFFECTS),
    ("W1", _ENTRIES),
    ("M2", _INVOICES),
    ("M3", _PAYOUTS),
)


def violations(cur: Cursor) -> Iterable[Violation]:
    """Return everything that breaks W1 or M1 to M3. Reads only."""
    given = {"kinds": list(KINDS)}
    return [
        Violation(invariant, *row)
        for invariant, statement in _CHECKS
        for row in cur.execute(statement, given).fetchall()
    ]


def register_checks() -> None:
    """This function will register what holds between payments, effects and books."""
    register_check("billing.payments", violations)
