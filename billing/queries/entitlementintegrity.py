"""What must hold of entitlements, by other code than the resolver's and other statements than the writers'.

E3: what the gate obeys of features and of the line is what live subscriptions and running contracts say now, and of
features that neither names what paused ones say.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any, Final
from uuid import UUID

from events.integrity import register_check
from events.store import Cursor
from ledger.queries.integrity import Violation

_Said = tuple[dict[str, Any], Any, Any]
_LISTED: Final = ("allowed_models", "allowed_providers", "allowed_tools")
_COUNTED: Final = ("max_agents", "max_open_reservations", "requests_per_minute")
# Whom the billing run or the timer has yet to look at is told a moment later.
_SAID: Final = """
WITH clocks AS (
    SELECT o.id, o.funding, o.currency, clock_timestamp() + o.clock_offset AS now FROM organizations o
    WHERE o.status = 'active' AND NOT EXISTS (SELECT FROM gate_entitlements g
            WHERE g.organization = o.id AND g.next_at <= clock_timestamp() + o.clock_offset)
        AND NOT EXISTS (SELECT FROM subscriptions s
            WHERE s.organization = o.id AND s.next_at <= clock_timestamp() + o.clock_offset)
        AND NOT EXISTS (SELECT FROM contracts c
            WHERE c.organization = o.id AND c.next_at <= clock_timestamp() + o.clock_offset)
)
SELECT o.id, o.funding, CASE WHEN s.status = 'paused' THEN 'paused' ELSE 'plan' END,
    (v.definition->'features')::text, CASE WHEN v.definition ? 'credit_limit'
    OR v.definition->>'funding' = 'credit_then_invoice' THEN v.definition->>'funding' END,
    (v.definition->'credit_limit'->>o.currency)::numeric * 100000000
FROM clocks o JOIN subscriptions s ON s.organization = o.id JOIN plan_versions v ON v.id = s.plan_version
WHERE s.status IN ('trialing', 'active', 'past_due', 'paused')
UNION ALL
SELECT o.id, o.funding, 'contract', c.features::text, NULL, NULL
FROM clocks o JOIN contracts c ON c.organization = o.id WHERE c.status = 'active' AND c.starts_at <= o.now
UNION ALL
SELECT o.id, o.funding, 'gate', (SELECT COALESCE(jsonb_object_agg(key, value->'value'), '{}')::text
    FROM jsonb_each(g.features)), g.line, g.credit_limit
FROM clocks o JOIN gate_entitlements g ON g.organization = o.id
"""
# The books do what was published: the line's limit is the published one, nothing, or the organization's own.
_LINES: Final = """
SELECT o.id, 'its line', 'the gate has ' || coalesce(a.credit_limit::text, 'no limit') || ', published is '
    || coalesce(g.line, 'nothing')
FROM organizations o JOIN accounts a ON a.organization = o.id AND a.kind = 'unbilled_receivable'
    AND a.counterparty IS NULL AND a.currency = o.currency
LEFT JOIN gate_entitlements g ON g.organization = o.id
WHERE a.line IS DISTINCT FROM g.line OR a.credit_limit IS DISTINCT FROM CASE WHEN g.line = 'closed' THEN 0
    WHEN g.line = 'open' THEN g.credit_limit WHEN o.funding = 'postpaid' THEN o.credit_limit ELSE 0 END
"""


def violations(cur: Cursor) -> list[Violation]:
    """Return everything that breaks E3. Reads only."""
    told: dict[UUID, _Said] = {}
    plans: dict[UUID, list[_Said]] = defaultdict(list)
    paused: dict[UUID, list[_Said]] = defaultdict(list)
    contracts: dict[UUID, dict[str, Any]] = defaultdict(dict)
    funded: dict[UUID, str] = {}
    for organization, funding, kind, features, line, limit in cur.execute(_SAID).fetchall():
        funded[organization] = funding
        row = (json.loads(features), line, None if limit is None else int(limit))
        if kind == "gate":
            told[organization] = row
        elif kind == "plan":
            plans[organization].append(row)
        elif kind == "paused":
            paused[organization].append(row)
        else:
            contracts[organization].update(row[0])
    found = []
    for organization, funding in funded.items():
        said = _said(plans[organization], contracts[organization], paused[organization], funding)
        obeyed = told.get(organization, ({}, None, None))
        if said != obeyed:
            detail = f"plans and contracts say {_text(said)}, the gate obeys {_text(obeyed)}"
            found.append(Violation("E3", organization, "its entitlements", detail))
    return found + [Violation("E3", *row) for row in cur.execute(_LINES).fetchall()]


def _said(plans: list[_Said], contract: dict[str, Any], paused: list[_Said], funding: str) -> _Said:
    features = {**_features(paused), **_features(plans), **contract}
    features = {name: value for name, value in features.items() if _is_known(name, value)}
    lines = {line for _, line, _ in plans}
    limits = [most for _, line, most in plans if line == "credit_then_invoice" and most is not None]
    if "credit_then_invoice" in lines and (funding == "postpaid" or limits):
        return (features, None, None) if funding == "postpaid" else (features, "open", max(limits))
    return features, "closed" if "credit_only" in lines else None, None


def _features(plans: list[_Said]) -> dict[str, Any]:
    names = {name for features, _, _ in plans for name in features}
    return {name: _best(name, [each[name] for each, _, _ in plans if name in each]) for name in names}


def _best(name: str, values: list[Any]) -> Any:
    """The most generous: without limit, the highest number, everything on any list; else the oldest plan's."""
    if None in values:
        return None
    whole = [value for value in values if isinstance(value, int) and not isinstance(value, bool)]
    if whole:
        return max(whole)
    if True in values or not all(isinstance(value, (list, bool)) for value in values):
        return next(value for value in values if value is True or isinstance(value, str))
    lists = [value for value in values if isinstance(value, list)]
    return sorted({item for value in lists for item in value}) if lists else False


def _is_known(name: str, value: Any) -> bool:
    if name in _LISTED:
        return value is None or isinstance(value, (bool, list))
    if name in _COUNTED:
        return value is None or (isinstance(value, int) and not isinstance(value, bool))
    return name == "agents_enabled" and isinstance(value, bool)


def _text(said: _Said) -> str:
    return f"{json.dumps(said[0], sort_keys=True)}, line {said[1] or 'as the organization has it'} {said[2] or ''}"


def register_checks() -> None:
    """This function will register what holds of entitlements for `verify_ledger`."""
    register_check("billing.entitlements", violations)
