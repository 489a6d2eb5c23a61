"""What a customer is entitled to now: the rows that the one resolver needs, and its answer (S79)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from billing.queries.dunning import find_open_case
from billing.queries.plans import versions_of
from billing.rules.dunning.case import consequence_of
from billing.rules.entitlements import LIVE, Credit, Entitlements, Override, PlanFeatures, resolve
from common.errors import NotFound
from events.store import Cursor
from ledger.queries.balances import credit_balance
from orgs.queries.organizations import find_organization

# What was canceled or ended by now is over, also before the billing run has written so.
_LIVE: Final = """
SELECT plan_version, status FROM subscriptions
WHERE organization = %(organization)s AND status = ANY(%(live)s) AND ended_at IS NULL
    AND (cancel_at IS NULL OR cancel_at > %(now)s) AND (ends_at IS NULL OR ends_at > %(now)s)
ORDER BY created_at, id
"""


def entitlements(
    cur: Cursor,
    organization: UUID,
    now: datetime,
    *,
    overrides: Sequence[Override] = (),
) -> Entitlements:
    """Return what an organization is entitled to at a time of its clock, with the source of every value.

    `overrides` are those of its contracts. What dunning takes away is what it told the gate. Without a credit account
    nothing depends on credit. Raises NotFound.
    """
    owner = find_organization(cur, organization=organization)
    values = {"organization": organization, "live": list(LIVE), "now": now}
    rows = cur.execute(_LIVE, values).fetchall()
    versions = versions_of(cur, {row[0] for row in rows})
    plans = [
        PlanFeatures(f"plan:{version.plan_key}@{version.number}", version.terms.features, status)
        for version, status in ((versions[identifier], status) for identifier, status in rows)
    ]
    credit = _credit(cur, organization, stops=owner.funding == "prepaid")
    return resolve(plans, overrides=overrides, dunning=dunning_of(cur, organization), credit=credit)


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
