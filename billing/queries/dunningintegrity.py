"""What must hold of dunning, by other statements than those that write it.

D1: the gate obeys what the open case says, and nothing where there is none. D2: an open case waits for something: who
paid is not blocked, and by overdue balance who is below every threshold. D3: whom a job has parked has an open finding.
"""

from __future__ import annotations

from typing import Final

from billing.rules.findings import BILLING_STOPPED, DUNNING_STOPPED
from events.integrity import register_check
from events.store import Cursor
from ledger.queries.integrity import Violation

_D1: Final = """
WITH said AS (
    SELECT organization, CASE WHEN state = 'past_due' OR exempt_until IS NOT NULL THEN 'clear'
            WHEN state = 'grace' THEN 'throttled' ELSE 'suspended' END AS standing,
        CASE WHEN state = 'grace' AND exempt_until IS NULL THEN (policy->>'throttle_per_minute')::integer END AS most,
        state NOT IN ('past_due', 'grace') AND exempt_until IS NULL
            AND policy->>'prepaid_credit' = 'spendable' AS spends
    FROM dunning_cases WHERE closed_at IS NULL
), obeyed AS (
    SELECT organization, standing, per_minute AS most, spends_credit AS spends FROM standings
)
SELECT organization, 'its standing', 'its case says ' || coalesce(s.standing, 'clear') || ' ' || coalesce(s.most, 0)
    || ', the gate obeys ' || coalesce(o.standing, 'clear') || ' ' || coalesce(o.most, 0)
FROM said s FULL JOIN obeyed o USING (organization)
WHERE (coalesce(s.standing, 'clear'), s.most, coalesce(s.spends, false))
    IS DISTINCT FROM (coalesce(o.standing, 'clear'), o.most, coalesce(o.spends, false))
"""
_D2: Final = """
SELECT c.organization, 'dunning case ' || c.id, 'it is ' || c.state || ', and everything is settled'
FROM dunning_cases c WHERE c.closed_at IS NULL AND NOT EXISTS (
    SELECT FROM jsonb_array_elements_text(c.invoices) AS w(id) JOIN (
        SELECT id, status FROM invoices UNION ALL SELECT id, status FROM mirrored_invoices) i ON i.id = w.id::uuid
    WHERE i.status = 'open' OR i.status = 'uncollectible' AND c.state = 'written_off')
UNION ALL
SELECT organization, 'dunning case ' || id, 'it is ' || state || ', and no balance is at its threshold'
FROM dunning_cases WHERE closed_at IS NULL AND state <> 'written_off' AND policy->>'trigger' = 'overdue_balance'
    AND campaigns = '{}'
"""


_D3: Final = f"""
SELECT g.organization, g.what, 'it is parked, and no finding says so' FROM (
    SELECT organization, parked_at, 'its billing' AS what, '{BILLING_STOPPED}' AS kind FROM billing_runs
    UNION ALL SELECT organization, parked_at, 'its dunning', '{DUNNING_STOPPED}' FROM dunning_claims
) g WHERE g.parked_at IS NOT NULL AND NOT EXISTS (
    SELECT FROM findings f WHERE f.organization = g.organization AND f.kind = g.kind
        AND f.subject = g.organization::text AND f.status = 'open')
"""


def violations(cur: Cursor) -> list[Violation]:
    """Return everything that breaks D1, D2 or D3. Reads only."""
    return [
        Violation(invariant, *row)
        for invariant, statement in (("D1", _D1), ("D2", _D2), ("D3", _D3))
        for row in cur.execute(statement).fetchall()
    ]


def register_checks() -> None:
    """This function will register what holds of dunning for `verify_ledger`."""
    register_check("billing.dunning", violations)
