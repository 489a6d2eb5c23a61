"""Dunning policies, and which of them is an invoice's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from billing.rules.dunning.policy import DEFAULT, Policy, PolicyRow, parse_policy
from common.errors import NotFound
from common.fields import is_id
from events.store import Cursor

_READ: Final = """
SELECT id, organization, key, name, plans::text, contracts::text, is_default, number, document::text, version,
    created_at, archived_at
FROM dunning_policies
"""
# A contract goes before a plan, a plan before all others. Use names neither, so the customer's own contracts and, where
# no line names one, its subscriptions count.
_PICK: Final = """
WITH named AS (
    SELECT l.contract::text AS contract, v.plan_key AS plan FROM invoice_lines l
        LEFT JOIN subscriptions s ON s.id = l.subscription
        LEFT JOIN plan_versions v ON v.id = coalesce(l.plan_version, s.plan_version)
    WHERE l.invoice_id = {invoice}
), contracted AS (
    SELECT contract FROM named WHERE contract IS NOT NULL
    UNION SELECT id::text FROM contracts WHERE organization = {organization} AND status = 'active'
), planned AS (
    SELECT plan FROM named WHERE plan IS NOT NULL
    UNION SELECT v.plan_key FROM subscriptions s JOIN plan_versions v ON v.id = s.plan_version
        WHERE s.organization = {organization} AND s.ended_at IS NULL
            AND NOT EXISTS (SELECT FROM named WHERE plan IS NOT NULL)
)
{read} WHERE archived_at IS NULL AND (is_default
    OR EXISTS (SELECT FROM contracted WHERE jsonb_exists(contracts, contract))
    OR EXISTS (SELECT FROM planned WHERE jsonb_exists(plans, plan)))
ORDER BY EXISTS (SELECT FROM contracted WHERE jsonb_exists(contracts, contract)) DESC, is_default, key LIMIT 1
"""
_FOR: Final = _PICK.format(read=_READ, organization="%(organization)s", invoice="%(invoice)s")
DOCUMENT_OF: Final = _PICK.format(
    read="SELECT document FROM dunning_policies", organization="w.organization", invoice="w.id"
)
"""The document of the policy of an invoice `w`; none for the house's own."""
_CLAIMED: Final = """
SELECT key FROM dunning_policies WHERE archived_at IS NULL AND id <> %(id)s AND (is_default AND %(default)s
    OR jsonb_exists_any(plans, %(plans)s) OR jsonb_exists_any(contracts, %(contracts)s)) ORDER BY key LIMIT 1
"""
_VERSIONS: Final = """
SELECT number, document::text, made_at FROM dunning_policy_versions
WHERE policy = %(policy)s AND (%(before)s::integer IS NULL OR number < %(before)s) ORDER BY number DESC LIMIT %(limit)s
"""


def policy_for(cur: Cursor, *, organization: UUID, invoice: UUID) -> tuple[UUID | None, int, Policy]:
    """Return the policy of an invoice, with its id and the number of its document; no id for the house's own."""
    row = cur.execute(_FOR, {"organization": organization, "invoice": invoice}).fetchone()
    if row is None:
        return None, 0, DEFAULT
    found = _policy(row)
    return found.id, found.number, found.policy


def find_policy(cur: Cursor, name: str, *, lock: bool = False) -> PolicyRow:
    """Return a policy by key or id. Raises NotFound."""
    by = "id = %s" if is_id(name) else "key = %s"
    row = cur.execute(f"{_READ} WHERE {by}" + (" FOR NO KEY UPDATE" if lock else ""), (name,)).fetchone()
    if row is None:
        raise NotFound("There is no such dunning policy.")
    return _policy(row)


def list_policies(cur: Cursor, *, after: str | None, limit: int) -> list[PolicyRow]:
    """Return policies by their keys, after one."""
    rows = cur.execute(
        f"{_READ} WHERE %(after)s::text IS NULL OR key > %(after)s ORDER BY key LIMIT %(limit)s",
        {"after": after, "limit": limit},
    ).fetchall()
    return [_policy(row) for row in rows]


def documents_of(
    cur: Cursor, policy: UUID, *, before: int | None, limit: int
) -> list[tuple[int, dict[str, Any], datetime]]:
    """Return the documents that a policy had: number, document and when it was made, the newest first."""
    rows = cur.execute(_VERSIONS, {"policy": policy, "before": before, "limit": limit}).fetchall()
    return [(row[0], json.loads(row[1]), row[2]) for row in rows]


def key_is_taken(cur: Cursor, key: str) -> bool:
    """Whether a policy has this key, also an archived one."""
    return cur.execute("SELECT 1 FROM dunning_policies WHERE key = %s", (key,)).fetchone() is not None


def claimed_by(cur: Cursor, row: PolicyRow) -> str | None:
    """Return the key of another policy in force that is for one of the same plans or contracts, or for all others."""
    given = {
        "id": row.id,
        "default": row.is_default,
        "plans": list(row.plans),
        "contracts": [str(each) for each in row.contracts],
    }
    found = cur.execute(_CLAIMED, given).fetchone()
    return None if found is None else str(found[0])


def unknown_plans(cur: Cursor, plans: Sequence[str]) -> list[str]:
    """Return which of these keys no plan has."""
    rows = cur.execute(
        "SELECT w FROM unnest(%s::text[]) w WHERE NOT EXISTS (SELECT FROM plans p WHERE p.key = w) ORDER BY 1",
        (list(plans),),
    )
    return [row[0] for row in rows.fetchall()]


def unknown_contracts(cur: Cursor, contracts: Sequence[UUID]) -> list[UUID]:
    """Return which of these ids no contract has."""
    rows = cur.execute(
        "SELECT w FROM unnest(%s::uuid[]) w WHERE NOT EXISTS (SELECT FROM contracts c WHERE c.id = w) ORDER BY 1",
        (list(contracts),),
    )
    return [row[0] for row in rows.fetchall()]


def _policy(row: Sequence[Any]) -> PolicyRow:
    values: Any = list(row)
    values[4] = tuple(json.loads(row[4]))
    values[5] = tuple(UUID(each) for each in json.loads(row[5]))
    values[8] = parse_policy(json.loads(row[8]))
    return PolicyRow(*values)
