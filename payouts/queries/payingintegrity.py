"""P2 and what else must hold of payouts, by code that their writers do not share: from journal, events and commands.

P2: a payout has one transfer, a transfer one payout. P3: payout_in_transit is the sum of the payouts that are open;
what is at the partners' accounts and what left the processor follows from their states. P4: statements chain, in what
is owed and in what can be withdrawn, and their numbers have no gap.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from events.integrity import register_check
from events.store import Cursor
from ledger.queries.integrity import Violation
from orgs import PLATFORM_ID

_TRANSFERS: Final = """
WITH sent AS (
    SELECT organization, business_key, purpose, count(*) AS times, max(object_id) AS name FROM outbound_commands
    WHERE purpose IN ('create_transfer', 'create_payout') AND state = 'succeeded' GROUP BY 1, 2, 3
)
SELECT s.organization, s.business_key, s.purpose || ' was done ' || s.times || ' times' FROM sent s WHERE s.times > 1
UNION ALL
SELECT s.organization, s.business_key, 'was made as ' || s.name || ', the payout says ' || coalesce(
        CASE s.purpose WHEN 'create_transfer' THEN p.transfer ELSE p.payout END, 'nothing')
FROM sent s LEFT JOIN payouts p ON p.organization = s.organization AND s.business_key = 'payout:' || p.id
WHERE CASE s.purpose WHEN 'create_transfer' THEN p.transfer ELSE p.payout END IS DISTINCT FROM s.name
UNION ALL
SELECT p.organization, 'payout ' || p.id, 'has a transfer that no command made' FROM payouts p
WHERE p.transfer IS NOT NULL AND NOT EXISTS (SELECT FROM outbound_commands c
    WHERE c.organization = p.organization AND c.purpose = 'create_transfer' AND c.object_id = p.transfer)
"""
# Nothing but payouts moves what is in transit to a partner, whatever an entry calls itself; the platform's own account
# is that of its payouts from the processor. Cash and what the processor has are a
# customer's, too: there the entries of payouts count, and what reverses one.
_BOOKS: Final = f"""
WITH posted AS (
    SELECT o.organization,
        coalesce(sum(o.amount) FILTER (WHERE a.kind = 'payout_in_transit'), 0) AS transit,
        -coalesce(sum(o.amount) FILTER (WHERE a.kind = 'cash'), 0) AS there,
        coalesce(sum(o.amount) FILTER (WHERE a.kind = 'processor_clearing'), 0) AS gone
    FROM postings o JOIN accounts a ON a.id = o.account_id JOIN journal_entries e ON e.id = o.entry_id
    LEFT JOIN journal_entries r ON r.id = e.reverses
    WHERE (a.kind = 'payout_in_transit' AND o.organization <> '{PLATFORM_ID}')
        OR (a.kind IN ('cash', 'processor_clearing') AND coalesce(r.source, e.source) LIKE 'payout:%'
            AND coalesce(r.kind, e.kind) LIKE 'payout\\_%')
    GROUP BY o.organization
), told AS (
    SELECT organization,
        sum(amount) FILTER (WHERE state IN
            ('requested', 'held', 'pending_approval', 'approved', 'processing', 'unknown')) AS transit,
        coalesce(sum(amount - taken_back) FILTER (WHERE transfer IS NOT NULL AND state <> 'paid'), 0)
            - coalesce(sum(taken_back) FILTER (WHERE state = 'paid'), 0) AS there,
        sum(amount - taken_back) FILTER (WHERE transfer IS NOT NULL) AS gone
    FROM payouts GROUP BY organization
)
SELECT organization, 'payouts', 'the journal has ' || coalesce(p.transit, 0) || ' in transit, ' || coalesce(p.there, 0)
    || ' at the account and ' || coalesce(p.gone, 0) || ' gone, they say ' || coalesce(t.transit, 0) || ', '
    || coalesce(t.there, 0) || ' and ' || coalesce(t.gone, 0)
FROM posted p FULL JOIN told t USING (organization)
WHERE (coalesce(p.transit, 0), coalesce(p.there, 0), coalesce(p.gone, 0))
    <> (coalesce(t.transit, 0), coalesce(t.there, 0), coalesce(t.gone, 0))
"""
# Each unit that came back of a transfer is a reversal's, so that its row of the processor's balance is known.
_REVERSALS: Final = """
SELECT p.organization, 'payout ' || p.id, p.taken_back || ' of its transfer came back, its reversals say ' || r.amount
FROM payouts p CROSS JOIN LATERAL (
    SELECT coalesce(sum(value::bigint), 0) AS amount FROM jsonb_each_text(p.reversals)) r
WHERE p.reversals IS NOT NULL AND r.amount <> p.taken_back
"""
_STATEMENTS: Final = """
WITH chained AS (
    SELECT organization, number, opening, counter,
        lag(closing, 1, 0::bigint) OVER w AS before, row_number() OVER w AS place
    FROM partner_statements WINDOW w AS (PARTITION BY organization ORDER BY month)
)
SELECT organization, 'statement ' || number, 'opens with ' || opening || ' after ' || before FROM chained
WHERE opening <> before
UNION ALL
SELECT organization, 'statement ' || number, 'has number ' || counter || ' in place ' || place FROM chained
WHERE counter <> place
"""
# Statements from before they said what can be withdrawn have nothing to chain.
_PAYABLE: Final = """
WITH said AS (
    SELECT organization, number, month, paid_out, (document->>'payable_opening')::bigint AS opening,
        (document->>'received')::bigint AS received, (document->>'taken_back')::bigint AS taken_back,
        (document->>'payable')::bigint AS payable FROM partner_statements WHERE document ? 'payable_opening'
), chained AS (
    SELECT *, lag(payable, 1, opening) OVER (PARTITION BY organization ORDER BY month) AS before FROM said
)
SELECT organization, 'statement ' || number, 'leaves ' || payable || ' to withdraw: before there were ' || before
    || ', it opens with ' || opening || ', received are ' || received || ', taken back ' || taken_back
    || ', paid out ' || paid_out
FROM chained WHERE opening <> before OR payable <> opening + received - taken_back - paid_out
"""
_CHECKS: Final = (
    ("P2", _TRANSFERS),
    ("P3", _BOOKS),
    ("P3", _REVERSALS),
    ("P4", _STATEMENTS),
    ("P4", _PAYABLE),
)


def violations(cur: Cursor) -> Iterable[Violation]:
    """Return everything that breaks P2 to P4. Reads only."""
    return [
        Violation(invariant, *row)
        for invariant, statement in _CHECKS
        for row in cur.execute(statement).fetchall()
    ]


def register_checks() -> None:
    """This function will register what holds of payouts and statements."""
    register_check("payouts.paying", violations)
