"""What a customer is entitled to now: the rows that the one resolver needs, and its answer (S79)."""

from datetime import datetime
from typing import Final
from uuid import UUID

from billing.queries.contracts import contract_features
from billing.queries.dunning import find_open_case
from billing.queries.plans import versions_of
from billing.rules.catalog import PlanVersion
from billing.rules.dunning.case import consequence_of
from billing.rules.entitlements import LIVE, PAUSED, Credit, Entitlements, PlanFeatures, resolve
from common.errors import NotFound
from events.store import Cursor
from ledger.queries.balances import credit_balance
from ledger.queries.funding import line_mode
from orgs.queries.organizations import find_organization
from spend.rules.entitled import OBEYED, Entitled, obeyed

_SAYING: Final = [*LIVE, PAUSED]
# What was canceled or ended by now is over, also before the billing run has written so.
_LIVE: Final = """
SELECT plan_version, status FROM subscriptions
WHERE organization = %(organization)s AND status = ANY(%(live)s) AND ended_at IS NULL
    AND (cancel_at IS NULL OR cancel_at > %(now)s) AND (ends_at IS NULL OR ends_at > %(now)s)
ORDER BY created_at, id
"""
# When what an organization is entitled to is other than now without anything being written: a cancellation, the begin
# and the end of a contract, an amendment. Only of those contracts that say something the gate obeys.
_NEXT: Final = """
SELECT min(at) FROM (
    SELECT unnest(ARRAY[cancel_at, ends_at]) AS at FROM subscriptions
    WHERE organization = %(organization)s AND ended_at IS NULL AND %(is_said)s
    UNION ALL
    SELECT unnest(ARRAY[c.starts_at, coalesce(c.terminates_at, c.ends_at), v.effective_at])
    FROM contracts c JOIN contract_versions v ON v.contract = c.id
    WHERE c.organization = %(organization)s AND c.activated_at IS NOT NULL AND c.ended_at IS NULL
        AND EXISTS (SELECT FROM contract_versions x
            WHERE x.contract = c.id AND x.document->'features' ?| %(obeyed)s::text[])
) AS moments WHERE at > %(now)s
"""
# Subscriptions and contracts that say something of which the gate was never told: from before it listened, or paused
# when a pause lifted all limits.
_UNTOLD: Final = """
SELECT o.id FROM organizations o WHERE o.status = 'active' AND NOT EXISTS (
    SELECT FROM gate_entitlements g WHERE g.organization = o.id
) AND (EXISTS (
    SELECT FROM subscriptions s JOIN plan_versions v ON v.id = s.plan_version
    WHERE s.organization = o.id AND (
        (s.status = ANY(%(saying)s) AND v.definition->'features' ?| %(obeyed)s::text[])
        OR (s.status = ANY(%(live)s) AND o.funding = 'postpaid' AND v.definition ? 'credit_limit'
            AND v.definition->>'funding' = 'credit_only')
        OR (s.status = ANY(%(live)s) AND o.funding = 'prepaid' AND v.definition->'credit_limit' ? o.currency))
) OR EXISTS (
    SELECT FROM contracts c
    WHERE c.organization = o.id AND c.status = 'active' AND c.features ?| %(obeyed)s::text[]
)) OR o.status = 'active' AND EXISTS (
    SELECT FROM gate_entitlements g JOIN subscriptions s ON s.organization = g.organization
        JOIN plan_versions v ON v.id = s.plan_version
    WHERE g.organization = o.id AND s.status = 'paused'
        AND v.definition->'features' ?| %(obeyed)s::text[] AND NOT g.features ?| %(obeyed)s::text[]
) ORDER BY o.id
"""


def gate_entitlements(cur: Cursor, organization: UUID, now: datetime) -> Entitled:
    """Return what of it the gate obeys, as it is published down. Raises NotFound."""
    found = entitlements(cur, organization, now)
    known = {name: each for name, each in found.features.items() if obeyed(name, each.value)}
    values = {name: each.value for name, each in known.items()}
    funding = found.funding
    is_said = bool(values) or funding.line is not None
    asked = {"organization": organization, "now": now, "is_said": is_said, "obeyed": sorted(OBEYED)}
    row = cur.execute(_NEXT, asked).fetchone()
    return Entitled(
        values,
        {name: each.source for name, each in known.items()},
        funding.line,
        funding.credit_limit,
        funding.source,
        row[0] if row else None,
    )


def organizations_untold(cur: Cursor) -> list[UUID]:
    """Return the organizations whose plans or contracts say something that the gate was never told."""
    asked = {"obeyed": sorted(OBEYED), "live": list(LIVE), "saying": _SAYING}
    return [row[0] for row in cur.execute(_UNTOLD, asked).fetchall()]


def entitlements(cur: Cursor, organization: UUID, now: datetime) -> Entitlements:
    """Return what an organization is entitled to at a time of its clock, with the source of every value: what the gate
    was told, what the API and the staff see.

    What its contracts say goes before its plans. What dunning takes away is what it told the gate. Without a credit
    account nothing depends on credit. Raises NotFound.
    """
    owner = find_organization(cur, organization=organization)
    values = {"organization": organization, "live": _SAYING, "now": now}
    rows = cur.execute(_LIVE, values).fetchall()
    versions = versions_of(cur, {row[0] for row in rows})
    plans = [
        _plan_features(version, status, owner.currency)
        for version, status in ((versions[identifier], status) for identifier, status in rows)
    ]
    credit = _credit(cur, organization, stops=line_mode(cur, organization=organization).mode == "credit_only")
    return resolve(
        plans,
        overrides=contract_features(cur, organization=organization, at=now),
        dunning=dunning_of(cur, organization),
        credit=credit,
        is_postpaid=owner.funding == "postpaid",
    )


def _plan_features(version: PlanVersion, status: str, currency: str) -> PlanFeatures:
    terms = version.terms
    limit = None if terms.credit_limit is None else terms.credit_limit.get(currency)
    source = f"plan:{version.plan_key}@{version.number}"
    return PlanFeatures(source, terms.features, status, terms.funding, limit)


def dunning_of(cur: Cursor, organization: UUID) -> str:
    """Return what of dunning counts for entitlements, as the gate has it: one of billing.rules.entitlements.DUNNING."""
    case = find_open_case(cur, organization)
    if case is None:
        return "none"
    found = consequence_of(case)
    if found.standing == "suspended":
        return "credit_only" if found.spends_credit else "suspended"
    return {"clear": "past_due", "throttled": "throttled"}[found.standing]


def _credit(cur: Cursor, organization: UUID, *, stops: bool) -> Credit | None:
    try:
        return Credit(credit_balance(cur, organization=organization).available, stops)
    except NotFound:
        return None
